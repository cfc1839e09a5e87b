//! The checklist: what has to be seen for the demonstration to count as a success.
//! Each step has a name that a reader understands without the code.

/// Something that has to be observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    ServerReady,
    Workspace,
    Registered,
    Challenged,
    Credentials,
    Answered,
    Acknowledged,
    Live,
    AgentHeard,
    KeyPressed,
    Refer,
    ReferAccepted,
    NotifyTrying,
    NotifyRinging,
    ExtensionAnswers,
    NotifyAnswered,
    NotifiesTaken,
    AgentLeaves,
    LegEnded,
    CallerHearsSales,
    SalesHearsCaller,
    CallerHangsUp,
    Media,
    RecordClosed,
    Transcript,
    TransferRecorded,
    Listed,
    Counted,
    HookStarted,
    HookAnswered,
    HookTransferred,
    HookEnded,
}

impl Step {
    /// All steps, in the order in which they are expected.
    pub(super) const ALL: [Step; 32] = [
        Step::ServerReady,
        Step::Workspace,
        Step::Registered,
        Step::Challenged,
        Step::Credentials,
        Step::Answered,
        Step::Acknowledged,
        Step::Live,
        Step::AgentHeard,
        Step::KeyPressed,
        Step::Refer,
        Step::ReferAccepted,
        Step::NotifyTrying,
        Step::NotifyRinging,
        Step::ExtensionAnswers,
        Step::NotifyAnswered,
        Step::NotifiesTaken,
        Step::AgentLeaves,
        Step::LegEnded,
        Step::CallerHearsSales,
        Step::SalesHearsCaller,
        Step::CallerHangsUp,
        Step::Media,
        Step::RecordClosed,
        Step::Transcript,
        Step::TransferRecorded,
        Step::Listed,
        Step::Counted,
        Step::HookStarted,
        Step::HookAnswered,
        Step::HookTransferred,
        Step::HookEnded,
    ];

    /// What was observed, in words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Step::ServerReady => "the server is ready",
            Step::Workspace => "agent, webhook, trunk and extensions are created over the API",
            Step::Registered => "the PBX is registered on its trunk",
            Step::Challenged => "the server challenges the PBX's call with 401",
            Step::Credentials => "the PBX calls again with its digest",
            Step::Answered => "the server answers with 200",
            Step::Acknowledged => "the PBX acknowledges the answer",
            Step::Live => "the API shows the call as live",
            Step::AgentHeard => "the caller hears the agent speak",
            Step::KeyPressed => "the caller presses 1 for Sales",
            Step::Refer => "the server asks the PBX to transfer to 101 and names the caller",
            Step::ReferAccepted => "the PBX accepts the transfer with 202",
            Step::NotifyTrying => "the PBX reports 100 on the transfer",
            Step::NotifyRinging => "the PBX reports 180 on the transfer",
            Step::ExtensionAnswers => "extension 101 answers",
            Step::NotifyAnswered => "the PBX reports 200 on the transfer",
            Step::NotifiesTaken => "the server takes each report with 200",
            Step::AgentLeaves => "the server ends the agent's leg with BYE",
            Step::LegEnded => "the PBX answers the BYE",
            Step::CallerHearsSales => "the caller hears extension 101",
            Step::SalesHearsCaller => "extension 101 hears the caller",
            Step::CallerHangsUp => "the caller hangs up",
            Step::Media => "RTP went both ways at caller, PBX and extension 101",
            Step::RecordClosed => "the record says completed and transferred",
            Step::Transcript => "the transcript has lines of agent and caller",
            Step::TransferRecorded => "the transfer's outcome is recorded as transferred",
            Step::Listed => "the call is in GET /v1/calls",
            Step::Counted => "GET /metrics counts the call and its transfer",
            Step::HookStarted => "webhook call.started arrives first, correctly signed",
            Step::HookAnswered => "webhook call.answered arrives second, correctly signed",
            Step::HookTransferred => "webhook call.transferred arrives third, correctly signed",
            Step::HookEnded => "webhook call.ended arrives last, correctly signed",
        }
    }

    /// Its place among the flags of a checklist.
    fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// Which steps have been observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checklist(u64);

impl Checklist {
    /// Notes a step; `false` when it was noted before.
    pub(super) fn note(&mut self, step: Step) -> bool {
        let fresh = !self.has(step);
        self.0 |= step.bit();
        fresh
    }

    /// Whether a step has been observed.
    pub(super) fn has(self, step: Step) -> bool {
        self.0 & step.bit() != 0
    }

    /// What has not been observed.
    pub(super) fn missing(self) -> Vec<Step> {
        Step::ALL
            .into_iter()
            .filter(|step| !self.has(*step))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_missing_until_it_is_noted() {
        let mut list = Checklist::default();
        for (done, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, done, "{step:?} is out of order");
            assert_eq!(list.missing().first(), Some(&step));
            assert!(list.note(step));
            assert!(!list.note(step), "noted twice");
        }
        assert!(list.missing().is_empty());
    }
}

//! The machine of one transfer: a state for each thing that is waited for, each with a deadline.
//! `(now, input)` goes in; what to send, what to tell and the one outcome come out.

use std::collections::VecDeque;
use std::time::Instant;

use sip_core::header::NameAddr;
use sip_core::{Name, Status};

use crate::notify::Notice;
use crate::outcome::{ConfirmedBy, Outcome, TransferResult};
use crate::policy::{self, Target, TransferConfig};

/// What happened.
#[derive(Copy, Clone, Debug)]
pub enum Input<'a> {
    /// A response to the REFER. Challenges (401, 407) are not for this machine.
    Response {
        /// Its status.
        status: Status,
        /// Its reason phrase.
        reason: &'a str,
        /// Its Refer-Sub header, if it has one (RFC 4488).
        refer_sub: Option<bool>,
    },
    /// The REFER got no response at all, for this cause.
    Unanswered(&'a str),
    /// A NOTIFY of this REFER's subscription. The owner answers each with 200.
    Notify {
        /// The value of its Subscription-State header.
        subscription_state: &'a str,
        /// Its body.
        body: &'a [u8],
    },
    /// The dialog ended, not by our doing: the peer's BYE, or the peer is lost.
    DialogEnded,
    /// The owner no longer wants to wait.
    Cancel,
    /// The time of [`Transfer::poll_timeout`] has come.
    Timeout,
    /// Whether RTP came from the caller since the last report. While a transfer is on, report
    /// every 100 ms or so.
    CallerHeard(bool),
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send REFER in the dialog with these header fields.
    SendRefer {
        /// Refer-To and what else the REFER carries.
        headers: Vec<(Name, String)>,
    },
    /// Tell the agent how far the PBX is: 100, 180, 183.
    Progress(Status),
    /// Send BYE: nobody is here any more. Comes before [`Output::Done`] whenever the outcome says
    /// that the caller is gone and the dialog has not ended by itself; so at most once.
    HangUp,
    /// The transfer is over, once.
    Done(Outcome),
    /// What became known after [`Output::Done`]: correct the record, do nothing else. At most
    /// once.
    Amended(Outcome),
}

/// One transfer, from the REFER to its outcome.
///
/// Made when the agent asks for the transfer, fed until [`Output::Done`], and kept for late
/// NOTIFYs as long as the dialog lingers. Reaches `Done` whatever comes, by its deadlines alone.
#[derive(Debug)]
pub struct Transfer {
    config: TransferConfig,
    target: Target,
    state: State,
    outputs: VecDeque<Output>,
    /// Whether the peer may still tell how it ended.
    subscription_open: bool,
    dialog_alive: bool,
    caller: Caller,
    outcome: Option<Outcome>,
}

/// What is waited for, and until when.
#[derive(Debug)]
enum State {
    /// For the answer to REFER.
    Referring { until: Instant },
    /// For the final NOTIFY.
    Accepted { until: Instant, ringing: bool },
    /// For the caller's RTP to end: the peer took the REFER and sends no NOTIFYs. `latest` is when
    /// a caller who is still heard counts as not transferred.
    Unreported { until: Instant, latest: Instant },
    /// For the final NOTIFY after the peer ended the dialog.
    Orphaned { until: Instant },
    /// For the caller's RTP after a failure.
    Listening {
        since: Instant,
        until: Instant,
        outcome: Outcome,
    },
    /// For nothing: the outcome is told.
    Over,
}

/// What is known of the caller from their RTP.
#[derive(Debug, Default)]
struct Caller {
    /// When they were last heard.
    heard: Option<Instant>,
    /// Whether the last report was that nothing came.
    quiet: bool,
}

impl Transfer {
    /// A transfer that begins now: the first output is the REFER. `asserted` is the caller's
    /// identity as it goes into P-Asserted-Identity (RFC 3325).
    pub fn new(
        now: Instant,
        config: TransferConfig,
        target: Target,
        asserted: Option<NameAddr>,
    ) -> Transfer {
        let headers = policy::headers(&config, &target, asserted.as_ref());
        Transfer {
            state: State::Referring {
                until: now + config.refer_timeout,
            },
            config,
            target,
            outputs: VecDeque::from([Output::SendRefer { headers }]),
            subscription_open: true,
            dialog_alive: true,
            caller: Caller::default(),
            outcome: None,
        }
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Response {
                status,
                reason,
                refer_sub,
            } => self.response(now, status, reason, refer_sub),
            Input::Unanswered(cause) => self.unanswered(cause),
            Input::Notify {
                subscription_state,
                body,
            } => self.notify(now, &Notice::read(subscription_state, body)),
            Input::DialogEnded => self.dialog_ended(now),
            Input::Cancel => self.cancel(now),
            Input::Timeout => self.timeout(now),
            Input::CallerHeard(heard) => self.caller_heard(now, heard),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with [`Input::Timeout`]; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Referring { until }
            | State::Accepted { until, .. }
            | State::Unreported { until, .. }
            | State::Orphaned { until }
            | State::Listening { until, .. } => Some(until),
            State::Over => None,
        }
    }

    /// The outcome, once there is one; after an amendment the amended one.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn response(&mut self, now: Instant, status: Status, reason: &str, refer_sub: Option<bool>) {
        if status.is_provisional() {
            return;
        }
        if status.is_success() {
            let State::Referring { .. } = self.state else {
                // A NOTIFY was faster, or the caller has left meanwhile.
                return;
            };
            // With this header the peer says that there is no subscription (RFC 4488 section 4).
            let latest = now + self.config.answer_timeout;
            self.state = if refer_sub == Some(false) {
                self.subscription_open = false;
                let until = latest.min(now + self.config.caller_window);
                State::Unreported { until, latest }
            } else {
                State::Accepted {
                    until: latest,
                    ringing: false,
                }
            };
            return;
        }
        let (State::Referring { .. } | State::Accepted { .. } | State::Orphaned { .. }) =
            self.state
        else {
            return;
        };
        self.subscription_open = false;
        let result = policy::of_refer(status);
        let gone = result == TransferResult::CallerLeft;
        self.done(Outcome {
            result,
            confirmed_by: ConfirmedBy::Pbx,
            sip_code: Some(status.code()),
            reason: policy::sentence_of_refer(status, reason),
            caller_still_here: !gone && self.dialog_alive,
        });
    }

    fn unanswered(&mut self, cause: &str) {
        let State::Referring { .. } = self.state else {
            return;
        };
        let cause = crate::notify::printable(cause);
        self.done(Outcome {
            result: TransferResult::Timeout,
            confirmed_by: ConfirmedBy::None,
            sip_code: None,
            reason: format!("the PBX did not answer REFER: {cause}"),
            caller_still_here: self.dialog_alive && !self.caller.quiet,
        });
    }

    fn notify(&mut self, now: Instant, notice: &Notice) {
        if !self.subscription_open {
            return;
        }
        match &notice.status {
            Ok((status, phrase)) if status.is_final() => {
                self.subscription_open = false;
                self.decided(now, self.verdict(*status, phrase));
            }
            _ if notice.is_last() => {
                self.subscription_open = false;
                self.decided(now, untold(notice));
            }
            Ok((status, _)) => self.progress(now, *status),
            // More will follow, and what was said cannot be read.
            Err(_) => {}
        }
    }

    /// What a final status reported by NOTIFY amounts to.
    fn verdict(&self, status: Status, phrase: &str) -> Outcome {
        let mut result = policy::of_target(status);
        let mut reason = policy::sentence_of_target(status, phrase);
        // The PBX gives up the call to the target because nobody is left to connect it with.
        if status.code() == 487 && !self.dialog_alive {
            result = TransferResult::CallerLeft;
            reason = "the caller hung up before the target answered".to_owned();
        }
        let answered = result == TransferResult::Transferred && self.target.answered();
        Outcome {
            result,
            confirmed_by: if answered {
                ConfirmedBy::Answered
            } else {
                ConfirmedBy::Pbx
            },
            sip_code: Some(status.code()),
            reason,
            caller_still_here: false,
        }
    }

    /// The last NOTIFY is in.
    fn decided(&mut self, now: Instant, outcome: Outcome) {
        if let State::Over = self.state {
            return self.amend(outcome);
        }
        if outcome.result == TransferResult::Transferred || !self.dialog_alive {
            return self.done(outcome);
        }
        self.state = State::Listening {
            since: now,
            until: now + self.config.caller_window,
            outcome,
        };
    }

    fn progress(&mut self, now: Instant, status: Status) {
        let rings = (180..200).contains(&status.code());
        match &mut self.state {
            // A NOTIFY may arrive before the response to the request that made its subscription
            // (RFC 6665 section 4.1.2.4), and says as much.
            State::Referring { .. } => {
                self.state = State::Accepted {
                    until: now + self.config.answer_timeout,
                    ringing: rings,
                };
            }
            // A phone that rings gets its full time from here on, once.
            State::Accepted { until, ringing } if rings && !*ringing => {
                *ringing = true;
                *until = now + self.config.answer_timeout;
            }
            State::Accepted { .. } | State::Orphaned { .. } => {}
            State::Unreported { .. } | State::Listening { .. } | State::Over => return,
        }
        self.outputs.push_back(Output::Progress(status));
    }

    fn dialog_ended(&mut self, now: Instant) {
        if !self.dialog_alive {
            return;
        }
        self.dialog_alive = false;
        match &mut self.state {
            State::Referring { .. } => self.done(Outcome {
                result: TransferResult::CallerLeft,
                confirmed_by: ConfirmedBy::None,
                sip_code: None,
                reason: "the call ended before the PBX answered REFER".to_owned(),
                caller_still_here: false,
            }),
            // Either the caller hung up, or the PBX takes down our leg after the transfer: the
            // next NOTIFY tells.
            State::Accepted { until, .. } => {
                let until = (*until).min(now + self.config.after_bye);
                self.state = State::Orphaned { until };
            }
            State::Unreported { .. } => self.done(unreported()),
            State::Listening { outcome, .. } => {
                let outcome = outcome.clone();
                self.done(outcome);
            }
            State::Orphaned { .. } | State::Over => {}
        }
    }

    fn cancel(&mut self, now: Instant) {
        if let Some(Output::SendRefer { .. }) = self.outputs.front() {
            self.outputs.clear();
            self.subscription_open = false;
            return self.done(Outcome {
                result: TransferResult::Unknown,
                confirmed_by: ConfirmedBy::None,
                sip_code: None,
                reason: "the transfer was cancelled before it was asked for".to_owned(),
                caller_still_here: self.dialog_alive,
            });
        }
        let caller_still_here = match &self.state {
            State::Over => return,
            State::Listening { outcome, .. } => {
                let mut outcome = outcome.clone();
                outcome.caller_still_here = self.heard_lately(now);
                return self.done(outcome);
            }
            // Nobody has taken the caller yet.
            State::Referring { .. } => !self.caller.quiet,
            _ => self.heard_lately(now),
        };
        self.done(Outcome {
            result: TransferResult::Unknown,
            confirmed_by: ConfirmedBy::None,
            sip_code: None,
            reason: "the transfer was given up here before the PBX told its outcome".to_owned(),
            caller_still_here,
        });
    }

    fn timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|until| now < until) {
            return;
        }
        let here = self.heard_lately(now);
        let outcome = match &self.state {
            State::Referring { .. } => Outcome {
                result: TransferResult::Timeout,
                confirmed_by: ConfirmedBy::None,
                sip_code: None,
                reason: format!(
                    "the PBX did not answer REFER within {} s",
                    self.config.refer_timeout.as_secs()
                ),
                caller_still_here: !self.caller.quiet,
            },
            State::Accepted { ringing, .. } => self.no_final_word(*ringing, here),
            // Before the latest time this alarm means that nothing came for a while.
            State::Unreported { latest, .. } => Outcome {
                caller_still_here: here && now >= *latest,
                ..unreported()
            },
            State::Orphaned { .. } => Outcome {
                result: TransferResult::Unknown,
                confirmed_by: ConfirmedBy::None,
                sip_code: None,
                reason: "the PBX accepted REFER and ended our leg without telling what became of \
                         the transfer"
                    .to_owned(),
                caller_still_here: false,
            },
            State::Listening { outcome, .. } => outcome.clone(),
            State::Over => return,
        };
        self.done(outcome);
    }

    fn no_final_word(&self, ringing: bool, caller_still_here: bool) -> Outcome {
        let seconds = self.config.answer_timeout.as_secs();
        let (result, reason) = if ringing {
            let reason = format!("the target rang for {seconds} s and was not answered");
            (TransferResult::NoAnswer, reason)
        } else {
            let reason =
                format!("the PBX accepted REFER and told nothing of its outcome for {seconds} s");
            (TransferResult::Timeout, reason)
        };
        Outcome {
            result,
            confirmed_by: ConfirmedBy::None,
            sip_code: None,
            reason,
            caller_still_here,
        }
    }

    fn caller_heard(&mut self, now: Instant, heard: bool) {
        self.caller.quiet = !heard;
        if !heard {
            return;
        }
        self.caller.heard = Some(now);
        match &mut self.state {
            State::Listening { since, outcome, .. }
                if now.saturating_duration_since(*since) >= self.config.caller_settle =>
            {
                let mut outcome = outcome.clone();
                outcome.caller_still_here = true;
                self.done(outcome);
            }
            State::Unreported { until, latest } => {
                *until = (*latest).min(now + self.config.caller_window);
            }
            _ => {}
        }
    }

    /// Whether the caller's RTP shows that they are still with us.
    fn heard_lately(&self, now: Instant) -> bool {
        let recent = |heard| now.saturating_duration_since(heard) <= self.config.caller_window;
        self.dialog_alive && self.caller.heard.is_some_and(recent)
    }

    /// The end, and the one place that sends BYE: when nobody is left on our leg.
    fn done(&mut self, mut outcome: Outcome) {
        if !outcome.caller_still_here {
            if outcome.result != TransferResult::Transferred {
                outcome.reason.push_str("; the caller is gone");
            }
            if self.dialog_alive {
                self.outputs.push_back(Output::HangUp);
            }
        }
        self.state = State::Over;
        self.outcome = Some(outcome.clone());
        self.outputs.push_back(Output::Done(outcome));
    }

    fn amend(&mut self, mut outcome: Outcome) {
        let Some(told) = &self.outcome else {
            return;
        };
        // The caller was where they were when it was decided; only the PBX's word is new.
        outcome.caller_still_here =
            told.caller_still_here && outcome.result != TransferResult::Transferred;
        outcome.reason.push_str("; it was told late");
        self.outcome = Some(outcome.clone());
        self.outputs.push_back(Output::Amended(outcome));
    }
}

/// The subscription ended, and nothing final was said.
fn untold(notice: &Notice) -> Outcome {
    let end = notice.end_reason();
    let why = end.as_deref().unwrap_or("no reason given");
    let (result, confirmed_by) = match why {
        "rejected" => (TransferResult::Rejected, ConfirmedBy::Pbx),
        _ => (TransferResult::Unknown, ConfirmedBy::None),
    };
    Outcome {
        result,
        confirmed_by,
        sip_code: None,
        reason: format!("the PBX ended its reports without telling the outcome ({why})"),
        caller_still_here: false,
    }
}

/// The peer took the REFER and said that it will not report.
fn unreported() -> Outcome {
    Outcome {
        result: TransferResult::Unknown,
        confirmed_by: ConfirmedBy::None,
        sip_code: None,
        reason: "the PBX took REFER without reporting what becomes of it (Refer-Sub: false)"
            .to_owned(),
        caller_still_here: false,
    }
}

//! What an agent hears over its desk: audio, keys, marks, news of transfers, the end.
//! All of it arrives through [`Desk::next`](super::Desk::next) in the order it happened.

use super::{Frame, TransferId};

/// One thing the agent is told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// 20 ms of the caller's voice. At most 200 ms wait unheard; then the oldest are dropped.
    Audio(Frame),
    /// A key the caller pressed: `0`–`9`, `*`, `#`, `A`–`D` (RFC 4733 3.2).
    Key(char),
    /// Everything said before this mark has been played to the caller.
    Mark(String),
    /// This mark was thrown away by a clear, together with what was said before it.
    MarkCleared(String),
    /// News of a transfer that this agent asked for.
    Transfer(TransferNews),
    /// The call is about to be ended by us; the agent has a few seconds for its last words.
    Closing {
        /// Why.
        why: ClosingCause,
        /// The closing message that the operator configured, if any.
        message: Option<String>,
    },
    /// The call is over. Nothing follows.
    Ended(CallEnd),
}

/// Why we are about to end a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosingCause {
    /// The longest duration of a call was reached.
    MaxDuration,
    /// Nobody said anything for the configured time.
    Silence,
    /// An operator asked for it, or the server is shutting down.
    Operator,
}

impl ClosingCause {
    /// A stable word for records and for agents over the network.
    pub fn label(self) -> &'static str {
        match self {
            ClosingCause::MaxDuration => "max_duration",
            ClosingCause::Silence => "silence",
            ClosingCause::Operator => "operator",
        }
    }
}

/// How the call ended, as far as the agent needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEnd {
    /// The other side hung up.
    CallerLeft,
    /// We hung up: the agent asked for it, or a limit was reached.
    HungUp,
    /// The caller now talks to someone else.
    Transferred,
    /// The call broke; the text says how.
    Failed(String),
}

impl CallEnd {
    /// A stable word for records and for agents over the network.
    pub fn label(&self) -> &'static str {
        match self {
            CallEnd::CallerLeft => "caller_left",
            CallEnd::HungUp => "hung_up",
            CallEnd::Transferred => "transferred",
            CallEnd::Failed(_) => "failed",
        }
    }
}

/// Something happened to a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferNews {
    /// Which transfer, as given by [`Mouth::transfer`](super::Mouth::transfer).
    pub id: TransferId,
    /// What happened.
    pub step: TransferStep,
}

/// One step in the life of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferStep {
    /// The phone system reports progress by SIP status (RFC 3515 2.4.5): 100, 180, 183.
    Progress(u16),
    /// It did not work, and the caller is still here.
    Failed {
        /// What the agent should act on.
        failure: TransferFailure,
        /// The SIP status that said so, when there was one.
        code: Option<u16>,
        /// The cause in words.
        reason: String,
    },
    /// The caller has been connected. The call ends for us.
    Done,
}

/// Why a transfer failed, as far as it makes a difference to what is said to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransferFailure {
    /// 486: the person is on another call.
    Busy,
    /// 600: everyone who could answer is on another call.
    AllBusy,
    /// Rang, or was tried, for too long (30 s, 487).
    NoAnswer,
    /// 480: the extension exists but no phone is registered.
    Offline,
    /// 603: the call was declined, or the extension does not exist there.
    Declined,
    /// 404, 604, 484: the phone system knows no such extension.
    NotFound,
    /// The phone system does not accept transfers (403, 405, 501…).
    Rejected,
    /// The phone system did not answer at all (408, 5xx, transport).
    Unreachable,
    /// No final word ever came.
    Unknown,
}

impl TransferFailure {
    /// Reads the cause out of the final SIP status of the target or of the REFER.
    ///
    /// The table is what the codes mean to a customer; whatever has no entry is `Rejected` for
    /// 4xx and 6xx and `Unreachable` for 5xx.
    pub fn from_status(status: u16) -> Self {
        match status {
            486 => TransferFailure::Busy,
            600 => TransferFailure::AllBusy,
            480 | 410 => TransferFailure::Offline,
            487 => TransferFailure::NoAnswer,
            603 | 607 => TransferFailure::Declined,
            404 | 484 | 604 => TransferFailure::NotFound,
            408 => TransferFailure::Unreachable,
            501 => TransferFailure::Rejected,
            500..=599 => TransferFailure::Unreachable,
            _ => TransferFailure::Rejected,
        }
    }

    /// A stable word for records and for agents over the network.
    pub fn label(self) -> &'static str {
        match self {
            TransferFailure::Busy => "busy",
            TransferFailure::AllBusy => "all_busy",
            TransferFailure::NoAnswer => "no_answer",
            TransferFailure::Offline => "offline",
            TransferFailure::Declined => "declined",
            TransferFailure::NotFound => "not_found",
            TransferFailure::Rejected => "rejected",
            TransferFailure::Unreachable => "unreachable",
            TransferFailure::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sip_status_is_read_as_it_means_to_a_customer() {
        let table = [
            (486, "busy"),
            (600, "all_busy"),
            (480, "offline"),
            (487, "no_answer"),
            (603, "declined"),
            (404, "not_found"),
            (403, "rejected"),
            (405, "rejected"),
            (501, "rejected"),
            (408, "unreachable"),
            (503, "unreachable"),
        ];
        for (status, label) in table {
            assert_eq!(
                TransferFailure::from_status(status).label(),
                label,
                "{status}"
            );
        }
    }
}

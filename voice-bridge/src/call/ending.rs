//! How a call came to its end: who ended it, why, and what a record says about it.
//! Every end of a call in this crate is one of these causes; none is invented elsewhere.

use sip_core::status::Status;

use crate::limits::LimitReached;

/// Who ended a call, as `sip.ended_by` of a record names it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndedBy {
    /// The other side of the call.
    Peer,
    /// Our side: the application, the agent, or one of its limits.
    Us,
    /// Neither: the network, a timer, or a phone that vanished.
    Network,
}

impl EndedBy {
    /// The word for records: `peer`, `us`, `network`.
    pub fn label(self) -> &'static str {
        match self {
            EndedBy::Peer => "peer",
            EndedBy::Us => "us",
            EndedBy::Network => "network",
        }
    }
}

/// Why a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// The peer sent BYE.
    PeerHungUp,
    /// The caller gave up (CANCEL) before we answered.
    PeerCancelled,
    /// The peer refused our call with this status.
    Rejected(Status),
    /// We refused the peer's call with this status.
    Refused(Status),
    /// We left the peer's call unanswered on purpose: not a word was sent.
    Ignored,
    /// Our side hung up, for this reason.
    HungUp(String),
    /// A bound of the call was reached and we hung up.
    Limit(LimitReached),
    /// The call was handed over to somebody else, and our leg is gone.
    Transferred,
    /// The agent failed and nothing could take its place.
    AgentFailed(String),
    /// The last handle of the call was dropped, so it was hung up.
    Dropped,
    /// The phone was shut down.
    ShutDown,
    /// Nobody answered in time: our call rang too long, or nobody took the peer's.
    NoAnswer,
    /// Our 200 was never acknowledged (RFC 3261 13.3.1.4).
    NoAck,
    /// The peer did what no phone may do, such as answering without a description.
    Protocol(String),
    /// The peer cannot be reached: no answer to a request, a broken connection, no such host.
    Unreachable(String),
}

impl EndCause {
    /// Who ended the call.
    pub fn ended_by(&self) -> EndedBy {
        match self {
            EndCause::PeerHungUp | EndCause::PeerCancelled | EndCause::Rejected(_) => EndedBy::Peer,
            EndCause::NoAnswer | EndCause::NoAck | EndCause::Unreachable(_) => EndedBy::Network,
            _ => EndedBy::Us,
        }
    }

    /// A stable word for metrics and records, one per cause.
    pub fn label(&self) -> &'static str {
        match self {
            EndCause::PeerHungUp => "peer_hung_up",
            EndCause::PeerCancelled => "peer_cancelled",
            EndCause::Rejected(_) => "rejected",
            EndCause::Refused(_) => "refused",
            EndCause::Ignored => "ignored",
            EndCause::HungUp(_) => "hung_up",
            EndCause::Limit(limit) => limit.label(),
            EndCause::Transferred => "transferred",
            EndCause::AgentFailed(_) => "agent_failed",
            EndCause::Dropped => "dropped",
            EndCause::ShutDown => "shut_down",
            EndCause::NoAnswer => "no_answer",
            EndCause::NoAck => "no_ack",
            EndCause::Protocol(_) => "protocol",
            EndCause::Unreachable(_) => "unreachable",
        }
    }

    /// Whether the conversation came to a natural end, as opposed to breaking.
    pub fn is_natural(&self) -> bool {
        matches!(
            self,
            EndCause::PeerHungUp
                | EndCause::HungUp(_)
                | EndCause::Transferred
                | EndCause::Limit(LimitReached::Duration | LimitReached::Silence)
                | EndCause::Dropped
        )
    }

    /// The Q.850 cause of the Reason header (RFC 3326) on our BYE.
    pub(crate) fn q850(&self) -> u16 {
        match self {
            EndCause::Limit(LimitReached::NoAudio) => 102,
            EndCause::Protocol(_) => 111,
            EndCause::AgentFailed(_) | EndCause::ShutDown => 41,
            EndCause::NoAnswer => 19,
            _ => 16,
        }
    }
}

impl std::fmt::Display for EndCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EndCause::PeerHungUp => f.write_str("the peer hung up"),
            EndCause::PeerCancelled => f.write_str("the caller gave up before the answer"),
            EndCause::Rejected(status) => write!(f, "the peer refused the call with {status}"),
            EndCause::Refused(status) => write!(f, "refused with {status}"),
            EndCause::Ignored => f.write_str("left unanswered on purpose"),
            EndCause::HungUp(reason) => write!(f, "hung up: {reason}"),
            EndCause::Limit(limit) => limit.fmt(f),
            EndCause::Transferred => f.write_str("transferred"),
            EndCause::AgentFailed(cause) => write!(f, "the agent failed: {cause}"),
            EndCause::Dropped => f.write_str("the call was dropped by its owner"),
            EndCause::ShutDown => f.write_str("the phone was shut down"),
            EndCause::NoAnswer => f.write_str("not answered in time"),
            EndCause::NoAck => f.write_str("the answer was never acknowledged"),
            EndCause::Protocol(what) => write!(f, "the peer broke the protocol: {what}"),
            EndCause::Unreachable(cause) => write!(f, "the peer cannot be reached: {cause}"),
        }
    }
}

/// The end of a call as it was seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub cause: EndCause,
    /// The last SIP status that decided the call: 200 once it was answered, the refusal or 487
    /// before; `None` when no status ever came.
    pub status: Option<Status>,
    /// The peer's own words: the text of its Reason header (RFC 3326) or of its reason phrase.
    pub reason: Option<String>,
}

impl Ending {
    /// An end for this cause, without any word of the peer.
    pub(crate) fn of(cause: EndCause, status: Option<Status>) -> Self {
        Self {
            cause,
            status,
            reason: None,
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

//! What can go wrong with a phone and its calls, split by who can do something about it.
//! Each error says its label for metrics and whose fault it is.

use rtp_media::net::{MediaError, OpenError};
use sip_core::status::Status;

use crate::call::EndCause;

/// A phone could not be started. The configuration or the machine is to blame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The signalling side: a taken port, an address that is not ours.
    #[error(transparent)]
    Signalling(#[from] sip_transport::error::StartError),
    /// The media side: an unusable port range.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The system gave no random numbers, which the nonces of authentication need.
    #[error("no random numbers: {0}")]
    Random(String),
    /// An address that was given as text is none.
    #[error("{address:?} is no address to listen on; write HOST:PORT with a literal IP address")]
    Address {
        /// What was given.
        address: String,
    },
}

/// An incoming call could not be answered. The caller has had its refusal already.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The caller gave up, or the call was decided otherwise meanwhile.
    #[error("the caller is gone")]
    Gone,
    /// Nothing can be agreed about media; the caller has heard this status and why.
    #[error("refused with {status}: {cause}")]
    NotAcceptable {
        /// What the caller was told: 488, 415 or 400.
        status: Status,
        /// The cause, as the Warning header has it.
        cause: String,
    },
    /// No media leg could be opened; the caller has heard 503.
    #[error("no media for the call: {0}")]
    Media(#[from] OpenError),
    /// The phone has been shut down.
    #[error("the phone is shut down")]
    PhoneClosed,
}

impl AnswerError {
    /// A stable word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            AnswerError::Gone => "gone",
            AnswerError::NotAcceptable { .. } => "not_acceptable",
            AnswerError::Media(open) => open.label(),
            AnswerError::PhoneClosed => "shut_down",
        }
    }

    /// Whose fault it is: `peer` or `us`.
    pub fn blame(&self) -> &'static str {
        match self {
            AnswerError::Gone | AnswerError::NotAcceptable { .. } => "peer",
            AnswerError::Media(_) | AnswerError::PhoneClosed => "us",
        }
    }
}

/// A call that we placed was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}{}", .reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
pub struct CallFailed {
    /// The peer's final status, if it sent one.
    pub status: Option<Status>,
    /// The peer's reason phrase, if it sent one.
    pub reason: Option<String>,
    /// Why there is no call.
    pub cause: EndCause,
}

impl CallFailed {
    pub(crate) fn of(cause: EndCause) -> Self {
        Self {
            status: None,
            reason: None,
            cause,
        }
    }
}

/// Something cannot be done with a call now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The call could not be answered.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The call could not be placed.
    #[error(transparent)]
    Failed(#[from] CallFailed),
    /// The call is over, or not up yet.
    #[error("the call is not up")]
    NotEstablished,
    /// A request of the same kind is under way in this call.
    #[error("another such request is under way in this call")]
    Pending,
    /// More audio waits to be played than the leg may hold.
    #[error("the play-out queue is full")]
    Full,
    /// These are no keys, or more than can wait.
    #[error("{0}")]
    Digits(String),
    /// The peer refused a request of ours with this status.
    #[error("the peer refused with {0}")]
    Refused(Status),
    /// The phone has been shut down.
    #[error("the phone is shut down")]
    PhoneClosed,
}

impl CallError {
    /// A stable word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            CallError::Answer(error) => error.label(),
            CallError::Failed(error) => error.cause.label(),
            CallError::NotEstablished => "not_established",
            CallError::Pending => "pending",
            CallError::Full => "playout_full",
            CallError::Digits(_) => "digits",
            CallError::Refused(_) => "refused",
            CallError::PhoneClosed => "shut_down",
        }
    }
}

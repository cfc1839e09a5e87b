//! What an agent asks for over its desk, and what it knows of its call.
//! [`DeskRequest`] is what the bridge's end receives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Directory, ExtensionEntry, Frame};
use crate::transcript::Speaker;

/// What an agent knows of the call it takes part in.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct CallInfo {
    /// The call's id in our records (`call_…`), or whatever the embedder names it by.
    pub call_id: String,
    /// The SIP Call-ID, for logs.
    pub sip_call_id: String,
    /// The caller's number or user part.
    pub from: String,
    /// The number that was called.
    pub to: String,
    /// The agent's id in our records (`agent_…`), empty when there are no records.
    pub agent_id: String,
    /// The trunk the call came in by (`trunk_…`), empty when there are no records.
    pub trunk_id: String,
    /// Whom the caller can be transferred to.
    pub extensions: Arc<Directory>,
}

impl CallInfo {
    /// A call by its id and its two numbers; the other fields are empty and may be set.
    pub fn new(call_id: impl Into<String>, from: impl Into<String>, to: impl Into<String>) -> Self {
        CallInfo {
            call_id: call_id.into(),
            from: from.into(),
            to: to.into(),
            ..CallInfo::default()
        }
    }
}

/// One thing the bridge is asked to do. Received by [`DeskServer::recv`](super::DeskServer::recv).
#[derive(Debug)]
#[non_exhaustive]
pub enum DeskRequest {
    /// Play this to the caller after all that was queued before.
    Say(Frame),
    /// Tell me when all that was said before this has been played.
    Mark(String),
    /// Stop speaking: forget what is queued, and report its marks as cleared.
    Clear,
    /// Hand the caller over. The answer says whether it has been started.
    Transfer {
        /// To whom.
        request: TransferRequest,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<TransferId, TransferRefused>>,
    },
    /// End the call, for this reason.
    HangUp(String),
    /// Press these keys towards the caller's side (RFC 4733): `0`–`9`, `*`, `#`, `A`–`D`.
    Digits(String),
    /// Somebody said something: for the record.
    Transcript {
        /// Who.
        speaker: Speaker,
        /// What.
        text: String,
    },
    /// The agent used a tool of its own: for the record.
    Tool(ToolUse),
    /// The caller left a message: the call counts as voicemail.
    Message(MessageTaken),
    /// The agent speaks with this voice from now on: for the record.
    Voice(String),
}

/// A wish to hand the caller over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferRequest {
    /// The target as the agent named it: an extension, a name, an alias or a SIP address.
    pub target: String,
}

impl TransferRequest {
    /// To this extension, name, alias or SIP address.
    pub fn to(target: impl Into<String>) -> Self {
        TransferRequest {
            target: target.into(),
        }
    }
}

/// Names one transfer of one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TransferId(Arc<str>);

impl TransferId {
    /// An id as the bridge's end chose it.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        TransferId(id.into())
    }

    /// The id as text, as the records have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a transfer has not even been started; no SIP was sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferRefused {
    /// The directory has no such name or number.
    #[error("no extension is called {target:?}")]
    UnknownTarget {
        /// What was asked for.
        target: String,
        /// The entries that come nearest, best first; may be empty.
        nearest: Vec<ExtensionEntry>,
    },
    /// One transfer of this call is already under way.
    #[error("a transfer is already under way")]
    AlreadyTransferring,
    /// The call is in no state to be transferred.
    #[error("the call cannot be transferred: {0}")]
    NotPossible(String),
    /// The call has ended.
    #[error("the call is over")]
    CallOver,
}

impl TransferRefused {
    /// A stable word for records and for agents over the network.
    pub fn label(&self) -> &'static str {
        match self {
            TransferRefused::UnknownTarget { .. } => "unknown_target",
            TransferRefused::AlreadyTransferring => "already_transferring",
            TransferRefused::NotPossible(_) => "not_possible",
            TransferRefused::CallOver => "call_over",
        }
    }
}

/// A tool that an agent used, as the record shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolUse {
    /// The tool's name.
    pub name: String,
    /// What it was called with.
    pub arguments: serde_json::Value,
    /// What came back; `Null` when nothing is known.
    pub result: serde_json::Value,
}

/// A message that the caller left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTaken {
    /// What is known of it in words: keys typed as a call-back number, or a transcription.
    pub text: Option<String>,
    /// How long the caller spoke.
    pub duration: Duration,
}

//! Who watches a conversation: the trait that a record is written from, and the report at its end.
//! Called in the order things happen, from the call's own task.

use std::time::Duration;

use refer_transfer::{Outcome, TransferResult};
use rtp_media::net::Stats;
use rtp_media::sdp::Codec;
use sip_core::status::Status;
use sip_core::uri::Uri;

use super::ending::{EndCause, EndedBy, Ending};
use crate::agent::{AgentError, MessageTaken, ToolUse, TransferId, TransferRefused};
use crate::limits::LimitReached;
use crate::transcript::Speaker;

/// Watches one conversation. Everything has an empty default.
///
/// The methods run between two steps of the conversation and must return at once: hand on to a
/// channel what takes time. All come before [`CallObserver::ended`], except
/// [`CallObserver::transfer_amended`], which may follow within two minutes.
pub trait CallObserver: Send + Sync {
    /// The conversation begins: the call is answered and the agent takes part.
    fn answered(&self, start: &ConversationStart<'_>) {
        let _ = start;
    }

    /// A transfer was asked for and its REFER goes out.
    fn transfer_requested(&self, transfer: &TransferStart<'_>) {
        let _ = transfer;
    }

    /// A transfer was asked for and refused before any SIP was sent.
    fn transfer_refused(&self, target: &str, why: &TransferRefused) {
        let _ = (target, why);
    }

    /// The phone system's word while a transfer goes on: 100, 180, 183.
    fn transfer_progress(&self, id: &TransferId, status: Status) {
        let _ = (id, status);
    }

    /// A transfer came to its outcome.
    fn transfer_done(&self, id: &TransferId, outcome: &Outcome) {
        let _ = (id, outcome);
    }

    /// A late word changed a transfer's outcome. May come after [`CallObserver::ended`].
    fn transfer_amended(&self, id: &TransferId, outcome: &Outcome) {
        let _ = (id, outcome);
    }

    /// Somebody said, or keyed, something.
    fn transcript(&self, speaker: Speaker, text: &str) {
        let _ = (speaker, text);
    }

    /// The caller pressed a key.
    fn key(&self, digit: char) {
        let _ = digit;
    }

    /// The agent used a tool of its own.
    fn tool(&self, tool: &ToolUse) {
        let _ = tool;
    }

    /// The caller left a message.
    fn message_taken(&self, message: &MessageTaken) {
        let _ = message;
    }

    /// This voice speaks from now on.
    fn voice(&self, name: &str) {
        let _ = name;
    }

    /// A bound of the call was reached; the agent says its closing message.
    fn closing(&self, limit: LimitReached) {
        let _ = limit;
    }

    /// The agent failed. `replaced` tells whether the fallback takes over.
    fn agent_failed(&self, agent: &str, error: &AgentError, replaced: bool) {
        let _ = (agent, error, replaced);
    }

    /// The conversation is over.
    fn ended(&self, report: &CallReport) {
        let _ = report;
    }
}

/// Watches nothing.
impl CallObserver for () {}

/// What is known when a conversation begins.
#[derive(Clone, Debug)]
pub struct ConversationStart<'a> {
    /// The SIP Call-ID.
    pub call_id: &'a str,
    /// The agent's name.
    pub agent: &'a str,
    /// The codec, unless it comes only with the ACK.
    pub codec: Option<Codec>,
}

/// What is known when a transfer begins.
#[derive(Clone, Debug)]
pub struct TransferStart<'a> {
    /// Names the transfer within its call.
    pub id: &'a TransferId,
    /// The target as it was asked for.
    pub asked: &'a str,
    /// The target as it goes into Refer-To.
    pub target: &'a Uri,
    /// Whether this is the forwarding number, tried because the first target did not answer.
    pub forwarded: bool,
}

/// All that is known of a conversation when it is over.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// The SIP Call-ID.
    pub call_id: String,
    /// Who ended the call.
    pub ended_by: EndedBy,
    /// Why.
    pub cause: EndCause,
    /// The SIP status that decided the call: 200, since it was answered.
    pub status: Option<Status>,
    /// The peer's own words on why it hung up, if it had any.
    pub reason: Option<String>,
    /// From the answer to the end of the call.
    pub talked: Duration,
    /// The codec that was spoken.
    pub codec: Option<Codec>,
    /// The last counts of the media leg.
    pub media: Option<Stats>,
    /// The agent's name; the fallback's when that took over.
    pub agent: String,
    /// The voice that spoke last, when the agent told.
    pub voice: Option<String>,
    /// Why the agent failed, when it did.
    pub agent_failure: Option<String>,
    /// Whether a message was taken: the call counts as voicemail.
    pub message_taken: bool,
    /// The transfers in their order, with their outcomes.
    pub transfers: Vec<(TransferId, Outcome)>,
    /// Frames of the caller's voice that the agent did not take in time.
    pub unheard_frames: u64,
    /// Whether anything was heard from or said to the caller.
    pub spoken: Spoken,
    /// How long ago the call ended: the report waits for the last words of everybody.
    pub over_for: Duration,
}

impl CallReport {
    /// Whether the caller was handed over.
    pub fn transferred(&self) -> bool {
        self.transfers
            .iter()
            .any(|(_, outcome)| outcome.result == TransferResult::Transferred)
    }
}

/// Who made a sound during a call: a call without any is worth a look.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The caller spoke or pressed a key.
    pub caller: bool,
    /// The agent said something.
    pub agent: bool,
}

/// The cause and the words for the report, from the end on the wire and the transfers before it.
pub(crate) fn cause(ending: &Ending, transfers: &[(TransferId, Outcome)]) -> EndCause {
    let handed_over = transfers
        .last()
        .is_some_and(|(_, outcome)| outcome.result == TransferResult::Transferred);
    match &ending.cause {
        // The phone system may take our leg down by itself once the caller has arrived.
        EndCause::PeerHungUp if handed_over => EndCause::Transferred,
        cause => cause.clone(),
    }
}

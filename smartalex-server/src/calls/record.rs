//! What is kept of a call, and how the API shows it.
//! The figures and words here are the contract with customers; nothing else names them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock;
use crate::ids::{AgentId, CallId, TransferId, TrunkId, WorkspaceId};

/// A call as stored, without transcript, transfers and tools.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// Its id.
    pub id: CallId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The node that holds it, or held it.
    pub node: String,
    /// The trunk it came in on, if that was known.
    pub trunk: Option<TrunkId>,
    /// The agent it was for.
    pub agent: Option<AgentId>,
    /// The agent's name at the time.
    pub agent_name: Option<String>,
    /// Who called whom.
    pub direction: Direction,
    /// `None` while the call lives.
    pub status: Option<CallStatus>,
    /// `None` while the call lives.
    pub outcome: Option<CallOutcome>,
    /// The caller's number, as it was given.
    pub from: String,
    /// The number called, as it was given.
    pub to: String,
    /// When its INVITE arrived.
    pub started_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// What SIP knows of it.
    pub sip: SipFacts,
    /// What its media were like; `None` when there were none.
    pub media: Option<MediaFacts>,
    /// Which voice spoke for the agent (`espeak-ng`, `bundled prompts`…).
    pub voice: Option<String>,
    /// The message that the caller left.
    pub message: Option<String>,
}

impl CallRecord {
    /// Whole seconds from the answer to the end; 0 when it was never answered.
    pub fn duration_seconds(&self) -> u64 {
        match (self.answered_at, self.ended_at) {
            (Some(answered), Some(ended)) => clock::seconds_between(answered, ended),
            _ => 0,
        }
    }

    /// The word for `call_status`: `in_progress` while the call lives.
    pub fn status_name(&self) -> &'static str {
        self.status.map_or(IN_PROGRESS, CallStatus::name)
    }
}

/// Who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the PBX to us.
    Inbound,
    /// From us.
    Outbound,
    /// From a web page.
    Web,
}

/// How a finished call went, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// It was answered and ended in the ordinary way.
    Completed,
    /// The caller left a message.
    Voicemail,
    /// Nobody answered.
    NoAnswer,
    /// Busy.
    Busy,
    /// It was refused, or broke.
    Failed,
}

/// What a finished call led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// The agent dealt with it.
    Completed,
    /// The caller was transferred.
    Transferred,
    /// The caller left a message.
    Voicemail,
    /// It was refused, or broke.
    Failed,
}

/// What SIP knows of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipFacts {
    /// Call-ID.
    pub call_id: String,
    /// From, as sent.
    pub from: String,
    /// To, as sent.
    pub to: String,
    /// The final status code that the INVITE was answered with.
    pub final_code: Option<u16>,
    /// Why the call ended or was refused, in words that name the cause and the fix.
    pub reason: Option<String>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The caller hung up.
    Caller,
    /// The agent hung up.
    Agent,
    /// The PBX took the caller over, or hung up.
    Pbx,
    /// This server: a limit, a fault, a refusal.
    Server,
    /// Someone at the API.
    Api,
}

/// What a call's media were like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaFacts {
    /// The codec that was agreed on.
    pub codec: Option<String>,
    /// Whether media were encrypted.
    pub srtp: bool,
    /// Estimated quality of what we heard, 1 to 4.5.
    pub mos_in: Option<f64>,
    /// Estimated quality of what the peer heard, 1 to 4.5.
    pub mos_out: Option<f64>,
    /// Packets of the peer that never came, in percent.
    pub loss_in_percent: Option<f64>,
    /// Jitter of what came, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TranscriptLine {
    /// Who spoke.
    pub speaker: Speaker,
    /// What was said, or keyed.
    pub text: String,
    /// When.
    #[serde(rename = "timestamp", serialize_with = "clock::seconds::serialize")]
    pub at: Timestamp,
}

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The agent.
    Agent,
    /// The caller.
    Caller,
}

/// A tool that an agent used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolUse {
    /// Its name.
    pub name: String,
    /// What it was given.
    pub arguments: Value,
    /// What it gave.
    pub result: Value,
    /// When.
    #[serde(rename = "timestamp", serialize_with = "clock::seconds::serialize")]
    pub at: Timestamp,
}

/// A transfer of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// Where to, as it was asked for.
    pub target: String,
    /// How.
    pub kind: TransferKind,
    /// Where it stands.
    pub state: TransferState,
    /// What came of it, once that is known.
    pub outcome: Option<TransferOutcome>,
    /// Whose word the outcome rests on.
    pub confirmed_by: ConfirmedBy,
    /// The SIP status that decided it.
    pub sip_code: Option<u16>,
    /// What decided it, in words.
    pub reason: Option<String>,
    /// What happened on the way.
    pub steps: Vec<TransferStep>,
    /// When it was asked for.
    #[serde(serialize_with = "clock::seconds::serialize")]
    pub requested_at: Timestamp,
    /// When its outcome was known.
    #[serde(serialize_with = "clock::optional_seconds::serialize")]
    pub ended_at: Option<Timestamp>,
}

/// How a caller is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferKind {
    /// REFER without asking the target.
    Blind,
    /// The target is called first.
    Consult,
    /// Asked for by the peer with Replaces.
    Attended,
    /// A second leg, bridged by us.
    Bridge,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Asked for; nothing is known yet.
    Requested,
    /// The PBX has taken it.
    InProgress,
    /// Its outcome is known.
    Ended,
}

/// What came of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferOutcome {
    /// The caller talks to the target.
    Transferred,
    /// The target was busy.
    Busy,
    /// The target did not answer.
    NoAnswer,
    /// The target is not registered.
    Offline,
    /// The target declined, or does not exist.
    Declined,
    /// The PBX refused to transfer.
    Rejected,
    /// No final word came in time.
    Timeout,
    /// The caller hung up before it was done.
    CallerLeft,
    /// Nothing can be said.
    Unknown,
}

/// Whose word the outcome of a transfer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfirmedBy {
    /// The target itself answered.
    Answered,
    /// The PBX said so.
    Pbx,
    /// Nobody.
    None,
}

/// Something that happened on the way of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferStep {
    /// When, in RFC 3339.
    pub at: String,
    /// What.
    pub what: String,
}

/// A call with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDetail {
    /// The call.
    pub call: CallRecord,
    /// What was said, in order.
    pub transcript: Vec<TranscriptLine>,
    /// Its transfers, in order.
    pub transfers: Vec<Transfer>,
    /// The tools that were used, in order.
    pub tools: Vec<ToolUse>,
}

macro_rules! named {
    ($($type:ty: $($variant:ident = $name:literal),+;)+) => { $(
        impl $type {
            /// Its name in the API, in metrics and in the store.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The one called `name`.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    )+ };
}

named! {
    Direction: Inbound = "inbound", Outbound = "outbound", Web = "web";
    CallStatus: Completed = "completed", Voicemail = "voicemail", NoAnswer = "no_answer",
        Busy = "busy", Failed = "failed";
    CallOutcome: Completed = "completed", Transferred = "transferred", Voicemail = "voicemail",
        Failed = "failed";
    EndedBy: Caller = "caller", Agent = "agent", Pbx = "pbx", Server = "server", Api = "api";
    Speaker: Agent = "agent", Caller = "caller";
    TransferKind: Blind = "blind", Consult = "consult", Attended = "attended", Bridge = "bridge";
    TransferState: Requested = "requested", InProgress = "in_progress", Ended = "ended";
    TransferOutcome: Transferred = "transferred", Busy = "busy", NoAnswer = "no_answer",
        Offline = "offline", Declined = "declined", Rejected = "rejected", Timeout = "timeout",
        CallerLeft = "caller_left", Unknown = "unknown";
    ConfirmedBy: Answered = "answered", Pbx = "pbx", None = "none";
}

/// The status of a call that lives.
pub const IN_PROGRESS: &str = "in_progress";

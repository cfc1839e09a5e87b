//! Webhooks: endpoints of customers that are told what happened.
//! `sign` makes the headers, `address` keeps requests out of private networks, `client` sends,
//! `worker` leases deliveries from the store and decides what comes next.

pub mod address;
pub mod client;
pub mod sign;
pub mod worker;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, CallId, DeliveryId, EventId, WebhookId, WorkspaceId};

/// An endpoint as stored; its signing secret stays sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// Where events are sent.
    pub url: String,
    /// What it wants to hear of.
    pub events: Vec<EventKind>,
    /// What people call it.
    pub description: Option<String>,
    /// Only events of this agent, when set.
    pub agent: Option<AgentId>,
    /// The signing secret, sealed (cell `webhooks`, id, `secret`).
    pub secret: Vec<u8>,
    /// Why it gets nothing any more, when it does not.
    pub disabled: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A call came in.
    #[serde(rename = "call.started")]
    CallStarted,
    /// Its agent answered.
    #[serde(rename = "call.answered")]
    CallAnswered,
    /// The caller was transferred.
    #[serde(rename = "call.transferred")]
    CallTransferred,
    /// The call is over.
    #[serde(rename = "call.ended")]
    CallEnded,
    /// The call failed or was refused.
    #[serde(rename = "call.failed")]
    CallFailed,
    /// A summary of the call was made.
    #[serde(rename = "call.summary_ready")]
    CallSummaryReady,
    /// A recording of the call can be fetched.
    #[serde(rename = "call.recording_ready")]
    CallRecordingReady,
    /// A contact was made.
    #[serde(rename = "contact.created")]
    ContactCreated,
    /// A lead was captured.
    #[serde(rename = "lead.captured")]
    LeadCaptured,
    /// An agent used a tool.
    #[serde(rename = "tool.invoked")]
    ToolInvoked,
}

impl EventKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::CallStarted,
        Self::CallAnswered,
        Self::CallTransferred,
        Self::CallEnded,
        Self::CallFailed,
        Self::CallSummaryReady,
        Self::CallRecordingReady,
        Self::ContactCreated,
        Self::LeadCaptured,
        Self::ToolInvoked,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallStarted => "call.started",
            Self::CallAnswered => "call.answered",
            Self::CallTransferred => "call.transferred",
            Self::CallEnded => "call.ended",
            Self::CallFailed => "call.failed",
            Self::CallSummaryReady => "call.summary_ready",
            Self::CallRecordingReady => "call.recording_ready",
            Self::ContactCreated => "contact.created",
            Self::LeadCaptured => "lead.captured",
            Self::ToolInvoked => "tool.invoked",
        }
    }

    /// The kind called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An event with the exact bytes that every webhook is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, which is also the idempotency key.
    pub id: EventId,
    /// Whose event it is.
    pub workspace: WorkspaceId,
    /// The call it tells of.
    pub call: Option<CallId>,
    /// The agent it concerns, for webhooks that want one agent only.
    pub agent: Option<AgentId>,
    /// What it tells.
    pub kind: EventKind,
    /// The body of the request, byte for byte.
    pub body: Vec<u8>,
    /// When it happened.
    pub at: Timestamp,
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Its id: the `X-SmartAlex-Delivery` header.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook_id: WebhookId,
    /// The event it carries.
    pub event_id: EventId,
    /// What the event tells.
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// The call it tells of.
    pub call_id: Option<CallId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The HTTP status of the last attempt, if there was an answer.
    pub last_status: Option<u16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the next attempt is due, while it is pending.
    #[serde(serialize_with = "crate::clock::optional_seconds::serialize")]
    pub next_attempt_at: Option<Timestamp>,
    /// When the event happened.
    #[serde(serialize_with = "crate::clock::seconds::serialize")]
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    #[serde(serialize_with = "crate::clock::optional_seconds::serialize")]
    pub finished_at: Option<Timestamp>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be sent, now or later.
    Pending,
    /// The endpoint said 2xx.
    Delivered,
    /// Given up: a dead letter, which can be replayed.
    DeadLetter,
}

impl DeliveryState {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::DeadLetter => "dead_letter",
        }
    }

    /// The state called `name`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::DeadLetter]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// A delivery leased for one attempt, with all that the attempt needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The event's id: `webhook-id`.
    pub event: EventId,
    /// What the event tells.
    pub kind: EventKind,
    /// The bytes to send.
    pub body: Vec<u8>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// The endpoint.
    pub webhook: WebhookId,
    /// Its address.
    pub url: String,
    /// Its sealed signing secret.
    pub secret: Vec<u8>,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// Delivered: the endpoint said 2xx.
    Delivered {
        /// The status.
        status: u16,
    },
    /// To be tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// The status, if there was an answer.
        status: Option<u16>,
        /// What went wrong.
        error: String,
    },
    /// Given up.
    Dead {
        /// The status, if there was an answer.
        status: Option<u16>,
        /// What went wrong.
        error: String,
        /// The endpoint said 410: it gets nothing any more.
        disable: bool,
    },
}

//! Agents: who speaks to callers, and by which runtime.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, WorkspaceId};

/// An agent of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The workspace it belongs to.
    #[serde(skip)]
    pub workspace: WorkspaceId,
    /// Its name, as webhooks tell it (`agent_name`).
    pub name: String,
    /// What speaks for it.
    pub runtime: Runtime,
    /// What it says first.
    pub first_message: Option<String>,
    /// What it is told to be.
    pub system_prompt: Option<String>,
    /// Longest call in seconds, 1 to 14,400.
    pub max_duration_seconds: u32,
    /// Seconds without a word or key of the caller after which the call ends, 1 to 3,600.
    pub silence_timeout_seconds: u32,
    /// What it says when one of the two is reached.
    pub closing_message: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "crate::clock::seconds::serialize")]
    pub created_at: Timestamp,
}

/// What speaks for an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Runtime {
    /// The receptionist that is part of the server.
    Embedded,
    /// A WebSocket that speaks the Media Streams protocol.
    MediaStreams(MediaStreams),
}

impl Runtime {
    /// Its name in logs and records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::MediaStreams(_) => "media_streams",
        }
    }
}

/// Where a Media Streams agent is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaStreams {
    /// `ws://` or `wss://` address.
    pub url: String,
}

/// Longest a call may last, in seconds.
pub const LONGEST_CALL: u32 = 14_400;

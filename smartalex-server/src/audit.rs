//! The audit log: who changed what, and when.
//! An entry is written in the same transaction as the change it tells.

use jiff::Timestamp;
use serde::Serialize;

use crate::clock;
use crate::ids::{AuditId, WorkspaceId};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// Whose log it is in.
    #[serde(skip)]
    pub workspace: WorkspaceId,
    /// When it happened.
    #[serde(serialize_with = "clock::seconds::serialize", rename = "timestamp")]
    pub at: Timestamp,
    /// Who did it: the id of an API key, or `cli` or `server`.
    pub actor: String,
    /// What happened, as in `trunk.created`.
    pub event_type: String,
    /// The id of what was changed.
    pub target: String,
    /// What there is to say about it; never a secret.
    pub detail: String,
}

impl AuditEntry {
    /// An entry of this moment.
    pub fn new(
        workspace: &WorkspaceId,
        actor: &str,
        event_type: &str,
        target: &str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            id: AuditId::fresh(),
            workspace: workspace.clone(),
            at: clock::now(),
            actor: actor.to_owned(),
            event_type: event_type.to_owned(),
            target: target.to_owned(),
            detail: detail.into(),
        }
    }
}

//! The store: one trait, so that what is kept does not depend on where.
//! Every change that customers see is one transaction with its audit entry and its events.

#[cfg(test)]
pub(crate) mod contract;
pub mod sqlite;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

pub use write::{CallWrite, Close, Orphan, Orphans};

use crate::agents::Agent;
use crate::audit::AuditEntry;
use crate::calls::record::{CallDetail, CallRecord, CallStatus, Direction, Transfer};
use crate::ids::{
    AgentId, ApiKeyId, CallId, DeliveryId, TransferId, TrunkId, WebhookId, WorkspaceId,
};
use crate::tenants::{ApiKey, User, Workspace};
use crate::trunks::{Extension, Trunk};
use crate::webhooks::{AttemptResult, Delivery, DeliveryState, LeasedDelivery, Webhook};

/// Opens the store that `url` names (`sqlite://PATH`), and brings its tables up to date.
///
/// # Errors
/// When the scheme is unknown, or the database cannot be opened or migrated.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", _)) => Ok(Arc::new(sqlite::SqliteStore::open(url).await?)),
        _ => Err(StoreError::Unreachable(format!(
            "store url {url:?} has no scheme that this server knows: use sqlite://PATH"
        ))),
    }
}

/// Everything that is kept.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug + 'static {
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// A value of the server's own book-keeping.
    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Keeps `value` under `key` unless there is one already; gives what is kept then.
    async fn meta_once(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Adds a workspace.
    async fn add_workspace(&self, workspace: &Workspace) -> Result<(), StoreError>;
    /// Changes a workspace's name and states.
    async fn update_workspace(&self, workspace: &Workspace) -> Result<(), StoreError>;
    /// All workspaces, the oldest first.
    async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError>;
    /// Adds a person.
    async fn add_user(&self, user: &User, audit: &AuditEntry) -> Result<(), StoreError>;
    /// How many people a workspace has.
    async fn count_users(&self, workspace: &WorkspaceId) -> Result<u64, StoreError>;
    /// Adds an API key by the hash of it.
    async fn add_api_key(
        &self,
        key: &ApiKey,
        hash: &[u8; 32],
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// The key that has this hash, also when it is revoked.
    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;
    /// All keys, the oldest first.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError>;
    /// Revokes a key; false when there is none that is not revoked.
    async fn revoke_api_key(
        &self,
        id: &ApiKeyId,
        at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Adds a trunk with its numbers.
    async fn add_trunk(&self, trunk: &Trunk, change: &Change) -> Result<(), StoreError>;
    /// Writes all of a trunk anew.
    async fn update_trunk(&self, trunk: &Trunk, change: &Change) -> Result<(), StoreError>;
    /// Removes a trunk, its numbers and extensions; false when there is none.
    async fn delete_trunk(
        &self,
        workspace: &WorkspaceId,
        id: &TrunkId,
        change: &Change,
    ) -> Result<bool, StoreError>;
    /// All trunks of a workspace, or of all, the oldest first.
    async fn trunks(&self, workspace: Option<&WorkspaceId>) -> Result<Vec<Trunk>, StoreError>;
    /// One trunk of a workspace.
    async fn trunk(
        &self,
        workspace: &WorkspaceId,
        id: &TrunkId,
    ) -> Result<Option<Trunk>, StoreError>;

    /// Adds extensions, or writes those that exist anew: all or none. Gives how many are new.
    async fn put_extensions(
        &self,
        trunk: &TrunkId,
        extensions: &[Extension],
        mode: PutMode,
        change: &Change,
    ) -> Result<u64, StoreError>;
    /// Removes an extension; false when there is none.
    async fn delete_extension(
        &self,
        trunk: &TrunkId,
        extension: &str,
        change: &Change,
    ) -> Result<bool, StoreError>;
    /// The extensions of a trunk by number: shorter ones first, then by digit.
    async fn extensions(&self, trunk: &TrunkId) -> Result<Vec<Extension>, StoreError>;

    /// Adds an agent.
    async fn add_agent(&self, agent: &Agent, change: &Change) -> Result<(), StoreError>;
    /// Writes all of an agent anew.
    async fn update_agent(&self, agent: &Agent, change: &Change) -> Result<(), StoreError>;
    /// Removes an agent; trunks that had it have none then. False when there is none.
    async fn delete_agent(
        &self,
        workspace: &WorkspaceId,
        id: &AgentId,
        change: &Change,
    ) -> Result<bool, StoreError>;
    /// All agents of a workspace, or of all, the oldest first.
    async fn agents(&self, workspace: Option<&WorkspaceId>) -> Result<Vec<Agent>, StoreError>;

    /// Adds a webhook.
    async fn add_webhook(&self, webhook: &Webhook, change: &Change) -> Result<(), StoreError>;
    /// Removes a webhook and its deliveries; false when there is none.
    async fn delete_webhook(
        &self,
        workspace: &WorkspaceId,
        id: &WebhookId,
        change: &Change,
    ) -> Result<bool, StoreError>;
    /// All webhooks of a workspace, the oldest first.
    async fn webhooks(&self, workspace: &WorkspaceId) -> Result<Vec<Webhook>, StoreError>;

    /// Writes the audit entry, and the answer if it is to be kept, of something that changed
    /// nothing in the store: live control.
    async fn note(&self, change: &Change) -> Result<(), StoreError>;
    /// What a create answered under this idempotency key.
    async fn idempotent(
        &self,
        workspace: &WorkspaceId,
        key: &str,
    ) -> Result<Option<Idempotent>, StoreError>;
    /// Audit entries that fit `filter`, the newest first.
    async fn audit_log(
        &self,
        workspace: &WorkspaceId,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Paged<AuditEntry>, StoreError>;

    /// Applies all writes in one transaction, in order; says for each whether it took hold (a
    /// call that is closed already is not closed again, and tells nothing).
    async fn apply(&self, writes: &[CallWrite]) -> Result<Vec<bool>, StoreError>;
    /// Extends the lease of all live calls of `node`.
    async fn renew_leases(&self, node: &str, until: Timestamp) -> Result<u64, StoreError>;
    /// Live calls that belong to `node` itself, or whose lease ran out before `now` on others.
    async fn orphans(&self, of: Orphans<'_>) -> Result<Vec<Orphan>, StoreError>;
    /// Calls that fit `filter`, the newest first.
    async fn calls(
        &self,
        workspace: &WorkspaceId,
        filter: &CallFilter,
        page: Page,
    ) -> Result<Paged<CallRecord>, StoreError>;
    /// At most `limit` calls that fit `filter` and are older than `before`, the newest first:
    /// for reading all of them piece by piece.
    async fn calls_before(
        &self,
        workspace: &WorkspaceId,
        filter: &CallFilter,
        before: Option<&CallId>,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError>;
    /// One call with all that belongs to it.
    async fn call(
        &self,
        workspace: &WorkspaceId,
        id: &CallId,
    ) -> Result<Option<CallDetail>, StoreError>;
    /// One transfer of a call.
    async fn transfer(
        &self,
        call: &CallId,
        id: &TransferId,
    ) -> Result<Option<Transfer>, StoreError>;

    /// Webhooks that have a delivery due at `now`, and when the next one is due after it.
    async fn due_webhooks(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<WebhookId>, Option<Timestamp>), StoreError>;
    /// Leases at most `limit` due deliveries of a webhook: never two of one call, and never one
    /// before an earlier one of the same call is done.
    async fn lease_deliveries(&self, lease: Lease<'_>) -> Result<Vec<LeasedDelivery>, StoreError>;
    /// Gives back all leases that `node` holds: for its start.
    async fn release_leases(&self, node: &str) -> Result<u64, StoreError>;
    /// Writes what came of attempts in one transaction, where `node` still holds the lease.
    async fn finish_attempts(
        &self,
        node: &str,
        results: &[(DeliveryId, AttemptResult)],
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Deliveries of a workspace, the newest first; of one webhook or in one state if given.
    async fn deliveries(
        &self,
        workspace: &WorkspaceId,
        webhook: Option<&WebhookId>,
        state: Option<DeliveryState>,
        page: Page,
    ) -> Result<Paged<Delivery>, StoreError>;
    /// Makes a dead letter pending again; gives it as it is then.
    async fn replay(
        &self,
        workspace: &WorkspaceId,
        id: &DeliveryId,
        at: Timestamp,
        change: &Change,
    ) -> Result<Option<Delivery>, StoreError>;
    /// Deliveries that are pending and given up: for metrics.
    async fn outbox_depth(&self) -> Result<(u64, u64), StoreError>;
    /// Forgets delivered events and idempotency keys that are older than the given times.
    async fn prune(&self, delivered: Timestamp, idempotent: Timestamp) -> Result<(), StoreError>;
}

/// What goes with every change of the configuration, in its transaction.
#[derive(Debug, Clone)]
pub struct Change {
    /// Who changed what.
    pub audit: AuditEntry,
    /// What the request answers, when it carried an idempotency key.
    pub idempotent: Option<Idempotent>,
}

impl Change {
    /// A change without an idempotency key.
    pub fn new(audit: AuditEntry) -> Self {
        Self {
            audit,
            idempotent: None,
        }
    }
}

/// The answer of a create, kept so that the same request again gets the same answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Idempotent {
    /// The value of the `Idempotency-Key` header.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub request: [u8; 32],
    /// Status of the answer.
    pub status: u16,
    /// Body of the answer, sealed (cell `idempotency`, key, `body`): it may hold a password.
    pub body: Vec<u8>,
    /// When it was answered.
    pub at: Timestamp,
}

impl std::fmt::Debug for Idempotent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idempotent")
            .field("key", &self.key)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What to do with an extension that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Refuse: [`Conflict::Extension`].
    Create,
    /// Write it anew.
    Replace,
}

/// Which calls to list; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only those with this status; without it, those that live are left out.
    pub status: Option<StatusFilter>,
    /// Begun at this time or later.
    pub from: Option<Timestamp>,
    /// Begun before this time.
    pub to: Option<Timestamp>,
    /// Who called whom.
    pub direction: Option<Direction>,
    /// For this agent.
    pub agent: Option<AgentId>,
    /// Through this trunk.
    pub trunk: Option<TrunkId>,
    /// From or to this number, in the form of [`crate::directory::normal`].
    pub number: Option<String>,
}

/// A status to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// Live calls.
    InProgress,
    /// Calls that ended this way.
    Ended(CallStatus),
}

/// Which audit entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// Of this type.
    pub event_type: Option<String>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

/// A piece of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1 on.
    pub page: u32,
    /// 1 to 100.
    pub per_page: u32,
}

impl Page {
    /// How many entries come before this page.
    pub fn offset(self) -> u64 {
        u64::from(self.page.saturating_sub(1)).saturating_mul(u64::from(self.per_page))
    }
}

/// A piece of a list, and how long the list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The piece.
    pub items: Vec<T>,
    /// Length of the whole list.
    pub total: u64,
}

/// What to lease, for whom and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// The node that takes the lease.
    pub node: &'a str,
    /// The webhook.
    pub webhook: &'a WebhookId,
    /// The present.
    pub now: Timestamp,
    /// When the lease ends if nothing is heard.
    pub until: Timestamp,
    /// Most deliveries to lease.
    pub limit: u32,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something with the same name exists.
    #[error("{0} exists already")]
    Conflict(Conflict),
    /// The database cannot be opened, reached or written.
    #[error("store: {0}")]
    Unreachable(String),
    /// The database holds what this server cannot read.
    #[error("store holds a value that cannot be read: {0}")]
    Corrupt(String),
}

/// What exists already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// A trunk of this name in the workspace.
    #[error("a trunk of this name")]
    TrunkName,
    /// A trunk with this digest user, in any workspace.
    #[error("a trunk with this username")]
    Username,
    /// The number is on a trunk of the workspace.
    #[error("a trunk with number {0}")]
    Did(String),
    /// The extension is on the trunk.
    #[error("extension {0}")]
    Extension(String),
    /// The idempotency key was used.
    #[error("a request with this idempotency key")]
    IdempotencyKey,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

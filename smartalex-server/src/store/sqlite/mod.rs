//! The store in one SQLite file: write-ahead log, one writing connection, some that read.
//! This file opens it and hands each question to the file that knows the table.

mod calls;
mod log;
mod outbox;
mod rows;
mod tenants;
mod trunks;
mod voices;

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{SqlSafeStr, Sqlite, Transaction};

use super::{
    AuditFilter, CallFilter, CallWrite, Change, Idempotent, Lease, Orphan, Orphans, Page, Paged,
    PutMode, Store, StoreError,
};
use crate::agents::Agent;
use crate::audit::AuditEntry;
use crate::calls::record::{CallDetail, CallRecord, Transfer};
use crate::ids::{
    AgentId, ApiKeyId, CallId, DeliveryId, TransferId, TrunkId, WebhookId, WorkspaceId,
};
use crate::tenants::{ApiKey, User, Workspace};
use crate::trunks::{Extension, Trunk};
use crate::webhooks::{AttemptResult, Delivery, DeliveryState, LeasedDelivery, Webhook};

/// A store in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// One connection: SQLite has one writer, and waiting for a connection is fairer than
    /// waiting for its lock.
    write: SqlitePool,
    read: SqlitePool,
}

impl SqliteStore {
    /// Opens the file that `url` (`sqlite://PATH`) names, makes it if there is none, and brings
    /// its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written, or holds tables of a newer server.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |error: sqlx::Error| StoreError::Unreachable(format!("{url}: {error}"));
        let options = SqliteConnectOptions::from_str(url)
            .map_err(failed)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what a caller was told is written survives a power cut, not only a kill -9.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        // Transcripts and numbers of callers: for the server's own user alone. The journal's files
        // take their mode from this one.
        if let Err(error) = private(options.get_filename()) {
            return Err(StoreError::Unreachable(format!("{url}: {error}")));
        }
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        migrator().run(&write).await.map_err(|error| {
            StoreError::Unreachable(format!(
                "{url}: tables cannot be brought up to date: {error}"
            ))
        })?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        Ok(Self { write, read })
    }

    /// A transaction that may write from its beginning: one that first reads and then writes
    /// could find that another process wrote in between.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn migrator() -> Migrator {
    let files = [(
        1,
        "first",
        include_str!("../../../migrations/sqlite/0001_first.sql"),
    )];
    Migrator::with_migrations(
        files
            .into_iter()
            .map(|(version, name, sql)| {
                Migration::new(
                    version,
                    name.into(),
                    MigrationType::Simple,
                    sql.into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}

/// Writes what goes with every change of the configuration. It comes before the change itself: of
/// two requests with one idempotency key the second has to fail by that key, not by the name of
/// what the first has made.
async fn write_change(
    tx: &mut Transaction<'static, Sqlite>,
    change: &Change,
) -> Result<(), StoreError> {
    log::add_audit(tx, &change.audit).await?;
    if let Some(idempotent) = &change.idempotent {
        log::add_idempotent(tx, &change.audit.workspace, idempotent).await?;
    }
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        tenants::meta(&self.read, key).await
    }

    async fn meta_once(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        tenants::meta_once(&self.write, key, value).await
    }

    async fn add_workspace(&self, workspace: &Workspace) -> Result<(), StoreError> {
        tenants::add_workspace(&self.write, workspace).await
    }

    async fn update_workspace(&self, workspace: &Workspace) -> Result<(), StoreError> {
        tenants::update_workspace(&self.write, workspace).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        tenants::workspaces(&self.read).await
    }

    async fn add_user(&self, user: &User, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tenants::add_user(&mut tx, user).await?;
        log::add_audit(&mut tx, audit).await?;
        Ok(tx.commit().await?)
    }

    async fn count_users(&self, workspace: &WorkspaceId) -> Result<u64, StoreError> {
        tenants::count_users(&self.read, workspace).await
    }

    async fn add_api_key(
        &self,
        key: &ApiKey,
        hash: &[u8; 32],
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tenants::add_api_key(&mut tx, key, hash).await?;
        log::add_audit(&mut tx, audit).await?;
        Ok(tx.commit().await?)
    }

    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        tenants::api_key(&self.read, hash).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        tenants::api_keys(&self.read).await
    }

    async fn revoke_api_key(
        &self,
        id: &ApiKeyId,
        at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let revoked = tenants::revoke_api_key(&mut tx, id, at).await?;
        if revoked {
            log::add_audit(&mut tx, audit).await?;
        }
        tx.commit().await?;
        Ok(revoked)
    }

    async fn add_trunk(&self, trunk: &Trunk, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        trunks::insert(&mut tx, trunk).await?;
        Ok(tx.commit().await?)
    }

    async fn update_trunk(&self, trunk: &Trunk, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        trunks::update(&mut tx, trunk).await?;
        Ok(tx.commit().await?)
    }

    async fn delete_trunk(
        &self,
        workspace: &WorkspaceId,
        id: &TrunkId,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let found = trunks::delete(&mut tx, workspace, id).await?;
        if found {
            write_change(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn trunks(&self, workspace: Option<&WorkspaceId>) -> Result<Vec<Trunk>, StoreError> {
        trunks::all(&self.read, workspace).await
    }

    async fn trunk(
        &self,
        workspace: &WorkspaceId,
        id: &TrunkId,
    ) -> Result<Option<Trunk>, StoreError> {
        trunks::one(&self.read, workspace, id).await
    }

    async fn put_extensions(
        &self,
        trunk: &TrunkId,
        extensions: &[Extension],
        mode: PutMode,
        change: &Change,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        let added = trunks::put_extensions(&mut tx, trunk, extensions, mode).await?;
        tx.commit().await?;
        Ok(added)
    }

    async fn delete_extension(
        &self,
        trunk: &TrunkId,
        extension: &str,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let found = trunks::delete_extension(&mut tx, trunk, extension).await?;
        if found {
            write_change(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn extensions(&self, trunk: &TrunkId) -> Result<Vec<Extension>, StoreError> {
        trunks::extensions(&self.read, trunk).await
    }

    async fn add_agent(&self, agent: &Agent, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        voices::insert_agent(&mut tx, agent).await?;
        Ok(tx.commit().await?)
    }

    async fn update_agent(&self, agent: &Agent, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        voices::update_agent(&mut tx, agent).await?;
        Ok(tx.commit().await?)
    }

    async fn delete_agent(
        &self,
        workspace: &WorkspaceId,
        id: &AgentId,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let found = voices::delete_agent(&mut tx, workspace, id).await?;
        if found {
            write_change(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn agents(&self, workspace: Option<&WorkspaceId>) -> Result<Vec<Agent>, StoreError> {
        voices::agents(&self.read, workspace).await
    }

    async fn add_webhook(&self, webhook: &Webhook, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        voices::insert_webhook(&mut tx, webhook).await?;
        Ok(tx.commit().await?)
    }

    async fn delete_webhook(
        &self,
        workspace: &WorkspaceId,
        id: &WebhookId,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let found = voices::delete_webhook(&mut tx, workspace, id).await?;
        if found {
            write_change(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn webhooks(&self, workspace: &WorkspaceId) -> Result<Vec<Webhook>, StoreError> {
        voices::webhooks(&self.read, workspace).await
    }

    async fn note(&self, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        write_change(&mut tx, change).await?;
        Ok(tx.commit().await?)
    }

    async fn idempotent(
        &self,
        workspace: &WorkspaceId,
        key: &str,
    ) -> Result<Option<Idempotent>, StoreError> {
        log::idempotent(&self.read, workspace, key).await
    }

    async fn audit_log(
        &self,
        workspace: &WorkspaceId,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Paged<AuditEntry>, StoreError> {
        log::audit_log(&self.read, workspace, filter, page).await
    }

    async fn apply(&self, writes: &[CallWrite]) -> Result<Vec<bool>, StoreError> {
        let mut tx = self.begin().await?;
        let mut took_hold = Vec::with_capacity(writes.len());
        for write in writes {
            took_hold.push(calls::apply(&mut tx, write).await?);
        }
        tx.commit().await?;
        Ok(took_hold)
    }

    async fn renew_leases(&self, node: &str, until: Timestamp) -> Result<u64, StoreError> {
        calls::renew_leases(&self.write, node, until).await
    }

    async fn orphans(&self, of: Orphans<'_>) -> Result<Vec<Orphan>, StoreError> {
        calls::orphans(&self.read, of).await
    }

    async fn calls(
        &self,
        workspace: &WorkspaceId,
        filter: &CallFilter,
        page: Page,
    ) -> Result<Paged<CallRecord>, StoreError> {
        calls::page(&self.read, workspace, filter, page).await
    }

    async fn calls_before(
        &self,
        workspace: &WorkspaceId,
        filter: &CallFilter,
        before: Option<&CallId>,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError> {
        calls::before(&self.read, workspace, filter, before, limit).await
    }

    async fn call(
        &self,
        workspace: &WorkspaceId,
        id: &CallId,
    ) -> Result<Option<CallDetail>, StoreError> {
        calls::detail(&self.read, workspace, id).await
    }

    async fn transfer(
        &self,
        call: &CallId,
        id: &TransferId,
    ) -> Result<Option<Transfer>, StoreError> {
        calls::transfer(&self.read, call, id).await
    }

    async fn due_webhooks(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<WebhookId>, Option<Timestamp>), StoreError> {
        outbox::due(&self.read, now).await
    }

    async fn lease_deliveries(&self, lease: Lease<'_>) -> Result<Vec<LeasedDelivery>, StoreError> {
        outbox::lease(&self.write, lease).await
    }

    async fn release_leases(&self, node: &str) -> Result<u64, StoreError> {
        outbox::release(&self.write, node).await
    }

    async fn finish_attempts(
        &self,
        node: &str,
        results: &[(DeliveryId, AttemptResult)],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for (id, result) in results {
            outbox::finish(&mut tx, node, id, result, at).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn deliveries(
        &self,
        workspace: &WorkspaceId,
        webhook: Option<&WebhookId>,
        state: Option<DeliveryState>,
        page: Page,
    ) -> Result<Paged<Delivery>, StoreError> {
        outbox::deliveries(&self.read, workspace, webhook, state, page).await
    }

    async fn replay(
        &self,
        workspace: &WorkspaceId,
        id: &DeliveryId,
        at: Timestamp,
        change: &Change,
    ) -> Result<Option<Delivery>, StoreError> {
        let mut tx = self.begin().await?;
        let replayed = outbox::replay(&mut tx, workspace, id, at).await?;
        if replayed.is_some() {
            write_change(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(replayed)
    }

    async fn outbox_depth(&self) -> Result<(u64, u64), StoreError> {
        outbox::depth(&self.read).await
    }

    async fn prune(&self, delivered: Timestamp, idempotent: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        outbox::prune(&mut tx, delivered).await?;
        log::prune(&mut tx, idempotent).await?;
        Ok(tx.commit().await?)
    }
}

/// Connections that read.
const READERS: u32 = 4;

/// Makes the database's file, if there is none, with mode 0600.
fn private(file: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::secrets::readable;
    use crate::store::contract::contract;

    /// Removes what the test leaves.
    struct Directory(std::path::PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    async fn fresh() -> (Arc<dyn Store>, Directory) {
        let directory = std::env::temp_dir().join(format!("smartalex-store-{}", readable(12)));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite://{}/test.db", directory.display());
        let store = SqliteStore::open(&url).await.unwrap();
        (Arc::new(store), Directory(directory))
    }

    contract!(fresh);
}

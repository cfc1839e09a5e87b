//! Tables `audit_log` and `idempotency`.

use jiff::Timestamp;
use sqlx::sqlite::SqlitePool;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use super::rows::{count, get, millis, number, parsed, time};
use crate::audit::AuditEntry;
use crate::ids::{AuditId, WorkspaceId};
use crate::store::{AuditFilter, Idempotent, Page, Paged, StoreError};

pub(super) async fn add_audit(
    tx: &mut Transaction<'static, Sqlite>,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_log (id, workspace_id, at, actor, event_type, target, detail)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.id.as_str())
    .bind(entry.workspace.as_str())
    .bind(millis(entry.at))
    .bind(&entry.actor)
    .bind(&entry.event_type)
    .bind(&entry.target)
    .bind(&entry.detail)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn audit_log(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    filter: &AuditFilter,
    page: Page,
) -> Result<Paged<AuditEntry>, StoreError> {
    let mut tx = pool.begin().await?;
    let mut counting = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM audit_log");
    restrict(&mut counting, workspace, filter);
    let total: i64 = counting.build().fetch_one(&mut *tx).await?.try_get(0)?;
    let mut listing = QueryBuilder::<Sqlite>::new("SELECT * FROM audit_log");
    restrict(&mut listing, workspace, filter);
    listing
        .push(" ORDER BY at DESC, id DESC LIMIT ")
        .push_bind(i64::from(page.per_page))
        .push(" OFFSET ")
        .push_bind(i64::try_from(page.offset()).unwrap_or(i64::MAX));
    let items = listing
        .build()
        .fetch_all(&mut *tx)
        .await?
        .iter()
        .map(|row| {
            Ok(AuditEntry {
                id: parsed(row, "id", |text| AuditId::parse(text).ok())?,
                workspace: workspace.clone(),
                at: time(row, "at")?,
                actor: get(row, "actor")?,
                event_type: get(row, "event_type")?,
                target: get(row, "target")?,
                detail: get(row, "detail")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    tx.commit().await?;
    Ok(Paged {
        items,
        total: count(total),
    })
}

fn restrict(query: &mut QueryBuilder<Sqlite>, workspace: &WorkspaceId, filter: &AuditFilter) {
    query
        .push(" WHERE workspace_id = ")
        .push_bind(workspace.as_str().to_owned());
    if let Some(actor) = &filter.actor {
        query.push(" AND actor = ").push_bind(actor.clone());
    }
    if let Some(event_type) = &filter.event_type {
        query
            .push(" AND event_type = ")
            .push_bind(event_type.clone());
    }
    if let Some(from) = filter.from {
        query.push(" AND at >= ").push_bind(millis(from));
    }
    if let Some(to) = filter.to {
        query.push(" AND at < ").push_bind(millis(to));
    }
}

pub(super) async fn add_idempotent(
    tx: &mut Transaction<'static, Sqlite>,
    workspace: &WorkspaceId,
    one: &Idempotent,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO idempotency (workspace_id, key, request, status, body, at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(workspace.as_str())
    .bind(&one.key)
    .bind(one.request.as_slice())
    .bind(i64::from(one.status))
    .bind(&one.body)
    .bind(millis(one.at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn idempotent(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    key: &str,
) -> Result<Option<Idempotent>, StoreError> {
    sqlx::query("SELECT * FROM idempotency WHERE workspace_id = ? AND key = ?")
        .bind(workspace.as_str())
        .bind(key)
        .fetch_optional(pool)
        .await?
        .map(|row| {
            Ok(Idempotent {
                key: get(&row, "key")?,
                request: get::<Vec<u8>>(&row, "request")?
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("column request".to_owned()))?,
                status: number(&row, "status")?,
                body: get(&row, "body")?,
                at: time(&row, "at")?,
            })
        })
        .transpose()
}

pub(super) async fn prune(
    tx: &mut Transaction<'static, Sqlite>,
    before: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency WHERE at < ?")
        .bind(millis(before))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

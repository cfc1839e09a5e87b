//! Tables `events` and `deliveries`: the outbox.
//!
//! The deliveries of one call to one webhook go out in order: only the first that is pending may
//! be leased. Those behind it wait with it (they get its `next_attempt_at`), so that the index
//! of what is due holds nothing that could not be sent.

use jiff::Timestamp;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use super::rows::{
    count, get, millis, number, number_or_none, parsed, parsed_or_none, time, time_or_none,
};
use crate::clock;
use crate::ids::{AgentId, CallId, DeliveryId, EventId, WebhookId, WorkspaceId};
use crate::store::{Lease, Page, Paged, StoreError};
use crate::webhooks::{AttemptResult, Delivery, DeliveryState, Event, EventKind, LeasedDelivery};

type Tx = Transaction<'static, Sqlite>;

/// Queues `event` for every webhook that wants it; it is not kept when none does.
pub(super) async fn queue(tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
    let webhooks: Vec<String> = sqlx::query_scalar(
        "SELECT w.id FROM webhooks w
         JOIN webhook_events e ON e.webhook_id = w.id AND e.kind = ?
         WHERE w.workspace_id = ? AND w.disabled IS NULL
             AND (w.agent_id IS NULL OR w.agent_id = ?)
         ORDER BY w.id",
    )
    .bind(event.kind.name())
    .bind(event.workspace.as_str())
    .bind(event.agent.as_ref().map(AgentId::as_str))
    .fetch_all(&mut **tx)
    .await?;
    if webhooks.is_empty() {
        return Ok(());
    }
    let call = event.call.as_ref().map(CallId::as_str);
    sqlx::query(
        "INSERT INTO events (id, workspace_id, call_id, kind, body, created_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(event.id.as_str())
    .bind(event.workspace.as_str())
    .bind(call)
    .bind(event.kind.name())
    .bind(&event.body)
    .bind(millis(event.at))
    .execute(&mut **tx)
    .await?;
    for webhook in webhooks {
        sqlx::query(
            "INSERT INTO deliveries (id, event_id, webhook_id, call_id, state, next_attempt_at)
             VALUES (?1, ?2, ?3, ?4, 'pending', max(?5, coalesce(
                 (SELECT max(next_attempt_at) FROM deliveries
                  WHERE webhook_id = ?3 AND call_id = ?4 AND state = 'pending'), 0)))",
        )
        .bind(DeliveryId::fresh().as_str())
        .bind(event.id.as_str())
        .bind(&webhook)
        .bind(call)
        .bind(millis(clock::now()))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(super) async fn due(
    pool: &SqlitePool,
    now: Timestamp,
) -> Result<(Vec<WebhookId>, Option<Timestamp>), StoreError> {
    let now = millis(now);
    let webhooks = sqlx::query(
        "SELECT DISTINCT webhook_id FROM deliveries
         WHERE state = 'pending' AND next_attempt_at <= ?1
             AND (lease_until IS NULL OR lease_until <= ?1)
         LIMIT 1000",
    )
    .bind(now)
    .fetch_all(pool)
    .await?
    .iter()
    .map(|row| parsed(row, "webhook_id", |text| WebhookId::parse(text).ok()))
    .collect::<Result<_, _>>()?;
    let next: Option<i64> = sqlx::query_scalar(
        "SELECT min(next_attempt_at) FROM deliveries
         WHERE state = 'pending' AND next_attempt_at > ?",
    )
    .bind(now)
    .fetch_one(pool)
    .await?;
    Ok((webhooks, next.map(clock::from_millis)))
}

pub(super) async fn lease(
    pool: &SqlitePool,
    lease: Lease<'_>,
) -> Result<Vec<LeasedDelivery>, StoreError> {
    let leased: Vec<i64> = sqlx::query_scalar(
        "UPDATE deliveries SET leased_by = ?1, lease_until = ?2 WHERE seq IN (
             SELECT d.seq FROM deliveries d
             WHERE d.webhook_id = ?3 AND d.state = 'pending' AND d.next_attempt_at <= ?4
                 AND (d.lease_until IS NULL OR d.lease_until <= ?4)
                 AND NOT EXISTS (
                     SELECT 1 FROM deliveries e
                     WHERE e.webhook_id = d.webhook_id AND e.call_id = d.call_id
                         AND e.state = 'pending' AND e.seq < d.seq)
             ORDER BY d.seq LIMIT ?5)
         RETURNING seq",
    )
    .bind(lease.node)
    .bind(millis(lease.until))
    .bind(lease.webhook.as_str())
    .bind(millis(lease.now))
    .bind(i64::from(lease.limit))
    .fetch_all(pool)
    .await?;
    let mut deliveries = Vec::with_capacity(leased.len());
    for seq in leased {
        let row = sqlx::query(
            "SELECT d.id, d.attempts, e.id AS event_id, e.kind, e.body, w.id AS webhook_id, w.url,
                 w.secret
             FROM deliveries d
             JOIN events e ON e.id = d.event_id JOIN webhooks w ON w.id = d.webhook_id
             WHERE d.seq = ?",
        )
        .bind(seq)
        .fetch_one(pool)
        .await?;
        deliveries.push(LeasedDelivery {
            id: parsed(&row, "id", |text| DeliveryId::parse(text).ok())?,
            event: parsed(&row, "event_id", |text| EventId::parse(text).ok())?,
            kind: parsed(&row, "kind", EventKind::named)?,
            body: get(&row, "body")?,
            attempts: number(&row, "attempts")?,
            webhook: parsed(&row, "webhook_id", |text| WebhookId::parse(text).ok())?,
            url: get(&row, "url")?,
            secret: get(&row, "secret")?,
        });
    }
    Ok(deliveries)
}

pub(super) async fn release(pool: &SqlitePool, node: &str) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE deliveries SET leased_by = NULL, lease_until = NULL
         WHERE state = 'pending' AND leased_by = ?",
    )
    .bind(node)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn finish(
    tx: &mut Tx,
    node: &str,
    id: &DeliveryId,
    result: &AttemptResult,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (state, status, error, next, finished) = match result {
        AttemptResult::Delivered { status } => {
            (DeliveryState::Delivered, Some(*status), None, at, Some(at))
        }
        AttemptResult::Retry { at, status, error } => {
            (DeliveryState::Pending, *status, Some(error), *at, None)
        }
        AttemptResult::Dead { status, error, .. } => (
            DeliveryState::DeadLetter,
            *status,
            Some(error),
            at,
            Some(at),
        ),
    };
    let row = sqlx::query(
        "UPDATE deliveries SET state = ?, attempts = attempts + 1, next_attempt_at = ?,
             last_status = ?, last_error = ?, finished_at = ?, leased_by = NULL, lease_until = NULL
         WHERE id = ? AND state = 'pending' AND leased_by = ?
         RETURNING webhook_id, call_id",
    )
    .bind(state.name())
    .bind(millis(next))
    .bind(status.map(i64::from))
    .bind(error)
    .bind(finished.map(millis))
    .bind(id.as_str())
    .bind(node)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else {
        return Ok(());
    };
    let webhook: String = get(&row, "webhook_id")?;
    // Those behind it in the same call wait as long as it does.
    sqlx::query(
        "UPDATE deliveries SET next_attempt_at = ?
         WHERE webhook_id = ? AND call_id = ? AND state = 'pending'",
    )
    .bind(millis(next))
    .bind(&webhook)
    .bind(get::<Option<String>>(&row, "call_id")?)
    .execute(&mut **tx)
    .await?;
    if let AttemptResult::Dead { disable: true, .. } = result {
        disable(tx, &webhook, at).await?;
    }
    Ok(())
}

async fn disable(tx: &mut Tx, webhook: &str, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE webhooks SET disabled = ? WHERE id = ?")
        .bind("the endpoint answered 410 Gone")
        .bind(webhook)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE deliveries SET state = 'dead_letter', finished_at = ?, leased_by = NULL,
             lease_until = NULL, last_error = 'the endpoint is disabled: it answered 410 Gone'
         WHERE webhook_id = ? AND state = 'pending'",
    )
    .bind(millis(at))
    .bind(webhook)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn deliveries(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    webhook: Option<&WebhookId>,
    state: Option<DeliveryState>,
    page: Page,
) -> Result<Paged<Delivery>, StoreError> {
    let restrict = |query: &mut QueryBuilder<Sqlite>| {
        query
            .push(
                " FROM deliveries d JOIN events e ON e.id = d.event_id
                 WHERE e.workspace_id = ",
            )
            .push_bind(workspace.as_str().to_owned());
        if let Some(webhook) = webhook {
            query
                .push(" AND d.webhook_id = ")
                .push_bind(webhook.as_str().to_owned());
        }
        if let Some(state) = state {
            query.push(" AND d.state = ").push_bind(state.name());
        }
    };
    let mut tx = pool.begin().await?;
    let mut counting = QueryBuilder::<Sqlite>::new("SELECT COUNT(*)");
    restrict(&mut counting);
    let total: i64 = counting.build().fetch_one(&mut *tx).await?.try_get(0)?;
    let mut listing = QueryBuilder::<Sqlite>::new("SELECT d.*, e.kind, e.created_at");
    restrict(&mut listing);
    listing
        .push(" ORDER BY d.seq DESC LIMIT ")
        .push_bind(i64::from(page.per_page))
        .push(" OFFSET ")
        .push_bind(i64::try_from(page.offset()).unwrap_or(i64::MAX));
    let items = listing
        .build()
        .fetch_all(&mut *tx)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(Paged {
        items,
        total: count(total),
    })
}

pub(super) async fn replay(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    id: &DeliveryId,
    at: Timestamp,
) -> Result<Option<Delivery>, StoreError> {
    let done = sqlx::query(
        "UPDATE deliveries SET state = 'pending', attempts = 0, next_attempt_at = ?,
             finished_at = NULL
         WHERE id = ? AND state = 'dead_letter' AND EXISTS (
             SELECT 1 FROM events e WHERE e.id = event_id AND e.workspace_id = ?)",
    )
    .bind(millis(at))
    .bind(id.as_str())
    .bind(workspace.as_str())
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT d.*, e.kind, e.created_at FROM deliveries d JOIN events e ON e.id = d.event_id
         WHERE d.id = ?",
    )
    .bind(id.as_str())
    .fetch_one(&mut **tx)
    .await?;
    // Whoever replays has mended the endpoint: it gets events again.
    sqlx::query("UPDATE webhooks SET disabled = NULL WHERE id = ?")
        .bind(get::<String>(&row, "webhook_id")?)
        .execute(&mut **tx)
        .await?;
    read(&row).map(Some)
}

pub(super) async fn depth(pool: &SqlitePool) -> Result<(u64, u64), StoreError> {
    let pending = sqlx::query_scalar("SELECT COUNT(*) FROM deliveries WHERE state = 'pending'")
        .fetch_one(pool)
        .await?;
    let dead = sqlx::query_scalar("SELECT COUNT(*) FROM deliveries WHERE state = 'dead_letter'")
        .fetch_one(pool)
        .await?;
    Ok((count(pending), count(dead)))
}

/// Forgets old events that have been delivered to everyone.
pub(super) async fn prune(tx: &mut Tx, before: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM events WHERE created_at < ? AND NOT EXISTS (
             SELECT 1 FROM deliveries d WHERE d.event_id = events.id AND d.state <> 'delivered')",
    )
    .bind(millis(before))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let state = parsed(row, "state", DeliveryState::named)?;
    Ok(Delivery {
        id: parsed(row, "id", |text| DeliveryId::parse(text).ok())?,
        webhook_id: parsed(row, "webhook_id", |text| WebhookId::parse(text).ok())?,
        event_id: parsed(row, "event_id", |text| EventId::parse(text).ok())?,
        kind: parsed(row, "kind", EventKind::named)?,
        call_id: parsed_or_none(row, "call_id", |text| CallId::parse(text).ok())?,
        attempts: number(row, "attempts")?,
        last_status: number_or_none(row, "last_status")?,
        last_error: get(row, "last_error")?,
        next_attempt_at: match state {
            DeliveryState::Pending => Some(time(row, "next_attempt_at")?),
            DeliveryState::Delivered | DeliveryState::DeadLetter => None,
        },
        created_at: time(row, "created_at")?,
        finished_at: time_or_none(row, "finished_at")?,
        state,
    })
}

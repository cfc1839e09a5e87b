//! Tables `calls`, `call_transcript`, `call_tools` and `transfers`.

use jiff::Timestamp;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use super::outbox;
use super::rows::{
    count, from_json, get, json, millis, number_or_none, parsed, parsed_or_none, time, time_or_none,
};
use crate::calls::record::{
    CallDetail, CallOutcome, CallRecord, CallStatus, ConfirmedBy, Direction, EndedBy, SipFacts,
    Speaker, ToolUse, TranscriptLine, Transfer, TransferKind, TransferOutcome, TransferState,
};
use crate::directory::normal;
use crate::ids::{AgentId, CallId, TransferId, TrunkId, WorkspaceId};
use crate::store::{
    CallFilter, CallWrite, Close, Orphan, Orphans, Page, Paged, StatusFilter, StoreError,
};

type Tx = Transaction<'static, Sqlite>;

/// Applies one write with its event; false when the call was not in a state to take it.
pub(super) async fn apply(tx: &mut Tx, write: &CallWrite) -> Result<bool, StoreError> {
    let (took_hold, event) = match write {
        CallWrite::Open {
            call,
            lease_until,
            event,
        } => (insert(tx, call, Some(*lease_until)).await?, event.as_ref()),
        CallWrite::Refused { call, event } => (insert(tx, call, None).await?, event.as_ref()),
        CallWrite::Answered { call, at, event } => {
            let done =
                sqlx::query("UPDATE calls SET answered_at = ? WHERE id = ? AND status IS NULL")
                    .bind(millis(*at))
                    .bind(call.as_str())
                    .execute(&mut **tx)
                    .await?;
            (done.rows_affected() > 0, event.as_ref())
        }
        CallWrite::Voice { call, voice } => (set_text(tx, "voice", call, voice).await?, None),
        CallWrite::Message { call, text } => (set_text(tx, "message", call, text).await?, None),
        CallWrite::Line { call, line } => (insert_line(tx, call, line).await?, None),
        CallWrite::Tool { call, tool, event } => {
            (insert_tool(tx, call, tool).await?, event.as_ref())
        }
        CallWrite::Transfer {
            call,
            transfer,
            outcome,
            event,
        } => {
            let took_hold = put_transfer(tx, call, transfer).await?;
            if let Some(outcome) = outcome {
                sqlx::query("UPDATE calls SET outcome = ? WHERE id = ? AND status IS NOT NULL")
                    .bind(outcome.name())
                    .bind(call.as_str())
                    .execute(&mut **tx)
                    .await?;
            }
            (took_hold, event.as_ref())
        }
        CallWrite::Close { call, close, event } => {
            (self::close(tx, call, close).await?, event.as_ref())
        }
    };
    if took_hold && let Some(event) = event {
        outbox::queue(tx, event).await?;
    }
    Ok(took_hold)
}

async fn insert(
    tx: &mut Tx,
    call: &CallRecord,
    lease_until: Option<Timestamp>,
) -> Result<bool, StoreError> {
    sqlx::query(
        "INSERT INTO calls (id, workspace_id, node, lease_until, trunk_id, agent_id, agent_name,
             direction, status, outcome, from_number, to_number, from_digits, to_digits,
             started_at, answered_at, ended_at, sip_call_id, sip_from, sip_to, sip_final_code,
             sip_reason, sip_ended_by, media, voice, message)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(call.id.as_str())
    .bind(call.workspace.as_str())
    .bind(&call.node)
    .bind(lease_until.map(millis))
    .bind(call.trunk.as_ref().map(TrunkId::as_str))
    .bind(call.agent.as_ref().map(AgentId::as_str))
    .bind(&call.agent_name)
    .bind(call.direction.name())
    .bind(call.status.map(CallStatus::name))
    .bind(call.outcome.map(CallOutcome::name))
    .bind(&call.from)
    .bind(&call.to)
    .bind(normal(&call.from))
    .bind(normal(&call.to))
    .bind(millis(call.started_at))
    .bind(call.answered_at.map(millis))
    .bind(call.ended_at.map(millis))
    .bind(&call.sip.call_id)
    .bind(&call.sip.from)
    .bind(&call.sip.to)
    .bind(call.sip.final_code.map(i64::from))
    .bind(&call.sip.reason)
    .bind(call.sip.ended_by.map(EndedBy::name))
    .bind(call.media.as_ref().map(json).transpose()?)
    .bind(&call.voice)
    .bind(&call.message)
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

async fn set_text(
    tx: &mut Tx,
    column: &'static str,
    call: &CallId,
    text: &str,
) -> Result<bool, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("UPDATE calls SET ");
    query
        .push(column)
        .push(" = ")
        .push_bind(text.to_owned())
        .push(" WHERE id = ")
        .push_bind(call.as_str().to_owned());
    Ok(query.build().execute(&mut **tx).await?.rows_affected() > 0)
}

async fn insert_line(
    tx: &mut Tx,
    call: &CallId,
    line: &TranscriptLine,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO call_transcript (call_id, speaker, text, at)
         SELECT id, ?, ?, ? FROM calls WHERE id = ?",
    )
    .bind(line.speaker.name())
    .bind(&line.text)
    .bind(millis(line.at))
    .bind(call.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn insert_tool(tx: &mut Tx, call: &CallId, tool: &ToolUse) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO call_tools (call_id, name, arguments, result, at)
         SELECT id, ?, ?, ?, ? FROM calls WHERE id = ?",
    )
    .bind(&tool.name)
    .bind(json(&tool.arguments)?)
    .bind(json(&tool.result)?)
    .bind(millis(tool.at))
    .bind(call.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn put_transfer(tx: &mut Tx, call: &CallId, one: &Transfer) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO transfers (id, target, kind, state, outcome, confirmed_by, sip_code, reason,
             steps, requested_at, ended_at, call_id)
         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, id FROM calls WHERE id = ?
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, outcome = excluded.outcome,
             confirmed_by = excluded.confirmed_by, sip_code = excluded.sip_code,
             reason = excluded.reason, steps = excluded.steps, ended_at = excluded.ended_at",
    )
    .bind(one.id.as_str())
    .bind(&one.target)
    .bind(one.kind.name())
    .bind(one.state.name())
    .bind(one.outcome.map(TransferOutcome::name))
    .bind(one.confirmed_by.name())
    .bind(one.sip_code.map(i64::from))
    .bind(&one.reason)
    .bind(json(&one.steps)?)
    .bind(millis(one.requested_at))
    .bind(one.ended_at.map(millis))
    .bind(call.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn close(tx: &mut Tx, call: &CallId, close: &Close) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE calls SET status = ?, outcome = ?, ended_at = ?, sip_final_code = ?,
             sip_reason = ?, sip_ended_by = ?, media = ?, lease_until = NULL
         WHERE id = ? AND status IS NULL",
    )
    .bind(close.status.name())
    .bind(close.outcome.name())
    .bind(millis(close.at))
    .bind(close.final_code.map(i64::from))
    .bind(&close.reason)
    .bind(close.ended_by.map(EndedBy::name))
    .bind(close.media.as_ref().map(json).transpose()?)
    .bind(call.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn renew_leases(
    pool: &SqlitePool,
    node: &str,
    until: Timestamp,
) -> Result<u64, StoreError> {
    let done = sqlx::query("UPDATE calls SET lease_until = ? WHERE node = ? AND status IS NULL")
        .bind(millis(until))
        .bind(node)
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}

pub(super) async fn orphans(pool: &SqlitePool, of: Orphans<'_>) -> Result<Vec<Orphan>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM calls WHERE status IS NULL");
    match of {
        Orphans::Of(node) => {
            query.push(" AND node = ").push_bind(node.to_owned());
        }
        Orphans::NotOf(node, now) => {
            query
                .push(" AND node <> ")
                .push_bind(node.to_owned())
                .push(" AND lease_until < ")
                .push_bind(millis(now));
        }
    }
    query
        .build()
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| {
            let call = read(row)?;
            Ok(Orphan {
                lease_until: time_or_none(row, "lease_until")?.unwrap_or(call.started_at),
                call,
            })
        })
        .collect()
}

pub(super) async fn page(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    filter: &CallFilter,
    page: Page,
) -> Result<Paged<CallRecord>, StoreError> {
    let mut tx = pool.begin().await?;
    let mut counting = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM calls");
    restrict(&mut counting, workspace, filter);
    let total: i64 = counting.build().fetch_one(&mut *tx).await?.try_get(0)?;
    let mut listing = QueryBuilder::<Sqlite>::new("SELECT * FROM calls");
    restrict(&mut listing, workspace, filter);
    listing
        .push(" ORDER BY id DESC LIMIT ")
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

pub(super) async fn before(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    filter: &CallFilter,
    before: Option<&CallId>,
    limit: u32,
) -> Result<Vec<CallRecord>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM calls");
    restrict(&mut query, workspace, filter);
    if let Some(before) = before {
        query
            .push(" AND id < ")
            .push_bind(before.as_str().to_owned());
    }
    query
        .push(" ORDER BY id DESC LIMIT ")
        .push_bind(i64::from(limit));
    query
        .build()
        .fetch_all(pool)
        .await?
        .iter()
        .map(read)
        .collect()
}

fn restrict(query: &mut QueryBuilder<Sqlite>, workspace: &WorkspaceId, filter: &CallFilter) {
    query
        .push(" WHERE workspace_id = ")
        .push_bind(workspace.as_str().to_owned());
    match filter.status {
        None => query.push(" AND status IS NOT NULL"),
        Some(StatusFilter::InProgress) => query.push(" AND status IS NULL"),
        Some(StatusFilter::Ended(status)) => query.push(" AND status = ").push_bind(status.name()),
    };
    if let Some(from) = filter.from {
        query.push(" AND started_at >= ").push_bind(millis(from));
    }
    if let Some(to) = filter.to {
        query.push(" AND started_at < ").push_bind(millis(to));
    }
    if let Some(direction) = filter.direction {
        query.push(" AND direction = ").push_bind(direction.name());
    }
    if let Some(agent) = &filter.agent {
        query
            .push(" AND agent_id = ")
            .push_bind(agent.as_str().to_owned());
    }
    if let Some(trunk) = &filter.trunk {
        query
            .push(" AND trunk_id = ")
            .push_bind(trunk.as_str().to_owned());
    }
    if let Some(number) = &filter.number {
        query
            .push(" AND (from_digits = ")
            .push_bind(number.clone())
            .push(" OR to_digits = ")
            .push_bind(number.clone())
            .push(")");
    }
}

pub(super) async fn detail(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    id: &CallId,
) -> Result<Option<CallDetail>, StoreError> {
    let mut tx = pool.begin().await?;
    let Some(row) = sqlx::query("SELECT * FROM calls WHERE workspace_id = ? AND id = ?")
        .bind(workspace.as_str())
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?
    else {
        return Ok(None);
    };
    let transcript = sqlx::query("SELECT * FROM call_transcript WHERE call_id = ? ORDER BY seq")
        .bind(id.as_str())
        .fetch_all(&mut *tx)
        .await?
        .iter()
        .map(|row| {
            Ok(TranscriptLine {
                speaker: parsed(row, "speaker", Speaker::named)?,
                text: get(row, "text")?,
                at: time(row, "at")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let tools = sqlx::query("SELECT * FROM call_tools WHERE call_id = ? ORDER BY seq")
        .bind(id.as_str())
        .fetch_all(&mut *tx)
        .await?
        .iter()
        .map(|row| {
            Ok(ToolUse {
                name: get(row, "name")?,
                arguments: parsed(row, "arguments", from_json)?,
                result: parsed(row, "result", from_json)?,
                at: time(row, "at")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let transfers =
        sqlx::query("SELECT * FROM transfers WHERE call_id = ? ORDER BY requested_at, id")
            .bind(id.as_str())
            .fetch_all(&mut *tx)
            .await?
            .iter()
            .map(read_transfer)
            .collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(Some(CallDetail {
        call: read(&row)?,
        transcript,
        transfers,
        tools,
    }))
}

pub(super) async fn transfer(
    pool: &SqlitePool,
    call: &CallId,
    id: &TransferId,
) -> Result<Option<Transfer>, StoreError> {
    sqlx::query("SELECT * FROM transfers WHERE call_id = ? AND id = ?")
        .bind(call.as_str())
        .bind(id.as_str())
        .fetch_optional(pool)
        .await?
        .as_ref()
        .map(read_transfer)
        .transpose()
}

fn read(row: &SqliteRow) -> Result<CallRecord, StoreError> {
    Ok(CallRecord {
        id: parsed(row, "id", |text| CallId::parse(text).ok())?,
        workspace: parsed(row, "workspace_id", |text| WorkspaceId::parse(text).ok())?,
        node: get(row, "node")?,
        trunk: parsed_or_none(row, "trunk_id", |text| TrunkId::parse(text).ok())?,
        agent: parsed_or_none(row, "agent_id", |text| AgentId::parse(text).ok())?,
        agent_name: get(row, "agent_name")?,
        direction: parsed(row, "direction", Direction::named)?,
        status: parsed_or_none(row, "status", CallStatus::named)?,
        outcome: parsed_or_none(row, "outcome", CallOutcome::named)?,
        from: get(row, "from_number")?,
        to: get(row, "to_number")?,
        started_at: time(row, "started_at")?,
        answered_at: time_or_none(row, "answered_at")?,
        ended_at: time_or_none(row, "ended_at")?,
        sip: SipFacts {
            call_id: get(row, "sip_call_id")?,
            from: get(row, "sip_from")?,
            to: get(row, "sip_to")?,
            final_code: number_or_none(row, "sip_final_code")?,
            reason: get(row, "sip_reason")?,
            ended_by: parsed_or_none(row, "sip_ended_by", EndedBy::named)?,
        },
        media: parsed_or_none(row, "media", from_json)?,
        voice: get(row, "voice")?,
        message: get(row, "message")?,
    })
}

fn read_transfer(row: &SqliteRow) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        id: parsed(row, "id", |text| TransferId::parse(text).ok())?,
        target: get(row, "target")?,
        kind: parsed(row, "kind", TransferKind::named)?,
        state: parsed(row, "state", TransferState::named)?,
        outcome: parsed_or_none(row, "outcome", TransferOutcome::named)?,
        confirmed_by: parsed(row, "confirmed_by", ConfirmedBy::named)?,
        sip_code: number_or_none(row, "sip_code")?,
        reason: get(row, "reason")?,
        steps: parsed(row, "steps", from_json)?,
        requested_at: time(row, "requested_at")?,
        ended_at: time_or_none(row, "ended_at")?,
    })
}

//! `/v1/calls`: records and transcripts, as JSON or CSV.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};

use super::auth::Reader;
use super::error::{ApiError, ErrorKind};
use super::params::{Params, missing, path_id};
use super::{csv_text, many, one, with};
use crate::app::App;
use crate::calls::record::{
    CallDetail, CallOutcome, CallRecord, CallStatus, Direction, IN_PROGRESS,
};
use crate::clock;
use crate::directory::normal;
use crate::ids::{AgentId, CallId, TransferId, TrunkId, WorkspaceId};
use crate::store::{CallFilter, Page, StatusFilter, Store};

/// `GET /v1/calls`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, ApiError> {
    let filter = read_filter(&mut params)?;
    let as_csv = csv_text::is_asked(&mut params, &headers)?;
    let page = params.page_if_asked()?;
    params.finish()?;
    if as_csv && page.is_none() {
        let body = stream_csv(app.store.clone(), caller.workspace, filter);
        return Ok(csv_text::answer("calls", body));
    }
    let page = page.unwrap_or(Page {
        page: 1,
        per_page: 20,
    });
    let found = app.store.calls(&caller.workspace, &filter, page).await?;
    if as_csv {
        let rows = std::iter::once(header()).chain(found.items.iter().map(row));
        return Ok(csv_text::answer("calls", Body::from(csv_text::rows(rows))));
    }
    let items: Vec<Value> = found.items.iter().map(summary).collect();
    Ok(many(&items, found.total, page))
}

/// `GET /v1/calls/active`
pub(super) async fn active(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let filter = CallFilter {
        status: Some(StatusFilter::InProgress),
        ..CallFilter::default()
    };
    let found = app.store.calls(&caller.workspace, &filter, page).await?;
    let items: Vec<Value> = found.items.iter().map(summary).collect();
    Ok(many(&items, found.total, page))
}

/// `GET /v1/calls/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.finish()?;
    let id = path_id(&id, CallId::parse, ErrorKind::CallNotFound, "call")?;
    let found = app.store.call(&caller.workspace, &id).await?;
    let call = found.ok_or_else(|| missing(ErrorKind::CallNotFound, "call"))?;
    Ok(axum::Json(one(detail(&call))).into_response())
}

/// `GET /v1/calls/{id}/transfers/{transfer}`
pub(super) async fn transfer(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path((id, transfer)): Path<(String, String)>,
    params: Params,
) -> Result<Response, ApiError> {
    params.finish()?;
    let id = path_id(&id, CallId::parse, ErrorKind::CallNotFound, "call")?;
    let found = app.store.call(&caller.workspace, &id).await?;
    let call = found.ok_or_else(|| missing(ErrorKind::CallNotFound, "call"))?;
    let wanted = path_id(
        &transfer,
        TransferId::parse,
        ErrorKind::NotFound,
        "transfer",
    )?;
    let found = call.transfers.iter().find(|one| one.id == wanted);
    let transfer = found.ok_or_else(|| missing(ErrorKind::NotFound, "transfer"))?;
    Ok(axum::Json(one(transfer)).into_response())
}

fn read_filter(params: &mut Params) -> Result<CallFilter, ApiError> {
    let status = params.parse("status", |text| {
        if text == IN_PROGRESS {
            return Ok(StatusFilter::InProgress);
        }
        CallStatus::named(text)
            .map(StatusFilter::Ended)
            .ok_or("has to be completed, voicemail, no_answer, busy, failed or in_progress")
    })?;
    let since = params.parse("since_hours", |text| {
        text.parse::<f64>()
            .ok()
            .filter(|hours| *hours > 0.0 && *hours <= MOST_HOURS)
            .ok_or("has to be a number of hours above 0, at most 87600")
    })?;
    let (from, to) = params.time_range()?;
    let direction = params.parse("direction", |text| {
        Direction::named(text).ok_or("has to be inbound, outbound or web")
    })?;
    let agent = params.parse("agent_id", AgentId::parse)?;
    let trunk = params.parse("trunk_id", TrunkId::parse)?;
    let number = params.parse("number", |text| {
        // A plus sign in a query is a space unless it was escaped.
        normal(text.trim()).ok_or("has to be a telephone number, such as +27821234567")
    })?;
    let since = since.map(|hours| {
        let millis = (hours * 3_600_000.0) as u64;
        clock::now()
            .checked_sub(std::time::Duration::from_millis(millis))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    });
    Ok(CallFilter {
        status,
        from: from.max(since),
        to,
        direction,
        agent,
        trunk,
        number,
    })
}

/// The fields of the list.
fn summary(call: &CallRecord) -> Value {
    json!({
        "id": call.id,
        "agent_id": call.agent,
        "contact_id": null,
        "direction": call.direction,
        "call_status": call.status_name(),
        "outcome": call.outcome,
        "duration_seconds": duration(call),
        "sentiment": null,
        "cost": null,
        "start_timestamp": clock::rfc3339(call.started_at),
        "end_timestamp": call.ended_at.map(clock::rfc3339),
        "from": call.from,
        "to": call.to,
        "trunk_id": call.trunk,
    })
}

/// The fields of one call.
fn detail(detail: &CallDetail) -> Value {
    let call = &detail.call;
    let more = json!({
        "agent_name": call.agent_name,
        "answer_timestamp": call.answered_at.map(clock::rfc3339),
        "transcript": detail.transcript,
        "summary": null,
        "campaign_id": null,
        "tools": detail.tools,
        "transfers": detail.transfers,
        "sip": call.sip,
        "media": call.media,
        "voice": call.voice,
        "message": call.message,
        "node": call.node,
    });
    with(summary(call), more)
}

/// A live call has lasted until now.
fn duration(call: &CallRecord) -> u64 {
    match (call.status, call.answered_at) {
        (None, Some(answered)) => clock::seconds_between(answered, clock::now()),
        _ => call.duration_seconds(),
    }
}

fn header() -> Vec<Cow<'static, str>> {
    [
        "id",
        "agent_id",
        "contact_id",
        "direction",
        "call_status",
        "outcome",
        "duration_seconds",
        "sentiment",
        "cost",
        "start_timestamp",
        "end_timestamp",
        "from",
        "to",
        "trunk_id",
    ]
    .map(Cow::Borrowed)
    .to_vec()
}

fn row(call: &CallRecord) -> Vec<Cow<'_, str>> {
    vec![
        call.id.as_str().into(),
        call.agent.as_ref().map_or("", |id| id.as_str()).into(),
        "".into(),
        call.direction.name().into(),
        call.status_name().into(),
        call.outcome.map_or("", CallOutcome::name).into(),
        duration(call).to_string().into(),
        "".into(),
        "".into(),
        clock::rfc3339(call.started_at).into(),
        call.ended_at.map(clock::rfc3339).unwrap_or_default().into(),
        call.from.as_str().into(),
        call.to.as_str().into(),
        call.trunk.as_ref().map_or("", |id| id.as_str()).into(),
    ]
}

/// Reads the calls piece by piece while the client takes them, however many there are.
fn stream_csv(store: Arc<dyn Store>, workspace: WorkspaceId, filter: CallFilter) -> Body {
    struct Progress {
        before: Option<CallId>,
        begun: bool,
        over: bool,
    }
    let progress = Progress {
        before: None,
        begun: false,
        over: false,
    };
    Body::from_stream(stream::try_unfold(progress, move |mut progress| {
        let (store, workspace, filter) = (store.clone(), workspace.clone(), filter.clone());
        async move {
            if progress.over {
                return Ok(None);
            }
            let before = progress.before.as_ref();
            let calls = store
                .calls_before(&workspace, &filter, before, PIECE)
                .await?;
            progress.over = calls.len() < PIECE as usize;
            progress.before = calls.last().map(|call| call.id.clone());
            let first = (!progress.begun).then(header);
            progress.begun = true;
            let text = csv_text::rows(first.into_iter().chain(calls.iter().map(row)));
            Ok::<_, crate::store::StoreError>(Some((Bytes::from(text), progress)))
        }
    }))
}

const MOST_HOURS: f64 = 87_600.0;
/// Calls in one piece of CSV.
const PIECE: u32 = 500;

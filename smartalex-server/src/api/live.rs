//! Live control: `POST /v1/calls/{id}/transfer`, `/hangup`, `/dtmf`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::auth::{Caller, Controller};
use super::creation::Creation;
use super::error::{ApiError, ErrorKind};
use super::params::{missing, path_id};
use super::{fields, one};
use crate::app::App;
use crate::audit::AuditEntry;
use crate::control::Control;
use crate::ids::CallId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferRequest {
    target: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigitsRequest {
    digits: String,
}

/// A body that asks for nothing: none, or `{}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /v1/calls/{id}/transfer`: 202 with the transfer.
pub(super) async fn transfer(
    State(app): State<Arc<App>>,
    Controller(caller): Controller,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let begun = Creation::begin(&app, &caller, (&method, &uri), &headers, &body).await?;
    let creation = match begun {
        Ok(creation) => creation,
        Err(answer) => return Ok(answer),
    };
    let request: TransferRequest = fields::read(&headers, &body)?;
    let target = fields::text(&request.target, 100)
        .map_err(|error| ErrorKind::Invalid.because(format!("target: {error}")))?;
    let (call, control) = live_call(&app, &caller, &id).await?;
    let transfer = control.transfer(&call, &target).await?;
    let answer = one(&transfer);
    let audit = audit(&caller, "call.transfer_requested", &call, target);
    let change = creation.change(&app, audit, StatusCode::ACCEPTED, &answer)?;
    let noted = app.store.note(&change).await;
    creation
        .finish(&app, &caller, noted, (StatusCode::ACCEPTED, answer))
        .await
}

/// `POST /v1/calls/{id}/hangup`: 202.
pub(super) async fn hang_up(
    State(app): State<Arc<App>>,
    Controller(caller): Controller,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let begun = Creation::begin(&app, &caller, (&method, &uri), &headers, &body).await?;
    let creation = match begun {
        Ok(creation) => creation,
        Err(answer) => return Ok(answer),
    };
    if !body.is_empty() {
        let _: Nothing = fields::read(&headers, &body)?;
    }
    let (call, control) = live_call(&app, &caller, &id).await?;
    control.hang_up(&call).await?;
    let answer = one(json!({ "id": call }));
    let audit = audit(&caller, "call.hangup_requested", &call, String::new());
    let change = creation.change(&app, audit, StatusCode::ACCEPTED, &answer)?;
    let noted = app.store.note(&change).await;
    creation
        .finish(&app, &caller, noted, (StatusCode::ACCEPTED, answer))
        .await
}

/// `POST /v1/calls/{id}/dtmf`: 202.
pub(super) async fn send_digits(
    State(app): State<Arc<App>>,
    Controller(caller): Controller,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let begun = Creation::begin(&app, &caller, (&method, &uri), &headers, &body).await?;
    let creation = match begun {
        Ok(creation) => creation,
        Err(answer) => return Ok(answer),
    };
    let request: DigitsRequest = fields::read(&headers, &body)?;
    let digits = request.digits;
    let fits = (1..=MOST_DIGITS).contains(&digits.len())
        && digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D'));
    if !fits {
        return Err(ErrorKind::Invalid.because(format!(
            "digits: has to be 1 to {MOST_DIGITS} of 0-9, *, # and A-D"
        )));
    }
    let (call, control) = live_call(&app, &caller, &id).await?;
    control.send_digits(&call, &digits).await?;
    let answer = one(json!({ "id": call, "digits": digits }));
    // What was keyed may be a code: the log says only how much.
    let detail = format!("{} digits", digits.len());
    let audit = audit(&caller, "call.dtmf_requested", &call, detail);
    let change = creation.change(&app, audit, StatusCode::ACCEPTED, &answer)?;
    let noted = app.store.note(&change).await;
    creation
        .finish(&app, &caller, noted, (StatusCode::ACCEPTED, answer))
        .await
}

/// A call of the caller's workspace that lives, and the way to it.
async fn live_call(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<(CallId, Arc<dyn Control>), ApiError> {
    let id = path_id(id, CallId::parse, ErrorKind::CallNotFound, "call")?;
    let found = app.store.call(&caller.workspace, &id).await?;
    let detail = found.ok_or_else(|| missing(ErrorKind::CallNotFound, "call"))?;
    if detail.call.status.is_some() {
        return Err(ErrorKind::Conflict.because("the call is over"));
    }
    let control = app
        .control()
        .ok_or_else(|| ErrorKind::Server.because("the SIP side has not started"))?;
    Ok((id, control))
}

fn audit(caller: &Caller, event_type: &str, call: &CallId, detail: String) -> AuditEntry {
    AuditEntry::new(
        &caller.workspace,
        caller.key.as_str(),
        event_type,
        call.as_str(),
        detail,
    )
}

const MOST_DIGITS: usize = 64;

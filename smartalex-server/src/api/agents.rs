//! `/v1/agents`: who speaks to callers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Admin, Caller, Reader};
use super::creation::Creation;
use super::error::{ApiError, ErrorKind};
use super::fields::{self, Problems};
use super::params::{Params, missing, path_id};
use super::{many, one, piece, with};
use crate::agents::{Agent, LONGEST_CALL, Runtime};
use crate::app::App;
use crate::audit::AuditEntry;
use crate::clock;
use crate::ids::AgentId;
use crate::store::Change;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentRequest {
    name: String,
    runtime: Option<Runtime>,
    first_message: Option<String>,
    system_prompt: Option<String>,
    max_duration_seconds: Option<i64>,
    silence_timeout_seconds: Option<i64>,
    closing_message: Option<String>,
    /// Calls are not recorded by this server: only `false` says what is so.
    recording: Option<bool>,
}

/// `GET /v1/agents`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let agents = app.store.agents(Some(&caller.workspace)).await?;
    let found = piece(agents, page);
    let items: Vec<Value> = found.items.iter().map(view).collect();
    Ok(many(&items, found.total, page))
}

/// `GET /v1/agents/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.finish()?;
    let agent = find(&app, &caller, &id).await?;
    Ok(axum::Json(one(view(&agent))).into_response())
}

/// `POST /v1/agents`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
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
    let request: AgentRequest = fields::read(&headers, &body)?;
    let agent = check(request, None, &caller)?;
    let answer = one(view(&agent));
    let audit = audit(&caller, "agent.created", &agent);
    let change = creation.change(&app, audit, StatusCode::CREATED, &answer)?;
    let added = app.store.add_agent(&agent, &change).await;
    let response = creation
        .finish(&app, &caller, added, (StatusCode::CREATED, answer))
        .await?;
    app.reload_directory().await?;
    Ok(response)
}

/// `PATCH /v1/agents/{id}`: a merge patch (RFC 7396).
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let agent = find(&app, &caller, &id).await?;
    let patch: Value = fields::read(&headers, &body)?;
    let request = fields::merged(as_request(&agent), patch)?;
    let agent = check(request, Some(agent), &caller)?;
    let change = Change::new(audit(&caller, "agent.updated", &agent));
    app.store.update_agent(&agent, &change).await?;
    app.reload_directory().await?;
    Ok(axum::Json(one(view(&agent))).into_response())
}

/// `DELETE /v1/agents/{id}`: trunks that had it have none then.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let agent = find(&app, &caller, &id).await?;
    let change = Change::new(audit(&caller, "agent.deleted", &agent));
    app.store
        .delete_agent(&caller.workspace, &agent.id, &change)
        .await?;
    app.reload_directory().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<Agent, ApiError> {
    let id = path_id(id, AgentId::parse, ErrorKind::NotFound, "agent")?;
    let agents = app.store.agents(Some(&caller.workspace)).await?;
    let found = agents.into_iter().find(|agent| agent.id == id);
    found.ok_or_else(|| missing(ErrorKind::NotFound, "agent"))
}

fn check(request: AgentRequest, before: Option<Agent>, caller: &Caller) -> Result<Agent, ApiError> {
    let mut problems = Problems::default();
    let name = problems.keep("name", fields::text(&request.name, 100));
    let runtime = request.runtime.unwrap_or(Runtime::Embedded);
    if let Runtime::MediaStreams(streams) = &runtime {
        let url: Option<Uri> = streams.url.parse().ok();
        let fits = url.is_some_and(|url| {
            matches!(url.scheme_str(), Some("ws" | "wss"))
                && url.host().is_some_and(|host| !host.is_empty())
        });
        if !fits || streams.url.len() > 2_000 {
            problems.note(
                "runtime.media_streams.url",
                "has to be a ws:// or wss:// address",
            );
        }
    }
    let mut say = |field: &str, value: &Option<String>, most| {
        problems.keep(field, fields::prose(value.as_deref(), most))
    };
    let first_message = say("first_message", &request.first_message, 2_000);
    let system_prompt = say("system_prompt", &request.system_prompt, 50_000);
    let closing_message = say("closing_message", &request.closing_message, 2_000);
    let max_duration = request.max_duration_seconds.unwrap_or(300);
    let silence = request.silence_timeout_seconds.unwrap_or(30);
    let max_duration_seconds = problems.keep(
        "max_duration_seconds",
        fields::number(max_duration, 1, LONGEST_CALL),
    );
    let silence_timeout_seconds =
        problems.keep("silence_timeout_seconds", fields::number(silence, 1, 3_600));
    if request.recording == Some(true) {
        problems.note("recording", "this server does not record calls");
    }
    if runtime == Runtime::Embedded && first_message.is_none() && system_prompt.is_none() {
        problems.note(
            "first_message",
            "with neither first_message nor system_prompt the agent would have nothing to say",
        );
    }
    problems.finish()?;
    let (id, created_at) = match before {
        Some(agent) => (agent.id, agent.created_at),
        None => (AgentId::fresh(), clock::now()),
    };
    Ok(Agent {
        id,
        workspace: caller.workspace.clone(),
        name,
        runtime,
        first_message,
        system_prompt,
        max_duration_seconds,
        silence_timeout_seconds,
        closing_message,
        created_at,
    })
}

fn as_request(agent: &Agent) -> Value {
    json!({
        "name": agent.name,
        "runtime": agent.runtime,
        "first_message": agent.first_message,
        "system_prompt": agent.system_prompt,
        "max_duration_seconds": agent.max_duration_seconds,
        "silence_timeout_seconds": agent.silence_timeout_seconds,
        "closing_message": agent.closing_message,
    })
}

fn view(agent: &Agent) -> Value {
    with(json!(agent), json!({ "recording": false }))
}

fn audit(caller: &Caller, event_type: &str, agent: &Agent) -> AuditEntry {
    AuditEntry::new(
        &caller.workspace,
        caller.key.as_str(),
        event_type,
        agent.id.as_str(),
        agent.name.clone(),
    )
}

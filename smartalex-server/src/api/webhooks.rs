//! `/v1/webhooks`: endpoints, what was delivered to them, and what was given up.

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
use crate::app::App;
use crate::audit::AuditEntry;
use crate::clock;
use crate::ids::{AgentId, DeliveryId, WebhookId};
use crate::secrets;
use crate::store::Change;
use crate::webhooks::client::{self, SendError};
use crate::webhooks::worker::secret_cell;
use crate::webhooks::{DeliveryState, EventKind, Webhook};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookRequest {
    url: String,
    event_types: Vec<String>,
    description: Option<String>,
    agent_id: Option<String>,
}

/// `GET /v1/webhooks`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let found = piece(app.store.webhooks(&caller.workspace).await?, page);
    let items: Vec<Value> = found.items.iter().map(view).collect();
    Ok(many(&items, found.total, page))
}

/// `GET /v1/webhooks/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.finish()?;
    let webhook = find(&app, &caller, &id).await?;
    Ok(axum::Json(one(view(&webhook))).into_response())
}

/// `POST /v1/webhooks`: 201 with the signing secret, which is shown this once.
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
    let request: WebhookRequest = fields::read(&headers, &body)?;
    let mut webhook = check(&app, &caller, request).await?;
    let secret = secrets::fresh_signing_secret();
    webhook.secret = app.vault.seal_text(secret_cell(&webhook.id), &secret)?;
    let shown_once = json!({ "signing_secret": secret.expose() });
    let answer = one(with(view(&webhook), shown_once));
    let audit = audit(&caller, "webhook.created", &webhook);
    let change = creation.change(&app, audit, StatusCode::CREATED, &answer)?;
    let added = app.store.add_webhook(&webhook, &change).await;
    creation
        .finish(&app, &caller, added, (StatusCode::CREATED, answer))
        .await
}

/// `DELETE /v1/webhooks/{id}`: its deliveries go with it.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let webhook = find(&app, &caller, &id).await?;
    let change = Change::new(audit(&caller, "webhook.deleted", &webhook));
    app.store
        .delete_webhook(&caller.workspace, &webhook.id, &change)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v1/webhooks/{id}/deliveries`
pub(super) async fn deliveries(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, ApiError> {
    let state = params.parse("state", |text| {
        DeliveryState::named(text).ok_or("has to be pending, delivered or dead_letter")
    })?;
    let page = params.page()?;
    params.finish()?;
    let webhook = find(&app, &caller, &id).await?;
    let found = app
        .store
        .deliveries(&caller.workspace, Some(&webhook.id), state, page)
        .await?;
    Ok(many(&found.items, found.total, page))
}

/// `GET /v1/webhooks/dead-letters`
pub(super) async fn dead_letters(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let state = Some(DeliveryState::DeadLetter);
    let found = app
        .store
        .deliveries(&caller.workspace, None, state, page)
        .await?;
    Ok(many(&found.items, found.total, page))
}

/// `POST /v1/webhooks/dead-letters/{id}/replay`: 202 with the delivery, pending again.
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, DeliveryId::parse, ErrorKind::NotFound, "dead letter")?;
    let audit = AuditEntry::new(
        &caller.workspace,
        caller.key.as_str(),
        "webhook.replayed",
        id.as_str(),
        "",
    );
    let replayed = app
        .store
        .replay(&caller.workspace, &id, clock::now(), &Change::new(audit))
        .await?;
    let delivery = replayed.ok_or_else(|| missing(ErrorKind::NotFound, "dead letter"))?;
    app.outbox.notify_one();
    Ok((StatusCode::ACCEPTED, axum::Json(one(delivery))).into_response())
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<Webhook, ApiError> {
    let id = path_id(id, WebhookId::parse, ErrorKind::NotFound, "webhook")?;
    let webhooks = app.store.webhooks(&caller.workspace).await?;
    let found = webhooks.into_iter().find(|webhook| webhook.id == id);
    found.ok_or_else(|| missing(ErrorKind::NotFound, "webhook"))
}

/// A webhook of the request, its secret still to be made.
async fn check(app: &App, caller: &Caller, request: WebhookRequest) -> Result<Webhook, ApiError> {
    let mut problems = Problems::default();
    let url = problems.keep("url", fields::text(&request.url, 2_000));
    if let Err(message) = check_url(&url, app.config.webhooks.allow_private_addresses).await {
        problems.note("url", message);
    }
    let mut events = Vec::new();
    for name in &request.event_types {
        match EventKind::named(name) {
            Some(kind) if !events.contains(&kind) => events.push(kind),
            Some(_) => problems.note("event_types", format!("{name:?} is there twice")),
            None => problems.note(
                "event_types",
                format!(
                    "{name:?} is no event; there are {}",
                    EventKind::ALL.map(EventKind::name).join(", ")
                ),
            ),
        }
    }
    if request.event_types.is_empty() {
        problems.note("event_types", "must not be empty");
    }
    let description = problems.keep(
        "description",
        fields::prose(request.description.as_deref(), 500),
    );
    let agent = match request.agent_id.as_deref().map(AgentId::parse) {
        None => None,
        Some(Ok(id)) => {
            let agents = app.store.agents(Some(&caller.workspace)).await?;
            if !agents.iter().any(|agent| agent.id == id) {
                problems.note("agent_id", "there is no such agent");
            }
            Some(id)
        }
        Some(Err(error)) => {
            problems.note("agent_id", error.to_string());
            None
        }
    };
    problems.finish()?;
    Ok(Webhook {
        id: WebhookId::fresh(),
        workspace: caller.workspace.clone(),
        url,
        events,
        description,
        agent,
        secret: Vec::new(),
        disabled: None,
        created_at: clock::now(),
    })
}

/// What leads into a private network now is refused now; a name that does not resolve may do so
/// later, and every delivery looks again.
async fn check_url(url: &str, allow_private: bool) -> Result<(), String> {
    let uri = client::check_url(url).map_err(|error| error.to_string())?;
    let looked_up = tokio::time::timeout(LOOK_UP, client::resolve(&uri, allow_private)).await;
    match looked_up {
        Ok(Err(error @ SendError::Private { .. })) => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn view(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id,
        "url": webhook.url,
        "event_types": webhook.events,
        "description": webhook.description,
        "agent_id": webhook.agent,
        "status": if webhook.disabled.is_some() { "disabled" } else { "active" },
        "disabled_reason": webhook.disabled,
        "created_at": clock::rfc3339(webhook.created_at),
    })
}

fn audit(caller: &Caller, event_type: &str, webhook: &Webhook) -> AuditEntry {
    // The path of a URL is where people put tokens; the host says enough.
    let host = webhook.url.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    AuditEntry::new(
        &caller.workspace,
        caller.key.as_str(),
        event_type,
        webhook.id.as_str(),
        host,
    )
}

const LOOK_UP: std::time::Duration = std::time::Duration::from_secs(3);

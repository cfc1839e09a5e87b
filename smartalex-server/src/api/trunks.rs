//! `/v1/trunks`: the lines between PBXes and this server.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::auth::{Admin, Caller, Reader};
use super::creation::Creation;
use super::error::{ApiError, ErrorKind};
use super::fields::{self, Problems};
use super::params::{Params, missing, path_id};
use super::trunk_fields::{
    check_codecs, check_dids, check_domain, check_forwarding, check_networks, check_password,
    check_username,
};
use super::trunk_view::{as_request, view};
use super::{many, one, piece};
use crate::app::App;
use crate::audit::AuditEntry;
use crate::clock;
use crate::directory::password_cell;
use crate::ids::{AgentId, TrunkId};
use crate::secrets::{self, Secret};
use crate::store::Change;
use crate::trunks::{
    DEFAULT_CONCURRENT_CALLS, MOST_CONCURRENT_CALLS, TransferMode, Trunk, TrunkAuth, TrunkTransport,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrunkRequest {
    name: String,
    pbx_type: Option<String>,
    pbx_sip_domain: String,
    auth: Option<String>,
    #[serde(default)]
    allowed_ips: Vec<String>,
    username: Option<String>,
    password: Option<String>,
    codecs: Option<Vec<String>>,
    transport: Option<String>,
    /// Media are not encrypted by this server: only `off` says what is so.
    srtp: Option<String>,
    max_concurrent_calls: Option<i64>,
    #[serde(default)]
    dids: Vec<String>,
    agent_id: Option<String>,
    transfer: Option<String>,
    call_forwarding_number: Option<String>,
    /// Noise is not suppressed by this server: only `false` says what is so.
    noise_suppression: Option<bool>,
}

/// `GET /v1/trunks`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let found = piece(app.store.trunks(Some(&caller.workspace)).await?, page);
    let items: Vec<Value> = found
        .items
        .iter()
        .map(|trunk| view(&app, trunk, None))
        .collect();
    Ok(many(&items, found.total, page))
}

/// `GET /v1/trunks/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.finish()?;
    let trunk = find(&app, &caller, &id).await?;
    Ok(axum::Json(one(view(&app, &trunk, None))).into_response())
}

/// `POST /v1/trunks`: 201 with what to enter at the PBX; the password is shown this once.
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
    let request: TrunkRequest = fields::read(&headers, &body)?;
    let (trunk, password) = check(&app, &caller, request, None).await?;
    let answer = one(view(&app, &trunk, password.as_ref()));
    let audit = audit(&caller, "trunk.created", &trunk);
    let change = creation.change(&app, audit, StatusCode::CREATED, &answer)?;
    let added = app.store.add_trunk(&trunk, &change).await;
    let response = creation
        .finish(&app, &caller, added, (StatusCode::CREATED, answer))
        .await?;
    app.reload_directory().await?;
    Ok(response)
}

/// `PATCH /v1/trunks/{id}`: a merge patch (RFC 7396).
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let before = find(&app, &caller, &id).await?;
    let patch: Value = fields::read(&headers, &body)?;
    let request = fields::merged(as_request(&before), patch)?;
    let (trunk, password) = check(&app, &caller, request, Some(&before)).await?;
    save(&app, &caller, &trunk, "trunk.updated").await?;
    Ok(axum::Json(one(view(&app, &trunk, password.as_ref()))).into_response())
}

/// `DELETE /v1/trunks/{id}`: its extensions go with it, its calls stay.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let trunk = find(&app, &caller, &id).await?;
    let change = Change::new(audit(&caller, "trunk.deleted", &trunk));
    app.store
        .delete_trunk(&caller.workspace, &trunk.id, &change)
        .await?;
    if let Some(control) = app.control() {
        control.credentials_withdrawn(&trunk.id);
    }
    app.reload_directory().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/trunks/{id}/suspend`: calls are answered 403 from now on.
pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let mut trunk = find(&app, &caller, &id).await?;
    trunk.suspended = true;
    save(&app, &caller, &trunk, "trunk.suspended").await?;
    Ok(axum::Json(one(view(&app, &trunk, None))).into_response())
}

/// `POST /v1/trunks/{id}/reactivate`
pub(super) async fn reactivate(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let mut trunk = find(&app, &caller, &id).await?;
    trunk.suspended = false;
    save(&app, &caller, &trunk, "trunk.reactivated").await?;
    Ok(axum::Json(one(view(&app, &trunk, None))).into_response())
}

/// `POST /v1/trunks/{id}/rotate-credentials`: a new password, shown this once.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let mut trunk = find(&app, &caller, &id).await?;
    if trunk.auth == TrunkAuth::Ip {
        return Err(ErrorKind::Conflict
            .because("the trunk authenticates by address alone: it has no credentials"));
    }
    let password = secrets::fresh_password();
    trunk.password = Some(app.vault.seal_text(password_cell(&trunk.id), &password)?);
    save(&app, &caller, &trunk, "trunk.credentials_rotated").await?;
    if let Some(control) = app.control() {
        control.credentials_withdrawn(&trunk.id);
    }
    Ok(axum::Json(one(view(&app, &trunk, Some(&password)))).into_response())
}

pub(super) async fn find(app: &App, caller: &Caller, id: &str) -> Result<Trunk, ApiError> {
    let id = path_id(id, TrunkId::parse, ErrorKind::NotFound, "trunk")?;
    let found = app.store.trunk(&caller.workspace, &id).await?;
    found.ok_or_else(|| missing(ErrorKind::NotFound, "trunk"))
}

async fn save(app: &App, caller: &Caller, trunk: &Trunk, event_type: &str) -> Result<(), ApiError> {
    let change = Change::new(audit(caller, event_type, trunk));
    app.store.update_trunk(trunk, &change).await?;
    Ok(app.reload_directory().await?)
}

/// A trunk of the request; with its password, if that is new.
async fn check(
    app: &App,
    caller: &Caller,
    request: TrunkRequest,
    before: Option<&Trunk>,
) -> Result<(Trunk, Option<Secret>), ApiError> {
    let mut problems = Problems::default();
    let auth_known = ["digest", "ip", "both"];
    let auth = fields::named(
        request.auth.as_deref(),
        TrunkAuth::Digest,
        TrunkAuth::named,
        &auth_known,
    )
    .unwrap_or_else(|message| {
        problems.note("auth", message);
        TrunkAuth::Digest
    });
    let transport = fields::named(
        request.transport.as_deref(),
        TrunkTransport::Udp,
        TrunkTransport::named,
        &["udp", "tcp"],
    )
    .unwrap_or_else(|message| {
        problems.note("transport", message);
        TrunkTransport::Udp
    });
    let transfer = fields::named(
        request.transfer.as_deref(),
        TransferMode::Refer,
        TransferMode::named,
        &["refer"],
    )
    .unwrap_or_else(|message| {
        problems.note("transfer", message);
        TransferMode::Refer
    });
    problems.keep("srtp", fields::only(request.srtp.as_deref(), &["off"]));
    if request.noise_suppression == Some(true) {
        problems.note("noise_suppression", "this server does not suppress noise");
    }
    let calls = request
        .max_concurrent_calls
        .unwrap_or(i64::from(DEFAULT_CONCURRENT_CALLS));
    let calls = fields::number(calls, 1, MOST_CONCURRENT_CALLS);
    let id = before.map_or_else(TrunkId::fresh, |trunk| trunk.id.clone());
    let trunk = Trunk {
        workspace: caller.workspace.clone(),
        name: problems.keep("name", fields::text(&request.name, 100)),
        pbx_type: problems.keep(
            "pbx_type",
            fields::text(request.pbx_type.as_deref().unwrap_or("other"), 40),
        ),
        pbx_sip_domain: problems.keep("pbx_sip_domain", check_domain(&request.pbx_sip_domain)),
        auth,
        allowed_ips: problems.keep("allowed_ips", check_networks(&request.allowed_ips)),
        username: None,
        password: None,
        codecs: problems.keep("codecs", check_codecs(request.codecs.as_deref())),
        transport,
        max_concurrent_calls: problems.keep("max_concurrent_calls", calls),
        dids: problems.keep("dids", check_dids(&request.dids)),
        agent: None,
        transfer,
        call_forwarding_number: problems.keep(
            "call_forwarding_number",
            check_forwarding(request.call_forwarding_number.as_deref()),
        ),
        suspended: before.is_some_and(|trunk| trunk.suspended),
        created_at: before.map_or_else(clock::now, |trunk| trunk.created_at),
        id,
    };
    if auth != TrunkAuth::Digest && trunk.allowed_ips.is_empty() {
        problems.note(
            "allowed_ips",
            format!("auth {:?} needs at least one", auth.name()),
        );
    }
    let trunk = Trunk {
        agent: check_agent(app, caller, request.agent_id.as_deref(), &mut problems).await?,
        ..trunk
    };
    if before.is_some() && request.password.is_some() {
        problems.note(
            "password",
            "is changed by POST /v1/trunks/{id}/rotate-credentials",
        );
    }
    let username = check_username(request.username.as_deref());
    let username = problems.keep("username", username);
    let password = problems.keep("password", check_password(request.password.as_deref()));
    problems.finish()?;
    with_credentials(app, trunk, before, username, password)
}

/// Gives the trunk what `auth` needs: a user and a password, made here unless they were given.
fn with_credentials(
    app: &App,
    mut trunk: Trunk,
    before: Option<&Trunk>,
    username: Option<String>,
    password: Option<Secret>,
) -> Result<(Trunk, Option<Secret>), ApiError> {
    if trunk.auth == TrunkAuth::Ip {
        return Ok((trunk, None));
    }
    trunk.username = Some(username.unwrap_or_else(|| format!("sa{}", secrets::readable(10))));
    if let Some(kept) = before.and_then(|trunk| trunk.password.clone()) {
        trunk.password = Some(kept);
        return Ok((trunk, None));
    }
    let password = password.unwrap_or_else(secrets::fresh_password);
    trunk.password = Some(app.vault.seal_text(password_cell(&trunk.id), &password)?);
    Ok((trunk, Some(password)))
}

async fn check_agent(
    app: &App,
    caller: &Caller,
    id: Option<&str>,
    problems: &mut Problems,
) -> Result<Option<AgentId>, ApiError> {
    let Some(id) = id else {
        return Ok(None);
    };
    let agents = app.store.agents(Some(&caller.workspace)).await?;
    let found = agents.into_iter().find(|agent| agent.id.as_str() == id);
    if found.is_none() {
        problems.note("agent_id", "there is no such agent");
    }
    Ok(found.map(|agent| agent.id))
}

fn audit(caller: &Caller, event_type: &str, trunk: &Trunk) -> AuditEntry {
    AuditEntry::new(
        &caller.workspace,
        caller.key.as_str(),
        event_type,
        trunk.id.as_str(),
        trunk.name.clone(),
    )
}

//! The demonstration scene by scene: server, workspace, PBX, call, and what is left of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtp_media::net::MediaConfig;
use serde_json::{Value, json};
use sip_core::auth::Credentials;
use voice_bridge::Phone;
use voice_bridge::phone::Builder;

use super::api::Api;
use super::hooks::Hooks;
use super::pbx::{Pbx, Trunk};
use super::process::{LOOPBACK, Process, free_range};
use super::stage::Stage;
use super::steps::Step;
use super::story::Story;
use super::wire::Wire;
use super::{DID, api, people, proof};
use crate::secrets::Secret;

/// What is needed once the call is over.
pub(super) struct Scene {
    hooks: Hooks,
    /// The webhook's signing secret.
    signing: Secret,
    key: Secret,
    http: SocketAddr,
    pbx: SocketAddr,
}

/// What was made over the API.
struct Workspace {
    agent: String,
    trunk: String,
    user: String,
    password: Secret,
    signing: Secret,
}

/// Plays everything once.
pub(super) async fn perform(story: &Story, stage: &mut Stage) -> Result<Scene, String> {
    story.text("SmartAlex demo: one telephone call, from the caller's key to the signed webhook.");
    story.text("Everything runs on this machine; times are seconds since the start.");

    story.heading("1. The server starts");
    let (sip, http) = start_server(story, stage).await?;
    let api = Api::at(http);
    let server = stage.server.as_ref().ok_or("there is no server")?;
    let key = server.api_key().await?;
    let api = api.with_key(key.clone());

    story.heading("2. A workspace is made over the HTTP API");
    let mut hooks = Hooks::listen().await?;
    let extensions = phone().await?;
    let extensions_at = address(&extensions)?;
    let wire = Arc::new(Wire::new(story.clone(), sip));
    let pbx_phone = builder()?.observer(wire.clone()).start().await;
    let pbx_phone = pbx_phone.map_err(|error| format!("the PBX does not start: {error}"))?;
    let pbx_at = address(&pbx_phone)?;
    let workspace = workspace(story, &api, pbx_at, &hooks.url()).await?;

    story.heading("3. The customer's PBX registers on its trunk");
    let trunk = Trunk {
        server: sip,
        user: workspace.user.clone(),
        credentials: Credentials::new(&*workspace.user, workspace.password.expose()),
    };
    let pbx = Pbx::new(pbx_phone.line(), trunk, extensions_at, story.clone())?;
    let exchange = pbx.clone();
    stage.enter(pbx_phone, move |phone| Box::pin(exchange.serve(phone)));
    let told = story.clone();
    stage.enter(extensions, move |phone| {
        Box::pin(people::extensions(told, phone))
    });
    stage.registered = Some(pbx.register().await?);
    registered(story, &api, &workspace.trunk).await?;

    story.heading("4. The call, the key, the transfer");
    let caller = phone().await?;
    let line = caller.line();
    let call = async {
        tokio::join!(
            tokio::time::timeout(CALL, people::caller(story, &line, pbx_at)),
            live(story, &api, &workspace.trunk),
        )
    };
    let server = stage.server.as_mut().ok_or("there is no server")?;
    let (called, id) = tokio::select! {
        called = call => called,
        status = server.ended() => return Err(format!("the server ended in mid-call: {status}")),
    };
    match called {
        Ok(Ok(())) => {}
        Ok(Err(error)) => story.trouble(error),
        Err(_) => story.trouble(format!("the call was not over after {} s", CALL.as_secs())),
    }
    caller.shut_down().await;
    story.until(Step::Media, Duration::from_secs(3)).await;

    let signing = workspace.signing;
    let subject = proof::Subject {
        id,
        sip_call_id: wire.call_id(),
        agent: workspace.agent,
        trunk: workspace.trunk,
    };
    story.heading("5. The record of the call");
    let id = proof::record(story, &api, &subject).await?;
    story.heading("6. The metrics of the call");
    proof::metrics(story, &api, &subject).await;
    story.heading("7. The webhooks of the call");
    proof::webhooks(story, &mut hooks, &signing, &id).await;
    Ok(Scene {
        hooks,
        signing,
        key,
        http,
        pbx: pbx_at,
    })
}

/// After the play: whatever calls bring is told, until the server ends.
pub(super) async fn linger(story: &Story, stage: &mut Stage, mut scene: Scene) {
    let Some(server) = &mut stage.server else {
        return;
    };
    loop {
        tokio::select! {
            delivery = scene.hooks.next() => match delivery {
                Some(delivery) => drop(delivery.tell(story, &scene.signing)),
                None => return,
            },
            status = server.ended() => {
                story.trouble(format!("the server has ended: {status}"));
                return;
            }
        }
    }
}

impl Scene {
    /// Where everything is, for programs.
    pub(super) fn addresses(&self) -> Value {
        json!({
            "api": format!("http://{}/v1", self.http),
            "api_key": self.key.expose(),
            "metrics": format!("http://{}/metrics", self.http),
            "health": format!("http://{}/healthz", self.http),
            "pbx": format!("sip:{}", self.pbx),
            "dial": format!("sip:{DID}@{}", self.pbx),
        })
    }

    /// Where everything is, for people.
    pub(super) fn invitation(&self) -> String {
        let (http, pbx, key) = (self.http, self.pbx, self.key.expose());
        format!(
            "API      http://{http}/v1\n\
             API key  {key}\n\
             Metrics  http://{http}/metrics\n\
             Health   http://{http}/healthz and http://{http}/readyz\n\
             PBX      {pbx}, UDP; calls from this machine need no account\n\
             Dial     sip:{DID}@{pbx} with any softphone on this machine, then press\n         \
             1 for Sales (answers), 2 for Support (busy), 3 for Accounts (no answer),\n         \
             4 for Board (declines), 0 to leave a message\n\
             \n\
             curl -s -H 'Authorization: Bearer {key}' http://{http}/v1/calls\n\
             \n\
             What your calls bring is shown below."
        )
    }
}

/// Starts the server and waits until it takes calls.
async fn start_server(
    story: &Story,
    stage: &mut Stage,
) -> Result<(SocketAddr, SocketAddr), String> {
    for attempt in 1.. {
        let server = stage.server.insert(Process::start()?);
        let (sip, http) = (server.sip, server.http);
        let Err(error) = server.ready(&Api::at(http)).await else {
            story.remark(&format!("SIP {sip}, UDP and TCP · API http://{http}"));
            story.saw(Step::ServerReady, "GET /readyz 200");
            return Ok((sip, http));
        };
        // Somebody else may have taken a port between our look and the server's start.
        let taken = server.log_tail().iter().any(|line| line.contains("in use"));
        if !taken || attempt >= ATTEMPTS {
            return Err(error);
        }
        if let Some(server) = stage.server.take() {
            server.end().await;
        }
    }
    Err("the server did not start".to_owned())
}

/// Makes agent, webhook, trunk and extensions.
async fn workspace(
    story: &Story,
    api: &Api,
    pbx: SocketAddr,
    hook: &str,
) -> Result<Workspace, String> {
    let agent = json!({
        "name": "Receptionist", "runtime": "embedded",
        "first_message": "Welcome. Thank you for calling.",
        "system_prompt": "You are the receptionist of an office.",
    });
    let agent = api.create("/v1/agents", &agent).await?;
    let agent = text(&agent, "/id")?;
    story.remark(&format!("agent      {agent}, the embedded receptionist"));
    let webhook = json!({
        "url": hook,
        "event_types": [
            "call.started", "call.answered", "call.transferred", "call.ended", "call.failed"
        ],
    });
    let webhook = api.create("/v1/webhooks", &webhook).await?;
    story.remark(&format!("webhook    {} to {hook}", text(&webhook, "/id")?));
    let trunk = json!({
        "name": "Head office", "pbx_type": "other", "pbx_sip_domain": pbx.to_string(),
        "auth": "digest", "dids": [DID], "agent_id": agent, "transfer": "refer",
    });
    let trunk = api.create("/v1/trunks", &trunk).await?;
    let id = text(&trunk, "/id")?;
    story.remark(&format!("trunk      {id} with {DID}, PBX at {pbx}, digest"));
    for (number, name, owner, does) in [
        ("101", "Sales", Some("Sarah Jones"), "answers"),
        ("102", "Support", None, "is busy"),
        ("103", "Accounts", None, "does not answer"),
        ("104", "Board", None, "declines"),
    ] {
        let whose = owner.map(|owner| format!(", {owner}")).unwrap_or_default();
        let extension = json!({"extension": number, "display_name": name, "owner": owner});
        let path = format!("/v1/trunks/{id}/extensions");
        api.create(&path, &extension).await?;
        story.remark(&format!("extension  {number} {name}{whose}: {does}"));
    }
    let made = Workspace {
        user: text(&trunk, "/connection/auth_username")?,
        password: Secret::new(text(&trunk, "/connection/auth_password")?),
        signing: Secret::new(text(&webhook, "/signing_secret")?),
        trunk: id,
        agent,
    };
    story.saw(Step::Workspace, "");
    Ok(made)
}

/// Waits until the API shows the trunk as registered.
async fn registered(story: &Story, api: &Api, trunk: &str) -> Result<(), String> {
    let path = format!("/v1/trunks/{trunk}");
    for _ in 0..100 {
        let trunk = api.get(&path).await?;
        if trunk.get("registered").and_then(Value::as_bool) == Some(true) {
            story.saw(Step::Registered, "GET /v1/trunks/{id} says so");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the API does not show the trunk as registered".to_owned())
}

/// The id of the call, from the list of live calls.
async fn live(story: &Story, http: &Api, trunk: &str) -> Option<String> {
    if !story
        .until(Step::Acknowledged, Duration::from_secs(15))
        .await
    {
        return None;
    }
    for _ in 0..50 {
        match http.get("/v1/calls/active").await {
            Ok(calls) => {
                let mine = calls.as_array().into_iter().flatten();
                if let Some(call) = mine
                    .into_iter()
                    .find(|call| api::text(call, "/trunk_id") == trunk)
                {
                    let id = api::text(call, "/id").to_owned();
                    story.saw(Step::Live, &format!("GET /v1/calls/active: {id}"));
                    return Some(id);
                }
            }
            Err(error) => {
                story.trouble(error);
                return None;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

/// A text that an answer must have.
fn text(answer: &Value, pointer: &str) -> Result<String, String> {
    match api::text(answer, pointer) {
        "" => Err(format!("the answer has no {pointer}")),
        text => Ok(text.to_owned()),
    }
}

async fn phone() -> Result<Phone, String> {
    let started = builder()?.start().await;
    started.map_err(|error| format!("a telephone does not start: {error}"))
}

fn builder() -> Result<Builder, String> {
    Ok(Phone::builder()
        .udp(SocketAddr::new(LOOPBACK, 0))
        .media(MediaConfig::new(LOOPBACK, free_range(200)?)))
}

fn address(phone: &Phone) -> Result<SocketAddr, String> {
    let first = phone.local().first().map(|(_, address)| *address);
    first.ok_or_else(|| "a telephone does not listen".to_owned())
}

/// How often the server is started when a port is taken.
const ATTEMPTS: u32 = 3;
/// How long the call may take.
const CALL: Duration = Duration::from_secs(35);

//! What the tests stand on: a server on loopback with a directory of its own, an HTTP client,
//! and a receiver of webhooks that answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use smartalex_server::app::App;
use smartalex_server::calls::record::Direction;
use smartalex_server::calls::{CallEntry, NewCall};
use smartalex_server::clock;
use smartalex_server::config::Config;
use smartalex_server::ids::{AgentId, TrunkId, WorkspaceId};
use smartalex_server::secrets::readable;
use smartalex_server::serve::Server;
use smartalex_server::start;
use smartalex_server::tenants::Role;

/// A directory that goes with the test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("smartalex-server-{}", readable(12)));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A configuration with all its files in here and free ports, which retries at once.
    pub(crate) fn config(&self) -> Config {
        let text = format!(
            r#"
            [sip]
            udp = "127.0.0.1:0"
            tcp = "127.0.0.1:0"
            domain = "sip.example.com"
            [rtp]
            port_range = "20000-29999"
            [http]
            listen = "127.0.0.1:0"
            [store]
            url = "sqlite://{dir}/test.db"
            [secrets]
            key_file = "{dir}/master.key"
            [limits]
            drain_timeout = "5s"
            [webhooks]
            allow_private_addresses = true
            retry_delays = ["50ms", "50ms", "50ms"]
            timeout = "2s"
            "#,
            dir = self.0.display()
        );
        Config::read("test", &text, []).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server and a key to it.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) key: String,
    http: Client<HttpConnector, Full<Bytes>>,
    _directory: Option<Directory>,
}

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text()))
    }

    pub(crate) fn data(&self) -> Value {
        let mut json = self.json();
        assert!(self.status < 300, "{}: {json}", self.status);
        json["data"].take()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Checks the shape of an error; gives its message.
    pub(crate) fn error(&self, status: u16, code: &str) -> String {
        let json = self.json();
        assert_eq!(self.status, status, "{json}");
        assert_eq!(json["error"]["code"], code, "{json}");
        assert_eq!(json["error"]["status"], status, "{json}");
        json["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        let directory = Directory::new();
        let mut running = Self::with(directory.config()).await;
        running._directory = Some(directory);
        running
    }

    pub(crate) async fn with(config: Config) -> Self {
        let mut server = Server::start(config).await.unwrap();
        let key = match server.take_first_start() {
            Some(first) => first.api_key.expose().to_owned(),
            None => Self::make_key(server.app(), Role::Admin).await,
        };
        Self {
            server,
            key,
            http: Client::builder(TokioExecutor::new()).build_http(),
            _directory: None,
        }
    }

    pub(crate) async fn make_key(app: &App, role: Role) -> String {
        let made = start::create_api_key(&*app.store, &app.home, role, "test").await;
        made.unwrap().1.expose().to_owned()
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        self.server.app()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server.http()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.http.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn with_key(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        self.send(method, path, &headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.with_key("GET", path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.with_key("DELETE", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.with_key("POST", path, &json, body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.with_key("PATCH", path, &json, body.to_string()).await
    }

    /// An agent and a trunk with number +27872500100 that it answers.
    pub(crate) async fn office(&self) -> (AgentId, TrunkId) {
        let agent = json!({"name": "Sarah", "runtime": "embedded", "first_message": "Hello"});
        let agent = self.post("/v1/agents", agent).await.data();
        let trunk = json!({
            "name": "Office", "pbx_type": "Asterisk", "pbx_sip_domain": "pbx.example.com",
            "dids": ["+27 87 250 0100"], "agent_id": agent["id"],
        });
        let trunk = self.post("/v1/trunks", trunk).await.data();
        let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
        (
            AgentId::parse(&id(&agent)).unwrap(),
            TrunkId::parse(&id(&trunk)).unwrap(),
        )
    }

    /// A webhook for all events; gives its id and signing secret.
    pub(crate) async fn hook(&self, url: &str, events: &[&str]) -> (String, String) {
        let made = self.post("/v1/webhooks", json!({"url": url, "event_types": events}));
        let data = made.await.data();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        (text("id"), text("signing_secret"))
    }

    pub(crate) async fn open_call(&self, office: Option<&(AgentId, TrunkId)>) -> CallEntry {
        let call = new_call(&self.app().home, office);
        self.app().ledger.open(call).await.unwrap()
    }
}

pub(crate) fn new_call(workspace: &WorkspaceId, office: Option<&(AgentId, TrunkId)>) -> NewCall {
    NewCall {
        workspace: workspace.clone(),
        trunk: office.map(|(_, trunk)| trunk.clone()),
        agent: office.map(|(agent, _)| agent.clone()),
        agent_name: office.map(|_| "Sarah".to_owned()),
        direction: Direction::Inbound,
        from: "+27821234567".to_owned(),
        to: "+27872500100".to_owned(),
        sip_call_id: "abc@pbx".to_owned(),
        sip_from: "<sip:+27821234567@pbx.example.com>;tag=1".to_owned(),
        sip_to: "<sip:+27872500100@sip.example.com>".to_owned(),
        started_at: clock::now(),
    }
}

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn event(&self) -> String {
        self.json()["event"].as_str().unwrap().to_owned()
    }
}

/// An HTTP server that webhooks are sent to.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<ReceiverState>>,
}

#[derive(Default)]
struct ReceiverState {
    received: Vec<Received>,
    /// What to answer next; 200 when there is nothing.
    answers: VecDeque<(u16, Vec<(&'static str, &'static str)>)>,
    delay: Duration,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(ReceiverState::default()));
        let router = axum::Router::new()
            .fallback(receive)
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers the next requests with these statuses, and those after them with 200.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        let answers = statuses.iter().map(|status| (*status, Vec::new()));
        self.state.lock().unwrap().answers.extend(answers);
    }

    pub(crate) fn answer_with(&self, status: u16, headers: &[(&'static str, &'static str)]) {
        let answer = (status, headers.to_vec());
        self.state.lock().unwrap().answers.push_back(answer);
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// Waits until `count` requests are there.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} webhooks"), || {
            self.received().len() >= count
        })
        .await;
        self.received()
    }
}

async fn receive(
    State(state): State<Arc<Mutex<ReceiverState>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let (delay, (status, more)) = {
        let mut state = state.lock().unwrap();
        state.received.push(Received {
            at: Instant::now(),
            headers,
            body,
        });
        (
            state.delay,
            state.answers.pop_front().unwrap_or((200, vec![])),
        )
    };
    tokio::time::sleep(delay).await;
    let mut headers = HeaderMap::new();
    for (name, value) in more {
        headers.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers)
}

/// Waits until `holds`, at most some seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(15);

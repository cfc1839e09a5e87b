//! The server's HTTP API as a customer uses it: JSON in, JSON out, a key.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::secrets::Secret;

/// A client of one server.
#[derive(Clone)]
pub(super) struct Api {
    http: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    key: Option<Secret>,
}

impl Api {
    /// The API at this address, without a key yet.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            address,
            key: None,
        }
    }

    /// The same with a key.
    pub(super) fn with_key(&self, key: Secret) -> Self {
        Self {
            key: Some(key),
            ..self.clone()
        }
    }

    /// Whether `/readyz` says that calls are taken.
    pub(super) async fn is_ready(&self) -> bool {
        matches!(self.send(Method::GET, "/readyz", None).await, Ok((200, _)))
    }

    /// The body of a page, as text.
    pub(super) async fn text(&self, path: &str) -> Result<String, String> {
        match self.send(Method::GET, path, None).await? {
            (200, text) => Ok(text),
            (status, text) => Err(format!("GET {path}: {status} {}", shown(&text))),
        }
    }

    /// The `data` of an answer.
    pub(super) async fn get(&self, path: &str) -> Result<Value, String> {
        let text = self.text(path).await?;
        data(path, &text)
    }

    /// Creates something; the `data` of the answer.
    pub(super) async fn create(&self, path: &str, body: &Value) -> Result<Value, String> {
        match self.send(Method::POST, path, Some(body)).await? {
            (201, text) => data(path, &text),
            (status, text) => Err(format!("POST {path}: {status} {}", shown(&text))),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{path}: {error}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        let exchange = async {
            let response = self
                .http
                .request(request)
                .await
                .map_err(|error| failed(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), LONGEST_BODY)
                .collect()
                .await
                .map_err(|error| failed(&error))?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok((status, text))
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{path}: no answer within {PATIENCE:?}")),
        }
    }
}

/// The text at a JSON pointer (RFC 6901); empty when there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

fn data(path: &str, text: &str) -> Result<Value, String> {
    let mut answer: Value =
        serde_json::from_str(text).map_err(|error| format!("{path}: no JSON: {error}"))?;
    match answer.get_mut("data") {
        Some(data) => Ok(data.take()),
        None => Err(format!("{path}: no data in {}", shown(text))),
    }
}

/// The beginning of an answer, for an error.
fn shown(text: &str) -> String {
    text.chars().take(300).collect()
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST_BODY: usize = 1 << 20;

//! The customer's webhook endpoint: takes deliveries and checks both signatures with code of its
//! own, written from the contract and not from the server's.

use std::net::SocketAddr;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::api::text;
use super::process::LOOPBACK;
use super::story::Story;
use crate::secrets::Secret;

/// A listening endpoint.
pub(super) struct Hooks {
    address: SocketAddr,
    deliveries: mpsc::Receiver<Delivery>,
    server: JoinHandle<()>,
}

/// One delivery as it came in.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    at: SystemTime,
    headers: HeaderMap,
    body: Bytes,
}

/// A delivery whose signatures are right.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    /// The event's name, as in `call.started`.
    pub(super) event: String,
    /// The event's id.
    pub(super) id: String,
    /// What it tells.
    pub(super) data: Value,
}

impl Hooks {
    /// Listens on a free loopback port.
    pub(super) async fn listen() -> Result<Self, String> {
        let listener = tokio::net::TcpListener::bind((LOOPBACK, 0))
            .await
            .map_err(|error| format!("no webhook endpoint: {error}"))?;
        let address = listener
            .local_addr()
            .map_err(|error| format!("no webhook endpoint: {error}"))?;
        let (sender, deliveries) = mpsc::channel::<Delivery>(WAITING);
        let take = |State(sender): State<mpsc::Sender<Delivery>>,
                    headers: HeaderMap,
                    body: Bytes| async move {
            // Full: the server is to try again later.
            match sender.try_send(Delivery {
                at: SystemTime::now(),
                headers,
                body,
            }) {
                Ok(()) => StatusCode::NO_CONTENT,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        let app = Router::new().route("/hook", post(take)).with_state(sender);
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            deliveries,
            server,
        })
    }

    /// Where to send.
    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next delivery. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Delivery {
    /// Checks both signatures and that headers and body tell the same event.
    pub(super) fn verify(&self, secret: &Secret) -> Result<Verified, String> {
        let id = self.header("webhook-id")?;
        let time = self.header("webhook-timestamp")?;
        let given = self
            .header("webhook-signature")?
            .strip_prefix("v1,")
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or("webhook-signature is not v1,BASE64")?;
        mac(secret, &[id, ".", time, "."], &self.body)?
            .verify_slice(&given)
            .map_err(|_| "webhook-signature is wrong")?;
        let (time, hex) = self
            .header("x-smartalex-signature")?
            .strip_prefix("t=")
            .and_then(|text| text.split_once(",v1="))
            .ok_or("X-SmartAlex-Signature is not t=SECONDS,v1=HEX")?;
        let given = unhex(hex).ok_or("X-SmartAlex-Signature holds no hexadecimal digest")?;
        mac(secret, &[time, "."], &self.body)?
            .verify_slice(&given)
            .map_err(|_| "X-SmartAlex-Signature is wrong")?;
        let mut event: Value =
            serde_json::from_slice(&self.body).map_err(|error| format!("no JSON: {error}"))?;
        let name = self.header("x-smartalex-event")?;
        if text(&event, "/id") != id
            || text(&event, "/idempotency_key") != id
            || text(&event, "/event") != name
        {
            return Err("headers and body name different events".to_owned());
        }
        self.header("x-smartalex-delivery")?;
        Ok(Verified {
            event: name.to_owned(),
            id: id.to_owned(),
            data: event.get_mut("data").map(Value::take).unwrap_or_default(),
        })
    }

    /// Checks it and tells what came of it.
    pub(super) fn tell(&self, story: &Story, secret: &Secret) -> Option<Verified> {
        let at = story.since(self.at);
        let name = self.header("x-smartalex-event").unwrap_or("without a name");
        match self.verify(secret) {
            Ok(verified) => {
                let line = format!(
                    "{:16}  {}  webhook-signature verified, X-SmartAlex-Signature verified",
                    verified.event, verified.id
                );
                let fields = json!({
                    "event": verified.event, "id": verified.id, "ok": true,
                    "webhook_signature": "verified", "x_smartalex_signature": "verified",
                    "data": verified.data,
                });
                story.tell("webhook", at, &line, fields);
                Some(verified)
            }
            Err(error) => {
                let fields = json!({"event": name, "ok": false, "error": error});
                story.tell("webhook", at, &format!("{name}: {error}"), fields);
                story.trouble(format!("webhook {name}: {error}"));
                None
            }
        }
    }

    fn header(&self, name: &str) -> Result<&str, String> {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("there is no header {name}"))
    }
}

fn mac(secret: &Secret, head: &[&str], body: &[u8]) -> Result<Hmac<Sha256>, String> {
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    for part in head {
        mac.update(part.as_bytes());
    }
    mac.update(body);
    Ok(mac)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Deliveries that may wait to be looked at.
const WAITING: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::sign::sign;

    fn delivery(secret: &Secret) -> Delivery {
        let body = br#"{"id":"evt_1","idempotency_key":"evt_1","event":"call.ended","data":{}}"#;
        let signed = sign(secret, "evt_1", 1_776_854_062, body);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", "1776854062"),
            ("webhook-signature", &signed.standard),
            ("x-smartalex-signature", &signed.own),
            ("x-smartalex-event", "call.ended"),
            ("x-smartalex-delivery", "dlv_1"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Delivery {
            at: SystemTime::now(),
            headers,
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn what_the_server_signs_is_verified() {
        let secret = Secret::new("k".repeat(64));
        let verified = delivery(&secret).verify(&secret).unwrap();
        assert_eq!((&*verified.event, &*verified.id), ("call.ended", "evt_1"));
    }

    #[test]
    fn each_forgery_is_found() {
        let secret = Secret::new("k".repeat(64));
        let good = delivery(&secret);
        let mut body = good.clone();
        body.body = Bytes::from_static(b"{}");
        assert!(body.verify(&secret).is_err());
        for name in ["webhook-id", "webhook-timestamp", "x-smartalex-event"] {
            let mut forged = good.clone();
            forged.headers.insert(name, "1".parse().unwrap());
            assert!(forged.verify(&secret).is_err(), "{name}");
        }
        for name in ["webhook-signature", "x-smartalex-signature"] {
            let mut forged = good.clone();
            let other = delivery(&Secret::new("other"));
            forged
                .headers
                .insert(name, other.headers.get(name).unwrap().clone());
            assert!(forged.verify(&secret).is_err(), "{name}");
        }
        assert!(good.verify(&Secret::new("other")).is_err());
    }
}

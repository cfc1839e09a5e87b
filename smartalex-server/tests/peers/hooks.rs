//! A webhook endpoint: takes what the server delivers and checks the signatures
//! with the code that a customer would write from the docs.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// One delivery as it came in.
#[derive(Clone)]
pub struct Delivery {
    pub headers: HeaderMap,
    pub body: String,
}

impl Delivery {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name}"))
            .to_str()
            .unwrap()
    }

    /// Both signatures, as the docs tell a customer to check them.
    pub fn verify(&self, secret: &str) {
        let mac = |text: String| {
            Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .unwrap()
                .chain_update(text)
                .finalize()
                .into_bytes()
        };
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let standard = format!(
            "v1,{}",
            STANDARD.encode(mac(format!("{id}.{time}.{}", self.body)))
        );
        assert_eq!(self.header("webhook-signature"), standard);
        let own = self.header("x-smartalex-signature");
        let (time, hex) = own.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let expected: String = mac(format!("{time}.{}", self.body))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected);
        assert_eq!(self.event()["id"], id);
        assert_eq!(self.event()["idempotency_key"], id);
        assert_eq!(self.event()["event"], self.header("x-smartalex-event"));
        assert!(!self.header("x-smartalex-delivery").is_empty());
    }
}

/// A listening endpoint on loopback.
pub struct Hooks {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Delivery>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Hooks {
    pub fn listen() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let take = |State(seen): State<Arc<Mutex<Vec<Delivery>>>>,
                    headers: HeaderMap,
                    body: String| async move {
            seen.lock().unwrap().push(Delivery { headers, body });
            "ok"
        };
        let app = Router::new()
            .route("/", post(take))
            .with_state(seen.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let addr = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            addr,
            seen,
            _runtime: runtime,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.seen.lock().unwrap().clone()
    }

    /// The names of the events of one call, in the order in which they came.
    pub fn events_of(&self, call: &str) -> Vec<String> {
        self.deliveries()
            .iter()
            .map(Delivery::event)
            .filter(|event| event["data"]["id"] == call)
            .map(|event| event["event"].as_str().unwrap().to_owned())
            .collect()
    }
}

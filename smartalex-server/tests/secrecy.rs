//! Secrets do not get out: not into the log, not into the store, not into `Debug`.
//! A process of its own, because its log is that of the whole process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that does not find what it looks for has failed"
)]

#[allow(dead_code, reason = "each test binary uses its part")]
#[path = "server/harness.rs"]
mod harness;

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use smartalex_server::calls::record::EndedBy;
use smartalex_server::calls::{CallClosing, CallResult};
use smartalex_server::clock;

use crate::harness::{Directory, Receiver, Running};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_in_the_log_or_in_the_files() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let directory = Directory::new();
    let mut config = directory.config();
    let master_key = "ab".repeat(32);
    config.secrets.master_key = Some(smartalex_server::secrets::Secret::new(master_key.clone()));
    let receiver = Receiver::start().await;
    let server = Running::with(config).await;
    let (_, trunk) = server.office().await;
    let path = format!("/v1/trunks/{trunk}/rotate-credentials");
    let rotated = server.post(&path, json!({})).await.data();
    let password = rotated["connection"]["auth_password"]
        .as_str()
        .unwrap()
        .to_owned();
    let with_key = json!({"name": "Second", "pbx_sip_domain": "pbx.example.com"}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    let second = server
        .with_key("POST", "/v1/trunks", &headers, with_key)
        .await
        .data();
    let kept = second["connection"]["auth_password"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, signing) = server
        .hook(&receiver.url(), &["call.started", "call.ended"])
        .await;
    receiver.answer(&[500]);
    let call = server.open_call(None).await;
    call.close(CallClosing {
        at: clock::now(),
        result: CallResult::Completed,
        final_code: Some(200),
        reason: None,
        ended_by: EndedBy::Caller,
        media: None,
    })
    .await
    .unwrap();
    receiver.wait_for(3).await;
    server.get("/v1/nothing").await;
    let debug = format!("{:?} {:?}", server.app(), server.app().directory.snapshot());
    let key = server.key.clone();
    server.server.shutdown().await;

    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        text.contains("serving") && text.contains("was not delivered"),
        "{text}"
    );
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        files.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(files.len() > 10_000);
    let holds = |secret: &str| {
        let secret = secret.as_bytes();
        files.windows(secret.len()).any(|window| window == secret)
    };
    assert!(holds("pbx.example.com"), "what is no secret is found");
    for (name, secret) in [
        ("API key", &key),
        ("trunk password", &password),
        ("password in a kept answer", &kept),
        ("signing secret", &signing),
        ("master key", &master_key),
    ] {
        assert!(!text.contains(secret.as_str()), "{name} is in the log");
        assert!(!debug.contains(secret.as_str()), "{name} is in Debug");
        assert!(!holds(secret), "{name} is in the store");
    }
}

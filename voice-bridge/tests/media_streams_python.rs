//! The media streams agent against Python's `websockets`: another implementation of both the
//! WebSocket and the reading of the protocol page.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and says when it skips"
)]

mod line;

use std::process::{Command, Stdio};
use std::time::Duration;

use line::{Line, call, level};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use voice_bridge::agent::{
    Agent, CallEnd, Frame, Heard, MediaStreamsConfig, TransferFailure, TransferId, TransferNews,
    TransferStep, media_streams,
};
use voice_bridge::transcript::Speaker;

/// A Python that has the package.
fn python() -> Option<String> {
    let named = std::env::var("SMARTALEX_PYTHON").ok();
    let known = ["python3", "/usr/bin/python3"].map(str::to_owned);
    named.into_iter().chain(known).find(|python| {
        Command::new(python)
            .args(["-c", "import websockets"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

#[tokio::test]
async fn an_agent_in_python_speaks_listens_transfers_and_hangs_up() {
    let Some(python) = python() else {
        let why = "no python3 with the package websockets (apt: python3-websockets)";
        assert!(std::env::var_os("SMARTALEX_NO_SKIP").is_none(), "{why}");
        eprintln!("SKIPPED an_agent_in_python_speaks_listens_transfers_and_hangs_up: {why}");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/agent.py");
    let mut child = tokio::process::Command::new(python)
        .arg(script)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let port: u16 = output.next_line().await.unwrap().unwrap().parse().unwrap();

    let call = call(&[("101", "Sales")]);
    let mut config = MediaStreamsConfig::new(format!("ws://127.0.0.1:{port}/"));
    config.connect_timeout = Duration::from_secs(10);
    let mut agent: Box<dyn Agent> = media_streams(config);
    agent.prepare(&call).await.unwrap();
    let line = Line::with(agent, call);

    let happened = line
        .until("a second of tone", |h| h.played.len() >= 8000)
        .await;
    assert_eq!(happened.played.len(), 8000);
    assert!(level(&happened.played) > 1000.0);
    for _ in 0..25 {
        line.tell(Heard::Audio(Frame::new(vec![8000; 160], 8000)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The mark is played by now; the key comes after it.
    tokio::time::sleep(Duration::from_millis(800)).await;
    line.keys("1");
    line.until("a transfer", |h| h.transfers == ["Sales"]).await;
    line.tell(Heard::Transfer(TransferNews {
        id: TransferId::new("transfer to Sales"),
        step: TransferStep::Failed {
            failure: TransferFailure::Busy,
            code: Some(486),
            reason: "Busy Here".to_owned(),
        },
    }));
    let happened = line.until("hang-up", |h| h.hung_up.is_some()).await;
    assert_eq!(
        happened.transcript,
        [(Speaker::Agent, "Sales is busy.".to_owned())]
    );
    assert_eq!(happened.hung_up.as_deref(), Some("nobody there"));
    line.end(CallEnd::HungUp).await.unwrap();

    let saw = tokio::time::timeout(Duration::from_secs(10), output.next_line()).await;
    let saw: Value = serde_json::from_str(&saw.unwrap().unwrap().unwrap()).unwrap();
    assert_eq!(saw["start"]["callSid"], "call_01TEST");
    assert_eq!(saw["start"]["extensions"][0]["extension"], "101");
    assert_eq!(saw["mark"], "hello said");
    assert_eq!(saw["digit"], "1");
    assert_eq!(saw["transfer"], json!(["started", "failed"]));
    assert_eq!(saw["cause"], "busy");
    assert_eq!(saw["reason"], "hung_up");
    assert_eq!(saw["close_code"], 1000);
    assert_eq!(saw["heard"], 25 * 160);
    assert_eq!(saw["loud"], saw["heard"], "it heard what the caller said");
    assert!(child.wait().await.unwrap().success());
}

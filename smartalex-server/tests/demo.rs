//! `demo --once`: the whole product on loopback, in words for people and in JSON for programs.
//! The essential lines have to come in their order, and nothing may be left behind.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a panic is how one fails"
)]

use std::{path::Path, process::Command};

use serde_json::Value;

/// What `demo` printed with these arguments and a folder for temporary files of its own, which
/// has to be empty afterwards.
fn demo(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_smartalex-server"))
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", &folder)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    std::fs::remove_dir(&folder).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

/// Fails unless each part is found after the one before it.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else {
            panic!("{part:?} is missing, or comes too early, in\n{text}");
        };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn one_call_is_shown_from_the_server_s_start_to_the_signed_webhooks() {
    let (code, text) = demo("text", &["--once"], &[]);
    assert_eq!(code, Some(0), "{text}");
    in_order(
        &text,
        &[
            "the server is ready",
            "are created over the API",
            "PBX → server  REGISTER",
            "PBX ← server  SIP/2.0 401",
            "PBX → server  REGISTER",
            "PBX ← server  SIP/2.0 200",
            "the PBX is registered",
            "PBX → server  INVITE sip:+27872500100@",
            "P-Asserted-Identity: <sip:+27821234567@",
            "PBX ← server  SIP/2.0 401",
            "PBX → server  ACK",
            "PBX → server  INVITE",
            "PBX ← server  SIP/2.0 200 OK",
            "PBX → server  ACK",
            "the caller hears the agent speak",
            "the caller presses 1",
            "PBX ← server  REFER",
            "Refer-To: <sip:101@",
            "P-Asserted-Identity: <sip:+27821234567@",
            "PBX → server  SIP/2.0 202",
            "sipfrag: SIP/2.0 100",
            "sipfrag: SIP/2.0 180",
            "sipfrag: SIP/2.0 200",
            "PBX ← server  BYE",
            "PBX → server  SIP/2.0 200 OK",
            "the caller hangs up",
            "RTP went both ways",
            "GET /v1/calls/call_",
            "\"outcome\": \"transferred\"",
            "the record says completed and transferred",
            "the call is in GET /v1/calls",
            "smartalex_calls_total{agent=\"agent_",
            "call.started ",
            "call.answered ",
            "call.transferred ",
            "call.ended ",
            "steps were observed",
        ],
    );
    assert!(text.contains("RTP of caller: PCMU"), "{text}");
    // Nobody's secrets are on the screen.
    assert!(!text.contains("sak_"), "{text}");
    assert!(!text.contains("response="), "{text}");
}

#[test]
fn programs_get_one_json_object_a_line() {
    let (code, text) = demo("json", &["--once", "--json"], &[]);
    assert_eq!(code, Some(0), "{text}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let of = |kind: &str| {
        lines
            .iter()
            .filter(|l| l["type"] == kind)
            .collect::<Vec<_>>()
    };
    let start_lines: Vec<&str> = of("sip")
        .iter()
        .filter_map(|line| line["start_line"].as_str())
        .collect();
    in_order(
        &start_lines.join("\n"),
        &[
            "REGISTER", "INVITE", "401", "INVITE", "200 OK", "ACK", "REFER", "202", "NOTIFY",
            "NOTIFY", "NOTIFY", "BYE",
        ],
    );
    let frags: Vec<&str> = of("sip")
        .iter()
        .filter_map(|line| line["sipfrag"].as_str())
        .collect();
    assert_eq!(
        frags,
        [
            "SIP/2.0 100 Trying",
            "SIP/2.0 180 Ringing",
            "SIP/2.0 200 OK"
        ]
    );
    let digests = of("sip");
    let digests = digests.iter().filter_map(|line| line["message"].as_str());
    let shown: Vec<&str> = digests
        .filter_map(|message| message.split_once("response=\"")?.1.split('"').next())
        .collect();
    assert!(!shown.is_empty(), "the PBX sends credentials");
    for digest in shown {
        assert!(digest.bytes().all(|byte| byte == b'*'), "{digest}");
    }
    let heard = of("rtp");
    let caller = heard.iter().find(|line| line["party"] == "caller").unwrap();
    assert!(caller["voice_of_the_agent_seconds"].as_f64() >= Some(1.5));
    assert!(caller["packets_in"].as_u64() > Some(100));
    let records = of("record");
    assert_eq!(records.len(), 1);
    let record = &records[0]["record"];
    assert_eq!(record["transfers"][0]["outcome"], "transferred");
    assert!(!of("metric").is_empty());
    let events: Vec<&str> = of("webhook")
        .iter()
        .filter(|line| line["ok"] == true && line["data"]["id"] == record["id"])
        .filter_map(|line| line["event"].as_str())
        .collect();
    assert_eq!(
        events,
        [
            "call.started",
            "call.answered",
            "call.transferred",
            "call.ended"
        ]
    );
    let result = lines.last().unwrap();
    assert_eq!(result["type"], "result");
    assert_eq!(result["ok"], true);
    assert_eq!(result["missing"].as_array().map(Vec::len), Some(0));
}

/// Whoever interrupts gets an empty folder and no server that goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    use std::{process::Stdio, thread, time::Duration};

    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-stop-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_smartalex-server"))
        .args(["demo", "--json"])
        .env("TMPDIR", &folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let ready = lines.find(|line| line.as_ref().unwrap().contains("/readyz"));
    assert!(
        ready.is_some(),
        "the demo ended before its server was ready"
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    // While the call is on.
    thread::sleep(Duration::from_secs(1));
    let pid = child.id().to_string();
    Command::new("sh")
        .args(["-c", "kill -s INT \"$0\"", &pid])
        .status()
        .unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::fs::remove_dir(&folder).unwrap();
}

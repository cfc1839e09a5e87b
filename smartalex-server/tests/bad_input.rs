//! What a trunk does wrong gets the answer of the contract, a record, and a log line that
//! names the cause.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that does not find what it looks for has failed"
)]

mod peers;

use std::time::Duration;

use peers::{
    eventually,
    server::Server,
    wire::{Caller, field},
};
use serde_json::{Value, json};

const DID: &str = "+27872500100";

fn world(name: &str, more: Value) -> (Server, Caller) {
    let server = Server::start(name);
    let agent = server.agent();
    let trunk = server.trunk("127.0.0.1:5999", DID, &agent, more);
    let connection = &trunk["connection"];
    let caller = Caller::new(
        server.sip,
        connection["auth_username"].as_str().unwrap(),
        connection["auth_password"].as_str().unwrap(),
    );
    (server, caller)
}

/// Waits for the record of a refused call and checks its code; returns its reason.
fn refused(server: &Server, call_id: &str, code: u16) -> String {
    let record = eventually(
        "a record of the refused call",
        Duration::from_secs(50),
        || {
            server
                .calls("status=failed")
                .iter()
                .map(|call| server.call(call["id"].as_str().unwrap()))
                .find(|call| call["sip"]["call_id"] == call_id)
        },
    );
    assert_eq!(record["call_status"], "failed", "{record}");
    assert_eq!(record["sip"]["final_code"], code, "{record}");
    let reason = record["sip"]["reason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty(), "{record}");
    assert!(
        server.log().contains(call_id),
        "no log line of {call_id}: {}",
        server.log()
    );
    reason
}

#[test]
fn a_wrong_password_is_challenged_again_and_leaves_a_record() {
    let (server, mut caller) = world("wrong-password", json!({}));
    caller.password = "not-the-password-at-all!".into();
    let (call_id, invite) = caller.challenged_invite(DID, &Caller::sdp("0"));
    caller.send(&invite);
    let answer = caller.final_response(&call_id, "2 INVITE");
    assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
    assert!(answer.contains("WWW-Authenticate: Digest"), "{answer}");
    caller.ack_failure(&invite, &answer);
    let reason = refused(&server, &call_id, 401);
    assert!(
        reason.contains("password") || reason.contains("credentials"),
        "{reason}"
    );
    assert!(!server.log().contains("not-the-password"));
}

#[test]
fn an_unknown_user_gets_the_same_answer_as_a_wrong_password() {
    let (server, mut caller) = world("unknown-user", json!({}));
    caller.user = "nobody".into();
    let (call_id, invite) = caller.challenged_invite(DID, &Caller::sdp("0"));
    caller.send(&invite);
    let answer = caller.final_response(&call_id, "2 INVITE");
    assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
    caller.ack_failure(&invite, &answer);
    refused(&server, &call_id, 401);
}

#[test]
fn an_unknown_did_is_404() {
    let (server, mut caller) = world("unknown-did", json!({}));
    let (call_id, invite) = caller.challenged_invite("+27870000000", &Caller::sdp("0"));
    caller.send(&invite);
    let answer = caller.final_response(&call_id, "2 INVITE");
    assert!(answer.starts_with("SIP/2.0 404"), "{answer}");
    caller.ack_failure(&invite, &answer);
    let reason = refused(&server, &call_id, 404);
    assert!(
        reason.contains("+27870000000") || reason.contains("DID"),
        "{reason}"
    );
}

#[test]
fn no_common_codec_is_488_with_a_warning() {
    let (server, mut caller) = world("no-codec", json!({}));
    let (call_id, invite) = caller.challenged_invite(DID, &Caller::sdp("18"));
    caller.send(&invite);
    let answer = caller.final_response(&call_id, "2 INVITE");
    assert!(answer.starts_with("SIP/2.0 488"), "{answer}");
    assert!(field(&answer, "Warning").starts_with("305 "), "{answer}");
    caller.ack_failure(&invite, &answer);
    let reason = refused(&server, &call_id, 488);
    assert!(reason.contains("codec"), "{reason}");
}

#[test]
fn a_full_trunk_is_503_with_retry_after() {
    let (server, mut caller) = world("trunk-full", json!({"max_concurrent_calls": 1}));
    let (first_id, first) = caller.challenged_invite(DID, &Caller::sdp("0"));
    caller.send(&first);
    let ok = caller.final_response(&first_id, "2 INVITE");
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
    caller.send(&caller.in_dialog("ACK", 2, &first, &ok));

    let (call_id, invite) = caller.challenged_invite(DID, &Caller::sdp("0"));
    caller.send(&invite);
    let answer = caller.final_response(&call_id, "2 INVITE");
    assert!(answer.starts_with("SIP/2.0 503"), "{answer}");
    assert!(
        field(&answer, "Retry-After").parse::<u32>().is_ok(),
        "{answer}"
    );
    caller.ack_failure(&invite, &answer);
    refused(&server, &call_id, 503);

    caller.send(&caller.in_dialog("BYE", 3, &first, &ok));
    assert!(
        caller
            .final_response(&first_id, "3 BYE")
            .starts_with("SIP/2.0 200")
    );
    eventually("the place is free again", Duration::from_secs(10), || {
        let (id, invite) = caller.challenged_invite(DID, &Caller::sdp("0"));
        caller.send(&invite);
        let answer = caller.final_response(&id, "2 INVITE");
        if answer.starts_with("SIP/2.0 200") {
            caller.send(&caller.in_dialog("ACK", 2, &invite, &answer));
            caller.send(&caller.in_dialog("BYE", 3, &invite, &answer));
            return Some(());
        }
        caller.ack_failure(&invite, &answer);
        None
    });
}

#[test]
fn a_malformed_invite_is_400_and_recorded() {
    let (server, mut caller) = world("malformed", json!({}));
    let call_id = caller.fresh_call_id();
    let invite = caller
        .invite(DID, &call_id, 1, "", &Caller::sdp("0"))
        .replace("CSeq: 1 INVITE", "CSeq: 1 BYE");
    caller.send(&invite);
    let answer = caller.final_response(&call_id, "1 BYE");
    assert!(answer.starts_with("SIP/2.0 400"), "{answer}");
    let reason = refused(&server, &call_id, 400);
    assert!(reason.contains("CSeq"), "{reason}");
}

#[test]
fn a_pbx_that_qualifies_its_trunk_gets_200_to_options() {
    let (server, mut caller) = world("options", json!({}));
    let call_id = caller.fresh_call_id();
    let options = caller
        .invite(DID, &call_id, 1, "", "")
        .replace("INVITE", "OPTIONS")
        .replace("Content-Type: application/sdp\r\n", "");
    caller.send(&options);
    let answer = caller.final_response(&call_id, "1 OPTIONS");
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    assert!(field(&answer, "Allow").contains("REFER"), "{answer}");
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn a_pbx_that_is_gone_holds_neither_the_record_nor_the_place() {
    let (server, mut caller) = world("gone", json!({"max_concurrent_calls": 1}));
    let (call_id, invite) = caller.challenged_invite(DID, &Caller::sdp("0"));
    caller.send(&invite);
    let ok = caller.final_response(&call_id, "2 INVITE");
    caller.send(&caller.in_dialog("ACK", 2, &invite, &ok));
    let id = eventually("the live call", Duration::from_secs(10), || {
        let live = server.get("/v1/calls/active")["data"].clone();
        live[0]["id"].as_str().map(str::to_owned)
    });
    // From here on the caller is deaf: it never answers our BYE.
    let (status, _) = server.post(&format!("/v1/calls/{id}/hangup"), &json!({}));
    assert_eq!(status, 202);
    let record = eventually("the record", Duration::from_secs(8), || {
        let record = server.call(&id);
        (record["call_status"] == "completed").then_some(record)
    });
    assert!(
        record["duration_seconds"].as_u64().unwrap() <= 2,
        "{record}"
    );
    assert_eq!(record["sip"]["ended_by"], "api", "{record}");
    assert_eq!(record["sip"]["final_code"], 200, "{record}");
    assert_eq!(server.metric("smartalex_trunk_active_calls"), 0.0);
}

#[test]
fn bytes_that_are_not_sip_get_no_answer() {
    let (server, caller) = world("garbage", json!({}));
    caller.send("GET / HTTP/1.1\r\n\r\n");
    caller.send("\u{0}\u{1}\u{2}");
    caller.send("INVITE\r\n\r\n");
    assert_eq!(caller.receive(Duration::from_secs(1)), None);
    assert_eq!(server.get_raw("/healthz").0, 200);
}

#[test]
fn an_invite_sent_twice_is_one_call_answered_twice() {
    let (server, mut caller) = world("retransmission", json!({}));
    let (call_id, invite) = caller.challenged_invite(DID, &Caller::sdp("0"));
    caller.send(&invite);
    let first = caller.final_response(&call_id, "2 INVITE");
    assert!(first.starts_with("SIP/2.0 200"), "{first}");
    caller.send(&invite);
    let second = caller.final_response(&call_id, "2 INVITE");
    assert_eq!(first, second, "the same answer, byte for byte");
    caller.send(&caller.in_dialog("ACK", 2, &invite, &first));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(
        server.get("/v1/calls/active")["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    caller.send(&caller.in_dialog("BYE", 3, &invite, &first));
    assert!(
        caller
            .final_response(&call_id, "3 BYE")
            .starts_with("SIP/2.0 200")
    );
    let calls = eventually("the record", Duration::from_secs(10), || {
        let calls = server.calls("status=completed");
        (!calls.is_empty()).then_some(calls)
    });
    assert_eq!(calls.len(), 1, "{calls:?}");
}

#[test]
fn a_bad_config_file_names_each_key_and_line() {
    let dir = peers::Dir::new("bad-config");
    let path = dir.file("bad.toml");
    std::fs::write(
        &path,
        "[sip]\nudp = \"not an address\"\nudpp = \"127.0.0.1:5060\"\n",
    )
    .unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_smartalex-server"))
        .args(["check-config", "--config", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("udpp") && text.contains('3'), "{text}");
    assert!(text.contains("sip.udp") && text.contains('2'), "{text}");
}

#[test]
fn a_taken_port_says_which_and_what_to_do() {
    let server = Server::start("taken-port");
    let other = peers::Dir::new("taken-port-other");
    let config = std::fs::read_to_string(server.dir.file("server.toml"))
        .unwrap()
        .replace(&server.http.to_string(), "127.0.0.1:0")
        .replace(server.dir.0.to_str().unwrap(), other.0.to_str().unwrap());
    let path = other.file("server.toml");
    std::fs::write(&path, config).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_smartalex-server"))
        .args(["serve", "--config", path.to_str().unwrap()])
        .current_dir(&other.0)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&server.sip.to_string()), "{text}");
    assert!(text.contains("[sip]") && text.contains("in use"), "{text}");
}

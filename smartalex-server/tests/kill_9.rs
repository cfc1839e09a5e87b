//! A server that dies in mid-call: after its restart the call is told as failed, with its
//! reason, in the record and by a webhook.

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

use peers::{eventually, hooks::Hooks, server::Server, wire::Caller};
use serde_json::json;

#[test]
fn a_call_cut_by_kill_9_is_recorded_and_delivered_after_the_restart() {
    let hooks = Hooks::listen();
    let mut server = Server::start("kill-9");
    let agent = server.agent();
    let webhook = server.create(
        "/v1/webhooks",
        &json!({"url": hooks.url(), "event_types": ["call.started", "call.answered", "call.ended", "call.failed"]}),
    );
    let secret = webhook["signing_secret"].as_str().unwrap();
    let trunk = server.trunk("127.0.0.1:5999", "+27872500100", &agent, json!({}));
    let connection = &trunk["connection"];
    let mut caller = Caller::new(
        server.sip,
        connection["auth_username"].as_str().unwrap(),
        connection["auth_password"].as_str().unwrap(),
    );
    let (call_id, invite) = caller.challenged_invite("+27872500100", &Caller::sdp("0"));
    caller.send(&invite);
    let ok = caller.final_response(&call_id, "2 INVITE");
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
    caller.send(&caller.in_dialog("ACK", 2, &invite, &ok));
    let id = eventually("the live call", Duration::from_secs(10), || {
        let live = server.get("/v1/calls/active")["data"].clone();
        live[0]["id"].as_str().map(str::to_owned)
    });

    server.kill_9();
    server.run();

    let record = eventually("the call as failed", Duration::from_secs(60), || {
        let record = server.call(&id);
        (record["call_status"] == "failed").then_some(record)
    });
    assert_eq!(record["outcome"], "failed");
    let reason = record["sip"]["reason"].as_str().unwrap();
    assert!(reason.contains("server"), "{reason}");
    assert!(
        server
            .calls("status=failed")
            .iter()
            .any(|call| call["id"] == id.as_str())
    );

    eventually("call.failed delivered", Duration::from_secs(30), || {
        hooks
            .events_of(&id)
            .contains(&"call.failed".to_owned())
            .then_some(())
    });
    let events = hooks.events_of(&id);
    assert_eq!(
        events.first().map(String::as_str),
        Some("call.started"),
        "{events:?}"
    );
    assert_eq!(
        events.last().map(String::as_str),
        Some("call.failed"),
        "{events:?}"
    );
    for delivery in hooks.deliveries() {
        delivery.verify(secret);
    }
}

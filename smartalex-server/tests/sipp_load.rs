//! sipp from Debian as the trunk's PBX: digest, 50 calls a second for 30 seconds,
//! no failed call, nothing of ours sent twice.

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

use peers::{have, server::Server, sipp};
use serde_json::json;

#[test]
fn sipp_places_fifty_calls_a_second_and_none_fails() {
    if !have("sipp", "sipp_places_fifty_calls_a_second_and_none_fails") {
        return;
    }
    let server = Server::start("sipp-load");
    let agent = server.agent();
    let trunk = server.trunk("127.0.0.1:5999", "+27872500100", &agent, json!({}));
    let connection = &trunk["connection"];
    let outcome = sipp::run(
        "uac_digest.xml",
        server.sip,
        "+27872500100",
        connection["auth_username"].as_str().unwrap(),
        connection["auth_password"].as_str().unwrap(),
        &["-r", "50", "-m", "1500", "-l", "400"],
        Duration::from_secs(90),
    );
    println!("{outcome:?}");
    assert_eq!(
        outcome.exit,
        Some(0),
        "{}\n{}",
        outcome.screen,
        server.log()
    );
    assert_eq!(outcome.successful, 1_500);
    assert_eq!(outcome.failed, 0);
    assert_eq!(outcome.unexpected, 0);
    assert_eq!(outcome.received_again, 0, "we sent a message twice");
    assert_eq!(outcome.sent_again, 0, "we were slow to answer");

    peers::eventually("1,500 completed calls", Duration::from_secs(20), || {
        let answer = server.get("/v1/calls?status=completed&per_page=1");
        (answer["meta"]["total"] == 1_500).then_some(())
    });
    assert_eq!(
        server.get("/v1/calls/active")["data"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    assert_eq!(server.metric("smartalex_calls_total"), 1_500.0);
    assert_eq!(server.metric("smartalex_trunk_active_calls"), 0.0);
}

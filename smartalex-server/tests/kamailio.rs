//! kamailio from Debian as a proxy in front: it record-routes, lets credentials pass, and every
//! request of the dialog, our REFER and BYE among them, goes through it.

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
    Dir, Process,
    baresip::{Baresip, seconds_of_sound},
    eventually, free_port, have,
    server::Server,
};
use serde_json::json;

const DID: &str = "+27872500100";

#[test]
fn a_call_and_its_transfer_go_through_a_record_routing_proxy() {
    let name = "a_call_and_its_transfer_go_through_a_record_routing_proxy";
    if !have("kamailio", name) || !have("baresip", name) {
        return;
    }
    let server = Server::start("kamailio");
    let dir = Dir::new("kamailio-proxy");
    let port = free_port();
    let config = include_str!("kamailio/proxy.cfg")
        .replace("@PORT@", &port.to_string())
        .replace("@SERVER@", &server.sip.to_string());
    std::fs::write(dir.file("proxy.cfg"), config).unwrap();
    let program = match std::path::Path::new("/usr/sbin/kamailio").is_file() {
        true => "/usr/sbin/kamailio",
        false => "kamailio",
    };
    let work = dir.0.to_str().unwrap().to_owned();
    let _proxy = Process::start(
        program,
        &[
            "-f",
            "proxy.cfg",
            "-DD",
            "-E",
            "-Y",
            &work,
            "-w",
            &work,
            "-m",
            "32",
            "-M",
            "4",
        ],
        &dir,
    );

    let sales = Baresip::start("kamailio-sales", "<sip:101@{sip}>;regint=0;answermode=auto");
    let agent = server.agent();
    let trunk = server.trunk(&sales.sip.to_string(), DID, &agent, json!({}));
    server.extension(&trunk, "101", "Sales", "Sarah Jones");
    let connection = &trunk["connection"];
    let user = connection["auth_username"].as_str().unwrap();
    let password = connection["auth_password"].as_str().unwrap();
    let caller = Baresip::start(
        "kamailio-caller",
        &format!(
            "<sip:{user}@{}>;auth_user={user};auth_pass={password};regint=0;\
             outbound=\"sip:127.0.0.1:{port}\"",
            server.sip
        ),
    );
    caller.command("dial", &format!("sip:{DID}@{}", server.sip));
    eventually(
        "call established through the proxy",
        Duration::from_secs(20),
        || caller.log().contains("Call established").then_some(()),
    );
    eventually("the agent's voice", Duration::from_secs(20), || {
        (seconds_of_sound(&caller.heard()) > 1.0).then_some(())
    });
    caller.press('1');
    let record = eventually("the record", Duration::from_secs(40), || {
        let call = server.calls("status=completed").first()?["id"]
            .as_str()?
            .to_owned();
        Some(server.call(&call))
    });
    assert_eq!(record["outcome"], "transferred", "{record}");
    let proxied = dir.read("log");
    for method in ["INVITE", "ACK", "REFER", "NOTIFY", "BYE"] {
        assert!(
            proxied.contains(&format!("relayed {method}")),
            "{method} did not pass the proxy: {proxied}"
        );
    }
}

//! baresip from Debian as the customer's phone system: it registers on a digest trunk, calls,
//! hears the agent, presses keys and follows our REFER; its NOTIFYs decide the outcome.

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
    hooks::Hooks,
    server::Server,
};
use serde_json::{Value, json};

const DID: &str = "+27872500100";

/// Registers a baresip on a new trunk whose extensions live at `pbx`, and calls the DID.
fn registered_and_calling(server: &Server, pbx: &str) -> (Baresip, Value) {
    let agent = server.agent();
    let trunk = server.trunk(pbx, DID, &agent, json!({}));
    server.extension(&trunk, "101", "Sales", "Sarah Jones");
    let connection = &trunk["connection"];
    let user = connection["auth_username"].as_str().unwrap();
    let password = connection["auth_password"].as_str().unwrap();
    let caller = Baresip::start(
        "baresip-caller",
        &format!(
            "<sip:{user}@{}>;auth_user={user};auth_pass={password};regint=60",
            server.sip
        ),
    );
    let path = format!("/v1/trunks/{}", trunk["id"].as_str().unwrap());
    eventually("the trunk is registered", Duration::from_secs(15), || {
        (server.get(&path)["data"]["registered"] == true).then_some(())
    });
    assert_eq!(server.metric("smartalex_trunk_registered"), 1.0);

    caller.command("dial", &format!("sip:{DID}@{}", server.sip));
    eventually("baresip: call established", Duration::from_secs(15), || {
        caller.log().contains("Call established").then_some(())
    });
    (caller, trunk)
}

/// The only call of the server, once it shows a transfer with an outcome.
fn transferred_call(server: &Server) -> Value {
    eventually(
        "a transfer with its outcome",
        Duration::from_secs(40),
        || {
            let active = server.get("/v1/calls/active")["data"].clone();
            let id = active[0]["id"].as_str().map(str::to_owned).or_else(|| {
                server.calls("direction=inbound").first()?["id"]
                    .as_str()
                    .map(str::to_owned)
            })?;
            let call = server.call(&id);
            call["transfers"][0]["outcome"].is_string().then_some(call)
        },
    )
}

#[test]
fn baresip_registers_calls_hears_the_agent_and_follows_our_refer() {
    if !have(
        "baresip",
        "baresip_registers_calls_hears_the_agent_and_follows_our_refer",
    ) {
        return;
    }
    let hooks = Hooks::listen();
    let server = Server::start("baresip");
    let webhook = server.create(
        "/v1/webhooks",
        &json!({"url": hooks.url(), "event_types": ["call.started", "call.answered", "call.transferred", "call.ended"]}),
    );
    let sales = Baresip::start("baresip-sales", "<sip:101@{sip}>;regint=0;answermode=auto");
    let (caller, _) = registered_and_calling(&server, &sales.sip.to_string());

    eventually(
        "two seconds of the agent's voice",
        Duration::from_secs(20),
        || (seconds_of_sound(&caller.heard()) > 2.0).then_some(()),
    );
    caller.press('1');

    eventually("extension 101 answered", Duration::from_secs(20), || {
        sales.log().contains("Call established").then_some(())
    });
    let call = transferred_call(&server);
    let transfer = &call["transfers"][0];
    assert_eq!(transfer["outcome"], "transferred", "{call}");
    assert_eq!(transfer["target"], "101", "{call}");
    let record = eventually("the record", Duration::from_secs(10), || {
        let record = server.call(call["id"].as_str().unwrap());
        (record["call_status"] == "completed").then_some(record)
    });
    assert_eq!(record["outcome"], "transferred", "{record}");
    assert!(
        record["media"]["packets_in"].as_u64().unwrap() > 50,
        "{record}"
    );
    assert!(
        record["media"]["packets_out"].as_u64().unwrap() > 50,
        "{record}"
    );
    let transcript = record["transcript"].as_array().unwrap();
    assert!(
        transcript.iter().any(|line| line["speaker"] == "agent"),
        "{record}"
    );
    assert!(
        transcript
            .iter()
            .any(|line| line["speaker"] == "caller" && line["text"].as_str().unwrap().contains('1')),
        "{record}"
    );
    assert_eq!(server.metric("smartalex_transfers_total"), 1.0);

    let id = record["id"].as_str().unwrap();
    let expected = [
        "call.started",
        "call.answered",
        "call.transferred",
        "call.ended",
    ];
    eventually("the webhooks of the call", Duration::from_secs(10), || {
        (hooks.events_of(id) == expected).then_some(())
    });
    for delivery in hooks.deliveries() {
        delivery.verify(webhook["signing_secret"].as_str().unwrap());
    }
}

#[test]
fn a_busy_extension_brings_the_caller_back_to_the_agent() {
    if !have(
        "baresip",
        "a_busy_extension_brings_the_caller_back_to_the_agent",
    ) || !have(
        "sipp",
        "a_busy_extension_brings_the_caller_back_to_the_agent",
    ) {
        return;
    }
    let server = Server::start("baresip-busy");
    let dir = Dir::new("sipp-busy");
    let port = free_port();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sipp/uas_486.xml");
    let local = port.to_string();
    let _busy = Process::start(
        "sipp",
        &[
            "-sf",
            scenario,
            "-i",
            "127.0.0.1",
            "-p",
            &local,
            "-nostdin",
            "-m",
            "1",
        ],
        &dir,
    );
    let (caller, _) = registered_and_calling(&server, &format!("127.0.0.1:{port}"));
    eventually("the agent's voice", Duration::from_secs(20), || {
        (seconds_of_sound(&caller.heard()) > 1.0).then_some(())
    });
    caller.press('1');
    let call = transferred_call(&server);
    assert_eq!(call["transfers"][0]["outcome"], "busy", "{call}");
    assert_eq!(call["transfers"][0]["sip_code"], 486, "{call}");
    caller.command("hangup", "");
    eventually("the record", Duration::from_secs(20), || {
        let record = server.call(call["id"].as_str().unwrap());
        (record["call_status"] == "completed").then_some(())
    });
}

//! `/v1/calls`: lists, details, CSV.

use serde_json::json;
use smartalex_server::calls::record::{
    ConfirmedBy, EndedBy, MediaFacts, Speaker, TransferKind, TransferOutcome,
};
use smartalex_server::calls::{CallClosing, CallEntry, CallResult, RefusedCall, TransferResult};
use smartalex_server::clock;

use crate::harness::Running;

pub(crate) fn closing(result: CallResult) -> CallClosing {
    CallClosing {
        at: clock::now(),
        result,
        final_code: Some(200),
        reason: Some("Normal call clearing".to_owned()),
        ended_by: EndedBy::Caller,
        media: None,
    }
}

pub(crate) fn refused(code: u16, reason: &str, trusted: bool) -> RefusedCall {
    RefusedCall {
        at: clock::now(),
        workspace: None,
        trunk: None,
        agent: None,
        agent_name: None,
        from: "+27821234567".to_owned(),
        to: "+27872500199".to_owned(),
        sip_call_id: "r@pbx".to_owned(),
        sip_from: String::new(),
        sip_to: String::new(),
        code: Some(code),
        reason: reason.to_owned(),
        trusted,
    }
}

async fn transferred_call(server: &Running) -> CallEntry {
    let office = server.office().await;
    let call = server.open_call(Some(&office)).await;
    call.answered().await.unwrap();
    call.voice("bundled prompts");
    call.line(Speaker::Agent, "Hello");
    call.line(Speaker::Caller, "1");
    call.tool("lookup", json!({"name": "sales"}), json!("101"))
        .await
        .unwrap();
    let transfer = call
        .transfer_requested("101", TransferKind::Blind)
        .await
        .unwrap();
    call.transfer_step(&transfer.id, "REFER accepted with 202")
        .await
        .unwrap();
    let result = TransferResult {
        outcome: TransferOutcome::Transferred,
        confirmed_by: ConfirmedBy::Pbx,
        sip_code: Some(200),
        reason: "OK".to_owned(),
    };
    call.transfer_ended(&transfer.id, result).await.unwrap();
    call.close(CallClosing {
        media: Some(MediaFacts {
            codec: Some("PCMU".to_owned()),
            packets_in: 500,
            packets_out: 510,
            loss_in_percent: Some(0.5),
            jitter_ms: Some(2.0),
            ..MediaFacts::default()
        }),
        ended_by: EndedBy::Pbx,
        ..closing(CallResult::Transferred)
    })
    .await
    .unwrap();
    call
}

#[tokio::test]
async fn a_transferred_call_is_shown_with_all_that_happened() {
    let server = Running::start().await;
    let call = transferred_call(&server).await;
    let shown = server.get(&format!("/v1/calls/{}", call.id())).await.data();
    assert_eq!(shown["call_status"], "completed");
    assert_eq!(shown["outcome"], "transferred");
    assert_eq!(shown["direction"], "inbound");
    assert_eq!(shown["from"], "+27821234567");
    assert_eq!(shown["voice"], "bundled prompts");
    assert_eq!(shown["transcript"][0]["speaker"], "agent");
    assert_eq!(shown["transcript"][1]["text"], "1");
    assert!(
        shown["transcript"][1]["timestamp"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(shown["tools"][0]["arguments"], json!({"name": "sales"}));
    let transfer = &shown["transfers"][0];
    assert_eq!(transfer["target"], "101");
    assert_eq!(transfer["kind"], "blind");
    assert_eq!(transfer["state"], "ended");
    assert_eq!(transfer["outcome"], "transferred");
    assert_eq!(transfer["confirmed_by"], "pbx");
    assert_eq!(transfer["sip_code"], 200);
    let steps: Vec<_> = (0..3)
        .map(|i| transfer["steps"][i]["what"].clone())
        .collect();
    assert_eq!(
        steps,
        ["requested", "REFER accepted with 202", "transferred: OK"]
    );
    assert_eq!(shown["sip"]["call_id"], "abc@pbx");
    assert_eq!(shown["sip"]["ended_by"], "pbx");
    assert_eq!(shown["sip"]["final_code"], 200);
    assert_eq!(shown["media"]["codec"], "PCMU");
    assert_eq!(shown["media"]["srtp"], false);
    assert_eq!(shown["media"]["packets_in"], 500);
    for absent in ["contact_id", "sentiment", "cost", "summary", "campaign_id"] {
        assert_eq!(shown.get(absent), Some(&json!(null)), "{absent}");
    }
    let path = format!(
        "/v1/calls/{}/transfers/{}",
        call.id(),
        transfer["id"].as_str().unwrap()
    );
    assert_eq!(server.get(&path).await.data(), *transfer);
    let other = format!("/v1/calls/{}/transfers/transfer_x", call.id());
    server.get(&other).await.error(404, "not_found");

    let metrics = server.send("GET", "/metrics", &[], "").await.text();
    let agent = shown["agent_id"].as_str().unwrap();
    let trunk = shown["trunk_id"].as_str().unwrap();
    for line in [
        format!(
            "smartalex_calls_total{{agent=\"{agent}\",outcome=\"transferred\",direction=\"inbound\"}} 1"
        ),
        format!("smartalex_transfers_total{{agent=\"{agent}\",outcome=\"transferred\"}} 1"),
        format!("smartalex_trunk_active_calls{{trunk=\"{trunk}\"}} 0"),
        format!("smartalex_trunk_registered{{trunk=\"{trunk}\"}} 0"),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_live_call_is_shown_as_such_and_listed_only_when_asked_for() {
    let server = Running::start().await;
    let call = server.open_call(None).await;
    assert_eq!(server.get("/v1/calls").await.json()["meta"]["total"], 0);
    let live = server.get("/v1/calls?status=in_progress").await.json();
    assert_eq!(live["data"][0]["id"], call.id().as_str());
    assert_eq!(live["data"][0]["call_status"], "in_progress");
    assert_eq!(live["data"][0]["outcome"], json!(null));
    let active = server.get("/v1/calls/active").await.json();
    assert_eq!(active["meta"]["total"], 1);
    let shown = server.get(&format!("/v1/calls/{}", call.id())).await.data();
    assert_eq!(shown["end_timestamp"], json!(null));
    call.close(closing(CallResult::Completed)).await.unwrap();
    assert_eq!(
        server.get("/v1/calls/active").await.json()["meta"]["total"],
        0
    );
    assert_eq!(server.get("/v1/calls").await.json()["meta"]["total"], 1);
}

#[tokio::test]
async fn refused_calls_leave_a_record_with_code_and_reason() {
    let server = Running::start().await;
    let ledger = &server.app().ledger;
    ledger.record_refused(refused(
        404,
        "no trunk has +27872500199; add it to one",
        true,
    ));
    ledger.settled().await.unwrap();
    let list = server
        .get("/v1/calls?status=failed&number=%2B27872500199")
        .await
        .json();
    assert_eq!(list["meta"]["total"], 1);
    let id = list["data"][0]["id"].as_str().unwrap();
    let shown = server.get(&format!("/v1/calls/{id}")).await.data();
    assert_eq!(shown["sip"]["final_code"], 404);
    assert!(
        shown["sip"]["reason"]
            .as_str()
            .unwrap()
            .contains("no trunk")
    );
    let metrics = server.send("GET", "/metrics", &[], "").await.text();
    assert!(metrics.contains("smartalex_invites_refused_total{code=\"404\"} 1"));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let server = Running::start().await;
    let office = server.office().await;
    for result in [
        CallResult::Completed,
        CallResult::Busy,
        CallResult::Voicemail,
    ] {
        let call = server.open_call(Some(&office)).await;
        call.close(closing(result)).await.unwrap();
    }
    let total = async |query: &str| {
        let answer = server.get(&format!("/v1/calls?{query}")).await.json();
        answer["meta"]["total"].as_u64().unwrap()
    };
    assert_eq!(total("status=busy").await, 1);
    assert_eq!(total(&format!("agent_id={}", office.0)).await, 3);
    assert_eq!(total(&format!("trunk_id={}", office.1)).await, 3);
    assert_eq!(total("since_hours=1").await, 3);
    assert_eq!(total("to=2020-01-01T00:00:00Z").await, 0);
    assert_eq!(
        total("from=2020-01-01T00:00:00%2B02:00&direction=inbound").await,
        3
    );
    assert_eq!(total("direction=web").await, 0);
    assert_eq!(total("number=0027821234567").await, 3);
    let page = server.get("/v1/calls?page=2&per_page=2").await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(page["meta"], json!({"total": 3, "page": 2, "per_page": 2}));
}

#[tokio::test]
async fn csv_holds_every_call_that_the_filter_lets_through() {
    let server = Running::start().await;
    let mut call = refused(486, "busy", true);
    call.from = "=HYPERLINK(\"http://evil\")".to_owned();
    server.app().ledger.record_refused(call);
    for _ in 0..620 {
        server
            .app()
            .ledger
            .record_refused(refused(503, "full", true));
    }
    server.app().ledger.settled().await.unwrap();
    let csv = server
        .with_key("GET", "/v1/calls", &[("accept", "text/csv")], "")
        .await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(rows.headers().unwrap().iter().next(), Some("id"));
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 621);
    let mut ids: Vec<&str> = rows.iter().map(|row| &row[0]).collect();
    ids.dedup();
    assert_eq!(ids.len(), 621);
    assert_eq!(rows[0].get(11), Some("+27821234567"));
    assert!(rows.iter().any(|row| row[11].starts_with("'=HYPERLINK")));
    let csv = server.get("/v1/calls?format=csv&status=completed").await;
    assert_eq!(csv.text().lines().count(), 1);
    let csv = server.get("/v1/calls?format=csv&per_page=10").await;
    assert_eq!(csv.text().lines().count(), 11);
}

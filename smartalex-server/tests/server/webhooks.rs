//! Webhooks, sent to a real receiver.

use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use smartalex_server::calls::CallResult;

use crate::calls::{closing, refused};
use crate::harness::{Directory, Received, Receiver, Running, eventually};

fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// What a customer does with the secret that they were shown.
fn verify(received: &Received, secret: &str) {
    let id = received.header("webhook-id");
    let at = received.header("webhook-timestamp");
    let expected = mac(
        secret,
        &[id.as_bytes(), b".", at.as_bytes(), b".", &received.body],
    );
    let expected = base64::engine::general_purpose::STANDARD.encode(expected);
    assert_eq!(
        received.header("webhook-signature"),
        format!("v1,{expected}")
    );
    let expected = mac(secret, &[at.as_bytes(), b".", &received.body]);
    let hex: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        received.header("x-smartalex-signature"),
        format!("t={at},v1={hex}")
    );
    let body = received.json();
    assert_eq!(body["id"], id);
    assert_eq!(body["idempotency_key"], id);
    assert_eq!(received.header("x-smartalex-event"), body["event"]);
    assert!(received.header("x-smartalex-delivery").starts_with("dlv_"));
    assert_eq!(received.header("content-type"), "application/json");
}

const ALL: [&str; 5] = [
    "call.started",
    "call.answered",
    "call.transferred",
    "call.ended",
    "call.failed",
];

#[tokio::test]
async fn a_call_is_told_in_order_and_signed() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    let office = server.office().await;
    let (hook, secret) = server.hook(&receiver.url(), &ALL).await;
    assert_eq!(secret.len(), 64);
    let call = server.open_call(Some(&office)).await;
    call.answered().await.unwrap();
    call.close(closing(CallResult::Completed)).await.unwrap();
    let received = receiver.wait_for(3).await;
    let events: Vec<String> = received.iter().map(Received::event).collect();
    assert_eq!(events, ["call.started", "call.answered", "call.ended"]);
    for one in &received {
        verify(one, &secret);
    }
    let last = received[2].json();
    assert_eq!(last["tenant_id"], server.app().home.as_str());
    let data = &last["data"];
    assert_eq!(data["id"], call.id().as_str());
    assert_eq!(data["agent_id"], office.0.as_str());
    assert_eq!(data["agent_name"], "Sarah");
    assert_eq!(data["from"], "+27821234567");
    assert_eq!(data["to"], "+27872500100");
    assert_eq!(data["direction"], "inbound");
    assert_eq!(data["outcome"], "completed");
    assert_eq!(data["transferred"], false);
    assert!(data["duration_seconds"].is_u64());
    let path = format!("/v1/webhooks/{hook}/deliveries");
    eventually("the results to be written", || {
        receiver.received().len() == 3
    })
    .await;
    for _ in 0..100 {
        let done = server.get(&format!("{path}?state=delivered")).await.json();
        if done["meta"]["total"] == 3 {
            assert_eq!(done["data"][0]["event"], "call.ended");
            assert_eq!(done["data"][0]["last_status"], 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the deliveries are not recorded");
}

#[tokio::test]
async fn failures_are_tried_again_with_the_same_id_and_hold_up_only_their_call() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    let (_, secret) = server.hook(&receiver.url(), &ALL).await;
    receiver.answer(&[500, 503]);
    let call = server.open_call(None).await;
    call.answered().await.unwrap();
    let received = receiver.wait_for(4).await;
    let events: Vec<String> = received.iter().map(Received::event).collect();
    assert_eq!(
        events,
        [
            "call.started",
            "call.started",
            "call.started",
            "call.answered"
        ]
    );
    for one in &received {
        verify(one, &secret);
    }
    assert_eq!(
        received[0].header("webhook-id"),
        received[2].header("webhook-id")
    );
    assert_eq!(received[0].body, received[2].body);
    assert!(received[1].at - received[0].at >= Duration::from_millis(50));
}

#[tokio::test]
async fn after_the_last_try_there_is_a_dead_letter_which_can_be_replayed() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    server.hook(&receiver.url(), &["call.started"]).await;
    receiver.answer(&[500, 408, 429, 500]);
    let _call = server.open_call(None).await;
    receiver.wait_for(4).await;
    let mut letters = json!(null);
    for _ in 0..100 {
        letters = server.get("/v1/webhooks/dead-letters").await.json();
        if letters["meta"]["total"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let letter = &letters["data"][0];
    assert_eq!(letter["attempts"], 4);
    assert_eq!(letter["last_status"], 500);
    assert_eq!(letter["state"], "dead_letter");
    let replay = format!(
        "/v1/webhooks/dead-letters/{}/replay",
        letter["id"].as_str().unwrap()
    );
    let answer = server.post(&replay, json!({})).await;
    assert_eq!(
        (answer.status, &answer.data()["state"]),
        (202, &json!("pending"))
    );
    let received = receiver.wait_for(5).await;
    assert_eq!(received[4].body, received[0].body);
    server
        .post("/v1/webhooks/dead-letters/dlv_x/replay", json!({}))
        .await
        .error(404, "not_found");
}

#[tokio::test]
async fn refusals_are_dead_at_once_and_redirects_are_not_followed() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    server.hook(&receiver.url(), &["call.started"]).await;
    receiver.answer_with(302, &[("location", "/elsewhere")]);
    receiver.answer(&[404]);
    let _calls = (server.open_call(None).await, server.open_call(None).await);
    receiver.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), 2);
    let letters = server.get("/v1/webhooks/dead-letters").await.json();
    assert_eq!(letters["meta"]["total"], 2);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    server.hook(&receiver.url(), &["call.started"]).await;
    receiver.answer_with(503, &[("retry-after", "1")]);
    let _call = server.open_call(None).await;
    let received = receiver.wait_for(2).await;
    let waited = received[1].at - received[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn an_endpoint_that_says_gone_is_disabled() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    let (hook, _) = server.hook(&receiver.url(), &ALL).await;
    receiver.answer(&[410]);
    let call = server.open_call(None).await;
    receiver.wait_for(1).await;
    let path = format!("/v1/webhooks/{hook}");
    for _ in 0..100 {
        if server.get(&path).await.data()["status"] == "disabled" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.get(&path).await.data()["status"], "disabled");
    call.close(closing(CallResult::Completed)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_given_up_and_tried_again() {
    let directory = Directory::new();
    let mut config = directory.config();
    config.webhooks.timeout = Duration::from_millis(200);
    let (server, receiver) = (Running::with(config).await, Receiver::start().await);
    server.hook(&receiver.url(), &["call.started"]).await;
    receiver.delay(Duration::from_secs(3));
    let _call = server.open_call(None).await;
    receiver.wait_for(1).await;
    receiver.delay(Duration::ZERO);
    receiver.wait_for(2).await;
}

#[tokio::test]
async fn strangers_make_the_server_send_nothing() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    server.hook(&receiver.url(), &ALL).await;
    let ledger = &server.app().ledger;
    ledger.record_refused(refused(401, "unknown user", false));
    ledger.record_refused(refused(503, "trunk full", true));
    let received = receiver.wait_for(1).await;
    assert_eq!(received[0].event(), "call.failed");
    assert_eq!(received[0].json()["data"]["sip"]["final_code"], 503);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn private_addresses_are_refused_when_made_and_when_sent() {
    let directory = Directory::new();
    let mut config = directory.config();
    let receiver = Receiver::start().await;
    // Made while it was allowed.
    let server = Running::with(config.clone()).await;
    server.hook(&receiver.url(), &["call.started"]).await;
    server.server.shutdown().await;
    config.webhooks.allow_private_addresses = false;
    let server = Running::with(config).await;
    for url in [
        receiver.url(),
        "http://localhost:1/".into(),
        "http://[::1]/".into(),
    ] {
        let hook = json!({"url": url, "event_types": ["call.started"]});
        let message = server
            .post("/v1/webhooks", hook)
            .await
            .error(422, "invalid_request");
        assert!(message.contains("not a public address"), "{message}");
    }
    let _call = server.open_call(None).await;
    let mut letters = json!(null);
    for _ in 0..100 {
        letters = server.get("/v1/webhooks/dead-letters").await.json();
        if letters["meta"]["total"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = letters["data"][0]["last_error"].as_str().unwrap();
    assert!(error.contains("not a public address"), "{error}");
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn endpoints_are_made_shown_and_deleted() {
    let server = Running::start().await;
    let made = server
        .post(
            "/v1/webhooks",
            json!({
                "url": "https://example.com/hook", "event_types": ["call.ended", "call.started"],
                "description": "CRM",
            }),
        )
        .await;
    assert_eq!(made.status, 201);
    let hook = made.data();
    let path = format!("/v1/webhooks/{}", hook["id"].as_str().unwrap());
    let shown = server.get(&path).await.data();
    assert_eq!(shown.get("signing_secret"), None);
    assert_eq!(shown["description"], "CRM");
    assert_eq!(server.get("/v1/webhooks").await.json()["meta"]["total"], 1);
    assert_eq!(server.delete(&path).await.status, 204);
    server.get(&path).await.error(404, "not_found");
    for wrong in [
        json!({"url": "ftp://example.com", "event_types": ["call.ended"]}),
        json!({"url": "https://u:p@example.com", "event_types": ["call.ended"]}),
        json!({"url": "https://example.com", "event_types": []}),
        json!({"url": "https://example.com", "event_types": ["call.over"]}),
        json!({"url": "https://example.com", "event_types": ["call.ended", "call.ended"]}),
        json!({"url": "https://example.com", "event_types": ["call.ended"], "agent_id": "agent_x"}),
    ] {
        server
            .post("/v1/webhooks", wrong)
            .await
            .error(422, "invalid_request");
    }
}

#[tokio::test]
async fn at_most_a_hundred_a_second_reach_one_endpoint() {
    let (server, receiver) = (Running::start().await, Receiver::start().await);
    server.hook(&receiver.url(), &["call.failed"]).await;
    for _ in 0..250 {
        server
            .app()
            .ledger
            .record_refused(refused(503, "full", true));
    }
    let received = receiver.wait_for(250).await;
    for window in received.windows(101) {
        let span = window[100].at - window[0].at;
        // The receiver's clock is a little behind the sender's for each of them.
        assert!(span > Duration::from_millis(900), "101 within {span:?}");
    }
}

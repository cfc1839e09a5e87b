//! `/v1/audit-log`.

use crate::harness::Running;

#[tokio::test]
async fn every_change_is_in_the_log_and_no_secret_is() {
    let server = Running::start().await;
    let (_, trunk) = server.office().await;
    let rotate = format!("/v1/trunks/{trunk}/rotate-credentials");
    server.post(&rotate, serde_json::json!({})).await.data();
    server.delete(&format!("/v1/trunks/{trunk}")).await;
    let log = server.get("/v1/audit-log").await.json();
    let types: Vec<&str> = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "trunk.deleted",
            "trunk.credentials_rotated",
            "trunk.created",
            "agent.created",
            "api_key.created",
            "user.created"
        ]
    );
    let actor = log["data"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("key_"));
    let path = format!("/v1/audit-log?actor={actor}&event_type=trunk.created");
    assert_eq!(server.get(&path).await.json()["meta"]["total"], 1);
    let csv = server.get("/v1/audit-log?format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.text().lines().count(), 7);
}

//! `/v1/agents`.

use serde_json::json;

use crate::harness::Running;

#[tokio::test]
async fn an_agent_is_made_shown_changed_and_deleted() {
    let server = Running::start().await;
    let made = server
        .post(
            "/v1/agents",
            json!({
                "name": "Sarah", "runtime": "embedded", "first_message": "Hello",
                "system_prompt": "You are Sarah.", "max_duration_seconds": 600,
                "silence_timeout_seconds": 20, "closing_message": "Goodbye", "recording": false,
            }),
        )
        .await;
    assert_eq!(made.status, 201);
    let agent = made.data();
    let path = format!("/v1/agents/{}", agent["id"].as_str().unwrap());
    assert!(path.starts_with("/v1/agents/agent_"));
    assert_eq!(server.get(&path).await.data(), agent);
    assert_eq!(agent["max_duration_seconds"], 600);
    assert_eq!(agent["runtime"], "embedded");
    let streams = json!({"media_streams": {"url": "wss://voice.example.com/x"}});
    let patch = json!({"runtime": streams, "closing_message": null, "max_duration_seconds": null});
    let changed = server.patch(&path, patch).await.data();
    assert_eq!(changed["runtime"], streams);
    assert_eq!(changed["closing_message"], json!(null));
    // What is removed gets its default.
    assert_eq!(changed["max_duration_seconds"], 300);
    assert_eq!(changed["first_message"], "Hello");
    assert_eq!(server.get(&path).await.data(), changed);
    let list = server.get("/v1/agents?per_page=1").await.json();
    assert_eq!(list["meta"], json!({"total": 1, "page": 1, "per_page": 1}));
    assert_eq!(server.delete(&path).await.status, 204);
    server.get(&path).await.error(404, "not_found");
}

#[tokio::test]
async fn an_agent_with_nothing_to_say_is_refused() {
    let server = Running::start().await;
    let silent = json!({"name": "Sarah", "runtime": "embedded", "first_message": "  "});
    let message = server
        .post("/v1/agents", silent)
        .await
        .error(422, "invalid_request");
    assert!(message.contains("nothing to say"), "{message}");
    // One that streams has a voice of its own.
    let runtime = json!({"media_streams": {"url": "ws://127.0.0.1:9/"}});
    let streams = json!({"name": "Stream", "runtime": runtime});
    assert_eq!(server.post("/v1/agents", streams).await.status, 201);
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let server = Running::start().await;
    let answer = server
        .post(
            "/v1/agents",
            json!({
                "name": "", "first_message": "x", "max_duration_seconds": 14_401,
                "silence_timeout_seconds": 0, "recording": true,
                "runtime": {"media_streams": {"url": "http://no"}},
            }),
        )
        .await;
    answer.error(422, "invalid_request");
    let fields: Vec<String> = answer.json()["error"]["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|detail| detail["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        fields,
        [
            "name",
            "runtime.media_streams.url",
            "max_duration_seconds",
            "silence_timeout_seconds",
            "recording"
        ]
    );
}

//! What holds for every path: authentication, roles, errors, limits, pages, idempotency.

use serde_json::json;
use smartalex_server::tenants::Role;

use crate::harness::Running;

#[tokio::test]
async fn without_a_valid_key_there_is_only_401() {
    let server = Running::start().await;
    for headers in [
        vec![],
        vec![("authorization", "Basic abc")],
        vec![("authorization", "Bearer nonsense")],
        vec![("authorization", "Bearer sak_0000")],
    ] {
        let answer = server.send("GET", "/v1/calls", &headers, "").await;
        answer.error(401, "unauthorized");
        assert!(answer.header("www-authenticate").is_some());
        assert_eq!(answer.header("ratelimit-limit"), Some("60"));
        // Also for paths that do not exist: nobody learns what is there.
        let answer = server.send("GET", "/v1/nothing", &headers, "").await;
        answer.error(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let server = Running::start().await;
    assert_eq!(server.get("/v1/calls").await.status, 200);
    let app = server.app();
    let key = app.store.api_keys().await.unwrap().pop().unwrap();
    let audit = smartalex_server::audit::AuditEntry::new(&app.home, "t", "t", "t", "");
    let now = smartalex_server::clock::now();
    app.store
        .revoke_api_key(&key.id, now, &audit)
        .await
        .unwrap();
    let message = server.get("/v1/calls").await.error(401, "unauthorized");
    assert!(message.contains("revoked"));
}

#[tokio::test]
async fn roles_may_do_what_they_are_for() {
    let mut server = Running::start().await;
    let agent = json!({"name": "Sarah", "first_message": "Hello"});
    server.key = Running::make_key(server.app(), Role::Read).await;
    assert_eq!(server.get("/v1/agents").await.status, 200);
    server
        .post("/v1/agents", agent.clone())
        .await
        .error(403, "forbidden");
    let hangup = "/v1/calls/call_x/hangup";
    server.post(hangup, json!({})).await.error(403, "forbidden");
    server.key = Running::make_key(server.app(), Role::Control).await;
    server
        .post("/v1/agents", agent)
        .await
        .error(403, "forbidden");
    server
        .post(hangup, json!({}))
        .await
        .error(404, "call_not_found");
}

#[tokio::test]
async fn paths_methods_and_ids_that_do_not_exist_have_the_error_shape() {
    let server = Running::start().await;
    server.get("/v1/nothing").await.error(404, "not_found");
    let answer = server.delete("/v1/calls").await;
    answer.error(405, "invalid_request");
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    server
        .get("/v1/calls/call_01")
        .await
        .error(404, "call_not_found");
    server
        .get("/v1/calls/trunk_01")
        .await
        .error(404, "call_not_found");
    server
        .get("/v1/trunks/trunk_01")
        .await
        .error(404, "not_found");
    server.get("/v1/agents/x").await.error(404, "not_found");
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_never_ignored() {
    let server = Running::start().await;
    for query in [
        "page=0",
        "page=x",
        "per_page=0",
        "per_page=101",
        "per_page=-1",
        "unknown=1",
        "page=1&page=2",
        "status=done",
        "since_hours=-1",
        "since_hours=x",
        "since_hours=NaN",
        "from=yesterday",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "direction=up",
        "agent_id=trunk_1",
        "trunk_id=1",
        "number=sarah",
        "format=xml",
    ] {
        let answer = server.get(&format!("/v1/calls?{query}")).await;
        let message = answer.error(400, "invalid_request");
        let name = query.split('=').next().unwrap();
        assert!(
            message.contains(name) || query.starts_with("from="),
            "{query}: {message}"
        );
    }
    for path in [
        "/v1/trunks?x=1",
        "/v1/calls/active?status=busy",
        "/v1/webhooks?page=0",
    ] {
        server.get(path).await.error(400, "invalid_request");
    }
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let server = Running::start().await;
    let json = [("content-type", "application/json")];
    let post = async |body: &'static str| server.with_key("POST", "/v1/agents", &json, body).await;
    post("{").await.error(400, "invalid_request");
    post("").await.error(400, "invalid_request");
    post("[]").await.error(422, "invalid_request");
    post(r#"{"name":5}"#).await.error(422, "invalid_request");
    let message = post(r#"{"name":"A","frist_message":"x"}"#)
        .await
        .error(422, "invalid_request");
    assert!(message.contains("frist_message"), "{message}");
    let text = [("content-type", "text/plain")];
    let answer = server.with_key("POST", "/v1/agents", &text, "{}").await;
    answer.error(415, "invalid_request");
    let large = "x".repeat(2 * 1024 * 1024);
    let answer = server.with_key("POST", "/v1/agents", &json, large).await;
    assert_eq!(answer.status, 413);
    answer.error(413, "invalid_request");
    let answer = server.get("/v1/agents/%ff").await;
    answer.error(400, "invalid_request");
}

#[tokio::test]
async fn the_sixty_first_request_of_a_second_is_refused() {
    let server = Running::start().await;
    let mut left = Vec::new();
    let refused = loop {
        let answer = server.get("/v1/agents").await;
        assert_eq!(answer.header("ratelimit-limit"), Some("60"));
        if answer.status == 429 {
            break answer;
        }
        left.push(answer.header("ratelimit-remaining").unwrap().to_owned());
        assert!(left.len() < 2_000, "never refused");
    };
    refused.error(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    assert!(left.contains(&"0".to_owned()) && left.contains(&"59".to_owned()));
}

#[tokio::test]
async fn the_same_creation_again_gets_the_same_answer() {
    let server = Running::start().await;
    let agent = json!({"name": "Sarah", "first_message": "Hello"}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k1"),
    ];
    let post = async |body: String| server.with_key("POST", "/v1/agents", &headers, body).await;
    let first = post(agent.clone()).await;
    let again = post(agent.clone()).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = post(agent.replace("Sarah", "Piet")).await;
    other.error(422, "invalid_request");
    assert_eq!(server.get("/v1/agents").await.json()["meta"]["total"], 1);
}

#[tokio::test]
async fn creations_with_one_key_at_the_same_time_make_one_thing() {
    let server = Running::start().await;
    let trunk = json!({"name": "Office", "pbx_sip_domain": "pbx.example.com"}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k2"),
    ];
    let posts = (0..8).map(|_| server.with_key("POST", "/v1/trunks", &headers, trunk.clone()));
    let answers = futures_util::future::join_all(posts).await;
    for answer in &answers {
        // The same password in each answer: it is one trunk.
        assert_eq!(answer.data(), answers[0].data());
    }
    assert_eq!(server.get("/v1/trunks").await.json()["meta"]["total"], 1);
}

#[tokio::test]
async fn a_refused_creation_does_not_use_its_key_up() {
    let server = Running::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k3"),
    ];
    let post =
        async |body: &'static str| server.with_key("POST", "/v1/agents", &headers, body).await;
    post(r#"{"name":"Sarah"}"#)
        .await
        .error(422, "invalid_request");
    let answer = post(r#"{"name":"Sarah","first_message":"Hello"}"#).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn health_and_metrics_need_no_key() {
    let server = Running::start().await;
    assert_eq!(server.send("GET", "/healthz", &[], "").await.status, 200);
    assert_eq!(server.send("GET", "/readyz", &[], "").await.status, 200);
    server.get("/v1/calls/call_01").await;
    let metrics = server.send("GET", "/metrics", &[], "").await;
    let line = "smartalex_api_requests_total{endpoint=\"/v1/calls/{id}\",status=\"404\"} 1";
    assert!(metrics.text().contains(line), "{}", metrics.text());
    server.app().drain.begin();
    let ready = server.send("GET", "/readyz", &[], "").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reason"], "draining");
    assert_eq!(server.send("GET", "/healthz", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_read_only_workspace_can_be_read_only() {
    let server = Running::start().await;
    let app = server.app();
    let mut workspace = app.store.workspaces().await.unwrap().pop().unwrap();
    workspace.read_only = true;
    app.store.update_workspace(&workspace).await.unwrap();
    app.reload_directory().await.unwrap();
    assert_eq!(server.get("/v1/agents").await.status, 200);
    let agent = json!({"name": "Sarah", "first_message": "Hello"});
    server
        .post("/v1/agents", agent)
        .await
        .error(403, "forbidden");
}

//! `/v1/trunks` and `/v1/phone-numbers`.

use serde_json::json;

use crate::harness::Running;

#[tokio::test]
async fn a_new_trunk_says_what_to_enter_at_the_pbx_and_its_password_once() {
    let server = Running::start().await;
    let agent = json!({"name": "Sarah", "first_message": "Hello"});
    let agent = server.post("/v1/agents", agent).await.data();
    let made = server
        .post(
            "/v1/trunks",
            json!({
                "name": "Office", "pbx_type": "3CX", "pbx_sip_domain": "pbx.example.com:5080",
                "auth": "digest", "allowed_ips": [], "codecs": ["PCMA", "pcmu"],
                "transport": "udp", "srtp": "off", "max_concurrent_calls": 20,
                "dids": ["+27872500100", "+27 87 250 0101"], "agent_id": agent["id"],
                "transfer": "refer", "call_forwarding_number": "+27821234567",
                "noise_suppression": false,
            }),
        )
        .await;
    assert_eq!(made.status, 201);
    let trunk = made.data();
    let connection = &trunk["connection"];
    assert_eq!(connection["registrar"], "sip.example.com");
    assert_eq!(connection["outbound_proxy"], "sip.example.com");
    assert_eq!(connection["transport"], "udp");
    assert_eq!(connection["codec_priority"], json!(["PCMA", "PCMU"]));
    let password = connection["auth_password"].as_str().unwrap();
    assert_eq!(password.len(), 24);
    assert!(!connection["auth_username"].as_str().unwrap().is_empty());
    assert_eq!(trunk["status"], "active");
    assert_eq!(
        (&trunk["registered"], &trunk["active_calls"]),
        (&json!(false), &json!(0))
    );
    let path = format!("/v1/trunks/{}", trunk["id"].as_str().unwrap());
    let shown = server.get(&path).await;
    assert!(!shown.text().contains(password));
    assert_eq!(shown.data()["connection"]["auth_password"], json!(null));
    assert_eq!(shown.data()["dids"], trunk["dids"]);

    // The directory knows it by all its names.
    let snapshot = server.app().directory.snapshot();
    let username = connection["auth_username"].as_str().unwrap();
    let line = snapshot.trunk_by_username(username).unwrap();
    assert_eq!(line.password.as_ref().unwrap().expose(), password);
    assert_eq!(line.agent.as_ref().unwrap().name, "Sarah");
    for number in ["27872500101", "+27872500101", "0027872500101"] {
        assert!(
            snapshot.did(&server.app().home, number).is_some(),
            "{number}"
        );
    }
    assert!(snapshot.did(&server.app().home, "27872500102").is_none());

    let numbers = server.get("/v1/phone-numbers").await.json();
    assert_eq!(numbers["meta"]["total"], 2);
    assert_eq!(numbers["data"][1]["number"], "+27 87 250 0101");
    assert_eq!(numbers["data"][1]["agent_id"], agent["id"]);

    assert_eq!(server.delete(&path).await.status, 204);
    server.get(&path).await.error(404, "not_found");
    let snapshot = server.app().directory.snapshot();
    assert!(snapshot.trunk_by_username(username).is_none());
}

#[tokio::test]
async fn a_password_of_ones_own_is_taken_if_it_is_strong() {
    let server = Running::start().await;
    let mut trunk = json!({
        "name": "Office", "pbx_sip_domain": "pbx.example.com",
        "username": "office", "password": "short",
    });
    server
        .post("/v1/trunks", trunk.clone())
        .await
        .error(422, "invalid_request");
    trunk["password"] = json!("long-enough-password");
    let made = server.post("/v1/trunks", trunk).await.data();
    assert_eq!(made["connection"]["auth_username"], "office");
    assert_eq!(made["connection"]["auth_password"], "long-enough-password");
}

#[tokio::test]
async fn a_trunk_by_address_has_no_credentials() {
    let server = Running::start().await;
    let trunk = json!({"name": "Office", "pbx_sip_domain": "pbx.example.com", "auth": "ip"});
    let message = server
        .post("/v1/trunks", trunk)
        .await
        .error(422, "invalid_request");
    assert!(message.contains("allowed_ips"), "{message}");
    let trunk = |name: &str, net: &str, did: &str| {
        json!({
            "name": name, "pbx_sip_domain": "pbx.example.com", "auth": "ip",
            "allowed_ips": [net], "dids": [did],
        })
    };
    let wide = server
        .post("/v1/trunks", trunk("Wide", "203.0.113.0/24", "+2711"))
        .await
        .data();
    let narrow = server
        .post("/v1/trunks", trunk("Narrow", "203.0.113.7", "+2712"))
        .await
        .data();
    assert_eq!(narrow["connection"]["auth_username"], json!(null));
    assert_eq!(narrow["connection"]["auth_password"], json!(null));
    let snapshot = server.app().directory.snapshot();
    let by = |source: &str, did: &str| {
        let line = snapshot.trunk_by_source(source.parse().unwrap(), did)?;
        Some(line.trunk.id.to_string())
    };
    let id = |value: &serde_json::Value| value["id"].as_str().map(str::to_owned);
    assert_eq!(by("203.0.113.9", "+2711"), id(&wide));
    assert_eq!(by("203.0.113.7", "+2712"), id(&narrow));
    // The number decides between two that could be meant.
    assert_eq!(by("203.0.113.7", "+2711"), id(&wide));
    assert_eq!(by("203.0.113.7", "+2799"), id(&narrow));
    assert_eq!(by("::ffff:203.0.113.7", "+2712"), id(&narrow));
    assert_eq!(by("198.51.100.1", "+2712"), None);
    let rotate = format!("/v1/trunks/{}/rotate-credentials", id(&narrow).unwrap());
    server.post(&rotate, json!({})).await.error(409, "conflict");
}

#[tokio::test]
async fn a_trunk_is_changed_suspended_and_its_password_rotated() {
    let server = Running::start().await;
    let (_, id) = server.office().await;
    let path = format!("/v1/trunks/{id}");
    let before = server.get(&path).await.data();
    let password = || {
        let snapshot = server.app().directory.snapshot();
        let line = snapshot.trunk(&id).unwrap();
        line.password.clone().unwrap()
    };
    let first = password();
    let patch = json!({"max_concurrent_calls": 3, "agent_id": null, "dids": ["+2713"]});
    let changed = server.patch(&path, patch).await.data();
    assert_eq!(changed["max_concurrent_calls"], 3);
    assert_eq!(changed["agent_id"], json!(null));
    assert_eq!(changed["username"], before["username"]);
    assert_eq!(password(), first);
    server
        .patch(&path, json!({"password": "0123456789abcdef"}))
        .await
        .error(422, "invalid_request");
    server
        .patch(&path, json!({"status": "x"}))
        .await
        .error(422, "invalid_request");

    let suspended = server
        .post(&format!("{path}/suspend"), json!({}))
        .await
        .data();
    assert_eq!(suspended["status"], "suspended");
    assert!(
        server
            .app()
            .directory
            .snapshot()
            .trunk(&id)
            .unwrap()
            .trunk
            .suspended
    );
    let active = server
        .post(&format!("{path}/reactivate"), json!({}))
        .await
        .data();
    assert_eq!(active["status"], "active");

    let rotated = server
        .post(&format!("{path}/rotate-credentials"), json!({}))
        .await
        .data();
    assert_eq!(rotated["connection"]["auth_password"], password().expose());
    assert_ne!(password(), first);
}

#[tokio::test]
async fn what_collides_or_is_not_built_is_refused() {
    let server = Running::start().await;
    server.office().await;
    let trunk = |name: &str| json!({"name": name, "pbx_sip_domain": "pbx.example.com"});
    server
        .post("/v1/trunks", trunk("Office"))
        .await
        .error(409, "conflict");
    let mut with_number = trunk("Home");
    with_number["dids"] = json!(["0027872500100"]);
    let message = server
        .post("/v1/trunks", with_number)
        .await
        .error(409, "conflict");
    assert!(message.contains("0027872500100"), "{message}");
    for (field, value) in [
        ("auth", json!("none")),
        ("transport", json!("tls")),
        ("srtp", json!("require")),
        ("transfer", json!("bridge")),
        ("noise_suppression", json!(true)),
        ("codecs", json!(["G729"])),
        ("codecs", json!([])),
        ("max_concurrent_calls", json!(0)),
        ("max_concurrent_calls", json!(1001)),
        ("dids", json!(["sales"])),
        ("dids", json!(["+2711", "0027-11"])),
        ("allowed_ips", json!(["0.0.0.0/0"])),
        ("agent_id", json!("agent_nobody")),
        ("pbx_sip_domain", json!("sip:x@y")),
        ("username", json!("a b")),
        ("call_forwarding_number", json!("home")),
    ] {
        let mut wrong = trunk("Home");
        wrong[field] = value.clone();
        let answer = server.post("/v1/trunks", wrong).await;
        if (field, &value) == ("dids", &json!(["+2711", "0027-11"])) {
            // Too short for an exit code: two numbers.
            assert_eq!(answer.status, 201);
            continue;
        }
        let message = answer.error(422, "invalid_request");
        assert!(message.starts_with(field), "{field}: {message}");
    }
}

//! `/v1/trunks/{id}/extensions`.

use serde_json::json;
use smartalex_server::directory::Found;

use crate::harness::Running;

#[tokio::test]
async fn extensions_are_made_shown_changed_and_deleted() {
    let server = Running::start().await;
    let (_, trunk) = server.office().await;
    let path = format!("/v1/trunks/{trunk}/extensions");
    let sales = json!({
        "extension": "101", "display_name": "Sales", "owner": "Sarah Jones",
        "department": "Sales", "aliases": ["sarah", "sales team"],
    });
    let made = server.post(&path, sales.clone()).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.data(), sales);
    server.post(&path, sales).await.error(409, "conflict");
    let one = format!("{path}/101");
    let changed = server
        .patch(&one, json!({"owner": null, "aliases": ["sally"]}))
        .await;
    assert_eq!(changed.data()["aliases"], json!(["sally"]));
    assert_eq!(server.get(&one).await.data()["owner"], json!(null));
    server
        .patch(&one, json!({"extension": "102"}))
        .await
        .error(422, "invalid_request");
    let snapshot = server.app().directory.snapshot();
    let names = &snapshot.trunk(&trunk).unwrap().extensions;
    assert!(matches!(names.find("Sally"), Found::One(one) if one.extension == "101"));
    assert!(matches!(names.find("sale"), Found::Nearest(list) if list.len() == 1));
    assert_eq!(server.delete(&one).await.status, 204);
    server.delete(&one).await.error(404, "not_found");
    assert_eq!(server.get(&path).await.json()["meta"]["total"], 0);
}

#[tokio::test]
async fn csv_is_taken_whole_or_not_at_all() {
    let server = Running::start().await;
    let (_, trunk) = server.office().await;
    let path = format!("/v1/trunks/{trunk}/extensions");
    let put = async |body: &'static str| {
        server
            .with_key(
                "PUT",
                &path,
                &[("content-type", "text/csv; charset=utf-8")],
                body,
            )
            .await
    };
    let good = "\u{feff}extension,display_name,owner,department,aliases\r\n\
                101,Sales,Sarah Jones,Sales,sarah|sales team\r\n\
                102,Support,,,\r\n";
    let answer = put(good).await;
    assert_eq!(
        answer.data(),
        json!({"created": 2, "updated": 0, "total": 2})
    );
    let bad = "extension,display_name\n103,New\n1 0 4,Wrong\n105,\n";
    let answer = put(bad).await;
    answer.error(422, "invalid_request");
    let details = &answer.json()["error"]["details"];
    assert_eq!(
        (&details[0]["row"], &details[0]["column"]),
        (&json!(3), &json!("extension"))
    );
    assert_eq!(
        (&details[1]["row"], &details[1]["column"]),
        (&json!(4), &json!("display_name"))
    );
    assert_eq!(server.get(&path).await.json()["meta"]["total"], 2);
    let more = "display_name,extension\nNew sales,101\nLobby,9\n";
    assert_eq!(
        put(more).await.data(),
        json!({"created": 1, "updated": 1, "total": 3})
    );
    let list = server.get(&path).await.json();
    let order: Vec<_> = (0..3)
        .map(|i| list["data"][i]["extension"].clone())
        .collect();
    assert_eq!(order, ["9", "101", "102"]);
    let json = [("content-type", "application/json")];
    let answer = server.with_key("PUT", &path, &json, "[]").await;
    answer.error(415, "invalid_request");
}

//! What every store has to do with the configuration: tenants, trunks, agents, webhooks, the log.

use super::*;

pub(crate) async fn what_is_kept_once_stays(store: Opened) {
    assert_eq!(store.meta("k").await.unwrap(), None);
    assert_eq!(store.meta_once("k", b"first").await.unwrap(), b"first");
    assert_eq!(store.meta_once("k", b"second").await.unwrap(), b"first");
    assert_eq!(store.meta("k").await.unwrap().unwrap(), b"first");
    store.ping().await.unwrap();
}

pub(crate) async fn workspaces_people_and_keys_are_kept(store: Opened) {
    let mut one = workspace(&store).await;
    assert_eq!(store.workspaces().await.unwrap(), [one.clone()]);
    one.read_only = true;
    one.wallet_empty = true;
    store.update_workspace(&one).await.unwrap();
    assert_eq!(store.workspaces().await.unwrap(), [one.clone()]);
    assert_eq!(store.count_users(&one.id).await.unwrap(), 0);
    let user = User {
        id: UserId::fresh(),
        workspace: one.id.clone(),
        name: "owner".into(),
        password: hash_password("pw").unwrap(),
        created_at: clock::now(),
    };
    store.add_user(&user, &audit(&one.id)).await.unwrap();
    assert_eq!(store.count_users(&one.id).await.unwrap(), 1);
}

pub(crate) async fn a_revoked_key_is_known_as_such(store: Opened) {
    let one = workspace(&store).await;
    let mut key = ApiKey {
        id: ApiKeyId::fresh(),
        workspace: one.id.clone(),
        role: Role::Control,
        hint: "sak_123456".into(),
        created_at: clock::now(),
        revoked_at: None,
    };
    let audit = audit(&one.id);
    store.add_api_key(&key, &[7; 32], &audit).await.unwrap();
    assert_eq!(store.api_key(&[8; 32]).await.unwrap(), None);
    assert_eq!(store.api_key(&[7; 32]).await.unwrap(), Some(key.clone()));
    let at = clock::now();
    let again = self::audit(&one.id);
    assert!(store.revoke_api_key(&key.id, at, &again).await.unwrap());
    let again = self::audit(&one.id);
    assert!(!store.revoke_api_key(&key.id, at, &again).await.unwrap());
    key.revoked_at = Some(at);
    assert_eq!(store.api_keys().await.unwrap(), [key]);
}

pub(crate) async fn trunks_come_back_as_they_were_put(store: Opened) {
    let one = workspace(&store).await;
    let agent = agent(&one.id);
    store.add_agent(&agent, &change(&one.id)).await.unwrap();
    let mut trunk = trunk(&one.id, "Office", "sa1", &["+27 87 250 0100", "101"]);
    trunk.agent = Some(agent.id.clone());
    store.add_trunk(&trunk, &change(&one.id)).await.unwrap();
    let found = store.trunk(&one.id, &trunk.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&trunk));
    trunk.auth = TrunkAuth::Both;
    trunk.dids.reverse();
    trunk.suspended = true;
    trunk.codecs = vec![TrunkCodec::Pcma];
    trunk.call_forwarding_number = Some("+2712".into());
    store.update_trunk(&trunk, &change(&one.id)).await.unwrap();
    assert_eq!(store.trunks(Some(&one.id)).await.unwrap(), [trunk.clone()]);
    assert_eq!(store.trunks(None).await.unwrap(), [trunk.clone()]);
    let elsewhere = WorkspaceId::fresh();
    assert!(store.trunks(Some(&elsewhere)).await.unwrap().is_empty());
    assert_eq!(store.trunk(&elsewhere, &trunk.id).await.unwrap(), None);
    let foreign = store
        .delete_trunk(&elsewhere, &trunk.id, &change(&one.id))
        .await
        .unwrap();
    assert!(!foreign);
    let own = store
        .delete_trunk(&one.id, &trunk.id, &change(&one.id))
        .await
        .unwrap();
    assert!(own);
    assert_eq!(store.trunk(&one.id, &trunk.id).await.unwrap(), None);
}

pub(crate) async fn names_users_and_numbers_collide(store: Opened) {
    let one = workspace(&store).await;
    let first = trunk(&one.id, "Office", "sa1", &["+2787"]);
    store.add_trunk(&first, &change(&one.id)).await.unwrap();
    let put = async |trunk: Trunk, change: Change| match store.add_trunk(&trunk, &change).await {
        Err(StoreError::Conflict(what)) => Some(what),
        Ok(()) => None,
        Err(other) => panic!("{other}"),
    };
    let collision = put(trunk(&one.id, "Office", "sa2", &[]), change(&one.id)).await;
    assert_eq!(collision, Some(Conflict::TrunkName));
    let collision = put(trunk(&one.id, "Home", "sa1", &[]), change(&one.id)).await;
    assert_eq!(collision, Some(Conflict::Username));
    let collision = put(trunk(&one.id, "Home", "sa2", &["2787"]), change(&one.id)).await;
    assert_eq!(collision, Some(Conflict::Did("2787".into())));
    // Another workspace may use the name and the number, but not the user.
    let other = workspace(&store).await;
    let collision = put(trunk(&other.id, "Office", "sa1", &[]), change(&other.id)).await;
    assert_eq!(collision, Some(Conflict::Username));
    let none = put(
        trunk(&other.id, "Office", "sa3", &["+2787"]),
        change(&other.id),
    )
    .await;
    assert_eq!(none, None);
}

pub(crate) async fn a_refused_change_leaves_nothing(store: Opened) {
    let one = workspace(&store).await;
    let first = trunk(&one.id, "Office", "sa1", &["+2787"]);
    store.add_trunk(&first, &change(&one.id)).await.unwrap();
    let mut second = trunk(&one.id, "Home", "sa2", &["+2788", "+2787"]);
    let mut with_key = change(&one.id);
    with_key.idempotent = Some(idempotent("k"));
    assert!(store.add_trunk(&second, &with_key).await.is_err());
    assert_eq!(store.trunks(None).await.unwrap().len(), 1);
    assert_eq!(store.idempotent(&one.id, "k").await.unwrap(), None);
    let log = store
        .audit_log(&one.id, &AuditFilter::default(), page(1, 10))
        .await
        .unwrap();
    assert_eq!(log.total, 1);
    second.dids.pop();
    store.add_trunk(&second, &with_key).await.unwrap();
}

pub(crate) async fn deleting_an_agent_unlinks_its_trunks(store: Opened) {
    let one = workspace(&store).await;
    let agent = agent(&one.id);
    store.add_agent(&agent, &change(&one.id)).await.unwrap();
    let mut trunk = trunk(&one.id, "Office", "sa1", &[]);
    trunk.agent = Some(agent.id.clone());
    store.add_trunk(&trunk, &change(&one.id)).await.unwrap();
    let gone = store
        .delete_agent(&one.id, &agent.id, &change(&one.id))
        .await
        .unwrap();
    assert!(gone);
    let found = store.trunk(&one.id, &trunk.id).await.unwrap().unwrap();
    assert_eq!(found.agent, None);
    let again = store
        .delete_agent(&one.id, &agent.id, &change(&one.id))
        .await
        .unwrap();
    assert!(!again);
}

pub(crate) async fn extensions_are_put_all_or_none(store: Opened) {
    let one = workspace(&store).await;
    let trunk = trunk(&one.id, "Office", "sa1", &[]);
    store.add_trunk(&trunk, &change(&one.id)).await.unwrap();
    let put = async |extensions: &[Extension], mode| {
        store
            .put_extensions(&trunk.id, extensions, mode, &change(&one.id))
            .await
    };
    let [sales, support, lobby] = [
        extension("101", "Sales"),
        extension("1000", "Support"),
        extension("9", "Lobby"),
    ];
    assert_eq!(
        put(&[sales.clone(), support.clone()], PutMode::Create)
            .await
            .unwrap(),
        2
    );
    let collision = put(&[lobby.clone(), sales.clone()], PutMode::Create).await;
    assert!(matches!(
        collision,
        Err(StoreError::Conflict(Conflict::Extension(number))) if number == "101"
    ));
    assert_eq!(
        store.extensions(&trunk.id).await.unwrap(),
        [sales.clone(), support.clone()]
    );
    let renamed = extension("101", "New sales");
    let put = put(&[lobby.clone(), renamed.clone()], PutMode::Replace).await;
    assert_eq!(put.unwrap(), 1);
    let all = store.extensions(&trunk.id).await.unwrap();
    assert_eq!(all, [lobby, renamed, support]);
    let gone = store
        .delete_extension(&trunk.id, "9", &change(&one.id))
        .await
        .unwrap();
    assert!(gone);
    let again = store
        .delete_extension(&trunk.id, "9", &change(&one.id))
        .await
        .unwrap();
    assert!(!again);
}

pub(crate) async fn agents_and_webhooks_come_back_as_they_were_put(store: Opened) {
    let one = workspace(&store).await;
    let mut agent = agent(&one.id);
    store.add_agent(&agent, &change(&one.id)).await.unwrap();
    agent.runtime = Runtime::MediaStreams(MediaStreams {
        url: "wss://voice.example.com/".into(),
    });
    agent.first_message = None;
    store.update_agent(&agent, &change(&one.id)).await.unwrap();
    assert_eq!(store.agents(Some(&one.id)).await.unwrap(), [agent]);
    let webhook = webhook(&one.id, &[EventKind::CallEnded, EventKind::CallStarted]);
    store.add_webhook(&webhook, &change(&one.id)).await.unwrap();
    let found = store.webhooks(&one.id).await.unwrap();
    assert_eq!(found.len(), 1);
    // In the order of the documentation.
    assert_eq!(
        found[0].events,
        [EventKind::CallStarted, EventKind::CallEnded]
    );
    assert_eq!(found[0].url, webhook.url);
    assert_eq!(found[0].secret, webhook.secret);
    let gone = store
        .delete_webhook(&one.id, &webhook.id, &change(&one.id))
        .await
        .unwrap();
    assert!(gone);
    assert!(store.webhooks(&one.id).await.unwrap().is_empty());
}

pub(crate) async fn an_idempotency_key_is_taken_once(store: Opened) {
    let one = workspace(&store).await;
    let mut with_key = change(&one.id);
    with_key.idempotent = Some(idempotent("k"));
    store.add_agent(&agent(&one.id), &with_key).await.unwrap();
    with_key.audit = audit(&one.id);
    assert!(matches!(
        store.add_agent(&agent(&one.id), &with_key).await,
        Err(StoreError::Conflict(Conflict::IdempotencyKey))
    ));
    assert_eq!(store.agents(None).await.unwrap().len(), 1);
    let kept = store.idempotent(&one.id, "k").await.unwrap();
    assert_eq!(kept, with_key.idempotent);
    let other = workspace(&store).await;
    assert_eq!(store.idempotent(&other.id, "k").await.unwrap(), None);
}

pub(crate) async fn the_audit_log_is_filtered(store: Opened) {
    let one = workspace(&store).await;
    for (actor, what) in [("key_1", "trunk.created"), ("cli", "agent.created")] {
        let entry = AuditEntry::new(&one.id, actor, what, "x_1", "d");
        store.note(&Change::new(entry)).await.unwrap();
    }
    let list = async |filter: AuditFilter| {
        let found = store
            .audit_log(&one.id, &filter, page(1, 10))
            .await
            .unwrap();
        found
            .items
            .into_iter()
            .map(|entry| entry.event_type)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(AuditFilter::default()).await.len(), 2);
    let by_actor = AuditFilter {
        actor: Some("cli".into()),
        ..AuditFilter::default()
    };
    assert_eq!(list(by_actor).await, ["agent.created"]);
    let by_type = AuditFilter {
        event_type: Some("trunk.created".into()),
        ..AuditFilter::default()
    };
    assert_eq!(list(by_type).await, ["trunk.created"]);
    let past = AuditFilter {
        to: Some(clock::from_millis(1)),
        ..AuditFilter::default()
    };
    assert!(list(past).await.is_empty());
}

//! What every store has to do: one suite, run on each implementation by [`contract!`].

use std::sync::Arc;
use std::time::Duration;

use crate::agents::{Agent, MediaStreams, Runtime};
use crate::audit::AuditEntry;
use crate::calls::record::{
    CallOutcome, CallRecord, CallStatus, ConfirmedBy, Direction, EndedBy, MediaFacts, SipFacts,
    Speaker, ToolUse, TranscriptLine, Transfer, TransferKind, TransferOutcome, TransferState,
    TransferStep,
};
use crate::calls::{LEASE, events, sweep};
use crate::clock;
use crate::ids::{
    AgentId, ApiKeyId, CallId, DeliveryId, TransferId, TrunkId, UserId, WebhookId, WorkspaceId,
};
use crate::secrets::hash_password;
use crate::store::{
    AuditFilter, CallFilter, CallWrite, Change, Close, Conflict, Idempotent, Lease, Orphans, Page,
    PutMode, StatusFilter, Store, StoreError,
};
use crate::tenants::{ApiKey, Role, User, Workspace};
use crate::trunks::{Did, Extension, TransferMode, Trunk, TrunkAuth, TrunkCodec, TrunkTransport};
use crate::webhooks::{AttemptResult, DeliveryState, EventKind, Webhook};

/// Runs the suite on what `$open` (an async function without arguments) gives: a store, and
/// something that is dropped after it.
macro_rules! contract {
    ($open:path) => {
        $crate::store::contract::contract!($open:
            what_is_kept_once_stays,
            workspaces_people_and_keys_are_kept,
            a_revoked_key_is_known_as_such,
            trunks_come_back_as_they_were_put,
            names_users_and_numbers_collide,
            a_refused_change_leaves_nothing,
            deleting_an_agent_unlinks_its_trunks,
            extensions_are_put_all_or_none,
            agents_and_webhooks_come_back_as_they_were_put,
            an_idempotency_key_is_taken_once,
            the_audit_log_is_filtered,
            a_call_is_told_from_its_invite_to_its_end,
            a_closed_call_stays_closed,
            calls_are_filtered_and_paged,
            a_failing_write_takes_the_whole_batch_back,
            orphans_are_closed_once_and_told,
            events_reach_the_webhooks_that_want_them,
            deliveries_of_a_call_go_out_in_order,
            a_lease_is_held_by_one_and_runs_out,
            a_gone_endpoint_gets_nothing_more,
            dead_letters_are_replayed,
            old_events_and_keys_are_forgotten,
        );
    };
    ($open:path: $($behaviour:ident,)+) => { $(
        #[tokio::test]
        async fn $behaviour() {
            let (store, _kept) = $open().await;
            $crate::store::contract::$behaviour(store).await;
        }
    )+ };
}
pub(crate) use contract;

type Opened = Arc<dyn Store>;

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

pub(crate) async fn a_call_is_told_from_its_invite_to_its_end(store: Opened) {
    let one = workspace(&store).await;
    let mut call = call(&one.id);
    assert_eq!(store.apply(&[open(&call)]).await.unwrap(), [true]);
    let found = store.call(&one.id, &call.id).await.unwrap().unwrap();
    assert_eq!(found.call, call);
    call.answered_at = Some(clock::later(call.started_at, Duration::from_secs(2)));
    call.voice = Some("espeak-ng".into());
    call.message = Some("call me".into());
    let line = TranscriptLine {
        speaker: Speaker::Caller,
        text: "1".into(),
        at: clock::now(),
    };
    let tool = ToolUse {
        name: "lookup".into(),
        arguments: serde_json::json!({"a": 1}),
        result: serde_json::json!([2]),
        at: clock::now(),
    };
    let mut transfer = transfer();
    let writes = [
        CallWrite::Answered {
            call: call.id.clone(),
            at: call.answered_at.unwrap(),
            event: None,
        },
        CallWrite::Voice {
            call: call.id.clone(),
            voice: "espeak-ng".into(),
        },
        CallWrite::Message {
            call: call.id.clone(),
            text: "call me".into(),
        },
        CallWrite::Line {
            call: call.id.clone(),
            line: line.clone(),
        },
        CallWrite::Tool {
            call: call.id.clone(),
            tool: tool.clone(),
            event: None,
        },
        put_transfer(&call, &transfer, None),
    ];
    assert_eq!(store.apply(&writes).await.unwrap(), [true; 6]);
    transfer.state = TransferState::Ended;
    transfer.outcome = Some(TransferOutcome::Transferred);
    transfer.confirmed_by = ConfirmedBy::Pbx;
    transfer.sip_code = Some(200);
    transfer.reason = Some("OK".into());
    transfer.ended_at = Some(clock::now());
    let close = closing(&call, CallStatus::Completed, CallOutcome::Transferred);
    let end = [put_transfer(&call, &transfer, None), close.clone()];
    assert_eq!(store.apply(&end).await.unwrap(), [true, true]);
    take_over(&mut call, &close);
    let found = store.call(&one.id, &call.id).await.unwrap().unwrap();
    assert_eq!(found.call, call);
    assert_eq!(found.transcript, [line]);
    assert_eq!(found.tools, [tool]);
    assert_eq!(found.transfers, [transfer.clone()]);
    let alone = store.transfer(&call.id, &transfer.id).await.unwrap();
    assert_eq!(alone, Some(transfer));
    let elsewhere = store.call(&WorkspaceId::fresh(), &call.id).await.unwrap();
    assert_eq!(elsewhere, None);
}

pub(crate) async fn a_closed_call_stays_closed(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &EventKind::ALL);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    let call = call(&one.id);
    let mut closed = call.clone();
    let close = closing(&call, CallStatus::Completed, CallOutcome::Completed);
    take_over(&mut closed, &close);
    let with_event = match close {
        CallWrite::Close { call, close, .. } => CallWrite::Close {
            call,
            close,
            event: Some(events::call_closed(&closed, false)),
        },
        other => other,
    };
    store.apply(&[open(&call)]).await.unwrap();
    assert_eq!(store.apply(&[with_event.clone()]).await.unwrap(), [true]);
    // A second end, and an answer that comes late, change nothing and tell nothing.
    let late = CallWrite::Answered {
        call: call.id.clone(),
        at: clock::now(),
        event: Some(events::call_answered(&call)),
    };
    let failed = closing(&call, CallStatus::Failed, CallOutcome::Failed);
    let writes = [with_event, late, failed];
    assert_eq!(store.apply(&writes).await.unwrap(), [false; 3]);
    let found = store.call(&one.id, &call.id).await.unwrap().unwrap();
    assert_eq!(found.call, closed);
    // The start and one end.
    assert_eq!(store.outbox_depth().await.unwrap(), (2, 0));
    // The word of a transfer that comes late does change what the call led to.
    let mut transfer = transfer();
    transfer.outcome = Some(TransferOutcome::Transferred);
    let amended = put_transfer(&call, &transfer, Some(CallOutcome::Transferred));
    assert_eq!(store.apply(&[amended]).await.unwrap(), [true]);
    let found = store.call(&one.id, &call.id).await.unwrap().unwrap();
    assert_eq!(found.call.outcome, Some(CallOutcome::Transferred));
    assert_eq!(found.call.status, Some(CallStatus::Completed));
}

pub(crate) async fn calls_are_filtered_and_paged(store: Opened) {
    let one = workspace(&store).await;
    let agent = AgentId::fresh();
    let mut ids = Vec::new();
    for number in 0..5_u64 {
        let mut call = call(&one.id);
        call.started_at = clock::from_millis(1_000_000 + 1_000 * number as i64);
        call.from = format!("+2782000000{number}");
        if number == 3 {
            call.direction = Direction::Outbound;
            call.agent = Some(agent.clone());
        }
        store.apply(&[open(&call)]).await.unwrap();
        if number > 0 {
            let status = match number {
                1 => CallStatus::Busy,
                _ => CallStatus::Completed,
            };
            let close = closing(&call, status, CallOutcome::Completed);
            store.apply(&[close]).await.unwrap();
        }
        ids.push(call.id);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let list = async |filter: CallFilter, page: Page| {
        let found = store.calls(&one.id, &filter, page).await.unwrap();
        let at = |call: &CallRecord| ids.iter().position(|id| *id == call.id).unwrap();
        (found.items.iter().map(at).collect::<Vec<_>>(), found.total)
    };
    let all = CallFilter::default();
    assert_eq!(list(all.clone(), page(1, 10)).await, (vec![4, 3, 2, 1], 4));
    assert_eq!(list(all.clone(), page(2, 3)).await, (vec![1], 4));
    assert_eq!(list(all.clone(), page(9, 3)).await, (vec![], 4));
    for (filter, expected) in [
        (
            CallFilter {
                status: Some(StatusFilter::InProgress),
                ..all.clone()
            },
            vec![0],
        ),
        (
            CallFilter {
                status: Some(StatusFilter::Ended(CallStatus::Busy)),
                ..all.clone()
            },
            vec![1],
        ),
        (
            CallFilter {
                from: Some(clock::from_millis(1_002_000)),
                to: Some(clock::from_millis(1_004_000)),
                ..all.clone()
            },
            vec![3, 2],
        ),
        (
            CallFilter {
                direction: Some(Direction::Outbound),
                ..all.clone()
            },
            vec![3],
        ),
        (
            CallFilter {
                agent: Some(agent.clone()),
                ..all.clone()
            },
            vec![3],
        ),
        (
            CallFilter {
                trunk: Some(TrunkId::fresh()),
                ..all.clone()
            },
            vec![],
        ),
        (
            CallFilter {
                number: Some("27820000002".into()),
                ..all.clone()
            },
            vec![2],
        ),
        (
            CallFilter {
                number: Some("27872500100".into()),
                ..all.clone()
            },
            vec![4, 3, 2, 1],
        ),
    ] {
        let (found, total) = list(filter.clone(), page(1, 10)).await;
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(total, expected.len() as u64);
    }
    let mut before = None;
    let mut read = Vec::new();
    loop {
        let piece = store
            .calls_before(&one.id, &all, before.as_ref(), 3)
            .await
            .unwrap();
        let Some(last) = piece.last() else { break };
        before = Some(last.id.clone());
        read.extend(piece.into_iter().map(|call| call.id));
    }
    assert_eq!(read, [4, 3, 2, 1].map(|at: usize| ids[at].clone()));
}

pub(crate) async fn a_failing_write_takes_the_whole_batch_back(store: Opened) {
    let one = workspace(&store).await;
    let (good, bad) = (call(&one.id), call(&WorkspaceId::fresh()));
    let result = store.apply(&[open(&good), open(&bad)]).await;
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
    assert_eq!(store.call(&one.id, &good.id).await.unwrap(), None);
}

pub(crate) async fn orphans_are_closed_once_and_told(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &[EventKind::CallFailed]);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    let mut dead = call(&one.id);
    dead.node = "dead".into();
    let mut alive = call(&one.id);
    alive.node = "alive".into();
    let own = call(&one.id);
    let now = clock::now();
    let lease = |call: &CallRecord, seconds: i64| CallWrite::Open {
        call: Box::new(call.clone()),
        lease_until: clock::from_millis(now.as_millisecond() + seconds * 1_000),
        event: None,
    };
    let writes = [lease(&dead, -5), lease(&alive, -5), lease(&own, -5)];
    store.apply(&writes).await.unwrap();
    let until = clock::later(now, LEASE);
    assert_eq!(store.renew_leases("alive", until).await.unwrap(), 1);
    let others = Orphans::NotOf("node-1", now);
    assert_eq!(sweep::sweep(&*store, others).await.unwrap(), 1);
    assert_eq!(sweep::sweep(&*store, others).await.unwrap(), 0);
    let found = store.call(&one.id, &dead.id).await.unwrap().unwrap().call;
    assert_eq!(found.status, Some(CallStatus::Failed));
    assert!(found.sip.reason.unwrap().contains("node dead"));
    assert_eq!(found.sip.ended_by, Some(EndedBy::Server));
    assert_eq!(store.outbox_depth().await.unwrap(), (1, 0));
    // At its start a node closes what it left, whatever the lease says.
    assert_eq!(
        sweep::sweep(&*store, Orphans::Of("node-1")).await.unwrap(),
        1
    );
    assert_eq!(store.outbox_depth().await.unwrap(), (2, 0));
    let found = store.call(&one.id, &alive.id).await.unwrap().unwrap().call;
    assert_eq!(found.status, None);
}

pub(crate) async fn events_reach_the_webhooks_that_want_them(store: Opened) {
    let one = workspace(&store).await;
    let agent = AgentId::fresh();
    let started = webhook(&one.id, &[EventKind::CallStarted]);
    let ended = webhook(&one.id, &[EventKind::CallEnded]);
    let mut of_agent = webhook(&one.id, &[EventKind::CallStarted]);
    of_agent.agent = Some(agent.clone());
    let other = workspace(&store).await;
    let foreign = webhook(&other.id, &EventKind::ALL);
    for hook in [&started, &ended, &of_agent] {
        store.add_webhook(hook, &change(&one.id)).await.unwrap();
    }
    store
        .add_webhook(&foreign, &change(&other.id))
        .await
        .unwrap();
    let mut call = call(&one.id);
    store.apply(&[open(&call)]).await.unwrap();
    let (due, _) = store.due_webhooks(clock::now()).await.unwrap();
    assert_eq!(due, [started.id.clone()]);
    call.id = CallId::fresh();
    call.agent = Some(agent);
    store.apply(&[open(&call)]).await.unwrap();
    let (mut due, _) = store.due_webhooks(clock::now()).await.unwrap();
    due.sort();
    let mut expected = [started.id.clone(), of_agent.id.clone()];
    expected.sort();
    assert_eq!(due, expected);
    let deliveries = async |id: &WebhookId| {
        let found = store.deliveries(&one.id, Some(id), None, page(1, 10)).await;
        found.unwrap().total
    };
    assert_eq!(deliveries(&started.id).await, 2);
    assert_eq!(deliveries(&of_agent.id).await, 1);
    assert_eq!(deliveries(&ended.id).await, 0);
}

pub(crate) async fn deliveries_of_a_call_go_out_in_order(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &EventKind::ALL);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    let (first, second) = (call(&one.id), call(&one.id));
    let answered = CallWrite::Answered {
        call: first.id.clone(),
        at: clock::now(),
        event: Some(events::call_answered(&first)),
    };
    let writes = [open(&first), answered, open(&second)];
    store.apply(&writes).await.unwrap();
    let leased = lease(&store, &hook.id, "n", Duration::ZERO).await;
    // The first event of each call; the answer waits for the start of its call.
    let kinds: Vec<_> = leased.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [EventKind::CallStarted; 2]);
    assert!(
        lease(&store, &hook.id, "n", Duration::ZERO)
            .await
            .is_empty()
    );
    // The start fails: the answer waits with it, and is not even due.
    let retry_at = clock::later(clock::now(), Duration::from_secs(60));
    let retry = AttemptResult::Retry {
        at: retry_at,
        status: Some(503),
        error: "503".into(),
    };
    let done = AttemptResult::Delivered { status: 200 };
    finish(&store, &leased[0].id, retry).await;
    finish(&store, &leased[1].id, done.clone()).await;
    let (due, next) = store.due_webhooks(clock::now()).await.unwrap();
    assert_eq!((due, next), (vec![], Some(retry_at)));
    // An event that comes while the start waits takes its place behind it.
    let mut closed = first.clone();
    let close = closing(&first, CallStatus::Completed, CallOutcome::Completed);
    take_over(&mut closed, &close);
    if let CallWrite::Close { call, close, .. } = close {
        let event = Some(events::call_closed(&closed, false));
        store
            .apply(&[CallWrite::Close { call, close, event }])
            .await
            .unwrap();
    }
    assert_eq!(store.due_webhooks(clock::now()).await.unwrap().0, []);
    let mut order = Vec::new();
    let later = Duration::from_secs(120);
    loop {
        let leased = lease(&store, &hook.id, "n", later).await;
        let [next] = leased.as_slice() else {
            assert!(leased.is_empty(), "two deliveries of one call at a time");
            break;
        };
        order.push((next.kind, next.attempts));
        finish(&store, &next.id, done.clone()).await;
    }
    assert_eq!(
        order,
        [
            (EventKind::CallStarted, 1),
            (EventKind::CallAnswered, 0),
            (EventKind::CallEnded, 0)
        ]
    );
    assert_eq!(store.outbox_depth().await.unwrap(), (0, 0));
}

pub(crate) async fn a_lease_is_held_by_one_and_runs_out(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &EventKind::ALL);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    store.apply(&[open(&call(&one.id))]).await.unwrap();
    let first = lease(&store, &hook.id, "a", Duration::ZERO).await;
    assert_eq!(first.len(), 1);
    assert!(
        lease(&store, &hook.id, "b", Duration::ZERO)
            .await
            .is_empty()
    );
    // Later the lease of `a` has run out: `b` has it, and what `a` says no longer counts.
    let second = lease(&store, &hook.id, "b", Duration::from_secs(120)).await;
    assert_eq!(second[0].id, first[0].id);
    assert_eq!(second[0].body, first[0].body);
    let dead = AttemptResult::Dead {
        status: Some(400),
        error: "400".into(),
        disable: false,
    };
    let results = [(first[0].id.clone(), dead)];
    store
        .finish_attempts("a", &results, clock::now())
        .await
        .unwrap();
    assert_eq!(store.outbox_depth().await.unwrap(), (1, 0));
    // At its start a node gives back what it held before.
    assert_eq!(store.release_leases("b").await.unwrap(), 1);
    assert_eq!(lease(&store, &hook.id, "b", Duration::ZERO).await.len(), 1);
}

pub(crate) async fn a_gone_endpoint_gets_nothing_more(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &EventKind::ALL);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    store
        .apply(&[open(&call(&one.id)), open(&call(&one.id))])
        .await
        .unwrap();
    let leased = lease(&store, &hook.id, "n", Duration::ZERO).await;
    let gone = AttemptResult::Dead {
        status: Some(410),
        error: "410".into(),
        disable: true,
    };
    finish(&store, &leased[0].id, gone).await;
    assert_eq!(store.outbox_depth().await.unwrap(), (0, 2));
    assert!(store.webhooks(&one.id).await.unwrap()[0].disabled.is_some());
    store.apply(&[open(&call(&one.id))]).await.unwrap();
    assert_eq!(store.outbox_depth().await.unwrap(), (0, 2));
}

pub(crate) async fn dead_letters_are_replayed(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &EventKind::ALL);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    store.apply(&[open(&call(&one.id))]).await.unwrap();
    let leased = lease(&store, &hook.id, "n", Duration::ZERO).await;
    let id = leased[0].id.clone();
    let dead = AttemptResult::Dead {
        status: Some(410),
        error: "the endpoint answered 410".into(),
        disable: true,
    };
    let replay = async |workspace: &WorkspaceId, id: &DeliveryId| {
        let now = clock::now();
        store
            .replay(workspace, id, now, &change(&one.id))
            .await
            .unwrap()
    };
    assert_eq!(replay(&one.id, &id).await, None, "it is pending, not dead");
    finish(&store, &id, dead).await;
    let dead = Some(DeliveryState::DeadLetter);
    let letters = store
        .deliveries(&one.id, None, dead, page(1, 10))
        .await
        .unwrap();
    assert_eq!(
        (letters.total, letters.items[0].last_status),
        (1, Some(410))
    );
    assert_eq!(replay(&WorkspaceId::fresh(), &id).await, None);
    let delivery = replay(&one.id, &id).await.unwrap();
    assert_eq!(
        (delivery.state, delivery.attempts),
        (DeliveryState::Pending, 0)
    );
    assert_eq!(store.webhooks(&one.id).await.unwrap()[0].disabled, None);
    assert_eq!(lease(&store, &hook.id, "n", Duration::ZERO).await.len(), 1);
}

pub(crate) async fn old_events_and_keys_are_forgotten(store: Opened) {
    let one = workspace(&store).await;
    let hook = webhook(&one.id, &EventKind::ALL);
    store.add_webhook(&hook, &change(&one.id)).await.unwrap();
    let mut with_key = change(&one.id);
    with_key.idempotent = Some(idempotent("k"));
    store.add_agent(&agent(&one.id), &with_key).await.unwrap();
    store
        .apply(&[open(&call(&one.id)), open(&call(&one.id))])
        .await
        .unwrap();
    let leased = lease(&store, &hook.id, "n", Duration::ZERO).await;
    let done = AttemptResult::Delivered { status: 200 };
    finish(&store, &leased[0].id, done).await;
    let later = clock::later(clock::now(), Duration::from_secs(1));
    store.prune(later, later).await.unwrap();
    let left = store
        .deliveries(&one.id, None, None, page(1, 10))
        .await
        .unwrap();
    assert_eq!((left.total, &left.items[0].id), (1, &leased[1].id));
    assert_eq!(store.idempotent(&one.id, "k").await.unwrap(), None);
}

async fn workspace(store: &Opened) -> Workspace {
    let workspace = Workspace {
        id: WorkspaceId::fresh(),
        name: "w".into(),
        read_only: false,
        wallet_empty: false,
        created_at: clock::now(),
    };
    store.add_workspace(&workspace).await.unwrap();
    workspace
}

async fn lease(
    store: &Opened,
    webhook: &WebhookId,
    node: &str,
    after: Duration,
) -> Vec<crate::webhooks::LeasedDelivery> {
    let now = clock::later(clock::now(), after);
    let lease = Lease {
        node,
        webhook,
        now,
        until: clock::later(now, Duration::from_secs(30)),
        limit: 10,
    };
    store.lease_deliveries(lease).await.unwrap()
}

async fn finish(store: &Opened, id: &DeliveryId, result: AttemptResult) {
    let results = [(id.clone(), result)];
    store
        .finish_attempts("n", &results, clock::now())
        .await
        .unwrap();
}

fn audit(workspace: &WorkspaceId) -> AuditEntry {
    AuditEntry::new(workspace, "test", "x.changed", "x_1", "")
}

fn change(workspace: &WorkspaceId) -> Change {
    Change::new(audit(workspace))
}

fn idempotent(key: &str) -> Idempotent {
    Idempotent {
        key: key.into(),
        request: [1; 32],
        status: 201,
        body: vec![1, 2, 3],
        at: clock::now(),
    }
}

fn page(page: u32, per_page: u32) -> Page {
    Page { page, per_page }
}

fn agent(workspace: &WorkspaceId) -> Agent {
    Agent {
        id: AgentId::fresh(),
        workspace: workspace.clone(),
        name: "Sarah".into(),
        runtime: Runtime::Embedded,
        first_message: Some("Hello".into()),
        system_prompt: None,
        max_duration_seconds: 300,
        silence_timeout_seconds: 30,
        closing_message: Some("Bye".into()),
        created_at: clock::now(),
    }
}

fn trunk(workspace: &WorkspaceId, name: &str, username: &str, dids: &[&str]) -> Trunk {
    Trunk {
        id: TrunkId::fresh(),
        workspace: workspace.clone(),
        name: name.into(),
        pbx_type: "Asterisk".into(),
        pbx_sip_domain: "pbx.example.com".into(),
        auth: TrunkAuth::Digest,
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap()],
        username: Some(username.into()),
        password: Some(vec![1, 2, 3]),
        codecs: vec![TrunkCodec::Pcmu, TrunkCodec::Pcma],
        transport: TrunkTransport::Udp,
        max_concurrent_calls: 10,
        dids: dids
            .iter()
            .map(|number| Did {
                number: (*number).into(),
                digits: crate::directory::normal(number).unwrap(),
            })
            .collect(),
        agent: None,
        transfer: TransferMode::Refer,
        call_forwarding_number: None,
        suspended: false,
        created_at: clock::now(),
    }
}

fn extension(number: &str, name: &str) -> Extension {
    Extension {
        extension: number.into(),
        display_name: name.into(),
        owner: Some("Sarah".into()),
        department: None,
        aliases: vec!["a".into(), "b|c".into()],
    }
}

fn webhook(workspace: &WorkspaceId, events: &[EventKind]) -> Webhook {
    Webhook {
        id: WebhookId::fresh(),
        workspace: workspace.clone(),
        url: "https://example.com/hook".into(),
        events: events.to_vec(),
        description: None,
        agent: None,
        secret: vec![9; 10],
        disabled: None,
        created_at: clock::now(),
    }
}

fn call(workspace: &WorkspaceId) -> CallRecord {
    CallRecord {
        id: CallId::fresh(),
        workspace: workspace.clone(),
        node: "node-1".into(),
        trunk: None,
        agent: None,
        agent_name: Some("Sarah".into()),
        direction: Direction::Inbound,
        status: None,
        outcome: None,
        from: "+27821234567".into(),
        to: "+27 87 250 0100".into(),
        started_at: clock::now(),
        answered_at: None,
        ended_at: None,
        sip: SipFacts {
            call_id: "abc@pbx".into(),
            from: "<sip:a@pbx>".into(),
            to: "<sip:b@us>".into(),
            ..SipFacts::default()
        },
        media: None,
        voice: None,
        message: None,
    }
}

fn open(call: &CallRecord) -> CallWrite {
    CallWrite::Open {
        lease_until: clock::later(clock::now(), LEASE),
        event: Some(events::call_started(call)),
        call: Box::new(call.clone()),
    }
}

fn closing(call: &CallRecord, status: CallStatus, outcome: CallOutcome) -> CallWrite {
    CallWrite::Close {
        call: call.id.clone(),
        close: Box::new(Close {
            at: clock::later(call.started_at, Duration::from_secs(49)),
            status,
            outcome,
            final_code: Some(200),
            reason: Some("Normal call clearing".into()),
            ended_by: Some(EndedBy::Caller),
            media: Some(MediaFacts {
                codec: Some("PCMU".into()),
                jitter_ms: Some(1.5),
                packets_in: 2_350,
                ..MediaFacts::default()
            }),
        }),
        event: None,
    }
}

fn take_over(call: &mut CallRecord, write: &CallWrite) {
    let CallWrite::Close { close, .. } = write else {
        panic!("{write:?} closes nothing");
    };
    call.status = Some(close.status);
    call.outcome = Some(close.outcome);
    call.ended_at = Some(close.at);
    call.sip.final_code = close.final_code;
    call.sip.reason = close.reason.clone();
    call.sip.ended_by = close.ended_by;
    call.media = close.media.clone();
}

fn transfer() -> Transfer {
    Transfer {
        id: TransferId::fresh(),
        target: "101".into(),
        kind: TransferKind::Blind,
        state: TransferState::Requested,
        outcome: None,
        confirmed_by: ConfirmedBy::None,
        sip_code: None,
        reason: None,
        steps: vec![TransferStep {
            at: clock::now().to_string(),
            what: "requested".into(),
        }],
        requested_at: clock::now(),
        ended_at: None,
    }
}

fn put_transfer(call: &CallRecord, transfer: &Transfer, outcome: Option<CallOutcome>) -> CallWrite {
    CallWrite::Transfer {
        call: call.id.clone(),
        transfer: Box::new(transfer.clone()),
        outcome,
        event: None,
    }
}

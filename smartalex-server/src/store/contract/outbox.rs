//! What every store has to do with events on their way to webhooks.

use super::*;

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
    assert_eq!(due, std::slice::from_ref(&started.id));
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

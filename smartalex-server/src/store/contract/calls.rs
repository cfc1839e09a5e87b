//! What every store has to do with calls, from their INVITE to their end.

use super::*;

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
    assert_eq!(
        store
            .apply(std::slice::from_ref(&with_event))
            .await
            .unwrap(),
        [true]
    );
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
    let transfer = transfer();
    let asked = [put_transfer(&dead, &transfer, None)];
    store.apply(&asked).await.unwrap();
    let until = clock::later(now, LEASE);
    assert_eq!(store.renew_leases("alive", until).await.unwrap(), 1);
    let others = Orphans::NotOf("node-1", now);
    assert_eq!(sweep::sweep(&*store, others).await.unwrap(), 1);
    assert_eq!(sweep::sweep(&*store, others).await.unwrap(), 0);
    let found = store.call(&one.id, &dead.id).await.unwrap().unwrap();
    assert_eq!(found.transfers[0].outcome, Some(TransferOutcome::Unknown));
    let found = found.call;
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

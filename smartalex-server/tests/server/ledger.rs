//! The ledger under load, under loss, and when its callers give up.

use std::time::{Duration, Instant};

use smartalex_server::calls::CallResult;
use smartalex_server::calls::record::{
    CallOutcome, CallStatus, ConfirmedBy, Speaker, TransferKind, TransferOutcome,
};
use smartalex_server::calls::{LedgerError, TransferResult};
use smartalex_server::ids::WorkspaceId;
use smartalex_server::store::{CallFilter, Page};

use crate::calls::{closing, refused};
use crate::harness::{Running, eventually, new_call};

#[tokio::test]
async fn a_call_whose_task_is_lost_is_recorded_as_failed() {
    let server = Running::start().await;
    let call = server.open_call(None).await;
    let id = call.id().clone();
    let clone = call.clone();
    drop(call);
    assert_eq!(server.app().ledger.live(), 1);
    drop(clone);
    assert_eq!(server.app().ledger.live(), 0);
    let mut shown = None;
    for _ in 0..100 {
        let found = server
            .app()
            .store
            .call(&server.app().home, &id)
            .await
            .unwrap();
        shown = found.filter(|found| found.call.status.is_some());
        if shown.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let call = shown.expect("it is closed").call;
    assert_eq!(call.status, Some(CallStatus::Failed));
    assert!(call.sip.reason.unwrap().contains("without a word"));
}

#[tokio::test]
async fn a_call_that_cannot_be_opened_leaves_nothing() {
    let server = Running::start().await;
    let ledger = &server.app().ledger;
    let nowhere = new_call(&WorkspaceId::fresh(), None);
    let error = ledger.open(nowhere).await.unwrap_err();
    assert!(matches!(error, LedgerError::Store(_)), "{error:?}");
    assert_eq!(ledger.live(), 0);
    // Others are not held up by it.
    let call = server.open_call(None).await;
    call.close(closing(CallResult::Completed)).await.unwrap();
}

#[tokio::test]
async fn a_late_word_changes_the_record_and_is_told_once() {
    let server = Running::start().await;
    let call = server.open_call(None).await;
    call.answered().await.unwrap();
    let transfer = call
        .transfer_requested("101", TransferKind::Blind)
        .await
        .unwrap();
    let result = |outcome, code| TransferResult {
        outcome,
        confirmed_by: ConfirmedBy::Pbx,
        sip_code: Some(code),
        reason: "said the PBX".to_owned(),
    };
    let lost = result(TransferOutcome::Timeout, 408);
    call.transfer_ended(&transfer.id, lost).await.unwrap();
    call.close(closing(CallResult::Completed)).await.unwrap();
    call.close(closing(CallResult::Failed)).await.unwrap();
    let done = result(TransferOutcome::Transferred, 200);
    call.transfer_ended(&transfer.id, done).await.unwrap();
    let found = server.app().store.call(&server.app().home, call.id()).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.call.status, Some(CallStatus::Completed));
    assert_eq!(found.call.outcome, Some(CallOutcome::Transferred));
    assert_eq!(found.transfers.len(), 1);
    assert_eq!(
        found.transfers[0].outcome,
        Some(TransferOutcome::Transferred)
    );
    assert_eq!(found.transfers[0].steps.len(), 3);
}

#[tokio::test]
async fn many_calls_at_once_share_transactions() {
    let server = Running::start().await;
    let began = Instant::now();
    let calls = (0..200).map(|_| async {
        let call = server.open_call(None).await;
        call.answered().await.unwrap();
        for _ in 0..5 {
            call.line(Speaker::Agent, "Hello");
        }
        call.close(closing(CallResult::Completed)).await.unwrap();
    });
    futures_util::future::join_all(calls).await;
    let took = began.elapsed();
    eprintln!("200 calls of 8 writes each: {took:?}");
    let page = Page {
        page: 1,
        per_page: 1,
    };
    let store = &server.app().store;
    let found = store
        .calls(&server.app().home, &CallFilter::default(), page)
        .await;
    assert_eq!(found.unwrap().total, 200);
    // Three waits for the disk, shared by all: 50 calls a second would have taken 4 s.
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn strangers_cannot_fill_the_store() {
    let server = Running::start().await;
    let ledger = &server.app().ledger;
    for _ in 0..3_000 {
        ledger.record_refused(refused(401, "unknown user", false));
    }
    let page = Page {
        page: 1,
        per_page: 1,
    };
    let store = &server.app().store;
    ledger.settled().await.unwrap();
    let found = store
        .calls(&server.app().home, &CallFilter::default(), page)
        .await;
    let kept = found.unwrap().total;
    assert!((1_000..1_200).contains(&kept), "{kept}");
    eventually("the rest to be counted", || {
        let metrics = server.app().metrics.encode();
        let lost = 3_000 - kept;
        metrics.contains(&format!("smartalex_refusals_unrecorded_total {lost}"))
    })
    .await;
}

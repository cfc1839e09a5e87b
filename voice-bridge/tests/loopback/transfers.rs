//! REFER between two phones: what each final word means, and who hangs up when.

use std::time::Duration;

use refer_transfer::{ConfirmedBy, Outcome, Target, TransferResult};
use sip_core::Status;
use voice_bridge::call::{IncomingRefer, TransferOrder};
use voice_bridge::{Call, CallEvent, CallState, EndCause, Phone};

use crate::stage::{assert_idle, end, event, phone, talk, tone, within};

/// A caller who keeps talking, an agent who asks for a transfer, and the caller's PBX that has it.
async fn referred(a: &Phone, b: &mut Phone) -> (Call, Call, IncomingRefer) {
    let (mut caller, agent) = talk(a, b).await;
    for frame in tone(300.0, 1_500) {
        caller.say(frame).unwrap();
    }
    let mut order = TransferOrder::to(Target::blind("sip:101@pbx.example.com".parse().unwrap()));
    order.asserted = Some(sip_core::header::NameAddr::new(
        "sip:+27821234567@example.com".parse().unwrap(),
    ));
    order.config.answer_timeout = Duration::from_secs(2);
    within("the REFER", agent.transfer(order.clone()))
        .await
        .unwrap();
    assert_eq!(agent.state().await, CallState::Transferring);
    assert!(agent.transfer(order).await.is_err(), "one at a time");
    let refer = event(&mut caller, "the REFER", |event| match event {
        CallEvent::Refer(refer) => Some(refer),
        _ => None,
    })
    .await;
    assert_eq!(refer.target().user().as_deref(), Some("101"));
    let asserted = refer
        .request()
        .header(&sip_core::Name::PAssertedIdentity)
        .unwrap();
    assert!(asserted.contains("+27821234567"));
    (caller, agent, refer)
}

async fn outcome(call: &mut Call) -> Outcome {
    event(call, "the outcome", |event| match event {
        CallEvent::TransferDone(outcome) => Some(outcome),
        _ => None,
    })
    .await
}

async fn progress(call: &mut Call) -> Status {
    event(call, "progress", |event| match event {
        CallEvent::TransferProgress(status) => Some(status),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_caller_who_arrives_is_transferred_and_our_leg_ends() {
    let (a, mut b) = (phone().await, phone().await);
    let (mut caller, mut agent, refer) = referred(&a, &mut b).await;
    let sent = event(&mut agent, "the REFER", |event| match event {
        CallEvent::TransferSent { after } => Some(after),
        _ => None,
    });
    let after = sent.await;
    println!("REFER sent {after:?} after it was asked for");
    assert!(after < Duration::from_millis(500), "{after:?}");
    let words = refer.accept();
    assert_eq!(progress(&mut agent).await, Status::TRYING);
    words.progress(Status::RINGING);
    assert_eq!(progress(&mut agent).await, Status::RINGING);
    words.finish(Status::OK);
    let outcome = outcome(&mut agent).await;
    assert_eq!(outcome.result, TransferResult::Transferred);
    assert_eq!(outcome.confirmed_by, ConfirmedBy::Pbx);
    assert_eq!(end(&mut agent).await.cause, EndCause::Transferred);
    assert_eq!(
        end(&mut caller).await.cause,
        EndCause::PeerHungUp,
        "the BYE is ours to send"
    );
    assert_idle(&a).await;
    assert_idle(&b).await;
}

#[tokio::test]
async fn busy_and_declined_bring_the_caller_back() {
    for (word, result) in [
        (Status::BUSY_HERE, TransferResult::Busy),
        (Status::DECLINE, TransferResult::Declined),
        (Status::TEMPORARILY_UNAVAILABLE, TransferResult::Offline),
    ] {
        let (a, mut b) = (phone().await, phone().await);
        let (mut caller, mut agent, refer) = referred(&a, &mut b).await;
        refer.accept().finish(word);
        let outcome = outcome(&mut agent).await;
        assert_eq!(outcome.result, result, "{outcome:?}");
        assert_eq!(outcome.sip_code, Some(word.code()));
        assert!(outcome.caller_still_here, "{outcome:?}");
        assert_eq!(agent.state().await, CallState::Established);
        agent.hang_up().await.unwrap();
        end(&mut caller).await;
        assert_idle(&b).await;
    }
}

#[tokio::test]
async fn a_peer_that_takes_no_refer_says_603() {
    let (a, mut b) = (phone().await, phone().await);
    let (_caller, mut agent, refer) = referred(&a, &mut b).await;
    drop(refer);
    let outcome = outcome(&mut agent).await;
    assert_eq!(outcome.result, TransferResult::Rejected);
    assert_eq!(outcome.sip_code, Some(603));
    assert!(outcome.caller_still_here);
}

#[tokio::test]
async fn silence_after_the_202_is_no_success() {
    let (a, mut b) = (phone().await, phone().await);
    let (mut caller, mut agent, refer) = referred(&a, &mut b).await;
    let words = refer.accept();
    let outcome = outcome(&mut agent).await;
    assert_eq!(outcome.result, TransferResult::Timeout, "{outcome:?}");
    assert_eq!(outcome.confirmed_by, ConfirmedBy::None);
    assert!(outcome.caller_still_here, "their voice is still heard");
    // A word that comes late is for the record only.
    words.finish(Status::OK);
    let amended = event(&mut agent, "the late word", |event| match event {
        CallEvent::TransferAmended(outcome) => Some(outcome),
        _ => None,
    })
    .await;
    assert_eq!(amended.result, TransferResult::Transferred);
    assert_eq!(agent.state().await, CallState::Established);
    agent.hang_up().await.unwrap();
    end(&mut caller).await;
}

#[tokio::test]
async fn a_pbx_that_hangs_up_in_mid_transfer_may_still_tell_how_it_went() {
    let (a, mut b) = (phone().await, phone().await);
    let (caller, mut agent, refer) = referred(&a, &mut b).await;
    let words = refer.accept();
    words.progress(Status::RINGING);
    within("the BYE", caller.hang_up()).await.unwrap();
    assert_eq!(end(&mut agent).await.cause, EndCause::PeerHungUp);
    words.finish(Status::OK);
    let outcome = outcome(&mut agent).await;
    assert_eq!(outcome.result, TransferResult::Transferred, "{outcome:?}");
    assert!(!outcome.caller_still_here);
    drop(caller);
    assert_idle(&a).await;
    assert_idle(&b).await;
}

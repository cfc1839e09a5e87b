//! Calls in the making: ringing, refused, given up, over TCP.

use rtp_media::sdp::Codec;
use sip_core::Status;
use sip_core::endpoint::{Reply, Target, Transport};
use sip_core::name::Name;
use voice_bridge::phone::Progress;
use voice_bridge::{AnswerError, Codecs, EndCause};

use crate::stage::{address, assert_idle, end, hear_tone, order, phone, tone, uri, within};

#[tokio::test]
async fn the_caller_hears_of_ringing_and_the_callee_of_who_calls() {
    let (a, mut b) = (phone().await, phone().await);
    let mut dialing = a.dial(order(&a, &b)).await.unwrap();
    let ringing = within("the call", b.accept()).await.unwrap();
    assert_eq!(ringing.from_number(), "alice");
    assert_eq!(ringing.to_number(), "bob");
    assert_eq!(
        ringing.agreeable(&Codecs::telephony()).unwrap(),
        Some(Codec::Pcmu)
    );
    let ringing = ringing.ring().await.unwrap();
    let Progress::Provisional { status, .. } = within("ringing", dialing.next()).await else {
        panic!("no ringing");
    };
    assert_eq!(status, Status::RINGING);
    let callee = ringing.answer(Codecs::telephony()).await.unwrap();
    let caller = within("the answer", dialing.answered()).await.unwrap();
    assert_eq!(caller.call_id(), callee.call_id());
}

#[tokio::test]
async fn a_refusal_reaches_the_caller_with_its_words() {
    let (a, mut b) = (phone().await, phone().await);
    let dialing = a.dial(order(&a, &b)).await.unwrap();
    let ringing = within("the call", b.accept()).await.unwrap();
    ringing.refuse(Status::BUSY_HERE, "On Another Call");
    let failed = within("the refusal", dialing.answered()).await.unwrap_err();
    assert_eq!(failed.status, Some(Status::BUSY_HERE));
    assert_eq!(failed.reason.as_deref(), Some("On Another Call"));
    assert_eq!(failed.cause, EndCause::Rejected(Status::BUSY_HERE));

    let dialing = a.dial(order(&a, &b)).await.unwrap();
    let ringing = within("the call", b.accept()).await.unwrap();
    let reply = Reply::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, "7");
    ringing.refuse_with(reply);
    let failed = within("the refusal", dialing.answered()).await.unwrap_err();
    assert_eq!(failed.status, Some(Status::SERVICE_UNAVAILABLE));

    let dialing = a.dial(order(&a, &b)).await.unwrap();
    drop(within("the call", b.accept()).await.unwrap());
    let failed = within("the refusal", dialing.answered()).await.unwrap_err();
    assert_eq!(failed.status, Some(Status::TEMPORARILY_UNAVAILABLE));
    assert_idle(&a).await;
    assert_idle(&b).await;
}

#[tokio::test]
async fn a_call_without_a_codec_in_common_is_488() {
    let (a, mut b) = (phone().await, phone().await);
    let mut order = order(&a, &b);
    order.codecs = Codecs::only([Codec::Pcmu]);
    let dialing = a.dial(order).await.unwrap();
    let ringing = within("the call", b.accept()).await.unwrap();
    let alaw = Codecs::only([Codec::Pcma]);
    assert!(ringing.agreeable(&alaw).is_err());
    let refused = ringing.answer(alaw).await.unwrap_err();
    let AnswerError::NotAcceptable { status, cause } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(status, Status::NOT_ACCEPTABLE_HERE);
    assert!(cause.contains("PCMU") && cause.contains("PCMA"), "{cause}");
    let failed = within("the refusal", dialing.answered()).await.unwrap_err();
    assert_eq!(failed.status, Some(Status::NOT_ACCEPTABLE_HERE));
    assert_idle(&a).await;
    assert_idle(&b).await;
}

#[tokio::test]
async fn dropping_a_dialing_cancels_it() {
    let (a, mut b) = (phone().await, phone().await);
    let dialing = a.dial(order(&a, &b)).await.unwrap();
    let ringing = within("the call", b.accept()).await.unwrap();
    let mut ringing = ringing.ring().await.unwrap();
    drop(dialing);
    let gone = within("the CANCEL", ringing.gone()).await.unwrap();
    assert_eq!(gone.cause, EndCause::PeerCancelled);
    let late = ringing.answer(Codecs::telephony()).await.unwrap_err();
    assert!(matches!(late, AnswerError::Gone));
    assert_idle(&a).await;
    assert_idle(&b).await;
}

#[tokio::test]
async fn a_call_to_nobody_fails_with_its_cause() {
    let a = phone().await;
    let nobody = {
        let b = phone().await;
        let to = uri("bob", &b);
        b.shut_down().await;
        to
    };
    let mut order = order(&a, &a);
    let port = nobody.port().unwrap();
    order.target = Some(Target::tcp(([127, 0, 0, 1], port).into()));
    order.to = nobody;
    let failed = within("the failure", a.call(order)).await.unwrap_err();
    assert!(
        matches!(failed.cause, EndCause::Unreachable(_)),
        "{failed:?}"
    );
    assert_idle(&a).await;
}

#[tokio::test]
async fn a_call_over_tcp_is_a_call() {
    let (a, mut b) = (phone().await, phone().await);
    let mut order = order(&a, &b);
    order.target = Some(Target::tcp(address(&b, Transport::Tcp)));
    let dialing = a.dial(order).await.unwrap();
    let ringing = within("the call", b.accept()).await.unwrap();
    assert_eq!(ringing.flow().transport, Transport::Tcp);
    let callee = ringing.answer(Codecs::telephony()).await.unwrap();
    let mut caller = within("the answer", dialing.answered()).await.unwrap();
    for frame in tone(600.0, 100) {
        callee.say(frame).unwrap();
    }
    hear_tone(&mut caller, 600.0).await;
    callee.hang_up_because("all is said").await.unwrap();
    let ending = end(&mut caller).await;
    assert!(ending.reason.unwrap().contains("all is said"));
}

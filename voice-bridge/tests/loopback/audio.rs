//! What is heard on a call: voice both ways, keys both ways, hold, and the end of it all.

use std::time::Duration;

use rtp_media::sdp::Codec;
use voice_bridge::{CallEvent, Codecs, EndCause};

use crate::stage::{assert_idle, end, event, hear_tone, phone, talk, talk_as, tone, within};

#[tokio::test]
async fn an_echo_comes_back_and_is_not_silence() {
    let (a, mut b) = (phone().await, phone().await);
    let (mut caller, mut callee) = talk(&a, &mut b).await;
    let echo = tokio::spawn(async move {
        while let Some(frame) = callee.hear().await {
            // The call may end between the two.
            if callee.say(frame).is_err() {
                break;
            }
        }
        callee.hang_up().await.unwrap();
        callee.stats().unwrap()
    });
    for frame in tone(440.0, 150) {
        caller.say(frame).unwrap();
    }
    hear_tone(&mut caller, 440.0).await;
    assert_eq!(caller.codec(), Some(Codec::Pcmu));
    within("our BYE", caller.hang_up()).await.unwrap();
    let stats = within("the echo's end", echo).await.unwrap();
    assert!(stats.packets_in > 10 && stats.packets_out > 10, "{stats:?}");
    assert_eq!(stats.lost, 0);
    assert_idle(&a).await;
    assert_idle(&b).await;
}

#[tokio::test]
async fn the_answering_side_chooses_among_the_offered_codecs() {
    let (a, mut b) = (phone().await, phone().await);
    let alaw = Codecs::only([Codec::Pcma]);
    let (mut caller, callee) = talk_as(&a, &mut b, Codecs::telephony(), alaw).await;
    assert_eq!(caller.codec(), Some(Codec::Pcma));
    assert_eq!(callee.codec(), Some(Codec::Pcma));
    for frame in tone(440.0, 100) {
        callee.say(frame).unwrap();
    }
    hear_tone(&mut caller, 440.0).await;
}

#[tokio::test]
async fn keys_arrive_both_ways_by_rtp() {
    let (a, mut b) = (phone().await, phone().await);
    let (mut caller, mut callee) = talk(&a, &mut b).await;
    caller.send_digits("12#").unwrap();
    callee.send_digits("A*0").unwrap();
    let key = |event| match event {
        CallEvent::Digit(digit) => Some(digit),
        _ => None,
    };
    for wanted in "12#".chars() {
        assert_eq!(event(&mut callee, "a key", key).await, wanted);
    }
    for wanted in "A*0".chars() {
        assert_eq!(event(&mut caller, "a key", key).await, wanted);
    }
}

#[tokio::test]
async fn keys_arrive_by_info_when_there_are_no_telephone_events() {
    let (a, mut b) = (phone().await, phone().await);
    let plain = Codecs::telephony().without_telephone_event();
    let (mut caller, mut callee) = talk_as(&a, &mut b, plain, Codecs::telephony()).await;
    caller.send_digits("95").unwrap();
    callee.send_digits("d").unwrap();
    let key = |event| match event {
        CallEvent::Digit(digit) => Some(digit),
        _ => None,
    };
    assert_eq!(event(&mut callee, "a key", key).await, '9');
    assert_eq!(event(&mut callee, "a key", key).await, '5');
    assert_eq!(event(&mut caller, "a key", key).await, 'D');
    assert!(caller.send_digits("x").is_err());
}

#[tokio::test]
async fn a_held_call_is_silent_and_speaks_again_when_resumed() {
    let (a, mut b) = (phone().await, phone().await);
    let (mut caller, mut callee) = talk(&a, &mut b).await;
    let held = |event| match event {
        CallEvent::Held(held) => Some(held),
        _ => None,
    };
    let answered = |event| match event {
        CallEvent::HoldAnswered(result) => Some(result),
        _ => None,
    };
    caller.hold(true).await.unwrap();
    assert!(caller.hold(false).await.is_err(), "one at a time");
    assert_eq!(event(&mut caller, "the hold", answered).await, Ok(()));
    assert!(event(&mut callee, "the hold", held).await);
    let before = caller.stats().unwrap().packets_in;
    for frame in tone(440.0, 25) {
        callee.say(frame).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let after = caller.stats().unwrap().packets_in;
    assert!(
        after <= before + 5,
        "{} packets on a held line",
        after - before
    );
    caller.hold(false).await.unwrap();
    assert_eq!(event(&mut caller, "the resumption", answered).await, Ok(()));
    assert!(!event(&mut callee, "the resumption", held).await);
    for frame in tone(440.0, 100) {
        callee.say(frame).unwrap();
    }
    hear_tone(&mut caller, 440.0).await;
}

#[tokio::test]
async fn marks_tell_what_was_played_and_what_was_cleared() {
    let (a, mut b) = (phone().await, phone().await);
    let (_caller, mut callee) = talk(&a, &mut b).await;
    let mark = |event| match event {
        CallEvent::MarkReached(name) => Some((name, true)),
        CallEvent::MarkCleared(name) => Some((name, false)),
        _ => None,
    };
    for frame in tone(440.0, 10) {
        callee.say(frame).unwrap();
    }
    callee.mark("said").unwrap();
    assert_eq!(
        event(&mut callee, "the mark", mark).await,
        ("said".to_owned(), true)
    );
    for frame in tone(440.0, 500) {
        callee.say(frame).unwrap();
    }
    callee.mark("never").unwrap();
    callee.clear();
    assert_eq!(
        event(&mut callee, "the mark", mark).await,
        ("never".to_owned(), false)
    );
}

#[tokio::test]
async fn dropping_a_call_hangs_it_up_and_frees_its_ports() {
    let (a, mut b) = (phone().await, phone().await);
    let (caller, mut callee) = talk(&a, &mut b).await;
    drop(caller);
    let ending = end(&mut callee).await;
    assert_eq!(ending.cause, EndCause::PeerHungUp);
    let reason = ending.reason.expect("our BYE says why");
    assert!(reason.starts_with("Q.850;cause=16"), "{reason}");
    assert_idle(&a).await;
    // The other side still holds its call, and yet its ports are free.
    assert_idle(&b).await;
    assert!(callee.hear().await.is_none());
    assert!(callee.say(tone(440.0, 1).remove(0)).is_err());
}

#[tokio::test]
async fn a_phone_that_is_shut_down_hangs_up_first() {
    let (a, mut b) = (phone().await, phone().await);
    let (mut caller, callee) = talk(&a, &mut b).await;
    within("the shutdown", b.shut_down()).await;
    assert_eq!(end(&mut caller).await.cause, EndCause::PeerHungUp);
    assert_eq!(callee.ending().unwrap().cause, EndCause::ShutDown);
    assert!(callee.hang_up().await.is_ok() || callee.ending().is_some());
}

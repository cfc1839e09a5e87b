//! The desk's bounds: who waits, what is dropped, what is never lost.
//! Time is paused: waiting costs nothing, and a lost wake-up would hang a test at once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and says when it skips"
)]

use std::time::Duration;

use tokio::time::timeout;
use voice_bridge::agent::{
    CallInfo, CallOver, DeskRequest, Frame, Heard, TransferRefused, TransferRequest, Undelivered,
    desk,
};
use voice_bridge::transcript::Speaker;

fn frame(sample: i16) -> Frame {
    Frame::new(vec![sample; 160], 8000)
}

#[tokio::test(start_paused = true)]
async fn audio_that_nobody_takes_is_dropped_the_oldest_first_but_no_key_is() {
    let (mut desk, server) = desk(CallInfo::default());
    for n in 0..50 {
        server.send(Heard::Audio(frame(n))).unwrap();
        server.send(Heard::Key('5')).unwrap();
    }
    drop(server);
    let (mut audio, mut keys) = (Vec::new(), 0);
    let mut order = String::new();
    while let Some(heard) = desk.next().await {
        match heard {
            Heard::Audio(frame) => {
                audio.push(frame.samples[0]);
                order.push('a');
            }
            Heard::Key(_) => {
                keys += 1;
                order.push('k');
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(keys, 50);
    assert_eq!(audio, (40..50).collect::<Vec<i16>>());
    assert!(
        order.ends_with("akakak"),
        "what is left keeps its order: {order}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_listens_is_found_out() {
    let (desk, server) = desk(CallInfo::default());
    let deaf = (0..2000).find_map(|_| server.send(Heard::Key('1')).err());
    assert_eq!(deaf, Some(Undelivered::AgentDeaf));
    drop(desk);
    assert_eq!(server.send(Heard::Key('1')), Err(Undelivered::AgentLeft));
}

#[tokio::test(start_paused = true)]
async fn a_speaker_waits_when_a_second_is_on_its_way_and_commands_do_not() {
    let (desk, mut server) = desk(CallInfo::default());
    let mut said = 0;
    while timeout(Duration::from_secs(1), desk.say(frame(1)))
        .await
        .is_ok()
    {
        said += 1;
        assert!(said < 1000);
    }
    assert_eq!(said, 50);
    desk.transcript(Speaker::Agent, "still there")
        .await
        .unwrap();
    let request = timeout(Duration::from_secs(1), server.recv_urgent())
        .await
        .unwrap();
    assert!(
        matches!(request, Some(DeskRequest::Transcript { .. })),
        "{request:?}"
    );
    let none = timeout(Duration::from_secs(1), server.recv_urgent()).await;
    assert!(none.is_err(), "speech is left where it is: {none:?}");
    assert!(matches!(server.recv().await, Some(DeskRequest::Say(_))));
    timeout(Duration::from_secs(1), desk.say(frame(1)))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clear_takes_what_was_not_handed_over_and_tells_its_marks() {
    let (mut desk, mut server) = desk(CallInfo::default());
    desk.say(frame(1)).await.unwrap();
    desk.mark("cut off").await.unwrap();
    desk.clear();
    desk.say(frame(2)).await.unwrap();
    assert_eq!(
        desk.next().await,
        Some(Heard::MarkCleared("cut off".to_owned()))
    );
    assert!(matches!(server.recv().await, Some(DeskRequest::Clear)));
    match server.recv().await {
        Some(DeskRequest::Say(frame)) => assert_eq!(frame.samples[0], 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_leaving_is_still_handed_over_in_order() {
    let (desk, mut server) = desk(CallInfo::default());
    desk.say(frame(1)).await.unwrap();
    desk.transcript(Speaker::Caller, "bye").await.unwrap();
    desk.hang_up("done");
    desk.hang_up("a second reason is too late");
    drop(desk);
    assert!(matches!(
        server.recv().await,
        Some(DeskRequest::Transcript { .. })
    ));
    match server.recv().await {
        Some(DeskRequest::HangUp(reason)) => assert_eq!(reason, "done"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(server.recv().await, Some(DeskRequest::Say(_))));
    assert!(server.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn after_the_call_everything_is_refused_and_nothing_hangs() {
    let (mut desk, server) = desk(CallInfo::default());
    let waiting = {
        let mouth = desk.split().1;
        drop(server);
        mouth
    };
    assert_eq!(waiting.say(frame(1)).await, Err(CallOver));
    let refused = waiting.transfer(TransferRequest::to("101")).await;
    assert_eq!(refused, Err(TransferRefused::CallOver));

    let (again, mut server) = voice_bridge::agent::desk(CallInfo::default());
    desk = again;
    let transfer = async { desk.transfer(TransferRequest::to("101")).await };
    let bridge = async {
        let request = server.recv().await;
        // Dropped with the question unanswered.
        drop((request, server));
    };
    let (refused, ()) = tokio::join!(transfer, bridge);
    assert_eq!(refused, Err(TransferRefused::CallOver));
    assert_eq!(desk.next().await, None);
}

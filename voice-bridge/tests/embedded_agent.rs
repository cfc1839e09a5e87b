//! The embedded receptionist on a line: real audio from the bundled prompts, virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and says when it skips"
)]

mod line;

use std::time::Duration;

use line::{Line, call, level};
use voice_bridge::agent::{
    Agent, AgentError, CallEnd, EmbeddedConfig, Frame, Heard, TransferFailure, TransferId,
    TransferNews, TransferStep, embedded,
};
use voice_bridge::fallback;
use voice_bridge::speech::Voice;
use voice_bridge::transcript::Speaker;

fn receptionist(first_message: &str) -> Box<dyn Agent> {
    embedded(EmbeddedConfig::new(
        Voice::bundled(),
        Some(first_message.to_owned()),
    ))
}

const OFFICE: [(&str, &str); 2] = [("101", "Sales"), ("102", "Support")];

#[tokio::test(start_paused = true)]
async fn the_caller_hears_the_menu_and_a_key_transfers() {
    let call = call(&OFFICE);
    let mut agent = receptionist("Welcome.");
    agent.prepare(&call).await.unwrap();
    let line = Line::with(agent, call);
    let happened = line
        .until("the whole menu", |h| {
            h.transcript.iter().any(|(_, text)| text.contains("star"))
        })
        .await;
    assert_eq!(happened.voices, ["prompts"]);
    assert!(level(&happened.played) > 500.0, "the caller hears speech");
    assert!(happened.played.len() > 8000 * 5);
    let said: Vec<&str> = happened
        .transcript
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(
        said[..3],
        ["Welcome.", "For Sales, press 1.", "For Support, press 2."]
    );

    line.keys("2");
    let happened = line.until("a transfer", |h| !h.transfers.is_empty()).await;
    assert_eq!(happened.transfers, ["102"]);
    assert!(
        happened
            .transcript
            .contains(&(Speaker::Caller, "keyed 2".to_owned()))
    );
    assert_eq!(happened.clears, 1, "the key stopped the speech");
    line.end(CallEnd::Transferred).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_busy_extension_is_told_and_the_next_transfer_works() {
    let line = Line::with(receptionist("Welcome."), call(&OFFICE));
    line.keys("101");
    line.until("a transfer", |h| h.transfers == ["101"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    line.tell(Heard::Transfer(TransferNews {
        id: TransferId::new("another one"),
        step: failed(),
    }));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        !line
            .happened()
            .transcript
            .iter()
            .any(|(_, text)| text.contains("another call"))
    );
    line.tell(Heard::Transfer(TransferNews {
        id: TransferId::new("transfer to 101"),
        step: failed(),
    }));
    line.until("the cause", |h| {
        h.transcript
            .contains(&(Speaker::Agent, "Sales is on another call.".to_owned()))
    })
    .await;
    line.keys("102");
    line.until("the second transfer", |h| h.transfers == ["101", "102"])
        .await;
    line.end(CallEnd::Transferred).await.unwrap();
}

fn failed() -> TransferStep {
    TransferStep::Failed {
        failure: TransferFailure::Busy,
        code: Some(486),
        reason: "Busy Here".to_owned(),
    }
}

/// 20 ms of a caller's voice, or of a quiet line.
fn sound(amplitude: i16) -> Heard {
    let samples = (0..160)
        .map(|n| if n % 16 < 8 { amplitude } else { -amplitude })
        .collect();
    Heard::Audio(Frame::new(samples, 8000))
}

#[tokio::test(start_paused = true)]
async fn a_spoken_message_is_taken_until_it_is_quiet() {
    let line = Line::with(receptionist("Welcome."), call(&OFFICE));
    line.tell(sound(10));
    line.keys("0");
    // Until after the beep.
    tokio::time::sleep(Duration::from_secs(12)).await;
    for n in 0..400 {
        line.tell(sound(if n < 150 { 5000 } else { 10 }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let happened = line.until("the end", |h| h.hung_up.is_some()).await;
    assert_eq!(happened.messages.len(), 1);
    let length = happened.messages[0].duration.as_secs_f32();
    assert!((length - 3.0).abs() < 0.2, "{length}");
    assert_eq!(happened.hung_up.as_deref(), Some("message taken"));
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_fallback_asks_for_a_number_to_call_back() {
    let error = AgentError::Lost {
        cause: "reset by peer".to_owned(),
    };
    let agent = fallback::agent(Voice::bundled(), &error);
    assert_eq!(agent.name(), "fallback");
    let line = Line::with(agent, call(&OFFICE));
    line.until("the sentence", |h| {
        h.transcript.contains(&(
            Speaker::Agent,
            "I can't reach our team right now.".to_owned(),
        ))
    })
    .await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    line.keys("5551234#");
    let happened = line.until("the end", |h| h.hung_up.is_some()).await;
    assert_eq!(
        happened.messages[0].text.as_deref(),
        Some("number keyed: 5551234")
    );
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_ends_the_agent() {
    let line = Line::with(receptionist("Welcome."), call(&[]));
    line.until("a word", |h| !h.played.is_empty()).await;
    line.end(CallEnd::CallerLeft).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_goes_away_ends_the_agent() {
    let (desk, server) = voice_bridge::agent::desk(call(&[]));
    let agent = tokio::spawn(receptionist("Welcome.").converse(desk));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(server);
    agent.await.unwrap().unwrap();
}

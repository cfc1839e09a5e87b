//! Messages and goodbyes: how a call with the receptionist ends.
//! Whatever the caller left is kept, and kept once.

use super::scene::{SECOND, Scene};
use crate::agent::TransferFailure;
use crate::agent::embedded::machine::{Input, Script};

#[test]
fn zero_takes_a_message_that_silence_ends() {
    let mut scene = Scene::office();
    scene.keys("0");
    scene.listen();
    assert!(scene.heard().ends_with(&[
        "Please leave your name, your number and your message.".to_owned(),
        "Press hash when you are done.".to_owned(),
        "(beep)".to_owned(),
    ]));
    scene.pass(2 * SECOND);
    scene.speak(5 * SECOND);
    scene.pass(3 * SECOND);
    assert!(
        scene.messages.is_empty(),
        "a pause of three seconds ends no message"
    );
    scene.speak(2 * SECOND);
    scene.pass(5 * SECOND);
    assert_eq!(scene.messages.len(), 1);
    let length = scene.messages[0].duration;
    assert!((length.as_secs_f32() - 10.0).abs() < 0.1, "{length:?}");
    scene.listen();
    assert_eq!(
        scene.heard(),
        ["Thank you.", "I have taken your message.", "Goodbye."]
    );
    assert_eq!(scene.hung_up, Some("message taken"));
}

#[test]
fn hash_and_the_longest_time_end_a_message() {
    let mut hashed = Scene::office();
    hashed.keys("0");
    hashed.listen();
    hashed.speak(3 * SECOND);
    hashed.keys("#");
    assert_eq!(hashed.messages.len(), 1);

    let mut endless = Scene::office();
    endless.keys("0");
    endless.listen();
    endless.speak(130 * SECOND);
    assert_eq!(endless.messages.len(), 1);
    assert!(endless.messages[0].duration <= 120 * SECOND);
    endless.pass(10 * SECOND);
    assert_eq!(endless.hung_up, Some("message taken"));
}

#[test]
fn a_caller_who_hangs_up_has_left_a_message() {
    let mut scene = Scene::office();
    scene.keys("0");
    scene.listen();
    scene.speak(3 * SECOND);
    scene.input(Input::Ended);
    assert_eq!(scene.messages.len(), 1);
    assert!(scene.machine.is_gone());
}

#[test]
fn a_message_without_a_word_is_none() {
    let mut scene = Scene::office();
    scene.keys("0");
    scene.listen();
    scene.heard();
    scene.speak(SECOND / 5);
    scene.pass(30 * SECOND);
    assert!(scene.messages.is_empty());
    assert_eq!(scene.heard(), ["I did not hear a message.", "Goodbye."]);
    assert_eq!(scene.hung_up, Some("no message left"));
}

#[test]
fn the_closing_message_is_said_and_then_it_hangs_up() {
    let script = Script {
        closing_message: Some("We close now.".to_owned()),
        ..Script::default()
    };
    let mut scene = Scene::with(&[("101", "Sales")], script.clone());
    scene.pass(SECOND / 2);
    scene.heard();
    scene.input(Input::Closing(Some("That was all. Goodbye.".to_owned())));
    scene.listen();
    assert_eq!(scene.heard(), ["That was all.", "Goodbye."]);
    assert_eq!(scene.hung_up, Some("time is up"));

    let mut own = Scene::with(&[("101", "Sales")], script);
    own.input(Input::Closing(None));
    own.listen();
    assert_eq!(own.heard(), ["We close now."]);
}

#[test]
fn closing_in_the_middle_of_a_message_keeps_it() {
    let mut scene = Scene::office();
    scene.keys("0");
    scene.listen();
    scene.speak(3 * SECOND);
    scene.input(Input::Closing(None));
    assert_eq!(scene.messages.len(), 1);
    scene.listen();
    assert_eq!(scene.hung_up, Some("time is up"));
    assert_eq!(scene.messages.len(), 1, "kept once");
}

#[test]
fn closing_does_not_talk_into_a_transfer() {
    let mut scene = Scene::office();
    scene.keys("101");
    scene.pass(5 * SECOND);
    scene.heard();
    scene.input(Input::Closing(None));
    scene.pass(5 * SECOND);
    assert!(scene.heard().is_empty());
    scene.fail(TransferFailure::Busy);
    scene.listen();
    assert_eq!(scene.heard()[0], "Our time is up.");
    assert_eq!(scene.hung_up, Some("time is up"));
}

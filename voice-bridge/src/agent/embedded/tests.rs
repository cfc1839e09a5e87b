//! The receptionist in virtual time: what a caller hears and keys, minutes in a microsecond.
//! `scene` is the caller's side; here is the menu, `leaving` has messages and goodbyes.

mod leaving;
mod scene;

use std::time::Duration;

use proptest::prelude::*;
use scene::{SECOND, Scene};

use super::machine::{Input, Script};
use super::phrases;
use crate::agent::{TransferFailure, TransferRefused, TransferStep};
use crate::speech::prompts;
use crate::transcript::Speaker;

#[test]
fn first_message_then_a_menu_in_the_order_of_the_numbers() {
    let script = Script {
        first_message: Some("Hello, this is Acme. How can I help you?".to_owned()),
        ..Script::default()
    };
    let extensions = [("1000", "Warehouse"), ("103", "Accounts"), ("101", "Sales")];
    let mut scene = Scene::with(&extensions, script);
    scene.listen();
    let expected = [
        "Hello, this is Acme.",
        "How can I help you?",
        "For Sales, press 1.",
        "For Accounts, press 2.",
        "For Warehouse, press 3.",
        phrases::DIAL,
        phrases::MESSAGE_KEY,
        phrases::REPEAT_KEY,
    ];
    assert_eq!(scene.heard(), expected);
    assert_eq!(scene.said(Speaker::Agent), expected);
}

#[test]
fn a_key_transfers_to_the_nth_extension() {
    let mut scene = Scene::office();
    scene.listen();
    scene.heard();
    scene.keys("1");
    assert!(
        scene.transfers.is_empty(),
        "1 begins 101 too, so a pause decides"
    );
    scene.pass(Duration::from_millis(1400));
    assert_eq!(scene.transfers, ["101"]);
    assert_eq!(scene.heard(), ["Connecting you to Sales."]);
    assert_eq!(scene.said(Speaker::Caller), ["keyed 1"]);
}

#[test]
fn a_key_that_begins_no_extension_transfers_at_once() {
    let mut scene = Scene::office();
    scene.input(Input::Key('2'));
    assert_eq!(scene.transfers, ["102"]);
}

#[test]
fn an_extension_dialled_in_full_is_transferred_to_without_a_pause() {
    let mut scene = Scene::office();
    scene.keys("10");
    scene.input(Input::Key('3'));
    assert_eq!(scene.transfers, ["103"]);
    assert_eq!(scene.said(Speaker::Caller), ["keyed 103"]);
}

#[test]
fn an_extension_that_begins_another_is_taken_after_a_pause_or_hash() {
    let extensions = [("10", "Front"), ("101", "Sales")];
    let mut paused = Scene::new(&extensions);
    paused.keys("10");
    assert!(paused.transfers.is_empty());
    paused.pass(2 * SECOND);
    assert_eq!(paused.transfers, ["10"]);

    let mut hashed = Scene::new(&extensions);
    hashed.keys("10#");
    assert_eq!(hashed.transfers, ["10"]);

    let mut longer = Scene::new(&extensions);
    longer.keys("101");
    assert_eq!(longer.transfers, ["101"]);
}

#[test]
fn a_key_stops_the_speech() {
    let mut scene = Scene::office();
    scene.pass(SECOND / 4);
    scene.input(Input::Key('2'));
    assert_eq!(scene.clears, 1);
    assert_eq!(
        scene.heard(),
        ["Hello."],
        "the rest of the menu was not said"
    );
    assert_eq!(
        scene.said(Speaker::Agent),
        ["Hello."],
        "nor is it in the transcript"
    );
}

#[test]
fn star_says_the_menu_again() {
    let mut scene = Scene::office();
    scene.listen();
    scene.heard();
    scene.keys("*");
    scene.listen();
    assert_eq!(scene.heard()[0], "For Sales, press 1.");
    scene.keys("10*");
    scene.listen();
    assert_eq!(scene.heard()[0], "For Sales, press 1.");
    assert!(scene.transfers.is_empty());
}

#[test]
fn a_wrong_number_is_refused_once_after_its_last_digit() {
    let mut scene = Scene::office();
    scene.listen();
    scene.heard();
    scene.keys("99999");
    scene.pass(2 * SECOND);
    scene.listen();
    let heard = scene.heard();
    assert_eq!(
        heard
            .iter()
            .filter(|text| *text == phrases::NOT_A_CHOICE)
            .count(),
        1
    );
    assert_eq!(heard[1], "For Sales, press 1.");
    assert_eq!(scene.said(Speaker::Caller), ["keyed 99999"]);
}

#[test]
fn a_caller_who_keys_nothing_hears_the_menu_three_times_then_goodbye() {
    let mut scene = Scene::office();
    scene.pass(300 * SECOND);
    let heard = scene.heard();
    assert_eq!(
        heard
            .iter()
            .filter(|text| *text == "For Sales, press 1.")
            .count(),
        3
    );
    assert_eq!(
        &heard[heard.len() - 2..],
        ["I did not get an answer.", "Goodbye."]
    );
    assert_eq!(scene.hung_up, Some("nothing was keyed"));
}

#[test]
fn each_cause_of_a_failed_transfer_is_told_in_its_own_words() {
    let causes = [
        (TransferFailure::Busy, "Sales is on another call."),
        (
            TransferFailure::AllBusy,
            "All our lines are busy right now.",
        ),
        (
            TransferFailure::Offline,
            "The phone of Sales is not connected right now.",
        ),
        (
            TransferFailure::Declined,
            "Sales can't take your call right now.",
        ),
        (
            TransferFailure::NotFound,
            "I can't find Sales on our phone system.",
        ),
        (
            TransferFailure::Rejected,
            "Our phone system did not let me connect you to Sales.",
        ),
        (
            TransferFailure::NoAnswer,
            "I wasn't able to connect you to Sales.",
        ),
        (
            TransferFailure::Unknown,
            "I wasn't able to connect you to Sales.",
        ),
    ];
    for (failure, sentence) in causes {
        let mut scene = Scene::office();
        scene.keys("101");
        scene.pass(5 * SECOND);
        scene.heard();
        scene.fail(failure);
        scene.listen();
        let expected = [
            sentence,
            "Can I take a message instead?",
            phrases::MESSAGE_KEY,
            phrases::REPEAT_KEY,
        ];
        assert_eq!(scene.heard(), expected, "{failure:?}");
        scene.keys("102");
        assert_eq!(
            scene.transfers,
            ["101", "102"],
            "the menu goes on after {failure:?}"
        );
    }
}

#[test]
fn an_unreachable_phone_system_leads_to_a_message() {
    let mut scene = Scene::office();
    scene.keys("101");
    scene.fail(TransferFailure::Unreachable);
    scene.heard();
    scene.listen();
    assert_eq!(
        scene.heard(),
        [
            "I can't reach our team right now.",
            "What's the best number to call you back on?",
            "(beep)"
        ]
    );
    scene.keys("0821234567#");
    scene.listen();
    assert_eq!(scene.messages.len(), 1);
    assert_eq!(
        scene.messages[0].text.as_deref(),
        Some("number keyed: 0821234567")
    );
    assert_eq!(scene.hung_up, Some("message taken"));
}

#[test]
fn a_transfer_that_was_never_started_is_told_too() {
    let mut scene = Scene::office();
    scene.keys("101");
    scene.input(Input::Refused(TransferRefused::UnknownTarget {
        target: "101".to_owned(),
        nearest: Vec::new(),
    }));
    scene.heard();
    scene.listen();
    assert_eq!(scene.heard()[0], "I can't find Sales on our phone system.");
}

#[test]
fn a_transfer_without_any_outcome_does_not_hold_the_caller_for_ever() {
    let mut scene = Scene::office();
    scene.keys("101");
    scene.input(Input::Transfer(TransferStep::Progress(180)));
    scene.pass(95 * SECOND);
    scene.listen();
    assert!(
        scene
            .heard()
            .contains(&"I wasn't able to connect you to Sales.".to_owned())
    );
}

#[test]
fn after_three_failed_transfers_a_message_is_taken() {
    let mut scene = Scene::office();
    for _ in 0..3 {
        scene.keys("101");
        scene.fail(TransferFailure::Busy);
        scene.listen();
    }
    scene.heard();
    scene.keys("102");
    scene.listen();
    assert_eq!(scene.transfers.len(), 3);
    let heard = scene.heard();
    assert_eq!(heard[0], phrases::NO_MORE_TRANSFERS);
    assert_eq!(heard.last().unwrap(), "(beep)");
}

#[test]
fn without_extensions_there_is_only_the_message() {
    let mut scene = Scene::new(&[]);
    scene.listen();
    assert_eq!(
        scene.heard(),
        [
            "Hello.",
            "Thank you for calling.",
            phrases::MESSAGE_KEY,
            phrases::REPEAT_KEY
        ]
    );
}

#[test]
fn only_nine_extensions_have_a_key_but_all_can_be_dialled() {
    let many: Vec<(String, String)> = (0..40)
        .map(|n| (format!("{}", 200 + n), format!("Desk {n}")))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(n, name)| (n.as_str(), name.as_str()))
        .collect();
    let mut scene = Scene::new(&many);
    scene.listen();
    let choices = scene
        .heard()
        .iter()
        .filter(|text| text.starts_with("For Desk"))
        .count();
    assert_eq!(choices, 9);
    scene.keys("239");
    assert_eq!(scene.transfers, ["239"]);
}

#[test]
fn speech_that_is_never_reported_as_played_ends_in_a_hang_up_all_the_same() {
    let mut scene = Scene::office();
    for _ in 0..50 {
        // Time passes, but no utterance ever begins or ends.
        let Some(due) = scene.machine.poll_timeout() else {
            break;
        };
        scene.now = scene.now.max(due);
        scene.input(Input::Timeout);
    }
    assert_eq!(scene.hung_up, Some("nothing was keyed"));
}

#[test]
fn a_report_of_speech_that_was_cleared_changes_nothing() {
    let mut scene = Scene::office();
    scene.pass(SECOND / 2);
    scene.input(Input::Closing(None));
    scene.input(Input::Spoken(1));
    assert_eq!(scene.hung_up, None, "goodbye has not been said yet");
}

#[test]
fn the_bundled_prompts_can_say_every_sentence() {
    let mut sentences = vec![
        phrases::GREETING.to_owned(),
        phrases::DIAL.to_owned(),
        phrases::MESSAGE_KEY.to_owned(),
        phrases::REPEAT_KEY.to_owned(),
        phrases::NOT_A_CHOICE.to_owned(),
        phrases::NO_ANSWER.to_owned(),
        phrases::LEAVE_MESSAGE.to_owned(),
        phrases::MESSAGE_TAKEN.to_owned(),
        phrases::NO_MESSAGE.to_owned(),
        phrases::CLOSING.to_owned(),
        phrases::NO_MORE_TRANSFERS.to_owned(),
        phrases::connecting("Sales"),
        phrases::choice("extension 109", 7),
    ];
    let failures = [
        TransferFailure::Busy,
        TransferFailure::AllBusy,
        TransferFailure::NoAnswer,
        TransferFailure::Offline,
        TransferFailure::Declined,
        TransferFailure::NotFound,
        TransferFailure::Rejected,
        TransferFailure::Unreachable,
        TransferFailure::Unknown,
    ];
    sentences.extend(failures.map(|failure| phrases::failed(failure, "Sales")));
    for sentence in sentences {
        assert_eq!(prompts::unknown(&sentence), [""; 0], "{sentence}");
    }
}

fn anything() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => proptest::sample::select("0123456789*#AZ".chars().collect::<Vec<_>>())
            .prop_map(Input::Key),
        4 => (0u32..40).prop_map(Input::Spoken),
        2 => (0u32..40).prop_map(Input::Begun),
        2 => (0u64..3000).prop_map(|ms| Input::Sound(Duration::from_millis(ms))),
        1 => Just(Input::Refused(TransferRefused::AlreadyTransferring)),
        1 => Just(Input::Transfer(TransferStep::Done)),
        2 => Just(Input::Transfer(TransferStep::Failed {
            failure: TransferFailure::Busy, code: Some(486), reason: String::new(),
        })),
        1 => proptest::option::of("[a-z .]{0,20}").prop_map(Input::Closing),
        6 => Just(Input::Timeout),
    ]
}

proptest! {
    /// Whatever happens in whatever order, the call ends by the deadlines alone, says nothing
    /// after its end, and takes at most one message.
    #[test]
    fn every_conversation_ends(
        inputs in proptest::collection::vec((anything(), 0u64..5000), 0..60),
        extensions in proptest::collection::vec("[0-9]{1,4}", 0..6),
    ) {
        let extensions: Vec<(&str, &str)> =
            extensions.iter().map(|number| (number.as_str(), "Someone")).collect();
        let mut scene = Scene::new(&extensions);
        for (input, wait) in inputs {
            scene.input(input);
            // The scene's own player and made-up reports of speech may disagree: only the
            // deadlines count here.
            scene.now += Duration::from_millis(wait);
            scene.input(Input::Timeout);
        }
        for _ in 0..100 {
            let Some(due) = scene.machine.poll_timeout() else { break };
            scene.now = scene.now.max(due);
            scene.input(Input::Timeout);
        }
        prop_assert!(scene.machine.is_gone());
        prop_assert!(scene.hung_up.is_some());
        prop_assert!(scene.messages.len() <= 1);
        prop_assert!(scene.now.duration_since(scene.began) < Duration::from_secs(7200));
    }
}

//! The receptionist in virtual time: what a caller hears and keys, minutes in a microsecond.
//! `Scene` is the caller's side: it lets each utterance take its time and remembers all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::machine::{Input, Machine, Output, Patience, Script};
use super::phrases;
use crate::agent::{
    Directory, ExtensionEntry, MessageTaken, TransferFailure, TransferRefused, TransferStep,
};
use crate::speech::prompts;
use crate::transcript::Speaker;

/// How long a letter takes to say.
const LETTER: Duration = Duration::from_millis(60);

struct Scene {
    machine: Machine,
    now: Instant,
    began: Instant,
    /// Utterances that wait, and when the first of them will have been played.
    playing: VecDeque<(u32, String)>,
    played_at: Option<Instant>,
    heard: Vec<String>,
    transcript: Vec<(Speaker, String)>,
    transfers: Vec<String>,
    messages: Vec<MessageTaken>,
    hung_up: Option<&'static str>,
    clears: usize,
}

impl Scene {
    fn new(extensions: &[(&str, &str)]) -> Scene {
        Scene::with(extensions, Script::default())
    }

    fn with(extensions: &[(&str, &str)], script: Script) -> Scene {
        let directory: Directory = extensions
            .iter()
            .map(|(number, name)| ExtensionEntry::new(*number, *name))
            .collect();
        let now = Instant::now();
        let mut scene = Scene {
            machine: Machine::new(script, Patience::default(), Arc::new(directory)),
            now,
            began: now,
            playing: VecDeque::new(),
            played_at: None,
            heard: Vec::new(),
            transcript: Vec::new(),
            transfers: Vec::new(),
            messages: Vec::new(),
            hung_up: None,
            clears: 0,
        };
        scene.input(Input::Start);
        scene
    }

    /// The office of most tests: 101 Sales, 102 Support, 103 Accounts.
    fn office() -> Scene {
        Scene::new(&[("103", "Accounts"), ("101", "Sales"), ("102", "Support")])
    }

    fn input(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        while let Some(output) = self.machine.poll_output() {
            assert!(self.hung_up.is_none(), "{output:?} after hanging up");
            match output {
                Output::Say { id, text } => self.playing.push_back((id, text)),
                Output::Beep(id) => self.playing.push_back((id, "(beep)".to_owned())),
                Output::Clear => {
                    self.clears += 1;
                    self.playing.clear();
                    self.played_at = None;
                }
                Output::Transfer(extension) => self.transfers.push(extension),
                Output::Transcript(speaker, text) => self.transcript.push((speaker, text)),
                Output::Message(message) => self.messages.push(message),
                Output::HangUp(why) => self.hung_up = Some(why),
            }
        }
        assert!(
            self.machine.poll_timeout().is_some() || self.machine.is_gone(),
            "a state without a deadline"
        );
    }

    /// Begins to play what waits, if nothing plays.
    fn play(&mut self) {
        if self.played_at.is_none()
            && let Some((id, text)) = self.playing.front().cloned()
        {
            let length = LETTER * u32::try_from(text.len()).unwrap();
            self.played_at = Some(self.now + length);
            self.heard.push(text);
            self.input(Input::Begun(id));
        }
    }

    /// Lets time pass, with all that becomes due in it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.play();
            let next = [self.played_at, self.machine.poll_timeout()]
                .into_iter()
                .flatten()
                .min()
                .filter(|due| *due <= end);
            let Some(due) = next else { break };
            self.now = self.now.max(due);
            if self.played_at == Some(due) {
                let (id, _) = self.playing.pop_front().unwrap();
                self.played_at = None;
                self.input(Input::Spoken(id));
            } else {
                self.input(Input::Timeout);
            }
        }
        self.now = end;
    }

    /// Lets everything be said, but nobody waits longer.
    fn listen(&mut self) {
        while self.hung_up.is_none() {
            self.play();
            match self.played_at {
                Some(due) => self.pass(due.saturating_duration_since(self.now)),
                None => break,
            }
        }
    }

    fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.input(Input::Key(key));
            self.pass(Duration::from_millis(200));
        }
    }

    /// The caller speaks.
    fn speak(&mut self, time: Duration) {
        let frame = Duration::from_millis(20);
        for _ in 0..time.as_millis() / 20 {
            self.input(Input::Sound(frame));
            self.pass(frame);
        }
    }

    fn fail(&mut self, failure: TransferFailure) {
        self.input(Input::Transfer(TransferStep::Failed {
            failure,
            code: None,
            reason: "as the test wants".to_owned(),
        }));
    }

    /// What was heard since the last time this was asked.
    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    fn said(&self, speaker: Speaker) -> Vec<&str> {
        self.transcript
            .iter()
            .filter(|(who, _)| *who == speaker)
            .map(|(_, text)| text.as_str())
            .collect()
    }
}

const SECOND: Duration = Duration::from_secs(1);

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

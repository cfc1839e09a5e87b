//! The receptionist takes a message: asks, beeps, listens until it is quiet, `#` or too long.
//! Hanging up ends a message too; what was said until then counts.

use std::time::{Duration, Instant};

use super::super::phrases;
use super::{MAX_DIGITS, Machine, Output, State};
use crate::agent::MessageTaken;

/// Less sound than this is a cough or a click, not a message.
const SHORTEST: Duration = Duration::from_millis(600);

/// What is known of a message while it is spoken.
#[derive(Debug)]
pub(super) struct Message {
    /// When it has lasted as long as it may.
    full: Instant,
    began: Option<Instant>,
    heard: Instant,
    sounded: Duration,
    keyed: String,
}

impl Machine {
    pub(super) fn ask_for_message(&mut self, now: Instant, question: &str) {
        self.say(now, question);
        let id = self.speech.number(String::new());
        self.outputs.push_back(Output::Beep(id));
        let until = self.speech.guard.unwrap_or(now);
        self.state = State::Asking { until };
    }

    pub(super) fn listen(&mut self, now: Instant) {
        let message = Message {
            full: now + self.patience.message,
            began: None,
            heard: now,
            sounded: Duration::ZERO,
            keyed: String::new(),
        };
        let until = now + self.patience.first_word;
        self.state = State::Listening { message, until };
    }

    pub(super) fn sound(&mut self, now: Instant, length: Duration) {
        let State::Listening { message, until } = &mut self.state else {
            return;
        };
        message.sounded = message.sounded.saturating_add(length);
        message.began.get_or_insert(now);
        message.heard = now;
        *until = message.full.min(now + self.patience.next_word);
    }

    pub(super) fn message_key(&mut self, now: Instant, key: char) {
        let State::Listening { message, until } = &mut self.state else {
            return;
        };
        match key {
            '#' => self.message_ends(now),
            '0'..='9' => {
                if message.keyed.len() < MAX_DIGITS {
                    message.keyed.push(key);
                }
                *until = message.full.min(now + self.patience.next_word);
            }
            _ => {}
        }
    }

    pub(super) fn message_ends(&mut self, now: Instant) {
        if self.keep_message() {
            self.leave(now, phrases::MESSAGE_TAKEN, "message taken");
        } else {
            self.leave(now, phrases::NO_MESSAGE, "no message left");
        }
    }

    /// Hands on what was heard of a message, if it is one.
    pub(super) fn keep_message(&mut self) -> bool {
        let State::Listening { message, .. } = &mut self.state else {
            return false;
        };
        let keyed = std::mem::take(&mut message.keyed);
        if message.sounded < SHORTEST && keyed.is_empty() {
            return false;
        }
        let duration = message.began.map_or(Duration::ZERO, |began| {
            message.heard.saturating_duration_since(began)
        });
        message.sounded = Duration::ZERO;
        self.keyed(&keyed);
        let text = (!keyed.is_empty()).then(|| format!("number keyed: {keyed}"));
        self.outputs
            .push_back(Output::Message(MessageTaken { text, duration }));
        true
    }
}

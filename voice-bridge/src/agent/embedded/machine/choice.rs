//! The receptionist's menu: what keys choose, and what a transfer comes to.
//! Here it is decided who is rung; how, is the bridge's business.

use std::sync::Arc;
use std::time::Instant;

use super::super::entry::{self, Choice, Meaning};
use super::super::phrases;
use super::{Machine, Output, State};
use crate::agent::{ExtensionEntry, TransferFailure, TransferRefused, TransferStep};

impl Machine {
    pub(super) fn menu(&mut self, now: Instant) {
        let directory = Arc::clone(&self.directory);
        for (entry, key) in directory.entries().iter().zip(1..=entry::KEYS) {
            self.say(now, &phrases::choice(&entry.spoken_name(), key));
        }
        if !directory.entries().is_empty() {
            self.say(now, phrases::DIAL);
        }
        self.say(now, phrases::MESSAGE_KEY);
        self.say(now, phrases::REPEAT_KEY);
        self.choose(now);
    }

    /// Says what is possible without naming everyone again.
    pub(super) fn short_menu(&mut self, now: Instant) {
        self.say(now, phrases::MESSAGE_KEY);
        self.say(now, phrases::REPEAT_KEY);
        self.choose(now);
    }

    pub(super) fn choose(&mut self, now: Instant) {
        let until = self
            .speech
            .guard
            .unwrap_or_else(|| now + self.patience.choice);
        self.state = State::Choosing { until };
    }

    pub(super) fn first_key(&mut self, now: Instant, key: char) {
        match key {
            '0'..='9' => {
                let (digits, until) = (key.to_string(), now);
                self.state = State::Dialling { digits, until };
                self.dialled(now);
            }
            '*' => {
                self.keyed("*");
                self.menu(now);
            }
            _ => {
                self.keyed(&key.to_string());
                self.take(now, None);
            }
        }
    }

    /// Looks at the digits keyed so far.
    pub(super) fn dialled(&mut self, now: Instant) {
        let State::Dialling { digits, until } = &mut self.state else {
            return;
        };
        match entry::meaning(digits, &self.directory) {
            Meaning::Clear(choice) => {
                let digits = std::mem::take(digits);
                self.keyed(&digits);
                self.take(now, Some(choice));
            }
            // Also digits that mean nothing wait for a pause: a wrong number is refused once,
            // after its last digit.
            Meaning::Unless(_) | Meaning::Nothing => *until = now + self.patience.next_digit,
            Meaning::Beginning => *until = now + self.patience.more_digits,
        }
    }

    /// Nothing more was keyed.
    pub(super) fn dialled_all(&mut self, now: Instant, digits: &str) {
        self.keyed(digits);
        let choice = match entry::meaning(digits, &self.directory) {
            Meaning::Clear(choice) | Meaning::Unless(choice) => Some(choice),
            Meaning::Beginning | Meaning::Nothing => None,
        };
        self.take(now, choice);
    }

    pub(super) fn take(&mut self, now: Instant, choice: Option<Choice>) {
        match choice {
            Some(Choice::Message) => self.ask_for_message(now, phrases::LEAVE_MESSAGE),
            Some(Choice::Extension(to)) => self.connect(now, to),
            None => {
                self.rounds = self.rounds.saturating_add(1);
                if self.rounds >= self.patience.rounds {
                    return self.leave(now, phrases::NO_ANSWER, "no choice made");
                }
                self.say(now, phrases::NOT_A_CHOICE);
                self.menu(now);
            }
        }
    }

    pub(super) fn connect(&mut self, now: Instant, to: ExtensionEntry) {
        if self.transfers >= self.patience.transfers {
            self.say(now, phrases::NO_MORE_TRANSFERS);
            return self.ask_for_message(now, phrases::LEAVE_MESSAGE);
        }
        self.transfers = self.transfers.saturating_add(1);
        self.rounds = 0;
        self.outputs
            .push_back(Output::Transfer(to.extension.clone()));
        self.say(now, &phrases::connecting(&to.spoken_name()));
        let until = now + self.patience.transfer;
        self.state = State::Connecting { to, until };
    }

    pub(super) fn refused(&mut self, now: Instant, refused: &TransferRefused) {
        let failure = match refused {
            TransferRefused::UnknownTarget { .. } => TransferFailure::NotFound,
            TransferRefused::NotPossible(_) => TransferFailure::Rejected,
            _ => TransferFailure::Unknown,
        };
        self.not_connected(now, failure);
    }

    pub(super) fn transfer(&mut self, now: Instant, step: TransferStep) {
        match step {
            TransferStep::Failed { failure, .. } => self.not_connected(now, failure),
            // The bridge ends the call; until then there is nothing to say.
            TransferStep::Done | TransferStep::Progress(_) => {}
        }
    }

    pub(super) fn not_connected(&mut self, now: Instant, failure: TransferFailure) {
        let State::Connecting { to, .. } = &self.state else {
            return;
        };
        let sentence = phrases::failed(failure, &to.spoken_name());
        self.hush();
        if let Some(message) = self.closing.take() {
            return self.goodbye(now, message);
        }
        if failure == TransferFailure::Unreachable {
            return self.ask_for_message(now, &sentence);
        }
        self.say(now, &sentence);
        self.short_menu(now);
    }
}

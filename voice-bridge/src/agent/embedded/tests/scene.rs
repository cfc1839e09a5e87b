//! The caller's side of a call with the receptionist, in virtual time.
//! Each utterance takes its time, and all that happens is remembered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::embedded::machine::{Input, Machine, Output, Patience, Script};
use crate::agent::{Directory, ExtensionEntry, MessageTaken, TransferFailure, TransferStep};
use crate::transcript::Speaker;

pub const SECOND: Duration = Duration::from_secs(1);
/// How long a letter takes to say.
const LETTER: Duration = Duration::from_millis(60);

/// A call as the caller lives it.
pub struct Scene {
    pub machine: Machine,
    pub now: Instant,
    pub began: Instant,
    /// Utterances that wait, and when the first of them will have been played.
    playing: VecDeque<(u32, String)>,
    played_at: Option<Instant>,
    pub heard: Vec<String>,
    pub transcript: Vec<(Speaker, String)>,
    pub transfers: Vec<String>,
    pub messages: Vec<MessageTaken>,
    pub hung_up: Option<&'static str>,
    pub clears: usize,
}

impl Scene {
    pub fn new(extensions: &[(&str, &str)]) -> Scene {
        Scene::with(extensions, Script::default())
    }

    pub fn with(extensions: &[(&str, &str)], script: Script) -> Scene {
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
    pub fn office() -> Scene {
        Scene::new(&[("103", "Accounts"), ("101", "Sales"), ("102", "Support")])
    }

    pub fn input(&mut self, input: Input) {
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
    pub fn play(&mut self) {
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
    pub fn pass(&mut self, time: Duration) {
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
    pub fn listen(&mut self) {
        while self.hung_up.is_none() {
            self.play();
            match self.played_at {
                Some(due) => self.pass(due.saturating_duration_since(self.now)),
                None => break,
            }
        }
    }

    pub fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.input(Input::Key(key));
            self.pass(Duration::from_millis(200));
        }
    }

    /// The caller speaks.
    pub fn speak(&mut self, time: Duration) {
        let frame = Duration::from_millis(20);
        for _ in 0..time.as_millis() / 20 {
            self.input(Input::Sound(frame));
            self.pass(frame);
        }
    }

    pub fn fail(&mut self, failure: TransferFailure) {
        self.input(Input::Transfer(TransferStep::Failed {
            failure,
            code: None,
            reason: "as the test wants".to_owned(),
        }));
    }

    /// What was heard since the last time this was asked.
    pub fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    pub fn said(&self, speaker: Speaker) -> Vec<&str> {
        self.transcript
            .iter()
            .filter(|(who, _)| *who == speaker)
            .map(|(_, text)| text.as_str())
            .collect()
    }
}

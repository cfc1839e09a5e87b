//! The receptionist as a pure function of time and what happens: it owns no clock and no task.
//! Every state has its deadline, so a call can never be left hanging in one.

mod choice;
mod message;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use message::Message;

use super::entry;
use super::phrases;
use crate::agent::{
    Directory, ExtensionEntry, MessageTaken, TransferFailure, TransferRefused, TransferStep,
};
use crate::speech::sentences;
use crate::transcript::Speaker;

/// What the receptionist says that is not its own, and what it begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Said first.
    pub first_message: Option<String>,
    /// Said when time is up.
    pub closing_message: Option<String>,
    /// Said instead of the first message and the menu; then a message is taken. This is how the
    /// receptionist stands in for an agent that failed.
    pub only_message: Option<String>,
}

/// How long the receptionist waits, and how often it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After the menu, for a key.
    pub choice: Duration,
    /// After digits that already mean something, for more of them.
    pub next_digit: Duration,
    /// After digits that mean nothing yet.
    pub more_digits: Duration,
    /// How often the menu is said to someone who keys nothing, or nothing that exists.
    pub rounds: u32,
    /// How many transfers are tried in a call.
    pub transfers: u32,
    /// For the outcome of a transfer. The bridge's own deadline is shorter; this one only keeps
    /// a lost outcome from holding the caller for ever.
    pub transfer: Duration,
    /// For the first word of a message.
    pub first_word: Duration,
    /// For the next word of a message.
    pub next_word: Duration,
    /// The longest message.
    pub message: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            choice: Duration::from_secs(8),
            next_digit: Duration::from_millis(1500),
            more_digits: Duration::from_secs(3),
            rounds: 3,
            transfers: 3,
            transfer: Duration::from_secs(90),
            first_word: Duration::from_secs(8),
            next_word: Duration::from_secs(4),
            message: Duration::from_secs(120),
        }
    }
}

/// What happens to the receptionist.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The call is answered.
    Start,
    /// The caller pressed a key.
    Key(char),
    /// The caller made a sound for this long.
    Sound(Duration),
    /// The utterance with this number has begun to play.
    Begun(u32),
    /// The utterance with this number has been played.
    Spoken(u32),
    /// The transfer asked for was not started.
    Refused(TransferRefused),
    /// News of the transfer.
    Transfer(TransferStep),
    /// The call will be ended: say goodbye.
    Closing(Option<String>),
    /// The call is over.
    Ended,
    /// The time of [`Machine::poll_timeout`] has come.
    Timeout,
}

/// What the receptionist wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Say this after what was said before.
    Say {
        /// Numbers the utterance in [`Input::Begun`] and [`Input::Spoken`].
        id: u32,
        /// A sentence.
        text: String,
    },
    /// Sound the tone after which a message is spoken; numbered as an utterance.
    Beep(u32),
    /// Stop speaking and forget what is still to be said.
    Clear,
    /// Transfer the caller to this extension.
    Transfer(String),
    /// For the transcript.
    Transcript(Speaker, String),
    /// A message was taken.
    Message(MessageTaken),
    /// End the call, for this reason.
    HangUp(&'static str),
}

/// The receptionist.
#[derive(Debug)]
pub struct Machine {
    script: Script,
    patience: Patience,
    directory: Arc<Directory>,
    state: State,
    speech: Speech,
    outputs: VecDeque<Output>,
    /// Rounds of the menu without a choice that exists.
    rounds: u32,
    /// Transfers tried.
    transfers: u32,
    /// Time is up, but a transfer is under way: goodbye is said only if it fails.
    closing: Option<Option<String>>,
}

#[derive(Debug)]
enum State {
    /// Not yet answered.
    Idle,
    /// Says the menu, or waits for a key after it.
    Choosing { until: Instant },
    /// Digits are being keyed.
    Dialling { digits: String, until: Instant },
    /// A transfer is under way.
    Connecting { to: ExtensionEntry, until: Instant },
    /// Asks for a message.
    Asking { until: Instant },
    /// Listens to a message.
    Listening { message: Message, until: Instant },
    /// Says goodbye, then hangs up.
    Leaving { why: &'static str, until: Instant },
    /// The call is over.
    Gone,
}

/// What is being said.
#[derive(Debug, Default)]
struct Speech {
    next: u32,
    /// Utterances that are said or wait, with their text.
    waiting: VecDeque<(u32, String)>,
    /// When all of it must be over, however slowly it is spoken.
    guard: Option<Instant>,
}

/// Digits kept of one entry; no extension is longer.
const MAX_DIGITS: usize = 32;
/// The slowest speech there is: time a letter, and for the voice to get going.
const SLOWEST: Duration = Duration::from_millis(250);
const SPEECH_START: Duration = Duration::from_secs(20);

impl Machine {
    /// A receptionist for a call with these extensions.
    pub fn new(script: Script, patience: Patience, directory: Arc<Directory>) -> Self {
        Machine {
            script,
            patience,
            directory,
            state: State::Idle,
            speech: Speech::default(),
            outputs: VecDeque::new(),
            rounds: 0,
            transfers: 0,
            closing: None,
        }
    }

    /// Takes in what happened at `now`. Take the outputs afterwards.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => self.start(now),
            Input::Key(key) => self.key(now, key),
            Input::Sound(length) => self.sound(now, length),
            Input::Begun(id) => self.begun(id),
            Input::Spoken(id) => self.spoken(now, id),
            Input::Refused(refused) => self.refused(now, &refused),
            Input::Transfer(step) => self.transfer(now, step),
            Input::Closing(message) => self.close(now, message),
            Input::Ended => self.ended(now),
            Input::Timeout => self.timeout(now),
        }
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None` only before the start and after the end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Idle | State::Gone => None,
            State::Choosing { until }
            | State::Dialling { until, .. }
            | State::Connecting { until, .. }
            | State::Asking { until }
            | State::Listening { until, .. }
            | State::Leaving { until, .. } => Some(*until),
        }
    }

    /// Whether the call is over for the receptionist.
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether the caller's sounds matter now.
    pub fn listens(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    fn start(&mut self, now: Instant) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        if let Some(text) = self.script.only_message.clone() {
            return self.ask_for_message(now, &text);
        }
        let first = self.script.first_message.clone();
        self.say(now, first.as_deref().unwrap_or(phrases::GREETING));
        self.menu(now);
    }

    fn key(&mut self, now: Instant, key: char) {
        match &mut self.state {
            State::Idle | State::Gone => {}
            State::Choosing { .. } => {
                self.hush();
                self.first_key(now, key);
            }
            State::Dialling { digits, .. } => match key {
                '0'..='9' => {
                    if digits.len() < MAX_DIGITS {
                        digits.push(key);
                    }
                    self.dialled(now);
                }
                '#' => {
                    let digits = std::mem::take(digits);
                    let choice = entry::ended(&digits, &self.directory);
                    self.keyed(&format!("{digits}#"));
                    self.take(now, choice);
                }
                '*' => {
                    let digits = std::mem::take(digits);
                    self.keyed(&format!("{digits}*"));
                    self.menu(now);
                }
                _ => {}
            },
            // A transfer is not stopped by a key; that it was pressed is noted.
            State::Connecting { .. } | State::Leaving { .. } => self.keyed(&key.to_string()),
            State::Asking { .. } => {
                self.hush();
                match key {
                    '*' => {
                        self.keyed("*");
                        self.ask_for_message(now, phrases::LEAVE_MESSAGE);
                    }
                    _ => {
                        self.listen(now);
                        self.message_key(now, key);
                    }
                }
            }
            State::Listening { .. } => self.message_key(now, key),
        }
    }

    fn close(&mut self, now: Instant, message: Option<String>) {
        match &self.state {
            State::Leaving { .. } | State::Gone => {}
            // The caller may be with someone else in a moment; the bridge has the last word.
            State::Connecting { .. } => self.closing = Some(message),
            _ => {
                self.note_digits();
                self.keep_message();
                self.hush();
                self.goodbye(now, message);
            }
        }
    }

    fn goodbye(&mut self, now: Instant, message: Option<String>) {
        let text = message.or_else(|| self.script.closing_message.clone());
        self.leave(
            now,
            text.as_deref().unwrap_or(phrases::CLOSING),
            "time is up",
        );
    }

    fn leave(&mut self, now: Instant, text: &str, why: &'static str) {
        self.say(now, text);
        let until = self.speech.guard.unwrap_or(now);
        self.state = State::Leaving { why, until };
    }

    fn ended(&mut self, _now: Instant) {
        self.note_digits();
        // Most callers end a message by hanging up.
        self.keep_message();
        self.state = State::Gone;
    }

    fn begun(&mut self, id: u32) {
        let begun = self
            .speech
            .waiting
            .iter_mut()
            .find(|(waiting, _)| *waiting == id);
        if let Some((_, text)) = begun {
            let text = std::mem::take(text);
            if !text.is_empty() {
                self.outputs
                    .push_back(Output::Transcript(Speaker::Agent, text));
            }
        }
    }

    fn spoken(&mut self, now: Instant, id: u32) {
        self.begun(id);
        let waiting = self.speech.waiting.len();
        self.speech.waiting.retain(|(waiting, _)| *waiting != id);
        // An utterance that was hushed may still be reported: it ends nothing.
        if self.speech.waiting.len() < waiting && self.speech.waiting.is_empty() {
            self.all_spoken(now);
        }
    }

    fn all_spoken(&mut self, now: Instant) {
        self.speech.guard = None;
        match &mut self.state {
            State::Choosing { until } => *until = now + self.patience.choice,
            State::Asking { .. } => self.listen(now),
            State::Leaving { why, .. } => {
                let why = *why;
                self.hang_up(why);
            }
            _ => {}
        }
    }

    fn hang_up(&mut self, why: &'static str) {
        self.outputs.push_back(Output::HangUp(why));
        self.state = State::Gone;
    }

    fn timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match &mut self.state {
            State::Idle | State::Gone => {}
            // Speech that never ends counts as spoken.
            State::Choosing { .. } | State::Asking { .. } | State::Leaving { .. }
                if self.speech.guard.is_some() =>
            {
                self.hush();
                self.all_spoken(now);
            }
            State::Choosing { .. } => {
                self.rounds = self.rounds.saturating_add(1);
                if self.rounds >= self.patience.rounds {
                    return self.leave(now, phrases::NO_ANSWER, "nothing was keyed");
                }
                self.menu(now);
            }
            State::Dialling { digits, .. } => {
                let digits = std::mem::take(digits);
                self.dialled_all(now, &digits);
            }
            State::Connecting { .. } => self.not_connected(now, TransferFailure::Unknown),
            State::Asking { .. } => self.listen(now),
            State::Listening { .. } => self.message_ends(now),
            State::Leaving { why, .. } => {
                let why = *why;
                self.hang_up(why);
            }
        }
    }

    fn say(&mut self, now: Instant, text: &str) {
        for text in sentences(text) {
            let letters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            let guard = self.speech.guard.unwrap_or(now + SPEECH_START);
            self.speech.guard = Some(guard + SLOWEST.saturating_mul(letters));
            let id = self.speech.number(text.clone());
            self.outputs.push_back(Output::Say { id, text });
        }
    }

    /// Stops speaking. What has not begun to play was not said.
    fn hush(&mut self) {
        if !self.speech.waiting.is_empty() {
            self.speech.waiting.clear();
            self.outputs.push_back(Output::Clear);
        }
        self.speech.guard = None;
    }

    /// Puts keys that were being entered into the transcript before the state is left.
    fn note_digits(&mut self) {
        if let State::Dialling { digits, .. } = &mut self.state {
            let digits = std::mem::take(digits);
            self.keyed(&digits);
        }
    }

    fn keyed(&mut self, keys: &str) {
        if !keys.is_empty() {
            let text = format!("keyed {keys}");
            self.outputs
                .push_back(Output::Transcript(Speaker::Caller, text));
        }
    }
}

impl Speech {
    fn number(&mut self, text: String) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.waiting.push_back((self.next, text));
        self.next
    }
}

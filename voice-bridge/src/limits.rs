//! How long a call may last and how long it may be silent, as a pure function of time.
//! [`Limits`] is what an operator sets; `Watch` tells the call when one of them is reached.

use std::time::{Duration, Instant};

/// The bounds of one call. All of them are watched from the moment the call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest a call may last, counted from the answer. Default 300 s.
    pub max_duration: Duration,
    /// How long neither side may be heard and no key pressed; `None` never ends a call for
    /// silence. Default 30 s.
    pub silence: Option<Duration>,
    /// How long no audio packet at all may arrive from the peer while it should send; `None`
    /// leaves a dead line to `silence` and `max_duration`. Default 30 s.
    pub no_audio: Option<Duration>,
    /// How long the agent has for its closing message once a limit is reached; then the call is
    /// hung up, whatever is still being said. Default 15 s.
    pub closing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_duration: Duration::from_secs(300),
            silence: Some(Duration::from_secs(30)),
            no_audio: Some(Duration::from_secs(30)),
            closing: Duration::from_secs(15),
        }
    }
}

/// Which bound of a call was reached.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitReached {
    /// The call lasted [`Limits::max_duration`].
    Duration,
    /// Neither side spoke and no key was pressed for [`Limits::silence`].
    Silence,
    /// No audio packet arrived for [`Limits::no_audio`].
    NoAudio,
}

impl LimitReached {
    /// The label of metrics and records: `max_duration`, `silence`, `no_audio`.
    pub fn label(self) -> &'static str {
        match self {
            LimitReached::Duration => "max_duration",
            LimitReached::Silence => "silence",
            LimitReached::NoAudio => "no_audio",
        }
    }
}

impl std::fmt::Display for LimitReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LimitReached::Duration => "maximum call duration reached",
            LimitReached::Silence => "nobody spoke",
            LimitReached::NoAudio => "no audio arrived",
        })
    }
}

/// The clockwork behind [`Limits`]: told what is heard, asked what is due.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Limits,
    answered: Instant,
    /// The last moment somebody spoke or pressed a key.
    sound: Instant,
    /// Since when packets should arrive and do not.
    dead_since: Option<Instant>,
    /// A held line is neither silent nor dead: nothing is expected on it.
    held: bool,
}

impl Watch {
    pub(crate) fn new(limits: Limits, answered: Instant) -> Self {
        Self {
            limits,
            answered,
            sound: answered,
            dead_since: Some(answered),
            held: false,
        }
    }

    /// Somebody speaks or presses a key at this moment, which may lie ahead: what an agent says
    /// is heard once all that is queued before it has been played.
    pub(crate) fn sound(&mut self, at: Instant) {
        self.sound = self.sound.max(at);
    }

    /// What was still to be heard will not be.
    pub(crate) fn hush(&mut self, now: Instant) {
        self.sound = self.sound.min(now);
    }

    /// Packets arrive (`true`) or have stopped to (`false`).
    pub(crate) fn audio(&mut self, now: Instant, flowing: bool) {
        self.dead_since = match (flowing, self.dead_since) {
            (true, _) => None,
            (false, since) => since.or(Some(now)),
        };
    }

    /// The peer put the call on hold or took it back.
    pub(crate) fn hold(&mut self, now: Instant, held: bool) {
        if self.held && !held {
            self.sound = now;
            self.dead_since = self.dead_since.map(|_| now);
        }
        self.held = held;
    }

    /// The bound that is reached, if any; the longest duration before the others.
    pub(crate) fn reached(&self, now: Instant) -> Option<LimitReached> {
        self.deadlines()
            .into_iter()
            .find(|(at, _)| at.is_some_and(|at| at <= now))
            .map(|(_, limit)| limit)
    }

    /// When to ask [`Watch::reached`] next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines().into_iter().filter_map(|(at, _)| at).min()
    }

    fn deadlines(&self) -> [(Option<Instant>, LimitReached); 3] {
        let quiet = |since: Option<Instant>, limit: Option<Duration>| {
            if self.held {
                return None;
            }
            since?.checked_add(limit?)
        };
        [
            (
                self.answered.checked_add(self.limits.max_duration),
                LimitReached::Duration,
            ),
            (
                quiet(self.dead_since, self.limits.no_audio),
                LimitReached::NoAudio,
            ),
            (
                quiet(Some(self.sound), self.limits.silence),
                LimitReached::Silence,
            ),
        ]
    }
}

/// Tells speech from a quiet line, frame by frame, by energy over a tracked noise floor.
#[derive(Debug)]
pub(crate) struct Ear {
    /// RMS of the line's noise, in sample units.
    floor: f32,
    /// Loud frames in a row.
    run: u8,
}

impl Ear {
    pub(crate) fn new() -> Self {
        Self {
            floor: 50.0,
            run: 0,
        }
    }

    /// Whether this frame of 16-bit samples belongs to something said.
    pub(crate) fn hears(&mut self, samples: &[i16]) -> bool {
        let level = rms(samples);
        // The floor falls at once to a quieter frame and climbs by 1 % a frame, so that a few
        // seconds of steady noise count as silence while words, with their gaps, do not.
        self.floor = if level < self.floor {
            level.max(MIN_FLOOR)
        } else {
            (self.floor * 1.01).min(level).max(MIN_FLOOR)
        };
        if level >= MIN_VOICE && level >= self.floor * OVER_FLOOR {
            self.run = self.run.saturating_add(1);
        } else {
            self.run = 0;
        }
        self.run >= MIN_RUN
    }
}

/// The floor below which no line is assumed to lie: G.711's quietest steps.
const MIN_FLOOR: f32 = 8.0;
/// Nothing quieter than this (about −46 dBFS) is speech.
const MIN_VOICE: f32 = 160.0;
/// How many times louder than the noise a word is: 6 dB.
const OVER_FLOOR: f32 = 2.0;
/// Frames in a row (60 ms) that tell a word from a click.
const MIN_RUN: u8 = 3;

fn rms(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len() as f64).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn tone(amplitude: f32) -> Vec<i16> {
        (0..160)
            .map(|i| ((i as f32 * 0.4).sin() * amplitude) as i16)
            .collect()
    }

    #[test]
    fn a_call_ends_at_its_longest_duration_however_lively_it_is() {
        let t0 = Instant::now();
        let mut watch = Watch::new(Limits::default(), t0);
        watch.audio(t0, true);
        watch.sound(t0 + seconds(299));
        assert_eq!(watch.reached(t0 + seconds(299)), None);
        assert_eq!(watch.poll_timeout(), Some(t0 + seconds(300)));
        assert_eq!(
            watch.reached(t0 + seconds(300)),
            Some(LimitReached::Duration)
        );
    }

    #[test]
    fn silence_is_counted_from_the_last_sound_and_not_while_held() {
        let t0 = Instant::now();
        let mut watch = Watch::new(Limits::default(), t0);
        watch.audio(t0, true);
        watch.sound(t0 + seconds(10));
        assert_eq!(watch.reached(t0 + seconds(39)), None);
        assert_eq!(watch.reached(t0 + seconds(40)), Some(LimitReached::Silence));
        watch.hold(t0 + seconds(20), true);
        assert_eq!(watch.reached(t0 + seconds(200)), None);
        watch.hold(t0 + seconds(200), false);
        assert_eq!(watch.reached(t0 + seconds(229)), None);
        assert_eq!(
            watch.reached(t0 + seconds(230)),
            Some(LimitReached::Silence)
        );
    }

    #[test]
    fn a_line_on_which_no_packet_ever_arrives_is_dead_not_silent() {
        let t0 = Instant::now();
        let watch = Watch::new(Limits::default(), t0);
        assert_eq!(watch.reached(t0 + seconds(30)), Some(LimitReached::NoAudio));
        let mut alive = Watch::new(
            Limits {
                silence: None,
                ..Limits::default()
            },
            t0,
        );
        alive.audio(t0 + seconds(1), true);
        assert_eq!(alive.reached(t0 + seconds(100)), None);
        alive.audio(t0 + seconds(100), false);
        alive.audio(t0 + seconds(105), false);
        assert_eq!(
            alive.reached(t0 + seconds(130)),
            Some(LimitReached::NoAudio)
        );
    }

    #[test]
    fn a_click_is_not_a_word() {
        let mut ear = Ear::new();
        for _ in 0..50 {
            assert!(!ear.hears(&tone(20.0)));
        }
        assert!(!ear.hears(&tone(8_000.0)));
        assert!(!ear.hears(&tone(20.0)));
        assert!(!ear.hears(&tone(8_000.0)));
        assert!(!ear.hears(&tone(8_000.0)));
        assert!(ear.hears(&tone(8_000.0)));
    }

    #[test]
    fn steady_line_noise_becomes_silence() {
        let mut ear = Ear::new();
        let heard = (0..1_000).filter(|_| ear.hears(&tone(600.0))).count();
        assert!(heard > 0, "at first it could be speech");
        assert!(!ear.hears(&tone(600.0)), "after 20 s it is noise");
        for _ in 0..3 {
            ear.hears(&tone(6_000.0));
        }
        assert!(
            ear.hears(&tone(6_000.0)),
            "words over the noise are still words"
        );
    }
}

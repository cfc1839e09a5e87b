//! Keys that we press: telephone-event packets in their order (RFC 4733 section 2.5.1),
//! or the same keys as tones in the audio when the peer takes no events.

use std::collections::VecDeque;
use std::time::Duration;

use super::DigitError;
use crate::packet::TelephoneEvent;
use crate::packet::telephone_event::event_code;

/// The keys that wait and the one that is pressed.
#[derive(Clone, Debug)]
pub(super) struct DigitsOut {
    waiting: VecDeque<Key>,
    state: State,
    /// Length of a key and of the pause after it, in units of the RTP clock.
    digit: u32,
    gap: u32,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Key {
    Event(u8),
    Pause,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// Pressed since `begin` (RTP timestamp), for `length` by now.
    Pressed {
        code: u8,
        begin: u32,
        length: u32,
    },
    /// Released: its last packet is repeated so many times still.
    Released {
        code: u8,
        begin: u32,
        length: u32,
        repeats: u8,
    },
    /// Nothing for so long.
    Gap {
        left: u32,
    },
}

/// What to send in a tick.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Press {
    /// A telephone-event packet.
    Event {
        timestamp: u32,
        marker: bool,
        payload: [u8; 4],
    },
    /// Silence between keys.
    Silence,
}

impl DigitsOut {
    pub fn new(digit: Duration, gap: Duration, rate: u32) -> DigitsOut {
        let units = |time: Duration| {
            let units = time.as_millis().saturating_mul(u128::from(rate)) / 1000;
            u32::try_from(units).unwrap_or(u32::MAX)
        };
        // RFC 4733 section 2.5.1.3 lets one segment say at most 65,535 units.
        let digit = units(digit).clamp(rate / 25, 0xffff);
        DigitsOut {
            waiting: VecDeque::new(),
            state: State::Idle,
            digit,
            gap: units(gap),
        }
    }

    /// Queues keys: all of them or none.
    pub fn queue(&mut self, digits: &str) -> Result<(), DigitError> {
        let count = digits.chars().count();
        if self.waiting.len() + count > MAX_WAITING {
            return Err(DigitError::Full(self.waiting.len()));
        }
        let keys = digits.chars().map(|digit| match digit {
            'w' | 'W' => Ok(Key::Pause),
            _ => event_code(digit)
                .map(Key::Event)
                .ok_or(DigitError::NotADigit(digit)),
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        self.waiting.extend(keys);
        Ok(())
    }

    /// What goes out in the tick of `step` units that begins at `timestamp`; `None` when there is
    /// nothing to press.
    pub fn step(&mut self, timestamp: u32, step: u32, rate: u32) -> Option<Press> {
        if self.state == State::Idle || self.state == (State::Gap { left: 0 }) {
            self.state = match self.waiting.pop_front() {
                Some(Key::Event(code)) => State::Pressed {
                    code,
                    begin: timestamp,
                    length: 0,
                },
                Some(Key::Pause) => State::Gap { left: rate / 2 },
                None => State::Idle,
            };
        }
        match self.state {
            State::Idle => None,
            State::Gap { left } => {
                self.state = State::Gap {
                    left: left.saturating_sub(step),
                };
                Some(Press::Silence)
            }
            State::Pressed {
                code,
                begin,
                length,
            } => {
                let marker = length == 0;
                let length = (length + step).min(self.digit);
                let end = length >= self.digit;
                self.state = if end {
                    State::Released {
                        code,
                        begin,
                        length,
                        repeats: REPEATS,
                    }
                } else {
                    State::Pressed {
                        code,
                        begin,
                        length,
                    }
                };
                Some(event(code, begin, length, end, marker))
            }
            State::Released {
                code,
                begin,
                length,
                repeats,
            } => {
                //= RFC 4733 2.5.1.4
                // The final packet for each event SHOULD be sent a total of three times. They
                // stand a tick apart, so that no short outage takes them all; the pause after
                // the key runs meanwhile.
                self.state = if repeats > 1 {
                    State::Released {
                        code,
                        begin,
                        length,
                        repeats: repeats - 1,
                    }
                } else {
                    State::Gap {
                        left: self.gap.saturating_sub(u32::from(REPEATS) * step),
                    }
                };
                Some(event(code, begin, length, true, false))
            }
        }
    }

    /// The key that is pressed now and for how long it has been, for sending it as a tone.
    pub fn tone(&self) -> Option<(u8, u32)> {
        match self.state {
            State::Pressed { code, length, .. } => Some((code, length)),
            _ => None,
        }
    }
}

fn event(code: u8, timestamp: u32, length: u32, end: bool, marker: bool) -> Press {
    let duration = u16::try_from(length).unwrap_or(u16::MAX);
    let event = TelephoneEvent {
        event: code,
        end,
        volume: VOLUME,
        duration,
    };
    Press::Event {
        timestamp,
        marker,
        payload: event.to_bytes(),
    }
}

/// Appends `count` samples of a key's two tones (ITU-T Q.23), from `offset` samples into it.
pub(super) fn tones(code: u8, offset: u32, count: usize, rate: u32, out: &mut Vec<i16>) {
    let Some((low, high)) = FREQUENCIES.get(usize::from(code)) else {
        return;
    };
    let turn = std::f32::consts::TAU / rate.max(1) as f32;
    out.extend((0..count).map(|n| {
        let place = (offset as usize + n) as f32 * turn;
        ((place * low).sin() * AMPLITUDE + (place * high).sin() * AMPLITUDE) as i16
    }));
}

const FREQUENCIES: [(f32, f32); 16] = [
    (941.0, 1336.0),
    (697.0, 1209.0),
    (697.0, 1336.0),
    (697.0, 1477.0),
    (770.0, 1209.0),
    (770.0, 1336.0),
    (770.0, 1477.0),
    (852.0, 1209.0),
    (852.0, 1336.0),
    (852.0, 1477.0),
    (941.0, 1209.0),
    (941.0, 1477.0),
    (697.0, 1633.0),
    (770.0, 1633.0),
    (852.0, 1633.0),
    (941.0, 1633.0),
];
/// About -9 dBm0 for each of the two tones.
const AMPLITUDE: f32 = 8000.0;
/// The usual -10 dBm0.
const VOLUME: u8 = 10;
const REPEATS: u8 = 2;
const MAX_WAITING: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(digits: &str) -> Vec<Option<(u32, bool, TelephoneEvent)>> {
        let ms = Duration::from_millis;
        let mut out = DigitsOut::new(ms(100), ms(80), 8000);
        out.queue(digits).unwrap();
        (0..)
            .map_while(|tick| out.step(tick * 160, 160, 8000))
            .map(|press| match press {
                Press::Event {
                    timestamp,
                    marker,
                    payload,
                } => Some((timestamp, marker, TelephoneEvent::parse(&payload).unwrap())),
                Press::Silence => None,
            })
            .collect()
    }

    #[test]
    fn a_key_grows_ends_three_times_and_leaves_a_gap() {
        let sent = all("1#");
        let first: Vec<_> = sent[..7].iter().map(|press| press.unwrap()).collect();
        assert!(
            first
                .iter()
                .all(|(timestamp, _, event)| (*timestamp, event.event) == (0, 1))
        );
        let durations: Vec<_> = first.iter().map(|(_, _, event)| event.duration).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        let ends: Vec<_> = first.iter().map(|(_, _, event)| event.end).collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        let markers = first.iter().filter(|(_, marker, _)| *marker).count();
        assert_eq!((first[0].1, markers), (true, 1));
        assert_eq!(sent[7..9], [None; 2], "80 ms from the end of the key");
        let (timestamp, marker, event) = sent[9].unwrap();
        assert_eq!(
            (timestamp, marker, event.digit()),
            (9 * 160, true, Some('#'))
        );
        assert_eq!(sent.len(), 18);
    }

    #[test]
    fn a_pause_lasts_half_a_second() {
        let sent = all("1w2");
        assert!(sent[9..9 + 25].iter().all(Option::is_none));
        assert!(sent[34].unwrap().1);
    }

    #[test]
    fn what_is_no_digit_is_refused_and_nothing_is_queued() {
        let mut out = DigitsOut::new(Duration::ZERO, Duration::ZERO, 8000);
        assert_eq!(out.queue("12x"), Err(DigitError::NotADigit('x')));
        assert_eq!(out.step(0, 160, 8000), None);
        assert_eq!(out.queue(&"1".repeat(129)), Err(DigitError::Full(0)));
        assert_eq!(out.queue("0123456789*#ABCDabcd"), Ok(()));
    }

    #[test]
    fn a_tone_holds_its_two_frequencies_and_no_other() {
        let mut samples = Vec::new();
        for part in 0..5 {
            tones(5, part * 160, 160, 8000, &mut samples);
        }
        let power = |hz: f32| {
            let turn = std::f32::consts::TAU * hz / 8000.0;
            let (mut re, mut im) = (0.0, 0.0);
            for (n, &sample) in samples.iter().enumerate() {
                re += f32::from(sample) * (turn * n as f32).cos();
                im += f32::from(sample) * (turn * n as f32).sin();
            }
            (re * re + im * im).sqrt() / samples.len() as f32
        };
        for hz in [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0] {
            assert_eq!(
                power(hz) > 2000.0,
                hz == 770.0 || hz == 1336.0,
                "{hz}: {}",
                power(hz)
            );
        }
    }
}

//! Keys that the peer presses, out of telephone-event packets (RFC 4733 section 2.5).
//! Each key is told once, whichever of its packets are lost, late or doubled.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::packet::TelephoneEvent;

/// Recognises keys.
///
/// All packets of one event carry the timestamp of its begin, so source, timestamp and event code
/// are its key; the marker bit is not needed. It is told with its first end packet, or when
/// another event begins, or when its packets stop.
#[derive(Clone, Debug, Default)]
pub(super) struct DigitsIn {
    current: Option<Event>,
    /// Events that are over, for their late packets.
    over: VecDeque<Key>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Key {
    ssrc: u32,
    timestamp: u32,
    event: u8,
}

#[derive(Copy, Clone, Debug)]
struct Event {
    key: Key,
    /// Length of its earlier segments (RFC 4733 section 2.5.1.3).
    before: u32,
    /// Length of the present segment, as far as told.
    duration: u16,
    told: bool,
    seen: Instant,
}

/// A packet of an event.
#[derive(Copy, Clone, Debug)]
pub(super) struct Report {
    pub ssrc: u32,
    pub timestamp: u32,
    pub marker: bool,
    pub event: TelephoneEvent,
}

impl DigitsIn {
    /// Takes a packet. `tell` gets each key that is recognised, with its length in units of the
    /// RTP clock.
    pub fn receive(&mut self, now: Instant, report: Report, tell: &mut impl FnMut(char, u32)) {
        let Report {
            ssrc,
            timestamp,
            marker,
            event,
        } = report;
        if event.digit().is_none() {
            return;
        }
        let key = Key {
            ssrc,
            timestamp,
            event: event.event,
        };
        if self.over.contains(&key) {
            return;
        }
        if let Some(current) = &mut self.current {
            let ahead = timestamp.wrapping_sub(current.key.timestamp) as i32;
            let alike = Key {
                timestamp,
                ..current.key
            } == key;
            if alike && (ahead == 0 || (!marker && current.goes_on_at(ahead))) {
                if ahead != 0 {
                    remember(&mut self.over, current.key);
                    current.continue_at(timestamp, ahead);
                }
                current.update(now, event, tell);
                return;
            }
            if current.key.ssrc == ssrc && ahead < 0 && ahead > -OLD {
                // A key all of whose packets were overtaken by those of the next.
                remember(&mut self.over, key);
                if let Some(digit) = event.digit() {
                    tell(digit, u32::from(event.duration));
                }
                return;
            }
            current.finish(tell);
            remember(&mut self.over, current.key);
        }
        let begun = Event {
            key,
            before: 0,
            duration: 0,
            told: false,
            seen: now,
        };
        self.current.insert(begun).update(now, event, tell);
    }

    /// Tells a key whose packets have stopped without an end.
    pub fn tick(&mut self, now: Instant, tell: &mut impl FnMut(char, u32)) {
        if let Some(current) = &mut self.current
            && now.saturating_duration_since(current.seen) >= SILENCE
        {
            current.finish(tell);
        }
    }
}

impl Event {
    /// Whether an event of the same code that begins `ahead` units later is this one.
    ///
    //= RFC 4733 2.5.1.3
    /// An event longer than 65,535 units is cut into segments; each begins where the one before
    /// ended. Some senders also move the timestamp on with each packet though the duration goes
    /// on growing: what begins before this event is over cannot be another one.
    fn goes_on_at(&self, ahead: i32) -> bool {
        let (ahead, duration) = (ahead as u32, u32::from(self.duration));
        ahead < duration || (!self.told && (ahead == duration || ahead == MAX_SEGMENT))
    }

    fn continue_at(&mut self, timestamp: u32, ahead: i32) {
        self.key.timestamp = timestamp;
        if ahead as u32 >= u32::from(self.duration) {
            self.before = self.before.saturating_add(ahead as u32);
            self.duration = 0;
        }
    }

    fn update(&mut self, now: Instant, event: TelephoneEvent, tell: &mut impl FnMut(char, u32)) {
        self.seen = now;
        self.duration = self.duration.max(event.duration);
        if event.end {
            self.finish(tell);
        }
    }

    fn finish(&mut self, tell: &mut impl FnMut(char, u32)) {
        let event = TelephoneEvent {
            event: self.key.event,
            ..TelephoneEvent::default()
        };
        if let Some(digit) = event.digit()
            && !self.told
        {
            tell(digit, self.before.saturating_add(u32::from(self.duration)));
        }
        self.told = true;
    }
}

fn remember(over: &mut VecDeque<Key>, key: Key) {
    if over.len() >= REMEMBERED {
        over.pop_front();
    }
    over.push_back(key);
}

const REMEMBERED: usize = 32;
/// An event that seems to have begun longer ago than this (5 s at 8 kHz) is none that was
/// overtaken: the sender's clock was set back.
const OLD: i32 = 40_000;
const MAX_SEGMENT: u32 = 0xffff;
/// Updates come each 50 ms at the latest (RFC 4733 section 2.5.1.2): four of them are lost.
const SILENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Bench {
        digits: DigitsIn,
        told: Vec<(char, u32)>,
        start: Option<Instant>,
    }

    impl Bench {
        fn at(&mut self, ms: u64) -> Instant {
            *self.start.get_or_insert_with(Instant::now) + Duration::from_millis(ms)
        }

        fn packet(&mut self, ms: u64, event: u8, timestamp: u32, duration: u16, end: bool) {
            self.packet_of(1, false, ms, event, timestamp, duration, end);
        }

        #[allow(clippy::too_many_arguments, reason = "a packet has that many fields")]
        fn packet_of(
            &mut self,
            ssrc: u32,
            marker: bool,
            ms: u64,
            event: u8,
            timestamp: u32,
            duration: u16,
            end: bool,
        ) {
            let now = self.at(ms);
            let event = TelephoneEvent {
                event,
                end,
                volume: 10,
                duration,
            };
            let report = Report {
                ssrc,
                timestamp,
                marker,
                event,
            };
            let told = &mut self.told;
            self.digits
                .receive(now, report, &mut |digit, length| told.push((digit, length)));
        }

        fn tick(&mut self, ms: u64) {
            let now = self.at(ms);
            let told = &mut self.told;
            self.digits
                .tick(now, &mut |digit, length| told.push((digit, length)));
        }
    }

    #[test]
    fn a_key_is_told_once_with_its_first_end() {
        let mut bench = Bench::default();
        for n in 1..=5 {
            bench.packet(u64::from(n) * 20, 5, 1000, n * 160, false);
        }
        assert_eq!(bench.told, []);
        for _ in 0..3 {
            bench.packet(120, 5, 1000, 960, true);
        }
        bench.packet(121, 5, 1000, 480, false);
        bench.tick(1000);
        assert_eq!(bench.told, [('5', 960)]);
    }

    #[test]
    fn one_packet_is_enough_whichever_it_is() {
        let mut bench = Bench::default();
        bench.packet(0, 1, 1000, 320, false);
        bench.tick(100);
        assert_eq!(bench.told, []);
        bench.tick(201);
        bench.packet(300, 2, 5000, 800, true);
        bench.packet(500, 3, 9000, 160, false);
        bench.packet(700, 3, 12_000, 160, false);
        bench.packet(701, 4, 14_000, 160, false);
        assert_eq!(bench.told, [('1', 320), ('2', 800), ('3', 160), ('3', 160)]);
    }

    #[test]
    fn late_packets_of_an_earlier_key_are_not_another_key() {
        let mut bench = Bench::default();
        bench.packet(0, 7, 1000, 160, false);
        bench.packet(200, 7, 2600, 160, false);
        bench.packet(210, 7, 1000, 800, true);
        bench.packet(300, 7, 2600, 800, true);
        bench.packet(310, 7, 1000, 800, true);
        assert_eq!(bench.told, [('7', 160), ('7', 800)]);
    }

    #[test]
    fn a_key_that_was_overtaken_whole_is_still_told() {
        let mut bench = Bench::default();
        bench.packet(0, 2, 5000, 160, false);
        bench.packet(1, 1, 3000, 800, true);
        bench.packet(2, 1, 3000, 800, true);
        bench.packet(100, 2, 5000, 800, true);
        assert_eq!(bench.told, [('1', 800), ('2', 800)]);
    }

    #[test]
    fn a_long_press_in_segments_is_one_key() {
        let mut bench = Bench::default();
        bench.packet(0, 9, 1000, 160, false);
        bench.packet(8191, 9, 1000, 0xffff, false);
        bench.packet(8211, 9, 1000 + 0xffff, 160, false);
        bench.packet(8300, 9, 1000 + 0xffff, 800, true);
        assert_eq!(bench.told, [('9', 0xffff + 800)]);
        // The same when the packet that told the full length was lost.
        let mut bench = Bench::default();
        bench.packet(0, 9, 1000, 65_000, false);
        bench.packet(100, 9, 1000 + 0xffff, 160, true);
        assert_eq!(bench.told, [('9', 0xffff + 160)]);
    }

    #[test]
    fn a_sender_that_moves_the_timestamp_with_each_packet_presses_one_key() {
        let mut bench = Bench::default();
        for n in 0..6u16 {
            bench.packet(
                u64::from(n) * 20,
                6,
                1000 + u32::from(n) * 160,
                (n + 1) * 160,
                n > 4,
            );
        }
        bench.packet(120, 6, 1000 + 6 * 160, 960, true);
        bench.packet(140, 6, 1000 + 7 * 160, 960, true);
        assert_eq!(bench.told.len(), 1, "{:?}", bench.told);
    }

    #[test]
    fn the_same_key_twice_is_told_twice_even_when_every_end_is_lost() {
        let mut bench = Bench::default();
        bench.packet(0, 4, 1000, 160, false);
        bench.packet(80, 4, 1000, 800, false);
        bench.packet(160, 4, 1000 + 1280, 160, false);
        bench.packet(240, 4, 1000 + 1280, 800, false);
        bench.tick(500);
        assert_eq!(bench.told, [('4', 800), ('4', 800)]);
    }

    #[test]
    fn another_source_or_a_clock_set_back_is_another_key() {
        let mut bench = Bench::default();
        bench.packet(0, 4, 1_000_000, 800, true);
        bench.packet_of(2, true, 500, 4, 1_000_000, 800, true);
        bench.packet_of(2, true, 900, 4, 500, 800, true);
        assert_eq!(bench.told.len(), 3);
    }

    #[test]
    fn events_that_are_no_keys_are_passed_over() {
        let mut bench = Bench::default();
        bench.packet(0, 16, 1000, 800, true);
        bench.packet(0, 255, 2000, 800, true);
        bench.tick(1000);
        assert_eq!(bench.told, []);
    }
}

//! Which port pairs are free: pairs of an even and the next odd port out of the configured range.
//! Taken round about from a random start, rested after use, skipped when the system has them.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The pairs of the range and the state of each.
#[derive(Debug)]
pub(super) struct Ports {
    /// The first even port; pair `n` begins at `first + 2n`.
    first: u16,
    /// Whether each pair is taken or resting.
    busy: Vec<bool>,
    /// The pair to try next.
    next: usize,
    in_use: usize,
    /// Pairs that rest, and until when; the earliest in front.
    resting: VecDeque<(Instant, usize)>,
    quarantine: Duration,
}

impl Ports {
    /// The pairs of `range`, beginning with the one that `start` falls on. `None` without a pair.
    pub fn new(range: RangeInclusive<u16>, quarantine: Duration, start: usize) -> Option<Self> {
        //= RFC 3550 11
        // For UDP and similar protocols, RTP SHOULD use an even destination port number and the
        // corresponding RTCP stream SHOULD use the next higher (odd) destination port number.
        let first = range.start().checked_next_multiple_of(2)?;
        let first = if first == 0 { 2 } else { first };
        let ports = usize::from(*range.end()).checked_sub(usize::from(first))? + 1;
        let pairs = ports / 2;
        if pairs == 0 {
            return None;
        }
        Some(Self {
            first,
            busy: vec![false; pairs],
            next: start % pairs,
            in_use: 0,
            resting: VecDeque::new(),
            quarantine,
        })
    }

    /// Takes the next free pair, by its even port.
    pub fn take(&mut self, now: Instant) -> Option<u16> {
        self.wake_rested(now);
        for _ in 0..self.busy.len() {
            let pair = self.next;
            self.next = (pair + 1) % self.busy.len();
            if self.busy.get(pair) == Some(&false) {
                self.set_busy(pair, true);
                self.in_use += 1;
                return Some(self.port(pair));
            }
        }
        None
    }

    /// Gives back a pair that could not be used: it is free at once.
    pub fn give_back(&mut self, port: u16) {
        self.in_use = self.in_use.saturating_sub(1);
        self.set_busy(self.pair(port), false);
    }

    /// Puts a pair to rest whose sockets are closed.
    pub fn release(&mut self, port: u16, now: Instant) {
        self.in_use = self.in_use.saturating_sub(1);
        self.resting
            .push_back((now + self.quarantine, self.pair(port)));
    }

    /// Pairs in use, resting, and in all.
    pub fn counts(&mut self, now: Instant) -> (usize, usize, usize) {
        self.wake_rested(now);
        (self.in_use, self.resting.len(), self.busy.len())
    }

    fn wake_rested(&mut self, now: Instant) {
        while let Some(&(until, pair)) = self.resting.front() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.set_busy(pair, false);
        }
    }

    fn set_busy(&mut self, pair: usize, busy: bool) {
        if let Some(state) = self.busy.get_mut(pair) {
            *state = busy;
        }
    }

    fn pair(&self, port: u16) -> usize {
        usize::from(port.saturating_sub(self.first) / 2)
    }

    fn port(&self, pair: usize) -> u16 {
        u16::try_from(pair * 2).map_or(self.first, |offset| self.first.saturating_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARANTINE: Duration = Duration::from_secs(5);

    fn ports(range: RangeInclusive<u16>) -> Ports {
        Ports::new(range, QUARANTINE, 0).unwrap()
    }

    #[test]
    fn a_pair_begins_at_an_even_port_and_stays_within_the_range() {
        let now = Instant::now();
        let mut ports = ports(10_001..=10_006);
        assert_eq!(ports.take(now), Some(10_002));
        assert_eq!(ports.take(now), Some(10_004));
        assert_eq!(ports.take(now), None, "10006 has no odd port behind it");
    }

    #[test]
    fn a_range_without_a_pair_is_none() {
        assert!(Ports::new(10_001..=10_002, QUARANTINE, 0).is_none());
        assert!(Ports::new(10_000..=10_000, QUARANTINE, 0).is_none());
        let backwards = RangeInclusive::new(11_000, 10_000);
        assert!(Ports::new(backwards, QUARANTINE, 0).is_none());
        assert!(Ports::new(65_535..=65_535, QUARANTINE, 0).is_none());
        let mut highest = ports(65_534..=65_535);
        assert_eq!(highest.take(Instant::now()), Some(65_534));
    }

    #[test]
    fn a_released_pair_rests_before_it_is_taken_again() {
        let now = Instant::now();
        let mut ports = ports(10_000..=10_001);
        assert_eq!(ports.take(now), Some(10_000));
        ports.release(10_000, now);
        assert_eq!(ports.counts(now), (0, 1, 1));
        assert_eq!(ports.take(now + QUARANTINE / 2), None);
        assert_eq!(ports.take(now + QUARANTINE), Some(10_000));
        assert_eq!(ports.counts(now + QUARANTINE), (1, 0, 1));
    }

    #[test]
    fn a_pair_that_could_not_be_used_is_free_at_once_but_not_next() {
        let now = Instant::now();
        let mut ports = ports(10_000..=10_003);
        assert_eq!(ports.take(now), Some(10_000));
        ports.give_back(10_000);
        assert_eq!(ports.counts(now), (0, 0, 2));
        assert_eq!(ports.take(now), Some(10_002));
        assert_eq!(ports.take(now), Some(10_000));
    }

    #[test]
    fn pairs_are_taken_round_about_from_the_start_given() {
        let now = Instant::now();
        let mut ports = Ports::new(10_000..=10_005, QUARANTINE, 5).unwrap();
        let taken: Vec<_> = (0..4).map(|_| ports.take(now)).collect();
        assert_eq!(
            taken,
            [Some(10_004), Some(10_000), Some(10_002), None],
            "each pair once"
        );
    }
}

//! Which port pairs are free: pairs of an even and the next odd port out of the configured range.
//! Taken round about from a random start, rested after use, skipped when the system has them.

use std::collections::VecDeque;
use std::io;
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

/// Why no pair was opened.
#[derive(Debug)]
pub(super) enum Refused {
    Exhausted { in_use: usize, quarantined: usize },
    Io { port: u16, source: io::Error },
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

    /// Takes the next free pair that `bind` can open, by its even port.
    pub fn open<T>(
        &mut self,
        now: Instant,
        mut bind: impl FnMut(u16) -> io::Result<T>,
    ) -> Result<(u16, T), Refused> {
        self.wake_rested(now);
        for _ in 0..self.busy.len() {
            let pair = self.next;
            self.next = (pair + 1) % self.busy.len();
            if self.busy.get(pair).copied().unwrap_or(true) {
                continue;
            }
            let port = self.port(pair);
            match bind(port) {
                Ok(sockets) => {
                    self.set_busy(pair, true);
                    self.in_use += 1;
                    return Ok((port, sockets));
                }
                // Another program has it, or the system keeps it to itself.
                Err(error) if is_taken(&error) => {}
                Err(source) => return Err(Refused::Io { port, source }),
            }
        }
        Err(Refused::Exhausted {
            in_use: self.in_use,
            quarantined: self.resting.len(),
        })
    }

    /// Puts a pair to rest whose sockets are closed.
    pub fn release(&mut self, port: u16, now: Instant) {
        let pair = usize::from(port.saturating_sub(self.first) / 2);
        self.in_use = self.in_use.saturating_sub(1);
        self.resting.push_back((now + self.quarantine, pair));
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

    fn port(&self, pair: usize) -> u16 {
        u16::try_from(pair * 2).map_or(self.first, |offset| self.first.saturating_add(offset))
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARANTINE: Duration = Duration::from_secs(5);

    fn ports(range: RangeInclusive<u16>) -> Ports {
        Ports::new(range, QUARANTINE, 0).unwrap()
    }

    fn take(ports: &mut Ports, now: Instant) -> Option<u16> {
        ports.open(now, |_| Ok(())).ok().map(|(port, ())| port)
    }

    #[test]
    fn a_pair_begins_at_an_even_port_and_stays_within_the_range() {
        let now = Instant::now();
        let mut ports = ports(10_001..=10_006);
        assert_eq!(take(&mut ports, now), Some(10_002));
        assert_eq!(take(&mut ports, now), Some(10_004));
        assert_eq!(
            take(&mut ports, now),
            None,
            "10006 has no odd port behind it"
        );
    }

    #[test]
    fn a_range_without_a_pair_is_none() {
        assert!(Ports::new(10_001..=10_002, QUARANTINE, 0).is_none());
        assert!(Ports::new(10_000..=10_000, QUARANTINE, 0).is_none());
        let backwards = RangeInclusive::new(11_000, 10_000);
        assert!(Ports::new(backwards, QUARANTINE, 0).is_none());
        assert!(Ports::new(65_535..=65_535, QUARANTINE, 0).is_none());
        let mut highest = ports(65_534..=65_535);
        assert_eq!(take(&mut highest, Instant::now()), Some(65_534));
    }

    #[test]
    fn a_released_pair_rests_before_it_is_taken_again() {
        let now = Instant::now();
        let mut ports = ports(10_000..=10_001);
        assert_eq!(take(&mut ports, now), Some(10_000));
        ports.release(10_000, now);
        assert_eq!(ports.counts(now), (0, 1, 1));
        let refused = ports.open(now + QUARANTINE / 2, |_| Ok(())).unwrap_err();
        assert!(matches!(
            refused,
            Refused::Exhausted {
                in_use: 0,
                quarantined: 1
            }
        ));
        assert_eq!(take(&mut ports, now + QUARANTINE), Some(10_000));
        assert_eq!(ports.counts(now + QUARANTINE), (1, 0, 1));
    }

    #[test]
    fn a_port_that_the_system_has_given_away_is_skipped() {
        let now = Instant::now();
        let mut ports = ports(10_000..=10_005);
        let opened = ports.open(now, |port| match port {
            10_000 => Err(io::ErrorKind::AddrInUse.into()),
            10_002 => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        });
        assert_eq!(opened.unwrap().0, 10_004);
        assert_eq!(ports.counts(now), (1, 0, 3));
    }

    #[test]
    fn a_system_without_sockets_ends_the_search_at_once() {
        let mut tried = 0;
        let opened: Result<(u16, ()), _> = ports(10_000..=19_999).open(Instant::now(), |_| {
            tried += 1;
            Err(io::Error::other("too many open files"))
        });
        assert!(matches!(opened, Err(Refused::Io { port: 10_000, .. })));
        assert_eq!(tried, 1);
    }

    #[test]
    fn pairs_are_taken_round_about_from_the_start_given() {
        let now = Instant::now();
        let mut ports = Ports::new(10_000..=10_005, QUARANTINE, 5).unwrap();
        let taken: Vec<_> = (0..4).map(|_| take(&mut ports, now)).collect();
        assert_eq!(
            taken,
            [Some(10_004), Some(10_000), Some(10_002), None],
            "each pair once"
        );
    }
}

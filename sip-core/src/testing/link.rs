//! One direction of a network path, as numbers.
//! Reordering comes from jitter: what is sent later may take less time.

use std::time::Duration;

use super::Random;

/// How datagrams travel from one node to another.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Link {
    /// The least time that a datagram takes.
    pub delay: Duration,
    /// What may come on top, evenly distributed; more than the time between two datagrams reorders
    /// them.
    pub jitter: Duration,
    /// The probability that a datagram is lost.
    pub loss: f64,
    /// The probability that a datagram arrives twice.
    pub duplicate: f64,
}

impl Link {
    /// A local network: 1 ms, nothing lost, nothing reordered.
    pub fn lan() -> Self {
        Self {
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
        }
    }

    /// A bad path: 20 % lost, 5 % twice, up to 80 ms of jitter on 20 ms.
    pub fn bad() -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(80),
            loss: 0.2,
            duplicate: 0.05,
        }
    }

    /// When the copies of one datagram arrive, after it was sent: none, one or two.
    pub(super) fn travel(&self, random: &mut Random) -> Vec<Duration> {
        let mut time = || {
            let jitter = random.below(self.jitter.as_micros() as u64 + 1);
            self.delay + Duration::from_micros(jitter)
        };
        let times = [time(), time()];
        if random.chance(self.loss) {
            return Vec::new();
        }
        let copies = if random.chance(self.duplicate) { 2 } else { 1 };
        times.into_iter().take(copies).collect()
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::lan()
    }
}

//! How much delay a stream needs: the distribution of how late its packets are.
//! All times are in units of the RTP clock.

/// Follows the transit times of a stream.
///
/// A transit time is arrival less timestamp, against an unknown offset between both clocks. The
/// least of the last ten seconds is the base: drift of the sender's clock moves it slowly. What
/// packets take longer than the base goes into a histogram that forgets, and the delay to aim
/// for is what 97 % of the packets stay below.
#[derive(Clone, Debug)]
pub(super) struct DelayEstimator {
    rate: i64,
    /// Least transit in each of the last spans of two seconds, the present one first.
    least: [i64; SPANS],
    span_end: i64,
    /// Share of packets by lateness, in bins of 5 ms; the last holds all that is later.
    bins: [f32; BINS],
    packets: u32,
    base: i64,
}

impl DelayEstimator {
    /// Starts from a first packet, with a guess for its lateness-to-be.
    pub fn new(rate: u32, arrival: i64, transit: i64, guess: i64) -> DelayEstimator {
        let rate = i64::from(rate.max(1));
        let mut estimator = DelayEstimator {
            rate,
            least: [transit; SPANS],
            span_end: arrival + SPAN_SECONDS * rate,
            bins: [0.0; BINS],
            packets: GUESS_WEIGHT,
            base: transit,
        };
        let bin = estimator.bin(guess.saturating_sub(1));
        if let Some(share) = estimator.bins.get_mut(bin) {
            *share = 1.0;
        }
        estimator
    }

    /// Takes a packet's transit time; `arrival` never goes back by much.
    pub fn observe(&mut self, arrival: i64, transit: i64) {
        let mut spans = 0;
        while arrival >= self.span_end && spans < SPANS {
            self.least.rotate_right(1);
            if let Some(present) = self.least.first_mut() {
                *present = transit;
            }
            self.span_end += SPAN_SECONDS * self.rate;
            spans += 1;
        }
        // After a long pause the spans in between are of no use.
        self.span_end = self.span_end.max(arrival);
        if let Some(present) = self.least.first_mut() {
            *present = transit.min(*present);
        }
        self.base = self.least.iter().copied().min().unwrap_or(transit);

        self.packets = self.packets.saturating_add(1);
        let weight = (1.0 / self.packets as f32).max(FORGET);
        for share in &mut self.bins {
            *share *= 1.0 - weight;
        }
        let bin = self.bin(transit - self.base);
        if let Some(share) = self.bins.get_mut(bin) {
            *share += weight;
        }
    }

    /// The least transit of late.
    pub fn base(&self) -> i64 {
        self.base
    }

    /// The lateness that all but a few packets stay below.
    pub fn lateness(&self) -> i64 {
        let mut later = 0.0;
        let above = self.bins.iter().rev().take_while(|share| {
            later += **share;
            later <= LATE_SHARE
        });
        let bins = BINS - above.count();
        bins as i64 * self.rate * BIN_MS / 1000
    }

    fn bin(&self, lateness: i64) -> usize {
        let bin = lateness.max(0) * 1000 / (self.rate * BIN_MS);
        usize::try_from(bin).unwrap_or(BINS).min(BINS - 1)
    }
}

const SPANS: usize = 5;
const SPAN_SECONDS: i64 = 2;
const BIN_MS: i64 = 5;
/// 0 to 220 ms: the buffer's bound of 200 ms and some.
const BINS: usize = 44;
/// A packet's weight once the estimate has settled: half is forgotten after some seven seconds.
const FORGET: f32 = 1.0 / 512.0;
/// The first guess counts as much as so many packets.
const GUESS_WEIGHT: u32 = 25;
/// The share of packets that may come too late.
const LATE_SHARE: f32 = 0.03;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> i64 {
        ms * 8
    }

    fn after(packets: i64, lateness: impl Fn(i64) -> i64) -> DelayEstimator {
        let mut estimator = DelayEstimator::new(8000, 0, lateness(0), ms(40));
        for n in 1..packets {
            estimator.observe(n * 160 + lateness(n), lateness(n));
        }
        estimator
    }

    #[test]
    fn a_steady_stream_needs_next_to_no_delay_once_the_guess_is_forgotten() {
        assert_eq!(after(2, |_| 0).lateness(), ms(40));
        assert_eq!(after(2000, |_| 0).lateness(), ms(5));
    }

    #[test]
    fn regular_lateness_is_covered_and_a_rare_one_is_not() {
        let estimator = after(2000, |n| if n % 10 == 0 { ms(60) } else { 0 });
        assert_eq!(estimator.lateness(), ms(65));
        let estimator = after(2000, |n| if n % 100 == 0 { ms(60) } else { 0 });
        assert_eq!(estimator.lateness(), ms(5));
    }

    #[test]
    fn the_base_follows_a_drifting_clock() {
        // 200 ppm: after a minute the base has moved by 12 ms, behind by at most two of them.
        let estimator = after(3000, |n| n * 160 * 200 / 1_000_000);
        let moved = 2999 * 160 * 200 / 1_000_000;
        assert!(
            (moved - ms(2)..=moved).contains(&estimator.base()),
            "{}",
            estimator.base()
        );
        assert_eq!(estimator.lateness(), ms(5));
    }

    #[test]
    fn a_pause_of_hours_is_stepped_over() {
        let mut estimator = after(100, |_| 0);
        estimator.observe(8000 * 36_000, 80);
        assert_eq!(estimator.base(), 80, "nothing older than the window counts");
    }
}

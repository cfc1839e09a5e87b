//! How well a stream arrives, counted as RFC 3550 appendix A does.
//! Sequence numbers are judged here, for reports as well as for the jitter buffer.

use crate::packet::ReportBlock;

/// Reception of one synchronisation source.
#[derive(Clone, Debug)]
pub struct Reception {
    /// First extended sequence number of the present run.
    base: u64,
    /// Highest extended sequence number. Starts one cycle up, so that what came before the
    /// first packet has a number too.
    highest: u64,
    /// The last 64 sequence numbers: bit n is set when `highest - n` has come.
    seen: u64,
    /// Packets counted in the present run, without duplicates.
    received: u64,
    /// Losses of runs that ended in a jump.
    lost_before: u64,
    duplicates: u64,
    reordered: u64,
    /// The sequence number that would confirm a jump.
    jump_to: Option<u16>,
    expected_at_report: u64,
    received_at_report: u64,
    transit: Option<u32>,
    /// Jitter times 16, as in RFC 3550 A.8.
    jitter: u32,
}

/// What a sequence number means.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Placed {
    /// A packet not seen before; the number goes on over wraps of the 16 bits.
    New(u64),
    /// It came before.
    Duplicate,
    /// Far from all others: to be ignored unless the next packet follows it.
    Suspect,
    /// The sender has jumped to other numbers: everything starts anew with this packet.
    Restarted(u64),
}

impl Reception {
    /// Starts with the first packet's sequence number; hand that to [`Reception::place`] as well.
    pub fn new(sequence: u16) -> Reception {
        let first = CYCLE + u64::from(sequence);
        Reception {
            base: first,
            highest: first,
            seen: 0,
            received: 0,
            lost_before: 0,
            duplicates: 0,
            reordered: 0,
            jump_to: None,
            expected_at_report: 0,
            received_at_report: 0,
            transit: None,
            jitter: 0,
        }
    }

    /// Judges a sequence number.
    pub fn place(&mut self, sequence: u16) -> Placed {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < MAX_DROPOUT {
            self.jump_to = None;
            let distance = u64::from(ahead);
            if distance == 0 && self.seen & 1 != 0 {
                self.duplicates += 1;
                return Placed::Duplicate;
            }
            self.highest += distance;
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.received += 1;
            return Placed::New(self.highest);
        }
        let behind = sequence.wrapping_neg().wrapping_add(self.highest as u16);
        if behind < MAX_MISORDER {
            let bit = 1u64.checked_shl(u32::from(behind)).unwrap_or(0);
            if self.seen & bit != 0 {
                self.duplicates += 1;
                return Placed::Duplicate;
            }
            self.seen |= bit;
            self.received += 1;
            self.reordered += 1;
            let place = self.highest - u64::from(behind);
            // Overtaken by the first packet: the run began earlier than was thought.
            self.base = self.base.min(place);
            return Placed::New(place);
        }
        //= RFC 3550 A.1
        // Two sequential packets -- assume that the other side restarted without telling us so
        // just re-sync (i.e., pretend this was the first packet).
        if self.jump_to != Some(sequence) {
            self.jump_to = Some(sequence.wrapping_add(1));
            return Placed::Suspect;
        }
        self.lost_before = self.lost();
        let first = (self.highest / CYCLE + 1) * CYCLE + u64::from(sequence);
        self.base = first;
        self.highest = first;
        self.seen = 1;
        self.received = 1;
        self.jump_to = None;
        self.expected_at_report = 0;
        self.received_at_report = 0;
        self.transit = None;
        Placed::Restarted(first)
    }

    /// Takes the timing of an audio packet into the jitter: `arrival` in units of the RTP clock.
    pub fn timed(&mut self, arrival: u32, timestamp: u32) {
        //= RFC 3550 A.8
        // s->jitter += d - ((s->jitter + 8) >> 4);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A jump of the sender's clock is no jitter.
            if difference < MAX_TRANSIT_STEP {
                self.jitter = (self.jitter + difference) - ((self.jitter + 8) >> 4);
            }
        }
    }

    /// Interarrival jitter in units of the RTP clock.
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// Packets that have not come, over all runs.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.received)
    }

    /// Packets that came more than once.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets that came after a later one.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// What goes into the next report about `ssrc`; the fraction is since the last call.
    pub fn report(&mut self, ssrc: u32) -> ReportBlock {
        let expected = self.expected().saturating_sub(self.expected_at_report);
        let received = self.received.saturating_sub(self.received_at_report);
        self.expected_at_report = self.expected();
        self.received_at_report = self.received;
        let lost = expected.saturating_sub(received);
        let fraction = (lost * 256).checked_div(expected).unwrap_or(0).min(255);
        ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            lost: i32::try_from(self.lost())
                .unwrap_or(i32::MAX)
                .min(0x7f_ffff),
            highest_sequence: (self.highest - CYCLE) as u32,
            jitter: self.jitter(),
            last_sr: 0,
            delay_since_last_sr: 0,
        }
    }

    fn expected(&self) -> u64 {
        if self.received == 0 {
            0
        } else {
            self.highest - self.base + 1
        }
    }
}

const CYCLE: u64 = 1 << 16;
/// RFC 3550 A.1: how far a sequence number may be ahead, and behind.
const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
/// Steps of the transit time from here on (10 s at 8 kHz) are jumps of a clock.
const MAX_TRANSIT_STEP: u32 = 80_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(numbers: impl IntoIterator<Item = u16>) -> Reception {
        let mut numbers = numbers.into_iter().peekable();
        let mut reception = Reception::new(*numbers.peek().unwrap());
        for number in numbers {
            reception.place(number);
        }
        reception
    }

    #[test]
    fn numbers_go_on_over_the_wrap() {
        let mut reception = Reception::new(65534);
        let places = [65534, 65535, 0, 2, 1, 65533].map(|n| reception.place(n));
        let base = CYCLE + 65534;
        let expected = [0, 1, 2, 4, 3].map(|n| Placed::New(base + n));
        assert_eq!(places[..5], expected);
        assert_eq!(
            places[5],
            Placed::New(base - 1),
            "before the first, over no wrap"
        );
        assert_eq!((reception.lost(), reception.reordered()), (0, 2));
        assert_eq!(reception.report(1).highest_sequence, 65536 + 2);
    }

    #[test]
    fn losses_are_what_was_expected_and_never_came() {
        let mut reception = after((0..100).filter(|n| n % 10 != 5));
        assert_eq!(reception.lost(), 10);
        let report = reception.report(7);
        assert_eq!(
            (report.ssrc, report.lost, report.fraction_lost),
            (7, 10, 25)
        );
        for number in 100..200 {
            reception.place(number);
        }
        let report = reception.report(7);
        assert_eq!(
            (report.lost, report.fraction_lost),
            (10, 0),
            "nothing since the last report"
        );
    }

    #[test]
    fn a_duplicate_hides_no_loss() {
        let mut reception = after([1, 2, 2, 4, 4, 4]);
        assert_eq!((reception.lost(), reception.duplicates()), (1, 3));
        assert_eq!(reception.place(3), Placed::New(CYCLE + 3));
        assert_eq!(reception.place(3), Placed::Duplicate);
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn a_lone_stray_is_ignored_and_two_in_a_row_are_a_restart() {
        let mut reception = after(0..50);
        assert_eq!(reception.place(30_000), Placed::Suspect);
        assert_eq!(reception.place(50), Placed::New(CYCLE + 50));
        assert_eq!(
            reception.place(30_001),
            Placed::Suspect,
            "the stray was forgotten"
        );
        assert_eq!(
            reception.place(30_002),
            Placed::Restarted(2 * CYCLE + 30_002)
        );
        assert_eq!(reception.place(30_004), Placed::New(2 * CYCLE + 30_004));
        assert_eq!(reception.lost(), 1);
    }

    #[test]
    fn jitter_follows_the_formula_of_the_rfc() {
        let mut reception = Reception::new(0);
        // Transit alternates between 0 and 160 units: D is 160 for each packet.
        for n in 0..200u32 {
            reception.timed(n * 160 + (n % 2) * 160, n * 160);
        }
        assert!(
            (150..=160).contains(&reception.jitter()),
            "{}",
            reception.jitter()
        );
        reception.timed(1_000_000, 0);
        assert!(
            reception.jitter() <= 160,
            "a jump of the clock is no jitter"
        );
    }

    proptest! {
        #[test]
        fn no_order_of_numbers_breaks_the_counts(numbers in prop::collection::vec(any::<u16>(), 1..300), near: bool) {
            let mut reception = Reception::new(numbers[0]);
            for (index, number) in numbers.iter().enumerate() {
                let number = if near { (index as u16).wrapping_add(number % 40) } else { *number };
                reception.place(number);
                reception.timed(index as u32, u32::from(number));
            }
            prop_assert!(reception.received <= numbers.len() as u64);
            let report = reception.report(0);
            prop_assert!(report.lost >= 0);
        }
    }
}

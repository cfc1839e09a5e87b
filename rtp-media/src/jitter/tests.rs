//! The jitter buffer under the networks it is made for, in virtual time.
//! Each payload says its packet's number, so what is heard can be told.

use super::*;
use proptest::prelude::*;

struct Bench {
    start: Instant,
    buffer: JitterBuffer,
    /// What each 20 ms frame was: a packet's number, or `None`.
    heard: Vec<Option<u8>>,
    missing: usize,
    paused: usize,
}

impl Bench {
    fn new() -> Bench {
        let start = Instant::now();
        let buffer = JitterBuffer::new(start, 8000, JitterConfig::default());
        Bench {
            start,
            buffer,
            heard: Vec::new(),
            missing: 0,
            paused: 0,
        }
    }

    fn arrive(&mut self, ms: u64, number: u64) -> Inserted {
        self.arrive_as(ms, number, (number * 160) as u32)
    }

    fn arrive_as(&mut self, ms: u64, number: u64, timestamp: u32) -> Inserted {
        let now = self.start + Duration::from_millis(ms);
        self.buffer
            .insert(now, number, timestamp, 160, 0, &[number as u8; 160])
    }

    fn tick(&mut self, ms: u64) -> Option<u8> {
        let now = self.start + Duration::from_millis(ms);
        let heard = match self.buffer.next(now, 160) {
            Next::Audio { payload, .. } => payload.first().copied(),
            Next::Missing(_) => {
                self.missing += 1;
                None
            }
            Next::Pause(_) => {
                self.paused += 1;
                None
            }
        };
        self.heard.push(heard);
        heard
    }

    fn excess_ms(&self, ms: u64) -> i64 {
        // The frame that was fetched last is still being heard.
        self.buffer
            .excess(self.start + Duration::from_millis(ms), 160)
            / 8
    }

    /// Ticks at 1, 21, 41 … ms and packets at the times given, in order of time.
    fn play(&mut self, mut arrivals: Vec<(u64, u64)>, until: u64) {
        arrivals.sort();
        let mut arrivals = arrivals.into_iter().peekable();
        for ms in (1..until).step_by(20) {
            while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= ms) {
                self.arrive(at, number);
            }
            self.tick(ms);
        }
    }

    fn numbers(&self) -> Vec<u8> {
        self.heard.iter().flatten().copied().collect()
    }
}

#[test]
fn a_steady_stream_is_heard_whole_after_the_first_delay() {
    let mut bench = Bench::new();
    bench.play((0..100).map(|n| (n * 20, n)).collect(), 2061);
    assert_eq!(bench.numbers(), (0..100).collect::<Vec<_>>());
    assert_eq!(
        bench.heard.iter().position(Option::is_some),
        Some(2),
        "after 40 ms"
    );
    assert_eq!(bench.missing, 1, "only after the end");
}

#[test]
fn reordered_packets_are_heard_in_order_and_duplicates_once() {
    let mut bench = Bench::new();
    let mut arrivals: Vec<_> = (0..50)
        .map(|n| (n * 20 + if n % 7 == 3 { 30 } else { 0 }, n))
        .collect();
    arrivals.extend((0..50).step_by(5).map(|n| (n * 20 + 12, n)));
    bench.play(arrivals, 1061);
    assert_eq!(bench.numbers(), (0..50).collect::<Vec<_>>());
}

#[test]
fn the_same_packet_is_refused_while_it_waits_and_after_it_was_heard() {
    let mut bench = Bench::new();
    assert_eq!(bench.arrive(0, 0), Inserted::Queued);
    assert_eq!(bench.arrive(1, 0), Inserted::Duplicate);
    bench.tick(41);
    assert_eq!(bench.arrive(42, 0), Inserted::Late);
}

#[test]
fn a_lost_packet_is_missing_for_its_time_and_no_longer() {
    let mut bench = Bench::new();
    bench.play(
        (0..50).filter(|n| *n != 20).map(|n| (n * 20, n)).collect(),
        1041,
    );
    let first = bench.heard.iter().position(|h| *h == Some(19)).unwrap();
    assert_eq!(bench.heard[first..first + 3], [Some(19), None, Some(21)]);
    assert_eq!(bench.excess_ms(1021), 1, "no delay was added");
}

#[test]
fn a_burst_of_losses_adds_no_delay() {
    let mut bench = Bench::new();
    bench.play(
        (0..50)
            .filter(|n| !(20..24).contains(n))
            .map(|n| (n * 20, n))
            .collect(),
        1041,
    );
    let first = bench.heard.iter().position(|h| *h == Some(19)).unwrap();
    assert_eq!(bench.heard[first + 5], Some(24), "{:?}", bench.heard);
}

#[test]
fn a_blocked_queue_is_heard_late_rather_than_lost() {
    // Packets 20 to 26 all come when the last of them does.
    let mut bench = Bench::new();
    let at = |n: u64| {
        if (20..26).contains(&n) {
            26 * 20
        } else {
            n * 20
        }
    };
    bench.play((0..60).map(|n| (at(n), n)).collect(), 1400);
    assert_eq!(bench.numbers(), (0..60).collect::<Vec<_>>());
    assert!(bench.missing > 0);
}

#[test]
fn what_would_be_heard_after_200_ms_is_left_out() {
    let mut bench = Bench::new();
    let at = |n: u64| {
        if (20..60).contains(&n) {
            60 * 20
        } else {
            n * 20
        }
    };
    bench.play((0..100).map(|n| (at(n), n)).collect(), 2200);
    let numbers = bench.numbers();
    assert!(numbers.len() < 75, "the stall of 800 ms is not played back");
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
    assert!(numbers.ends_with(&(62..100).collect::<Vec<_>>()));
}

#[test]
fn jitter_raises_the_delay_to_aim_for_and_calm_lowers_it() {
    let mut bench = Bench::new();
    let noisy = |n: u64| n * 20 + (n * 7919) % 90;
    bench.play(
        (0..1000)
            .map(|n| (if n < 500 { noisy(n) } else { n * 20 }, n))
            .collect(),
        10_000,
    );
    let aimed = bench.buffer.target() / 8;
    assert!((80..=100).contains(&aimed), "{aimed} ms");
    bench.play((1000..4000).map(|n| (n * 20, n)).collect(), 80_000);
    assert_eq!(bench.buffer.target() / 8, 20);
}

#[test]
fn a_pause_of_the_sender_is_not_a_loss_and_talk_resumes_at_the_right_delay() {
    let mut bench = Bench::new();
    for n in 0..20u64 {
        bench.arrive(n * 20, n);
        bench.tick(n * 20 + 1);
    }
    // Comfort noise takes a sequence number, then two seconds of nothing.
    let now = bench.start + Duration::from_millis(400);
    bench.buffer.insert(now, 20, 20 * 160, 0, 13, &[]);
    for ms in (401..2400).step_by(20) {
        bench.tick(ms);
    }
    assert_eq!((bench.missing, bench.numbers().len()), (0, 20));
    for n in 0..20 {
        bench.arrive_as(2400 + n * 20, 21 + n, (120 + n as u32) * 160);
        bench.tick(2401 + n * 20);
    }
    assert_eq!(bench.missing, 0);
    assert_eq!(bench.numbers().len(), 20 + 18, "the usual 40 ms later");
}

#[test]
fn a_short_gap_in_the_timestamps_alone_is_a_pause() {
    let mut bench = Bench::new();
    for n in 0..30u64 {
        let pause = if n < 15 { 0 } else { 3 };
        bench.arrive_as(n * 20, n, ((n + pause) * 160) as u32);
    }
    for n in 0..30 {
        bench.tick(41 + n * 20);
    }
    assert_eq!(bench.missing, 0);
    assert_eq!(bench.heard[15..18], [None; 3]);
}

#[test]
fn timestamps_wrap() {
    let mut bench = Bench::new();
    for n in 0..100u64 {
        bench.arrive_as(n * 20, n, (n as u32 * 160).wrapping_sub(8000));
        bench.tick(n * 20 + 1);
    }
    assert_eq!(bench.numbers(), (0..98).collect::<Vec<_>>());
}

#[test]
fn a_jump_of_the_timestamps_is_followed_when_a_second_packet_agrees() {
    for jump in [1_000_000u32, 1_000_000u32.wrapping_neg(), 1 << 31] {
        let mut bench = Bench::new();
        for n in 0..100u64 {
            let offset = if n < 50 { 0 } else { jump };
            bench.arrive_as(n * 20, n, (n as u32 * 160).wrapping_add(offset));
            bench.tick(n * 20 + 1);
        }
        let numbers = bench.numbers();
        assert!(numbers.len() >= 92, "{jump}: {numbers:?}");
        assert_eq!(numbers.last(), Some(&97));
    }
}

#[test]
fn one_packet_with_a_wild_timestamp_changes_nothing() {
    let mut bench = Bench::new();
    for n in 0..100u64 {
        let timestamp = if n == 50 { 77_777_777 } else { n as u32 * 160 };
        bench.arrive_as(n * 20, n, timestamp);
        bench.tick(n * 20 + 1);
    }
    assert_eq!(
        bench.numbers(),
        (0..98).filter(|n| *n != 50).collect::<Vec<_>>()
    );
}

#[test]
fn a_sender_whose_clock_stands_still_in_pauses_is_heard() {
    let mut bench = Bench::new();
    for n in 0..50u64 {
        let pause = if n < 25 { 0 } else { 700 };
        for ms in (n * 20 + if n == 25 { 0 } else { pause }..n * 20 + pause).step_by(20) {
            bench.tick(ms + 1);
        }
        bench.arrive(n * 20 + pause, n);
        bench.tick(n * 20 + pause + 1);
    }
    assert_eq!(bench.numbers(), (0..48).collect::<Vec<_>>());
}

#[test]
fn packets_of_other_lengths_are_cut_and_joined_by_time() {
    let mut bench = Bench::new();
    for n in 0..10u64 {
        let now = bench.start + Duration::from_millis(n * 60);
        bench
            .buffer
            .insert(now, n, n as u32 * 480, 480, 0, &[n as u8; 480]);
    }
    let now = bench.start + Duration::from_millis(100);
    for n in 0..10u8 {
        let Next::Audio {
            payload,
            skip,
            broken,
            ..
        } = bench.buffer.next(now, 160)
        else {
            panic!()
        };
        assert_eq!((payload, skip, broken), (&[n; 480][..], 0, false));
    }
}

#[test]
fn the_number_of_waiting_packets_is_bounded() {
    let mut bench = Bench::new();
    for n in 0..5000 {
        bench.arrive(0, n);
    }
    assert!(bench.buffer.waiting.len() <= MAX_PACKETS);
    assert!(bench.buffer.spare.len() <= MAX_PACKETS + 1);
}

proptest! {
    #[test]
    fn what_is_heard_is_in_order_and_heard_once(
        packets in prop::collection::vec((0u64..40, 0u64..30, 0u32..300), 1..300),
    ) {
        let mut bench = Bench::new();
        let mut ms = 0;
        let mut last = None;
        for (gap, ahead, duration) in packets {
            ms += gap;
            let sequence = ms / 20 + ahead;
            let now = bench.start + Duration::from_millis(ms);
            let payload = vec![sequence as u8; duration as usize];
            bench.buffer.insert(now, sequence, sequence as u32 * 160, duration, 0, &payload);
            if let Next::Audio { payload, skip, .. } = bench.buffer.next(now, 160) {
                prop_assert!((skip as usize) < payload.len());
                let behind = ((ms / 20) as u8).wrapping_sub(payload[0]) as i8;
                let place = (ms / 20) as i64 - i64::from(behind);
                prop_assert!(last < Some(place), "{:?} then {}", last, place);
                last = Some(place);
            }
        }
    }

    #[test]
    fn wild_packets_neither_panic_nor_pile_up(
        packets in prop::collection::vec((0u64..9000, any::<u64>(), any::<u32>(), any::<u32>(), 0usize..50), 1..200),
    ) {
        let mut bench = Bench::new();
        let mut ms = 0;
        for (gap, sequence, timestamp, duration, length) in packets {
            ms += gap;
            let now = bench.start + Duration::from_millis(ms);
            bench.buffer.insert(now, sequence, timestamp, duration, 0, &vec![0; length]);
            bench.buffer.next(now, duration);
            bench.buffer.excess(now, duration);
            bench.buffer.delay(now, duration);
            prop_assert!(bench.buffer.waiting.len() <= MAX_PACKETS);
        }
    }
}

//! What is heard at the other end: unchanged over a good network, whole over a bad one.

use std::time::Duration;

use rtp_media::codec::Codec;
use rtp_media::packet::RtpPacket;
use rtp_media::session::{Agreed, Frame, SessionEvent};

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

fn coded(samples: &[i16], codec: Codec) -> Vec<i16> {
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    codec.encode(samples, &mut bytes);
    codec.decode(&bytes, &mut out);
    out
}

/// Where in `whole` the audio of `part` begins, found by 50 ms of it behind the first 20 ms: with
/// these the silence before it is faded out.
fn find(whole: &[i16], part: &[i16]) -> Option<usize> {
    let place = whole
        .windows(400)
        .position(|window| window == &part[160..560])?;
    Some(place - 160)
}

fn assert_same(heard: &[i16], expected: &[i16]) {
    let differs = heard
        .iter()
        .zip(expected)
        .position(|(heard, expected)| heard != expected);
    assert_eq!((differs, heard.len()), (None, expected.len()));
}

#[test]
fn over_a_perfect_link_everything_said_is_heard_bit_for_bit() {
    for codec in Codec::ALL {
        let (mut a, mut b) = (config(B), config(A));
        a.agreed = Agreed::new(address(B), codec);
        b.agreed = Agreed::new(address(A), codec);
        let mut world = World::with(1, PERFECT, a, b);
        // Loud all the time, so that no pause tempts anyone to correct the delay.
        let said: Vec<i16> = voice(16_000).iter().map(|s| s / 2 + 5000).collect();
        world.nodes[A]
            .session
            .say(Frame::new(said.clone(), 8000))
            .unwrap();
        world.run(SECOND * 3);
        let heard = world.nodes[B].heard();
        let expected = coded(&said, codec);
        let place = find(&heard, &expected).expect("heard unchanged");
        assert_same(
            &heard[place + 160..place + expected.len()],
            &expected[160..],
        );
        let stats = world.nodes[B].session.stats();
        assert_eq!((stats.lost, stats.late, stats.concealed_ms), (0, 0, 0));
        assert_eq!(stats.malformed + stats.foreign + stats.duplicates, 0);
        assert!(
            (20.0..=80.0).contains(&stats.delay_ms),
            "{}",
            stats.delay_ms
        );
        // From saying to hearing: one frame, 20 ms of link, the buffer.
        assert!(place <= 160 * 4, "{place}");
    }
}

#[test]
fn a_packet_leaves_each_20_ms_even_with_nothing_to_say() {
    let mut world = World::new(1, PERFECT);
    world.run(SECOND);
    let sent = &world.nodes[A].sent;
    assert_eq!(sent.len(), 50);
    let mut expected = RtpPacket::parse(&sent[0].1).unwrap();
    assert!(expected.marker, "the first packet of a talkspurt");
    for (_, bytes) in sent {
        let packet = RtpPacket::parse(bytes).unwrap();
        assert_eq!(
            packet,
            RtpPacket {
                payload: &[0xff; 160],
                ..expected
            }
        );
        expected.marker = false;
        expected.sequence = expected.sequence.wrapping_add(1);
        expected.timestamp = expected.timestamp.wrapping_add(160);
    }
}

#[test]
fn packets_are_as_long_as_the_peer_wants() {
    for (ptime_ms, length, count) in [(10, 80, 100), (20, 160, 50), (30, 240, 33), (60, 480, 16)] {
        let mut a = config(B);
        a.agreed.ptime_ms = ptime_ms;
        let mut world = World::with(1, PERFECT, a, config(A));
        let said: Vec<i16> = voice(8000).iter().map(|s| s / 2 + 5000).collect();
        world.nodes[A]
            .session
            .say(Frame::new(said.clone(), 8000))
            .unwrap();
        world.run(SECOND);
        let sent = &world.nodes[A].sent;
        assert_eq!(sent.len(), count, "{ptime_ms} ms");
        assert!(sent.iter().all(|(_, bytes)| bytes.len() == 12 + length));
        world.run(SECOND);
        let heard = world.nodes[B].heard();
        let expected = coded(&said, Codec::Pcmu);
        let place = find(&heard, &expected).expect("heard unchanged");
        assert_same(&heard[place + 160..place + 7000], &expected[160..7000]);
    }
}

#[test]
fn a_bad_network_costs_what_it_lost_and_not_more() {
    for seed in 0..8 {
        let link = Link {
            delay_ms: 40.0,
            jitter_ms: 6.0,
            loss: 0.03,
            duplicate: 0.03,
        };
        let mut world = World::new(seed, link);
        world.nodes[A]
            .session
            .say(Frame::new(voice(8000 * 30), 8000))
            .unwrap();
        world.run(SECOND * 30);
        let stats = world.nodes[B].session.stats();
        let sent = world.nodes[A].session.stats().packets_out;
        assert!((10..100).contains(&stats.lost), "seed {seed}: {stats:?}");
        // All packets are accounted for, save those that are on their way.
        let known = stats.lost + stats.packets_in - stats.duplicates;
        assert!(
            known.abs_diff(sent) <= 5,
            "seed {seed}: {sent} sent, {stats:?}"
        );
        assert!(stats.late < sent / 40, "seed {seed}: {stats:?}");
        // Concealed is what was lost or late, and some waiting while the buffer learned.
        let gaps = (stats.lost + stats.late) * 20;
        assert!(stats.concealed_ms < gaps + 600, "seed {seed}: {stats:?}");
        assert!(
            (20.0..=120.0).contains(&stats.delay_ms),
            "seed {seed}: {stats:?}"
        );
    }
}

#[test]
fn frames_come_every_tick_with_positions_that_count_on() {
    let link = Link {
        delay_ms: 40.0,
        jitter_ms: 15.0,
        loss: 0.2,
        duplicate: 0.1,
    };
    let mut world = World::new(3, link);
    world.run(SECOND * 20);
    let mut expected = 0;
    for (_, event) in &world.nodes[B].events {
        if let SessionEvent::Heard(frame) = event {
            assert_eq!(
                (frame.samples.len(), frame.rate, frame.timestamp),
                (160, 8000, expected)
            );
            expected += 160;
        }
    }
    assert!(expected > 160 * 980);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let digest = |seed| {
        let link = Link {
            delay_ms: 50.0,
            jitter_ms: 20.0,
            loss: 0.1,
            duplicate: 0.05,
        };
        let mut world = World::new(seed, link);
        for node in [A, B] {
            world.nodes[node]
                .session
                .say(Frame::new(voice(80_000), 8000))
                .unwrap();
            world.nodes[node].session.send_digits("1w23").unwrap();
        }
        world.run(SECOND * 12);
        world.digest
    };
    assert_eq!(digest(5), digest(5));
    assert_ne!(digest(5), digest(6));
}

#[test]
fn a_clock_that_drifts_is_followed_for_minutes() {
    for ppm in [-500i64, 500] {
        let mut world = World::new(
            9,
            Link {
                jitter_ms: 2.0,
                ..PERFECT
            },
        );
        let tick = 20_000_000 + 20 * ppm;
        world.nodes[A].tick = Duration::from_nanos(tick as u64);
        for _ in 0..4 {
            world.nodes[A]
                .session
                .say(Frame::new(voice(8000 * 60), 8000))
                .unwrap();
            world.run(SECOND * 60);
            world.nodes[A].sent.clear();
            world.nodes[B].events.clear();
        }
        // Four minutes at 500 ppm are 120 ms: unfollowed, they would be lost or pile up.
        let stats = world.nodes[B].session.stats();
        assert_eq!(stats.lost, 0);
        assert!((10.0..90.0).contains(&stats.delay_ms), "{ppm}: {stats:?}");
        assert!(stats.concealed_ms < 2000, "{ppm}: {stats:?}");
    }
}

#[test]
fn a_new_source_and_a_restart_of_the_numbers_are_followed() {
    let mut world = World::new(1, PERFECT);
    world.run(SECOND * 2);
    let told = |world: &World| world.nodes[B].session.stats();
    let before = told(&world);
    // The peer restarts with another SSRC from the same address, as a PBX does in a transfer.
    let restarted = config(B);
    let restarted = rtp_media::session::SessionConfig {
        ssrc: 77,
        sequence: 9,
        ..restarted
    };
    world.nodes[A].session = rtp_media::session::Session::new(world.now, restarted);
    let said: Vec<i16> = voice(16_000).iter().map(|s| s / 2 + 5000).collect();
    world.nodes[A]
        .session
        .say(Frame::new(said.clone(), 8000))
        .unwrap();
    world.run(SECOND * 3);
    let heard = world.nodes[B].heard();
    let expected = coded(&said, Codec::Pcmu);
    assert!(
        find(&heard, &expected[400..]).is_some(),
        "heard from the third packet on"
    );
    assert!(told(&world).lost <= before.lost + 1);
    assert_eq!(told(&world).foreign, 0);
    // One stray packet of another source changes nothing.
    let mut stray = Vec::new();
    let packet = RtpPacket {
        ssrc: 78,
        payload: &[0; 160],
        ..RtpPacket::default()
    };
    packet.write(&mut stray).unwrap();
    let (now, from) = (world.now, world.nodes[A].source);
    world.nodes[B].session.receive(now, from, &stray);
    let late = told(&world).concealed_ms;
    world.run(SECOND);
    assert_eq!(told(&world).concealed_ms, late);
}

#[test]
fn audio_said_at_other_rates_is_heard() {
    for rate in [16_000, 24_000, 48_000] {
        let mut world = World::new(1, PERFECT);
        for n in 0..50 {
            let count = rate as usize / 50;
            let samples = (n * count..(n + 1) * count).map(|n| {
                ((n as f64 * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin() * 9000.0) as i16
            });
            world.nodes[A]
                .session
                .say(Frame::new(samples.collect(), rate))
                .unwrap();
        }
        world.run(SECOND * 2);
        let heard = world.nodes[B].heard();
        let loud = heard.iter().filter(|s| s.unsigned_abs() > 4500).count();
        // A sine is above half its height for two thirds of the time.
        assert!((5100..5500).contains(&loud), "{rate}: {loud}");
    }
}

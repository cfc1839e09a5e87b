//! Packets in and out: the schedule, floods, keys, RTCP on one port, hold.

use std::time::{Duration, Instant};

use rtp_media::net::{DigitError, Frame, LegEvent, SayError};
use rtp_media::sdp::Direction;

use crate::peer::{Peer, media, wait_for};

#[test]
fn packets_leave_every_20_ms_without_drift() {
    let media = media(31_200, 20);
    let (leg, _events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    leg.start(peer.negotiated());
    let sequence = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    let mut next = sequence(&peer.receive().unwrap().1).wrapping_add(1);
    let mut drift = Duration::MAX;
    // A machine that is too busy to tick at all for a while proves nothing: try again.
    for _ in 0..5 {
        let mut schedules = [None, None];
        let start = Instant::now();
        for n in 0..100_u32 {
            let (at, packet) = peer.receive().unwrap();
            assert_eq!(sequence(&packet), next, "none missing");
            next = next.wrapping_add(1);
            // Where the schedule would have begun; the most punctual packet of a half shows it.
            let begun = (at - start + Duration::from_secs(10)) - Duration::from_millis(20) * n;
            let schedule = &mut schedules[usize::from(n >= 50)];
            *schedule = Some(schedule.map_or(begun, |known: Duration| known.min(begun)));
        }
        let [Some(first), Some(second)] = schedules else {
            unreachable!()
        };
        drift = first.abs_diff(second);
        if drift < Duration::from_millis(5) {
            return;
        }
    }
    panic!("the second half of 2 s is off by {drift:?}");
}

#[test]
fn a_flooded_leg_does_not_delay_the_others() {
    let media = media(31_220, 20);
    let (leg, _events) = media.open(None).unwrap();
    let (flooded, mut flooded_events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    let mut flooder = Peer::of(flooded.local());
    leg.start(peer.negotiated());
    flooded.start(flooder.negotiated());
    let until = Instant::now() + Duration::from_secs(1);
    let flood = std::thread::spawn(move || {
        let mut sent = 0_u64;
        while Instant::now() < until {
            flooder.send_audio();
            sent += 1;
        }
        sent
    });
    let mut packets = 0;
    while Instant::now() < until {
        packets += u32::from(peer.receive().is_some());
    }
    let sent = flood.join().unwrap();
    assert!(
        (25..=55).contains(&packets),
        "{packets} packets in a second"
    );
    drop(flooded);
    let LegEvent::Closed(stats) =
        wait_for(&mut flooded_events, |e| matches!(e, LegEvent::Closed(_)))
    else {
        unreachable!()
    };
    assert!(sent > 10_000, "a flood of {sent} packets is none");
    assert!(
        stats.packets_in < 5_000,
        "read {} of {sent}",
        stats.packets_in
    );
}

#[test]
fn audio_said_is_sent_and_marked_and_cleared() {
    let media = media(31_240, 20);
    let (leg, mut events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    leg.start(peer.negotiated());
    for _ in 0..5 {
        leg.say(Frame::new(vec![8_000; 160], 8_000)).unwrap();
    }
    leg.mark(1);
    assert!(leg.queued() <= Duration::from_millis(100));
    wait_for(&mut events, |event| *event == LegEvent::MarkReached(1));
    wait_for(&mut events, |event| *event == LegEvent::PlayedOut);
    let said = std::iter::from_fn(|| peer.receive())
        .take(12)
        .filter(|(_, packet)| packet[12..].iter().all(|&byte| byte != 0xff))
        .count();
    assert_eq!(said, 5);
    wait_until(|| leg.queued() == Duration::ZERO);

    leg.say(Frame::silence(Duration::from_secs(60), 16_000))
        .unwrap();
    leg.mark(2);
    assert!(leg.queued() > Duration::from_secs(59));
    leg.clear();
    wait_for(&mut events, |event| *event == LegEvent::MarkCleared(2));
    wait_until(|| leg.queued() == Duration::ZERO);
}

fn wait_until(reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !reached() {
        assert!(Instant::now() < deadline, "not reached within 5 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_cannot_be_said_is_refused_at_once() {
    let media = media(31_260, 20);
    let (leg, _events) = media.open(None).unwrap();
    let odd = leg.say(Frame::new(vec![0; 10], 11_025));
    assert_eq!(odd, Err(SayError::Rate(11_025)));
    leg.say(Frame::silence(Duration::from_secs(599), 8_000))
        .unwrap();
    let full = leg.say(Frame::silence(Duration::from_secs(2), 8_000));
    assert_eq!(
        full,
        Err(SayError::Full {
            queued: Duration::from_secs(599)
        })
    );
    assert_eq!(leg.send_digits("12x"), Err(DigitError::NotADigit('x')));
    assert!(matches!(
        leg.send_digits(&"1".repeat(1000)),
        Err(DigitError::Full(_))
    ));
}

#[test]
fn keys_go_out_as_events_and_come_in_as_digits() {
    let media = media(31_280, 20);
    let (alice, mut alice_events) = media.open(None).unwrap();
    let (bob, mut bob_events) = media.open(None).unwrap();
    let next = |at: std::net::SocketAddr| std::net::SocketAddr::new(at.ip(), at.port() + 1);
    alice.start(crate::peer::negotiated(bob.local(), next(bob.local())));
    bob.start(crate::peer::negotiated(alice.local(), next(alice.local())));
    alice.send_digits("1#").unwrap();
    for expected in ['1', '#'] {
        let event = wait_for(&mut bob_events, |e| matches!(e, LegEvent::Digit { .. }));
        let LegEvent::Digit { digit, duration_ms } = event else {
            unreachable!()
        };
        assert_eq!(digit, expected);
        assert!((80..=140).contains(&duration_ms), "{duration_ms} ms");
    }
    wait_for(&mut alice_events, |event| {
        *event == LegEvent::LatchedTo(bob.local())
    });
}

#[test]
fn with_mux_rtcp_shares_the_rtp_port() {
    let media = media(31_300, 20);
    let (leg, _events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    let mut negotiated = peer.negotiated();
    negotiated.rtcp_mux = true;
    leg.start(negotiated);
    peer.receive().unwrap();
    drop(leg);
    let kinds: Vec<u8> = std::iter::from_fn(|| peer.receive())
        .map(|(_, packet)| packet[1])
        .collect();
    let rtcp = |kind: &&u8| (200..=204).contains(*kind);
    assert_eq!(kinds.iter().filter(rtcp).count(), 1, "{kinds:?}");
}

#[test]
fn a_held_peer_is_not_sent_to() {
    let media = media(31_320, 20);
    let (leg, _events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    peer.rtp
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    leg.start(peer.negotiated());
    peer.receive().unwrap();
    let mut held = peer.negotiated();
    held.direction = Direction::Inactive;
    leg.update(held);
    // What was on its way comes first, then nothing.
    let quiet = (0..100).any(|_| peer.receive().is_none());
    assert!(quiet, "packets went on");
    for _ in 0..3 {
        assert_eq!(peer.receive(), None);
    }
    leg.update(peer.negotiated());
    peer.rtp
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    peer.receive().unwrap();
}

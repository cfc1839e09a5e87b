//! Peers behind NATs, strangers on the path, and bytes that mean nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rtp_media::packet::RtpPacket;
use rtp_media::session::{Agreed, Session, SessionEvent};

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let timestamp = u32::from(sequence) * 160;
    let payload = &[0x20; 160];
    let packet = RtpPacket {
        ssrc,
        sequence,
        timestamp,
        payload,
        ..RtpPacket::default()
    };
    packet.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_peer_behind_a_nat_is_found_by_where_its_packets_come_from() {
    let mut world = World::new(1, PERFECT);
    // B is told that A is at its private address, and sees it come from another.
    let private = config(A).agreed;
    let public = SocketAddr::from(([203, 0, 113, 9], 61_234));
    world.nodes[A].source = public;
    world.run(SECOND * 20);
    let stats = world.nodes[B].session.stats();
    assert_eq!((stats.remote, stats.latched), (Some(public), true));
    assert_eq!(stats.foreign, 3, "the fourth packet convinces");
    assert!(
        world.nodes[B]
            .news()
            .contains(&SessionEvent::LatchedTo(public))
    );
    let heard = world.nodes[A].session.stats();
    assert!(
        heard.packets_in > 990,
        "and A hears B from then on: {heard:?}"
    );
    assert!(heard.rtt.is_some(), "RTCP finds its way too");
    // A re-INVITE that repeats the private address does not send B astray.
    let now = world.now;
    world.nodes[B].session.update(now, private);
    world.run(SECOND);
    assert_eq!(world.nodes[B].session.stats().remote, Some(public));
}

#[test]
fn a_stranger_can_neither_be_heard_nor_take_the_call() {
    let mut world = World::new(1, PERFECT);
    world.run(SECOND);
    let stranger = SocketAddr::from(([198, 51, 100, 66], 4000));
    let concealed = world.nodes[B].session.stats().concealed_ms;
    for n in 0..100 {
        let now = world.now;
        world.nodes[B]
            .session
            .receive(now, stranger, &packet(0x1000, n));
        world.nodes[B].session.receive(now, stranger, &packet(1, n));
        world.nodes[B]
            .session
            .receive_rtcp(now, stranger, &[0x81, 203, 0, 1, 0, 0, 0x10, 0]);
        world.run(Duration::from_millis(20));
    }
    let stats = world.nodes[B].session.stats();
    assert_eq!((stats.remote, stats.foreign), (Some(address(A)), 300));
    assert_eq!(stats.concealed_ms, concealed);
    assert!(
        world.nodes[B]
            .heard()
            .iter()
            .all(|s| s.unsigned_abs() < 100),
        "nothing but silence"
    );
}

#[test]
fn an_update_to_another_address_moves_the_call_there_at_once() {
    let mut world = World::new(1, PERFECT);
    world.run(SECOND);
    let elsewhere = SocketAddr::from(([192, 0, 2, 77], 5000));
    let now = world.now;
    world.nodes[B]
        .session
        .update(now, Agreed::new(elsewhere, config(A).agreed.codec));
    world.nodes[B].session.tick(now, &mut |datagram| {
        assert_eq!(datagram.to.ip(), elsewhere.ip());
    });
    // What A still sends from the old address does not bring it back within half a second.
    world.run(SECOND / 2);
    assert_eq!(world.nodes[B].session.stats().remote, Some(elsewhere));
    world.nodes[A].source = elsewhere;
    world.run(SECOND / 2);
    assert_eq!(world.nodes[B].session.stats().remote, Some(elsewhere));
    assert!(world.nodes[B].session.stats().latched);
}

#[test]
fn a_flood_of_keys_to_an_owner_that_never_polls_is_bounded() {
    let start = Instant::now();
    let mut session = Session::new(start, config(A));
    for n in 0..100_000u32 {
        let mut bytes = Vec::new();
        let packet = RtpPacket {
            payload_type: 101,
            sequence: n as u16,
            timestamp: n * 1000,
            payload: &[1, 0x80, 1, 0],
            ..RtpPacket::default()
        };
        packet.write(&mut bytes).unwrap();
        session.receive(start, address(A), &bytes);
        if n % 100 == 0 {
            session.tick(start, &mut |_| {});
        }
    }
    let events = std::iter::from_fn(|| session.poll_event()).count();
    assert!(events <= 1024, "{events}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_datagrams_make_a_session_panic(
        datagrams in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..80), 0usize..6, 0u8..3, 0u64..60), 0..150),
    ) {
        let start = Instant::now();
        let mut session = Session::new(start, config(A));
        let mut now = start;
        for (mut bytes, shape, from, gap) in datagrams {
            now += Duration::from_millis(gap);
            // Most bytes are nearly right, so that they get past the first checks.
            if shape < 5 && bytes.len() > 12 {
                bytes[0] = if shape < 3 { 0x80 } else { bytes[0] & 0x3f | 0x80 };
                bytes[1] = [0, 8, 101, 200, 201][shape];
                (bytes[2], bytes[3]) = (0, bytes[3] % 16);
                (bytes[8], bytes[9], bytes[10], bytes[11]) = (0, 0, 0, bytes[11] % 2);
            }
            let from = address(usize::from(from));
            session.receive(now, from, &bytes);
            session.receive_rtcp(now, from, &bytes);
            session.tick(now, &mut |datagram| assert!(datagram.bytes.len() < 1500));
            while let Some(event) = session.poll_event() {
                if let SessionEvent::Heard(frame) = event {
                    prop_assert_eq!(frame.samples.len(), 160);
                }
            }
            session.stats();
        }
    }
}

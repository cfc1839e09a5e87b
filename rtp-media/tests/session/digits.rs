//! Keys from one end to the other: none lost, none doubled.

use std::time::Duration;

use rtp_media::packet::{RtpPacket, TelephoneEvent};
use rtp_media::session::{Frame, SessionEvent};

use crate::world::*;

#[test]
fn ten_thousand_digits_arrive_over_a_link_that_loses_doubles_and_reorders() {
    let link = Link {
        delay_ms: 30.0,
        jitter_ms: 8.0,
        loss: 0.05,
        duplicate: 0.05,
    };
    let mut a = config(B);
    a.digit = Duration::from_millis(60);
    a.digit_gap = Duration::from_millis(60);
    let mut world = World::with(2024, link, a, config(A));
    let mut sent = String::new();
    while sent.len() < 10_000 {
        let digits: String = (0..100)
            .map(|_| "0123456789*#ABCD".as_bytes()[(world.random() * 16.0) as usize] as char)
            .collect();
        world.nodes[A].session.send_digits(&digits).unwrap();
        sent.push_str(&digits);
        world.run(Duration::from_millis(120 * 100));
        world.nodes[A].sent.clear();
        world.nodes[A].events.clear();
        world.nodes[B]
            .events
            .retain(|(_, e)| matches!(e, SessionEvent::Digit { .. }));
    }
    world.run(Duration::from_secs(1));
    let heard = world.nodes[B].digits();
    assert_eq!(heard.len(), sent.len());
    assert!(heard == sent, "other digits than were sent");
    assert_eq!(world.nodes[B].session.stats().digits_in, 10_000);
    assert_eq!(world.nodes[A].session.stats().digits_out, 10_000);
}

#[test]
fn digits_survive_the_loss_of_every_end_packet() {
    for lost_kind in ["ends", "all but one end", "beginnings"] {
        let mut a = config(B);
        a.agreed.receive = false;
        let mut world = World::with(1, PERFECT, a, config(A));
        world.nodes[A].link.loss = 1.0;
        world.nodes[A].session.send_digits("1122#").unwrap();
        let mut seen = 0;
        let mut ends = 0;
        world.run_with(Duration::from_secs(2), |world| {
            // The link loses all; what may pass is carried by hand.
            let (now, from) = (world.now, world.nodes[A].source);
            let fresh: Vec<Vec<u8>> = world.nodes[A].sent[seen..]
                .iter()
                .map(|(_, bytes)| bytes.clone())
                .collect();
            seen += fresh.len();
            for bytes in fresh {
                let packet = RtpPacket::parse(&bytes).unwrap();
                let event = match packet.payload_type {
                    101 => TelephoneEvent::parse(packet.payload).unwrap(),
                    _ => {
                        world.nodes[B].session.receive(now, from, &bytes);
                        continue;
                    }
                };
                ends = if event.end { ends + 1 } else { 0 };
                let passes = match lost_kind {
                    "ends" => !event.end,
                    "beginnings" => event.end,
                    _ => ends == 2,
                };
                if passes {
                    world.nodes[B].session.receive(now, from, &bytes);
                }
            }
        });
        world.run(Duration::from_secs(1));
        assert_eq!(world.nodes[B].digits(), "1122#", "{lost_kind} lost");
    }
}

#[test]
fn a_key_has_the_length_that_was_pressed_and_audio_waits_for_it() {
    let mut world = World::new(1, PERFECT);
    world.nodes[A].session.send_digits("5").unwrap();
    world.nodes[A]
        .session
        .say(Frame::new(vec![9000; 1600], 8000))
        .unwrap();
    world.run(Duration::from_secs(1));
    let digit = SessionEvent::Digit {
        digit: '5',
        duration_ms: 100,
    };
    assert!(
        world.nodes[B].news().contains(&digit),
        "{:?}",
        world.nodes[B].news()
    );
    let sent = &world.nodes[A].sent;
    let kinds: Vec<u8> = sent
        .iter()
        .map(|(_, b)| RtpPacket::parse(b).unwrap().payload_type)
        .collect();
    assert_eq!(kinds[..7], [101; 7]);
    assert!(kinds[7..].iter().all(|kind| *kind == 0));
    let first = RtpPacket::parse(&sent[0].1).unwrap();
    let loud = sent
        .iter()
        .position(|(_, b)| b[12..] == [b[12]; 160] && b[12] < 0xa0);
    assert_eq!(loud, Some(10), "after the key and its gap");
    let later = RtpPacket::parse(&sent[10].1).unwrap();
    assert_eq!(
        later.timestamp,
        first.timestamp.wrapping_add(10 * 160),
        "time went on"
    );
    let loud = world.nodes[B].heard().iter().filter(|s| **s > 8000).count();
    assert!(
        (1500..=1700).contains(&loud),
        "all of the audio is heard: {loud}"
    );
}

#[test]
fn to_a_peer_without_telephone_event_keys_are_tones() {
    let mut a = config(B);
    a.agreed.telephone_event = None;
    let mut world = World::with(1, PERFECT, a, config(A));
    world.nodes[A].session.send_digits("1").unwrap();
    world.run(Duration::from_secs(1));
    assert!(world.nodes[A].sent.iter().all(|(_, b)| b[1] & 0x7f == 0));
    let heard = world.nodes[B].heard();
    let loud = heard.iter().filter(|s| s.unsigned_abs() > 3000).count();
    assert!((400..800).contains(&loud), "100 ms of tone: {loud}");
    assert_eq!(world.nodes[A].session.stats().digits_out, 1);
}

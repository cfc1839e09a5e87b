//! The play-out queue against the wire: marks are true, clear is at once, hold stops everything.

use std::time::Duration;

use rtp_media::packet::RtpPacket;
use rtp_media::session::{Agreed, DigitError, Frame, SayError, SessionEvent};

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

fn audio(ms: u64, level: i16) -> Frame {
    Frame::new(vec![level; ms as usize * 8], 8000)
}

/// When A sent its packets that are not silence, in milliseconds.
fn loud(world: &World) -> Vec<u128> {
    let sent = world.nodes[A].sent.iter();
    sent.filter(|(_, b)| b[12..].iter().any(|byte| *byte != 0xff))
        .map(|(t, _)| t.as_millis())
        .collect()
}

fn times(world: &World) -> Vec<(u128, SessionEvent)> {
    let events = world.nodes[A].events.iter();
    events
        .filter(|(_, e)| !matches!(e, SessionEvent::Heard(_) | SessionEvent::LatchedTo(_)))
        .map(|(t, e)| (t.as_millis(), e.clone()))
        .collect()
}

#[test]
fn marks_are_reached_with_the_packet_that_holds_their_last_sample() {
    let mut world = World::new(1, PERFECT);
    let session = &mut world.nodes[A].session;
    session.mark(1).unwrap();
    session.say(audio(100, 8000)).unwrap();
    session.mark(2).unwrap();
    session.say(audio(50, 8000)).unwrap();
    session.mark(3).unwrap();
    assert_eq!(session.queued(), Duration::from_millis(150));
    world.run(SECOND);
    assert_eq!(loud(&world), (0..8).map(|n| n * 20).collect::<Vec<_>>());
    let expected = [
        (0, SessionEvent::MarkReached(1)),
        (80, SessionEvent::MarkReached(2)),
        (140, SessionEvent::MarkReached(3)),
        (140, SessionEvent::PlayedOut),
    ];
    assert_eq!(times(&world), expected);
    assert_eq!(world.nodes[A].session.queued(), Duration::ZERO);
}

#[test]
fn clear_silences_the_next_packet_and_tells_each_mark_once() {
    let mut world = World::new(1, PERFECT);
    let session = &mut world.nodes[A].session;
    session.say(audio(60, 8000)).unwrap();
    session.mark(1).unwrap();
    session.say(audio(5000, 8000)).unwrap();
    session.mark(2).unwrap();
    session.mark(3).unwrap();
    world.run(Duration::from_millis(190));
    world.nodes[A].session.clear();
    world.nodes[A].session.mark(4).unwrap();
    world.run(SECOND);
    assert_eq!(loud(&world).last(), Some(&180));
    let marks: Vec<_> = times(&world).into_iter().map(|(_, event)| event).collect();
    let expected = [
        SessionEvent::MarkReached(1),
        SessionEvent::MarkCleared(2),
        SessionEvent::MarkCleared(3),
        SessionEvent::MarkReached(4),
    ];
    assert_eq!(marks, expected, "and no word of having played out");
}

#[test]
fn minutes_of_audio_wait_and_more_is_refused() {
    let mut config = config(B);
    config.playout_limit = SECOND * 60;
    let mut world = World::with(1, PERFECT, config, crate::world::config(A));
    let session = &mut world.nodes[A].session;
    for _ in 0..3000 {
        session.say(audio(20, 100)).unwrap();
    }
    assert_eq!(
        session.say(audio(20, 1)),
        Err(SayError::Full {
            queued: SECOND * 60
        })
    );
    world.run(SECOND);
    assert_eq!(world.nodes[A].session.queued(), SECOND * 59);
    assert_eq!(world.nodes[A].session.say(audio(20, 1)), Ok(()));
}

#[test]
fn on_hold_nothing_is_sent_and_everything_waits() {
    let mut world = World::new(1, PERFECT);
    world.nodes[A].session.say(audio(200, 8000)).unwrap();
    world.nodes[A].session.mark(1).unwrap();
    world.run(Duration::from_millis(100));
    let hold = Agreed {
        send: false,
        ..config(B).agreed
    };
    let now = world.now;
    world.nodes[A].session.update(now, hold);
    world.run(SECOND);
    let before = world.nodes[A].sent.len();
    assert_eq!((before, times(&world)), (5, vec![]));
    let now = world.now;
    world.nodes[A].session.update(now, config(B).agreed);
    world.run(SECOND);
    assert_eq!(loud(&world).len(), 10);
    let (first, resumed) = (&world.nodes[A].sent[0].1, &world.nodes[A].sent[before].1);
    let (first, resumed) = (
        RtpPacket::parse(first).unwrap(),
        RtpPacket::parse(resumed).unwrap(),
    );
    assert!(resumed.marker);
    assert_eq!(
        resumed.timestamp,
        first.timestamp.wrapping_add(55 * 160),
        "time went on"
    );
    assert_eq!(
        resumed.sequence,
        first.sequence.wrapping_add(5),
        "no packet is missing"
    );
}

#[test]
fn the_codec_may_change_in_mid_call() {
    let mut world = World::new(1, PERFECT);
    world.nodes[A].session.say(audio(1000, 8000)).unwrap();
    world.run(SECOND / 2);
    let now = world.now;
    let pcma = Agreed::new(address(B), rtp_media::codec::Codec::Pcma);
    world.nodes[A].session.update(now, pcma);
    world.run(SECOND);
    let heard = world.nodes[B].heard();
    let steady = heard.iter().filter(|s| (7700..8300).contains(*s)).count();
    assert!(steady >= 7900, "{steady}");
}

#[test]
fn a_closed_session_says_goodbye_once_and_takes_nothing_more() {
    let mut world = World::new(1, PERFECT);
    world.run(SECOND);
    let (now, session) = (world.now, &mut world.nodes[A].session);
    session.say(audio(100, 1)).unwrap();
    session.mark(5).unwrap();
    let mut sent = Vec::new();
    for _ in 0..2 {
        session.close(now, &mut |datagram| sent.push(datagram.bytes.to_vec()));
    }
    assert_eq!(session.poll_event(), Some(SessionEvent::MarkCleared(5)));
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0][sent[0].len() - 8..],
        [0x81, 203, 0, 1, 0, 0, 0x10, 0]
    );
    session.tick(now, &mut |datagram| panic!("{datagram:?}"));
    assert_eq!(session.say(audio(20, 1)), Err(SayError::Closed));
    assert_eq!(session.mark(1), Err(SayError::Closed));
    assert_eq!(session.send_digits("1"), Err(DigitError::Closed));
    // The other side hears the goodbye: the next source is believed at once.
    let from = address(A);
    world.nodes[B].session.receive_rtcp(now, from, &sent[0]);
}

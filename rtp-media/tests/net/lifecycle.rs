//! From opening to the end: ports, silence before the start, goodbye, shutdown.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rtp_media::net::{Frame, LegEvent, Media, MediaConfig, MediaError, OpenError};

use crate::peer::{HERE, Peer, media, receive, wait_for};

#[test]
fn a_leg_has_an_even_port_and_the_next_one() {
    let media = media(31_000, 20);
    let (leg, _events) = media.open(None).unwrap();
    let local = leg.local();
    assert_eq!(local.ip(), HERE);
    assert_eq!(local.port() % 2, 0);
    for port in [local.port(), local.port() + 1] {
        UdpSocket::bind((HERE, port)).unwrap_err();
    }
}

#[test]
fn a_leg_and_its_events_may_be_used_from_any_thread() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<rtp_media::net::Leg>();
    anywhere::<rtp_media::net::LegEvents>();
    anywhere::<Media>();
}

#[test]
fn nothing_is_sent_before_the_start() {
    let media = media(31_020, 20);
    let (leg, mut events) = media.open(None).unwrap();
    let mut peer = Peer::of(leg.local());
    leg.mark(1);
    peer.send_audio();
    peer.rtp
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert_eq!(peer.receive(), None);
    leg.start(peer.negotiated());
    let (_, packet) = peer.receive().unwrap();
    assert_eq!((packet[0], packet.len()), (0x80, 172));
    wait_for(&mut events, |event| *event == LegEvent::MarkReached(1));
}

#[test]
fn dropping_the_leg_says_goodbye_and_gives_the_counts() {
    let media = media(31_040, 20);
    let (leg, mut events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    leg.start(peer.negotiated());
    peer.receive().unwrap();
    drop(leg);
    let LegEvent::Closed(stats) = wait_for(&mut events, |e| matches!(e, LegEvent::Closed(_)))
    else {
        unreachable!()
    };
    assert!(stats.packets_out >= 1);
    assert_eq!(events.try_recv(), None);
    let (_, goodbye) = receive(&peer.rtcp).unwrap();
    let mut packets = goodbye.as_slice();
    let mut kinds = Vec::new();
    while let [_, kind, high, low, ..] = *packets {
        kinds.push(kind);
        packets = &packets[4 + 4 * usize::from(u16::from_be_bytes([high, low]))..];
    }
    assert_eq!(kinds.last(), Some(&203), "BYE (RFC 3550 6.6) in {kinds:?}");
}

#[test]
fn a_leg_that_ends_has_told_every_mark() {
    let media = media(31_140, 20);
    for started in [false, true] {
        let (leg, mut events) = media.open(None).unwrap();
        let peer = Peer::of(leg.local());
        if started {
            leg.start(peer.negotiated());
        }
        // More audio than the session takes at once: the marks wait behind it.
        leg.say(Frame::silence(Duration::from_secs(300), 24_000))
            .unwrap();
        for id in 0..900 {
            leg.mark(id);
        }
        drop(leg);
        let mut cleared = Vec::new();
        loop {
            match wait_for(&mut events, |_| true) {
                LegEvent::MarkCleared(id) => cleared.push(id),
                LegEvent::Closed(_) => break,
                _ => {}
            }
        }
        assert!(
            cleared.iter().copied().eq(0..900),
            "started {started}: {cleared:?}"
        );
    }
}

#[test]
fn ports_rest_after_a_call_and_run_out() {
    let media = media(31_060, 4);
    let first = media.open(None).unwrap();
    let (second, mut events) = media.open(None).unwrap();
    let refused = media.open(None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no rtp port left in 31060-31063: 2 pairs in use, 0 in quarantine; widen the range"
    );
    assert_eq!(media.counts().legs, 2);
    drop(second);
    wait_for(&mut events, |e| matches!(e, LegEvent::Closed(_)));
    let counts = media.counts();
    assert_eq!((counts.legs, counts.quarantined, counts.pairs), (1, 1, 2));
    assert!(matches!(
        media.open(None),
        Err(OpenError::Exhausted {
            in_use: 1,
            quarantined: 1,
            ..
        })
    ));
    std::thread::sleep(Duration::from_millis(250));
    media.open(None).unwrap();
    drop(first);
}

#[test]
fn a_port_that_someone_else_has_is_passed_over() {
    let _rtcp_taken = UdpSocket::bind((HERE, 31_081)).unwrap();
    let media = media(31_080, 4);
    let (leg, _events) = media.open(None).unwrap();
    assert_eq!(leg.local().port(), 31_082);
    assert!(matches!(
        media.open(None),
        Err(OpenError::Exhausted { in_use: 1, .. })
    ));
}

#[test]
fn the_advertised_address_is_told_and_the_bound_one_is_used() {
    let mut config = MediaConfig::new("0.0.0.0".parse().unwrap(), 31_090..=31_099);
    let unnamed = Media::start(config.clone()).unwrap();
    assert!(matches!(
        unnamed.open(None),
        Err(OpenError::NoAddress { .. })
    ));
    assert_eq!(unnamed.open(Some(HERE)).unwrap().0.local().ip(), HERE);

    config.advertise = Some("203.0.113.9".parse().unwrap());
    let behind_nat = Media::start(config).unwrap();
    let (leg, _events) = behind_nat.open(Some(HERE)).unwrap();
    assert_eq!(leg.local().ip().to_string(), "203.0.113.9");
    let mut peer = Peer::of(SocketAddr::new(HERE, leg.local().port()));
    leg.start(peer.negotiated());
    peer.send_audio();
    peer.receive().unwrap();
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let none = Media::start(MediaConfig::new(HERE, 10_001..=10_002)).unwrap_err();
    assert!(matches!(none, MediaError::NoPorts { .. }));
    let mut config = MediaConfig::new(HERE, 10_000..=10_001);
    config.advertise = Some("::1".parse().unwrap());
    assert!(matches!(
        Media::start(config),
        Err(MediaError::Family { .. })
    ));
}

#[test]
fn shutdown_closes_every_leg_and_opens_none() {
    let media = media(31_100, 20);
    let (leg, mut events) = media.open(None).unwrap();
    let (_early, mut early_events) = media.open(None).unwrap();
    let peer = Peer::of(leg.local());
    leg.start(peer.negotiated());
    peer.receive().unwrap();
    media.clone().shutdown();
    assert!(matches!(early_events.try_recv(), Some(LegEvent::Closed(_))));
    wait_for(&mut events, |e| matches!(e, LegEvent::Closed(_)));
    receive(&peer.rtcp).unwrap();
    assert!(matches!(media.open(None), Err(OpenError::Stopped)));
    assert_eq!(media.counts().legs, 0);
    leg.mark(1);
    media.shutdown();
}

/// Wakes a thread that waits for a future: all that the queue needs of a runtime.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn events_are_awaited_without_any_runtime() {
    let media = media(31_120, 20);
    let (leg, mut events) = media.open(None).unwrap();
    let mut peer = Peer::of(leg.local());
    leg.start(peer.negotiated());
    peer.send_audio();
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut seen = 0;
    let mut leg = Some(leg);
    loop {
        match events.poll_recv(&mut context) {
            Poll::Ready(None) => break,
            Poll::Ready(Some(_)) => seen += 1,
            Poll::Pending => std::thread::park_timeout(Duration::from_secs(5)),
        }
        if seen == 5 {
            leg = None;
        }
    }
    assert!(leg.is_none(), "closed before five events came");
}

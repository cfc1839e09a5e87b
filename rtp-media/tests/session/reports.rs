//! RTCP between two sessions, and the verdict that no audio comes.

use std::time::Duration;

use rtp_media::packet::{Compound, RtcpPacket};
use rtp_media::session::{Agreed, Channel, SessionEvent};

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn both_sides_learn_loss_jitter_and_round_trip() {
    let mut world = World::new(
        4,
        Link {
            delay_ms: 35.0,
            jitter_ms: 3.0,
            loss: 0.0,
            duplicate: 0.0,
        },
    );
    world.nodes[A].link.loss = 0.1;
    world.run(SECOND * 60);
    let stats = world.nodes[A].session.stats();
    let rtt = stats.rtt.expect("a report came back").as_secs_f64() * 1000.0;
    assert!((70.0..110.0).contains(&rtt), "{rtt} ms");
    let lost = f64::from(stats.peer_lost.unwrap()) / stats.packets_out as f64;
    assert!((0.05..0.15).contains(&lost), "{lost}");
    assert!((0.0..0.3).contains(&stats.peer_loss.unwrap()));
    assert!(
        (0.5..8.0).contains(&stats.peer_jitter_ms.unwrap()),
        "{stats:?}"
    );
    let other = world.nodes[B].session.stats();
    assert!(other.rtt.is_some());
    assert_eq!(other.peer_lost, Some(0));
    assert!((other.jitter_ms - stats.peer_jitter_ms.unwrap()).abs() < 3.0);
}

#[test]
fn reports_come_in_uneven_steps_of_about_five_seconds() {
    let mut world = World::new(1, PERFECT);
    let mut times = Vec::new();
    let start = world.now;
    for tick in 0..6000 {
        let now = start + Duration::from_millis(20 * tick);
        world.nodes[A].session.tick(now, &mut |datagram| {
            if datagram.channel == Channel::Rtcp {
                assert_eq!(datagram.to.port(), 4001);
                let packets = Compound::new(datagram.bytes)
                    .collect::<Result<Vec<_>, _>>()
                    .unwrap();
                assert!(matches!(packets[0], RtcpPacket::SenderReport { .. }));
                assert!(matches!(packets[1], RtcpPacket::SourceDescription(_)));
                times.push(tick * 20);
            }
        });
    }
    assert!((1250..=3800).contains(&times[0]), "{times:?}");
    assert!((20..=30).contains(&times.len()), "{times:?}");
    assert!(
        times
            .windows(2)
            .all(|pair| (2480..=7520).contains(&(pair[1] - pair[0])))
    );
}

#[test]
fn with_multiplexing_everything_uses_one_port() {
    let (mut a, mut b) = (config(B), config(A));
    a.agreed = Agreed {
        rtcp_mux: true,
        ..a.agreed
    };
    b.agreed = Agreed {
        rtcp_mux: true,
        ..b.agreed
    };
    let mut world = World::with(1, PERFECT, a, b);
    world.run(SECOND * 20);
    assert!(world.nodes[A].session.stats().rtt.is_some());
    assert_eq!(world.nodes[A].session.stats().malformed, 0);
}

#[test]
fn silence_on_the_wire_is_told_once_and_so_is_its_end() {
    let mut world = World::new(1, PERFECT);
    world.run(SECOND * 2);
    world.nodes[A].link.loss = 1.0;
    world.run(SECOND * 10);
    world.nodes[A].link.loss = 0.0;
    world.run(SECOND * 2);
    let news = world.nodes[B].news();
    let [
        SessionEvent::LatchedTo(_),
        SessionEvent::NoAudio { since },
        SessionEvent::AudioBack,
    ] = news[..]
    else {
        panic!("{news:?}")
    };
    assert!((3000..3040).contains(&since.as_millis()), "{since:?}");
}

#[test]
fn a_peer_that_never_sends_is_told_too_and_one_on_hold_is_not() {
    let mut world = World::new(1, PERFECT);
    world.nodes[A].link.loss = 1.0;
    world.run(SECOND * 5);
    assert!(matches!(
        world.nodes[B].news()[..],
        [SessionEvent::NoAudio { .. }]
    ));
    assert!(world.nodes[B].heard().is_empty());
    let hold = Agreed {
        receive: false,
        ..config(A).agreed
    };
    let mut b = config(A);
    b.agreed = hold;
    let mut world = World::with(1, PERFECT, config(B), b);
    world.nodes[A].link.loss = 1.0;
    world.run(SECOND * 5);
    assert_eq!(world.nodes[B].news(), []);
    // Once the hold is over, the time counts from there.
    let now = world.now;
    world.nodes[B].session.update(now, config(A).agreed);
    world.run(SECOND * 2);
    assert_eq!(world.nodes[B].news(), []);
    world.run(SECOND * 2);
    assert!(matches!(
        world.nodes[B].news()[..],
        [SessionEvent::NoAudio { .. }]
    ));
}

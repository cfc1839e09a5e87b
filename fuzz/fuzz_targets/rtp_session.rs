//! Any sequence of datagrams and times into a session: it neither panics nor grows.
#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use rtp_media::codec::Codec;
use rtp_media::session::{Agreed, Session, SessionConfig, SessionEvent};

fuzz_target!(|datagrams: Vec<(u8, u16, Vec<u8>)>| {
    let mut now = Instant::now();
    let peer = |port: u8| SocketAddr::from(([192, 0, 2, 1], 4000 + u16::from(port % 3)));
    let config = SessionConfig::new(Agreed::new(peer(0), Codec::Pcmu), 1, 65_530, u32::MAX - 500);
    let mut session = Session::new(now, config);
    for (port, gap, bytes) in datagrams {
        now += Duration::from_millis(u64::from(gap % 500));
        session.receive(now, peer(port), &bytes);
        session.receive_rtcp(now, peer(port), &bytes);
        session.tick(now, &mut |datagram| assert!(datagram.bytes.len() < 1500));
        while let Some(event) = session.poll_event() {
            if let SessionEvent::Heard(frame) = event {
                assert_eq!(frame.samples.len(), 160);
            }
        }
        session.stats();
    }
});

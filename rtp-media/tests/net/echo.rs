//! Fifty calls at once on loopback, each echoed, for two seconds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp_media::net::{Frame, Leg, LegEvent, LegEvents};

use crate::peer::{media, negotiated};

const LEGS: usize = 50;

struct Call {
    caller: (Leg, LegEvents),
    echo: (Leg, LegEvents),
    loud: u64,
}

#[test]
fn fifty_legs_echo_for_two_seconds_without_loss() {
    let media = media(32_000, 8 * LEGS as u16);
    let mut calls: Vec<Call> = (0..LEGS)
        .map(|_| Call {
            caller: media.open(None).unwrap(),
            echo: media.open(None).unwrap(),
            loud: 0,
        })
        .collect();
    let rtcp = |at: SocketAddr| SocketAddr::new(at.ip(), at.port() + 1);
    for Call { caller, echo, .. } in &calls {
        let (here, there) = (caller.0.local(), echo.0.local());
        caller.0.start(negotiated(there, rtcp(there)));
        echo.0.start(negotiated(here, rtcp(here)));
        let tone = (0..8_000 * 25).map(|i| (i % 40 - 20) as i16 * 500);
        caller.0.say(Frame::new(tone.collect(), 8_000)).unwrap();
    }

    // Two seconds of packets: on a busy machine ticks are skipped, and it takes longer.
    let least = Instant::now() + Duration::from_secs(2);
    let most = least + Duration::from_secs(20);
    while Instant::now() < most {
        for call in &mut calls {
            call.serve();
        }
        let done = |call: &Call| call.loud >= 80 && call.caller.0.stats().packets_out >= 100;
        if Instant::now() >= least && calls.iter().all(done) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }

    for (number, call) in calls.iter().enumerate() {
        let (caller, echo) = (call.caller.0.stats(), call.echo.0.stats());
        for (sent, received) in [(&caller, &echo), (&echo, &caller)] {
            let what = format!("call {number}: {sent:?} to {received:?}");
            let bad = (received.lost, received.malformed, received.foreign);
            assert_eq!(bad, (0, 0, 0), "{what}");
            assert!(received.latched, "{what}");
            // The counts are up to 100 ms old.
            assert!(
                sent.packets_out >= 95 && received.packets_in >= 90,
                "{what}"
            );
        }
        assert!(
            call.loud >= 80,
            "call {number} heard its echo in {} frames",
            call.loud
        );
    }
}

impl Call {
    fn serve(&mut self) {
        while let Some(event) = self.echo.1.try_recv() {
            if let LegEvent::Heard(frame) = event {
                self.echo.0.say(frame).unwrap();
            }
        }
        while let Some(event) = self.caller.1.try_recv() {
            if let LegEvent::Heard(frame) = event {
                let peak = frame.samples.iter().map(|s| s.unsigned_abs()).max();
                self.loud += u64::from(peak > Some(5_000));
            }
        }
    }
}

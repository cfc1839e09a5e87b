//! One call's media without I/O: RTP and RTCP of one stream in each direction.
//! Time comes in as an argument, packets and events go out.

mod config;
mod event;
mod stats;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use config::{Agreed, SessionConfig};
pub use event::{Channel, Datagram, DigitError, Frame, SayError, SessionEvent};
pub use stats::Stats;

/// skeleton
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
}

impl Session {
    /// A session that starts at `now`.
    pub fn new(now: Instant, config: SessionConfig) -> Session {
        let _ = now;
        Session { config }
    }

    /// Takes a new agreement (re-INVITE, UPDATE).
    pub fn update(&mut self, now: Instant, agreed: Agreed) {
        let _ = now;
        self.config.agreed = agreed;
    }

    /// A datagram from the RTP port (RTCP is told apart, RFC 5761 section 4).
    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let _ = (now, from, bytes);
    }

    /// A datagram from the RTCP port.
    pub fn receive_rtcp(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let _ = (now, from, bytes);
    }

    /// To be called every 20 ms: packets to send go to `send`, events to [`Session::poll_event`].
    pub fn tick(&mut self, now: Instant, send: &mut impl FnMut(Datagram<'_>)) {
        let _ = (now, send);
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        None
    }

    /// Queues audio to be sent.
    pub fn say(&mut self, frame: Frame) -> Result<(), SayError> {
        let _ = frame;
        Ok(())
    }

    /// Queues a mark.
    pub fn mark(&mut self, id: u64) -> Result<(), SayError> {
        let _ = id;
        Ok(())
    }

    /// Drops what is queued.
    pub fn clear(&mut self) {}

    /// Audio that waits to be sent.
    pub fn queued(&self) -> Duration {
        Duration::ZERO
    }

    /// Queues digits to be sent.
    pub fn send_digits(&mut self, digits: &str) -> Result<(), DigitError> {
        let _ = digits;
        Ok(())
    }

    /// Counts so far.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Says goodbye (RTCP BYE).
    pub fn close(&mut self, now: Instant, send: &mut impl FnMut(Datagram<'_>)) {
        let _ = (now, send);
    }
}

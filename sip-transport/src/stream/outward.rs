//! The sending half of a connection: one message at a time, keepalives between them.
//! Holds no socket: it says what to write next and when a peer has stopped reading.

use std::sync::Arc;

use bytes::Bytes;
use sip_core::endpoint::Flow;
use tokio::time::Instant;

use super::connection::Closed;
use super::inward::Inward;
use crate::observer::{Direction, DropReason};
use crate::shared::Shared;

//= RFC 5626 3.5.1
//# the client "ping" is a double-CRLF sequence, and the server "pong" is a single CRLF
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";
/// Pongs owed at most: a peer that pings without reading gets no more than this.
const PONGS: u32 = 4;

pub(super) struct Outward {
    flow: Flow,
    shared: Arc<Shared>,
    ours: bool,
    /// What is being written. Never interrupted: a keepalive goes between two messages.
    current: Bytes,
    /// `current` is a message, which counts against the queue's bound.
    counted: bool,
    pongs: u32,
    /// When the kernel last took something, or `current` began.
    progress_at: Instant,
    last_written: Instant,
    last_message: Instant,
    /// When we sent a ping that is not answered yet.
    pinged_at: Option<Instant>,
    /// This peer answers pings, so a missing answer means that it is gone.
    peer_pongs: bool,
}

impl Outward {
    pub(super) fn new(flow: Flow, shared: Arc<Shared>, ours: bool, now: Instant) -> Self {
        Self {
            flow,
            shared,
            ours,
            current: Bytes::new(),
            counted: false,
            pongs: 0,
            progress_at: now,
            last_written: now,
            last_message: now,
            pinged_at: None,
            peer_pongs: false,
        }
    }

    /// Starts a message.
    pub(super) fn begin(&mut self, bytes: Bytes, now: Instant) {
        self.current = bytes;
        self.counted = true;
        self.progress_at = now;
        self.last_message = now;
    }

    /// What to write.
    pub(super) fn current(&mut self) -> &mut Bytes {
        &mut self.current
    }

    pub(super) fn is_writing(&self) -> bool {
        !self.current.is_empty()
    }

    /// The kernel took `length` bytes; returns how many of them count against the queue.
    pub(super) fn progress(&mut self, now: Instant, length: usize) -> usize {
        self.progress_at = now;
        self.last_written = now;
        if self.counted { length } else { 0 }
    }

    /// The peer has pinged.
    pub(super) fn pinged(&mut self) {
        // Two pongs in a row look like a ping. Who was pinged by us does not ping: only the side
        // that opened the connection does.
        if self.pinged_at.is_some() {
            self.ponged();
        } else {
            self.pongs = (self.pongs + 1).min(PONGS);
        }
    }

    /// The peer has sent a CRLF: an answer to our ping, if there is one to answer. A CRLF without
    /// ping is somebody's own idea of a keepalive and tells nothing about answers.
    pub(super) fn ponged(&mut self) {
        self.peer_pongs |= self.pinged_at.take().is_some();
    }

    /// When anything was last written.
    pub(super) fn last_written(&self) -> Instant {
        self.last_written
    }

    /// When a message, not a keepalive, was last begun.
    pub(super) fn last_message(&self) -> Instant {
        self.last_message
    }

    /// Starts the keepalives that are due and says when to look again; an error when the peer has
    /// stopped reading or answering.
    pub(super) fn due(&mut self, now: Instant, inward: &Inward) -> Result<Instant, Closed> {
        let shared = self.shared.clone();
        let limits = &shared.streams;
        if !self.is_writing() && self.pongs > 0 {
            self.pongs -= 1;
            self.keepalive(PONG, now);
        }
        let ping_at = self.last_written + limits.ping;
        if self.ours && !self.is_writing() && ping_at <= now {
            self.keepalive(PING, now);
            self.pinged_at.get_or_insert(now);
        }
        if self.is_writing() {
            let deadline = self.progress_at + limits.write_stall;
            if deadline <= now {
                return Err(Closed::dropping(
                    DropReason::NotReading,
                    "the peer does not read what we send",
                ));
            }
            return Ok(deadline);
        }
        let mut wake = if self.ours {
            ping_at
        } else {
            now + limits.idle
        };
        if let Some(pinged_at) = self.pinged_at.filter(|_| inward.may_read()) {
            let deadline = pinged_at + limits.pong;
            if deadline > now {
                wake = wake.min(deadline);
            } else if self.peer_pongs {
                return Err(Closed::because("the peer did not answer a keepalive"));
            } else {
                // It never has: most peers know nothing of RFC 5626.
                self.pinged_at = None;
            }
        }
        Ok(wake)
    }

    fn keepalive(&mut self, bytes: &'static [u8], now: Instant) {
        self.current = Bytes::from_static(bytes);
        self.counted = false;
        self.progress_at = now;
        self.shared.keepalive(Direction::Sent, &self.flow);
    }
}

//! A leg as its shard serves it: sockets and session together, and the claim on ports.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::socket::Sockets;
use super::{Command, Key};
use crate::net::events::LegEvent;
use crate::net::leg::Shared;
use crate::net::ports::Ports;
use crate::sdp::Negotiated;
use crate::session::{Channel, Frame, Session, SessionConfig};

/// A leg on its way to its shard.
#[derive(Debug)]
pub(in crate::net) struct NewLeg {
    pub key: Key,
    // The sockets stand before the lease: they are closed before the ports are given back.
    pub sockets: Sockets,
    pub lease: Lease,
    /// For the stream's identifiers: SSRC, first timestamp, first sequence number, CNAME.
    pub entropy: [u8; 18],
}

/// A leg's claim on its ports and on its place in a shard. Dropping it, wherever that happens,
/// puts the ports to rest and tells the owner that the leg is closed.
#[derive(Debug)]
pub(in crate::net) struct Lease {
    pub ports: Arc<Mutex<Ports>>,
    pub port: u16,
    pub load: Arc<AtomicUsize>,
    pub shared: Arc<Shared>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.release(self.port, Instant::now());
        drop(ports);
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.shared.queue.close();
    }
}

/// A leg as its shard sees it.
pub(super) struct ServedLeg {
    sockets: Sockets,
    lease: Lease,
    session: Option<Session>,
    /// What is to be said and marked after what the session has. The session gets it bit by bit:
    /// converting minutes of audio at once would hold up every leg of the shard.
    pending: VecDeque<Pending>,
    /// How much of it is audio, and how much are marks.
    pending_audio: Duration,
    pending_marks: usize,
    /// Keys that were asked for before anything was negotiated.
    early_digits: Vec<String>,
    entropy: [u8; 18],
    /// Audio taken from the owner since the start.
    taken: Duration,
    /// Packets that may still be read before the next tick.
    budget: u32,
    ticks: u32,
    unsent: u64,
}

impl ServedLeg {
    pub fn new(new: NewLeg) -> Self {
        Self {
            sockets: new.sockets,
            lease: new.lease,
            session: None,
            pending: VecDeque::new(),
            pending_audio: Duration::ZERO,
            pending_marks: 0,
            early_digits: Vec::new(),
            entropy: new.entropy,
            taken: Duration::ZERO,
            budget: READ_BUDGET,
            ticks: 0,
            unsent: 0,
        }
    }

    pub fn register(&mut self, registry: &Registry, key: Key) -> io::Result<()> {
        let rtp = Token(key.0 * 2);
        let rtcp = Token(key.0 * 2 + 1);
        self.sockets.register(registry, rtp, rtcp)
    }

    pub fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Agree(negotiated) => self.agree(now, negotiated),
            Command::Say(frame) => {
                self.taken += frame.duration();
                self.pending_audio += frame.duration();
                self.pending.push_back(Pending::Audio(frame));
            }
            Command::Mark(id) if self.pending_marks >= MAX_MARKS => refuse_mark(&self.lease, id),
            Command::Mark(id) => {
                self.pending_marks += 1;
                self.pending.push_back(Pending::Mark(id));
            }
            Command::Clear => {
                if let Some(session) = &mut self.session {
                    session.clear();
                }
                self.clear_pending();
            }
            Command::Digits(digits) => match &mut self.session {
                Some(session) => {
                    if let Err(error) = session.send_digits(&digits) {
                        tracing::warn!(port = self.lease.port, %error, "digits refused");
                    }
                }
                None if self.early_digits.len() < MAX_EARLY => self.early_digits.push(digits),
                None => tracing::warn!(port = self.lease.port, "digits refused before the start"),
            },
            Command::Close => {}
        }
    }

    fn agree(&mut self, now: Instant, negotiated: Negotiated) {
        if let Some(session) = &mut self.session {
            return session.update(now, negotiated.into());
        }
        let [a, b, c, d, e, f, g, h, i, j, cname @ ..] = self.entropy;
        let mut config = SessionConfig::new(
            negotiated.into(),
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([e, f]),
            u32::from_be_bytes([g, h, i, j]),
        );
        // A name for this call alone and random (RFC 7022 section 4.2): it tells nothing of us.
        config.cname = format!("{:016x}", u64::from_be_bytes(cname));
        self.session = Some(Session::new(now, config));
        for digits in std::mem::take(&mut self.early_digits) {
            self.command(now, Command::Digits(digits));
        }
    }

    pub fn read(&mut self, now: Instant, channel: Channel, buffer: &mut [u8]) {
        while let Some((length, from)) = self.sockets.receive(channel, &mut self.budget, buffer) {
            // Before the start packets are read all the same: stale ones must not pile up.
            if let (Some(session), Some(packet)) = (&mut self.session, buffer.get(..length)) {
                match channel {
                    Channel::Rtp => session.receive(now, from, packet),
                    Channel::Rtcp => session.receive_rtcp(now, from, packet),
                }
            }
        }
    }

    pub fn tick(&mut self, now: Instant, buffer: &mut [u8]) {
        self.budget = READ_BUDGET;
        self.ticks = self.ticks.wrapping_add(1);
        for channel in [Channel::Rtp, Channel::Rtcp] {
            if self.sockets.take_unread(channel) {
                self.read(now, channel, buffer);
            }
        }
        let Some(session) = &mut self.session else {
            return;
        };
        while session.queued() < AHEAD {
            match self.pending.pop_front() {
                Some(Pending::Audio(frame)) => {
                    self.pending_audio = self.pending_audio.saturating_sub(frame.duration());
                    if let Err(error) = session.say(frame) {
                        tracing::warn!(port = self.lease.port, %error, "audio refused");
                    }
                }
                Some(Pending::Mark(id)) => {
                    self.pending_marks = self.pending_marks.saturating_sub(1);
                    if session.mark(id).is_err() {
                        refuse_mark(&self.lease, id);
                    }
                }
                None => break,
            }
        }
        let (sockets, unsent) = (&self.sockets, &mut self.unsent);
        session.tick(now, &mut |datagram| sockets.send(datagram, unsent));
        let shared = &self.lease.shared;
        let waiting = session.queued().saturating_add(self.pending_audio);
        shared.progress(self.taken, waiting);
        let fresh = self
            .ticks
            .is_multiple_of(STATS_TICKS)
            .then(|| session.stats());
        let events = std::iter::from_fn(|| session.poll_event()).map(LegEvent::of);
        shared.queue.push(events, fresh);
    }

    /// Ticks since the start.
    #[cfg(test)]
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    /// Says goodbye and leaves the last word. What remains is done by dropping it.
    pub fn close(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            let (sockets, unsent) = (&self.sockets, &mut self.unsent);
            session.close(now, &mut |datagram| sockets.send(datagram, unsent));
        }
        self.clear_pending();
        if self.unsent > 0 {
            let unsent = self.unsent;
            tracing::warn!(port = self.lease.port, unsent, "rtp packets not sent");
        }
        let stats = self.session.as_ref().map(Session::stats);
        self.lease.shared.queue.push(std::iter::empty(), stats);
    }

    /// Forgets what is not said yet; its marks are told after those that the session has cleared.
    fn clear_pending(&mut self) {
        let session = &mut self.session;
        let events = std::iter::from_fn(|| session.as_mut()?.poll_event()).map(LegEvent::of);
        let marks = self.pending.drain(..).filter_map(|pending| match pending {
            Pending::Mark(id) => Some(LegEvent::MarkCleared(id)),
            Pending::Audio(_) => None,
        });
        self.lease.shared.queue.push(events.chain(marks), None);
        self.pending_audio = Duration::ZERO;
        self.pending_marks = 0;
    }
}

/// A mark that finds no room is told like one that was cleared: none is lost.
fn refuse_mark(lease: &Lease, id: u64) {
    tracing::warn!(port = lease.port, "too many marks");
    let cleared = std::iter::once(LegEvent::MarkCleared(id));
    lease.shared.queue.push(cleared, None);
}

/// Something to say, in its order.
enum Pending {
    Audio(Frame),
    Mark(u64),
}

/// Packets that one leg may read in one tick: one each of RTP and RTCP is usual.
const READ_BUDGET: u32 = 64;
/// Ticks between two snapshots of a leg's counts: 100 ms.
const STATS_TICKS: u32 = 5;
/// Audio that the session has in hand: more than any pause of the shard, little to convert.
const AHEAD: Duration = Duration::from_secs(1);
/// Marks that may wait beside those that the session has.
const MAX_MARKS: usize = 1024;
/// Orders of keys that may wait for the start.
const MAX_EARLY: usize = 16;

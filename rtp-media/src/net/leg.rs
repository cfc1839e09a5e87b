//! The owner's handle of one leg: what can be asked of it, as commands to its shard.
//! Dropping it is how a leg ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::events::Queue;
use super::shard::{Command, Key, Order};
use crate::sdp::Negotiated;
use crate::session::{DigitError, Frame, SayError, Stats};

/// One call's media: a port pair served by a shard.
///
/// Every method returns at once; what it asks for happens with the leg's next tick, at most 20 ms
/// later. After the media plane was shut down the methods do nothing, and the leg's events have
/// ended with [`LegEvent::Closed`](super::LegEvent::Closed).
#[derive(Debug)]
pub struct Leg {
    key: Key,
    local: SocketAddr,
    playout_limit: Duration,
    orders: mpsc::Sender<Order>,
    waker: Arc<mio::Waker>,
    shared: Arc<Shared>,
}

impl Leg {
    pub(super) fn new(
        key: Key,
        local: SocketAddr,
        playout_limit: Duration,
        orders: mpsc::Sender<Order>,
        waker: Arc<mio::Waker>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            key,
            local,
            playout_limit,
            orders,
            waker,
            shared,
        }
    }

    /// The address and RTP port to tell the peer; RTCP is the next port.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Begins to send and to hear what was negotiated. A second call is an [`Leg::update`].
    pub fn start(&self, negotiated: Negotiated) {
        self.order(Command::Agree(negotiated));
        // Nothing but packets runs on time on a leg that has not started.
        self.wake();
    }

    /// Goes on with what was negotiated anew (a re-INVITE: hold, another address or codec).
    pub fn update(&self, negotiated: Negotiated) {
        self.order(Command::Agree(negotiated));
    }

    /// Queues audio to be sent after everything that was said before.
    ///
    /// # Errors
    /// [`SayError::Full`] when the play-out limit would be passed: wait, [`Leg::queued`] tells how
    /// long. [`SayError::Rate`] for a rate that is not 8, 16, 24 or 48 kHz.
    pub fn say(&self, frame: Frame) -> Result<(), SayError> {
        if !RATES.contains(&frame.rate) {
            return Err(SayError::Rate(frame.rate));
        }
        let queued = self.queued();
        let length = frame.duration();
        if queued.saturating_add(length) > self.playout_limit {
            return Err(SayError::Full { queued });
        }
        self.shared.said.fetch_add(nanos(length), Ordering::Relaxed);
        // In pieces, so that the shard can take a long one bit by bit.
        let piece = (frame.rate / 5) as usize;
        let sent = if frame.samples.len() <= piece {
            self.order(Command::Say(frame))
        } else {
            let mut pieces = frame.samples.chunks(piece);
            pieces.all(|piece| self.order(Command::Say(Frame::new(piece.to_vec(), frame.rate))))
        };
        if sent { Ok(()) } else { Err(SayError::Closed) }
    }

    /// How much audio waits to be sent, as of the last tick.
    pub fn queued(&self) -> Duration {
        let said = self.shared.said.load(Ordering::Relaxed);
        let done = self.shared.done.load(Ordering::Relaxed);
        Duration::from_nanos(said.saturating_sub(done))
    }

    /// Marks this place of what is said; the number comes back in
    /// [`LegEvent::MarkReached`](super::LegEvent::MarkReached) or `MarkCleared`.
    pub fn mark(&self, id: u64) {
        self.order(Command::Mark(id));
    }

    /// Forgets all audio that has not been sent; the marks within it come back as cleared.
    pub fn clear(&self) {
        self.order(Command::Clear);
    }

    /// Sends keys to the peer: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of pause.
    ///
    /// # Errors
    /// [`DigitError::NotADigit`] names the first character that is none; nothing is sent then.
    pub fn send_digits(&self, digits: &str) -> Result<(), DigitError> {
        let key = |c: &char| c.is_ascii_digit() || "*#ABCDabcdwW".contains(*c);
        if let Some(other) = digits.chars().find(|c| !key(c)) {
            return Err(DigitError::NotADigit(other));
        }
        let count = digits.chars().count();
        if count > MAX_DIGITS {
            return Err(DigitError::Full(count));
        }
        if !self.order(Command::Digits(digits.to_owned())) {
            return Err(DigitError::Closed);
        }
        Ok(())
    }

    /// The counts, at most 100 ms old.
    pub fn stats(&self) -> Stats {
        self.shared.queue.stats()
    }

    fn order(&self, command: Command) -> bool {
        let order = Order::Leg(self.key, command);
        self.orders.send(order).is_ok()
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "media shard cannot be woken");
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.order(Command::Close);
        self.wake();
    }
}

/// What a leg's handle, its listener and its shard have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub queue: Arc<Queue>,
    /// Nanoseconds of audio that the owner has said since the start.
    pub said: AtomicU64,
    /// Of these, what has been sent, cleared or refused.
    pub done: AtomicU64,
}

impl Shared {
    /// Leaves word of how much of the audio taken so far is still waiting.
    pub fn progress(&self, taken: Duration, waiting: Duration) {
        let done = taken.saturating_sub(waiting);
        self.done.store(nanos(done), Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The rates that a session can resample, in Hz.
const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];
/// The most keys in one go; a session bounds what waits in all.
const MAX_DIGITS: usize = 64;

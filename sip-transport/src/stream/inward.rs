//! The receiving half of a connection: framing, the source's budget, keepalives and deadlines.
//! Holds no socket: bytes and times come in, messages come out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip_core::endpoint::Flow;
use sip_core::error::ParseErrorKind;
use sip_core::message::ParseError;
use sip_core::message::stream::{Framed, Framer};
use tokio::time::Instant;

use super::StreamEvent;
use super::connection::Closed;
use super::outward::Outward;
use crate::guard::Admission;
use crate::observer::{Direction, DropReason};
use crate::shared::Shared;

/// How long a connection that the peer has closed may still be written to. Someone who sends a
/// request and closes his sending half gets his answer; one who is gone is noticed soon.
const LINGER: Duration = Duration::from_secs(2);

pub(super) struct Inward {
    flow: Flow,
    shared: Arc<Shared>,
    framer: Framer,
    /// What is on its way to the driver. While there is something, nothing is read: the peer's TCP
    /// waits, nothing is dropped.
    next: Option<Next>,
    /// `next` is paid for from the source's budget.
    admitted: bool,
    /// When the budget will allow `next`.
    resume_at: Option<Instant>,
    /// Since when the message that is being received is unfinished.
    unfinished_since: Option<Instant>,
    opened_at: Instant,
    last_heard: Instant,
    /// The peer has brought a message, or we opened the connection.
    proven: bool,
    /// Nothing more is read from here on, and why.
    ended: Option<(Instant, &'static str)>,
}

/// What the driver is to hear of.
enum Next {
    Message(Bytes),
    /// The stream cannot be followed any further.
    Broken(ParseError),
}

impl Inward {
    pub(super) fn new(flow: Flow, shared: Arc<Shared>, ours: bool, now: Instant) -> Self {
        Self {
            flow,
            framer: Framer::new(shared.limits),
            shared,
            next: None,
            admitted: false,
            resume_at: None,
            unfinished_since: None,
            opened_at: now,
            last_heard: now,
            proven: ours,
            ended: None,
        }
    }

    /// Takes bytes from the socket.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    /// Cuts what has been received, up to the next message; answers keepalives on the way.
    pub(super) fn advance(&mut self, now: Instant, outward: &mut Outward) -> Result<(), Closed> {
        while self.next.is_none() {
            match self.framer.next() {
                Ok(Some(Framed::Message(bytes))) => {
                    self.proven = true;
                    self.heard(now);
                    self.next = Some(Next::Message(bytes));
                    self.admitted = false;
                }
                Ok(Some(Framed::Ping)) => {
                    self.heard(now);
                    // A flood of pings is not worth a flood of pongs.
                    if self.admit(now).is_ok() {
                        self.shared.keepalive(Direction::Received, &self.flow);
                        outward.pinged();
                    }
                }
                Ok(Some(Framed::Pong)) => {
                    self.heard(now);
                    if self.admit(now).is_ok() {
                        self.shared.keepalive(Direction::Received, &self.flow);
                        outward.ponged();
                    }
                }
                Ok(None) => {
                    if self.framer.buffered() == 0 {
                        self.unfinished_since = None;
                    } else {
                        self.unfinished_since.get_or_insert(now);
                    }
                    break;
                }
                Err(error) => {
                    if self.ended.is_some() {
                        break;
                    }
                    // The driver answers 400 or 513 if it can; then the connection is closed.
                    let source = self.flow.remote.ip();
                    self.shared.guard.charge_garbage(now.into_std(), source);
                    let error = error.cause().clone();
                    let why = match error.kind() {
                        ParseErrorKind::TooLarge { .. } | ParseErrorKind::BodyTooLarge { .. } => {
                            DropReason::TooLarge
                        }
                        _ => DropReason::Unframable,
                    };
                    self.shared
                        .dropped(self.flow.transport, self.flow.remote, why);
                    self.next = Some(Next::Broken(error));
                    self.unfinished_since = None;
                    self.ended = Some((now, "what the peer sent is not a SIP stream"));
                    // Already charged, ten times over.
                    self.admitted = true;
                }
            }
        }
        if self.next.is_some() && !self.admitted {
            match self.admit(now) {
                Ok(()) => {
                    self.admitted = true;
                    self.resume_at = None;
                }
                Err(retry_in) => self.resume_at = Some(now + retry_in),
            }
        }
        if self.ended.is_some() && self.next.is_none() && self.unfinished_since.is_some() {
            return Err(Closed::dropping(
                DropReason::Unfinished,
                "the peer closed the connection in the middle of a message",
            ));
        }
        Ok(())
    }

    /// When to look again; an error when the peer has had its time.
    pub(super) fn due(&self, now: Instant, outward: &Outward) -> Result<Instant, Closed> {
        let limits = &self.shared.streams;
        let idle_at = self.last_heard.max(outward.last_message()) + limits.idle;
        if self.next.is_some() {
            // It is us who keep the peer waiting: no deadline of its runs.
            return Ok(self.resume_at.unwrap_or(now + Duration::from_secs(1)));
        }
        let mut wake = idle_at;
        if idle_at <= now {
            return Err(Closed::because("nothing came for too long"));
        }
        if let Some(since) = self.unfinished_since {
            let deadline = since + limits.message_deadline;
            if deadline <= now {
                return Err(Closed::dropping(
                    DropReason::TooSlow,
                    "the peer took too long for one message",
                ));
            }
            wake = wake.min(deadline);
        }
        if !self.proven {
            let deadline = self.opened_at + limits.first_message;
            if deadline <= now {
                return Err(Closed::dropping(
                    DropReason::TooSlow,
                    "the peer connected and sent no message",
                ));
            }
            wake = wake.min(deadline);
        }
        if let Some((ended_at, cause)) = self.ended
            && !outward.is_writing()
        {
            let deadline = ended_at.max(outward.last_written()) + LINGER;
            if deadline <= now {
                return Err(Closed::because(cause));
            }
            wake = wake.min(deadline);
        }
        Ok(wake)
    }

    /// Is something ready for the driver?
    pub(super) fn has_news(&self) -> bool {
        self.next.is_some() && self.admitted
    }

    pub(super) fn take(&mut self) -> Option<StreamEvent> {
        let flow = self.flow;
        self.next.take().map(|next| match next {
            Next::Message(bytes) => StreamEvent::Message { flow, bytes },
            Next::Broken(error) => StreamEvent::Broken { flow, error },
        })
    }

    /// Should the socket be read?
    pub(super) fn may_read(&self) -> bool {
        self.next.is_none() && self.ended.is_none()
    }

    /// The peer will send no more.
    pub(super) fn end(&mut self, now: Instant) {
        self.ended = Some((now, "the peer closed the connection"));
    }

    /// The connection broke; was something lost by that?
    pub(super) fn broken(&self, error: &io::Error) -> Closed {
        let mut closed = Closed::broken(error);
        if self.unfinished_since.is_some() {
            closed.dropped = Some(DropReason::Unfinished);
            closed.cause.push_str(" in the middle of a message");
        }
        closed
    }

    fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.unfinished_since = None;
    }

    fn admit(&self, now: Instant) -> Result<(), Duration> {
        match self
            .shared
            .guard
            .admit(now.into_std(), self.flow.remote.ip())
        {
            Admission::Admitted => Ok(()),
            Admission::Over { retry_in } => Err(retry_in),
        }
    }
}

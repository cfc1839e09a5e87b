//! What the transport lets others see: each message, each keepalive, each thing it dropped.
//! An observer makes traces, a timeline or figures of it; it cannot change anything.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use sip_core::endpoint::{Flow, Transport};

/// Sees all traffic of a driver. Called on the driver's task and its connections' tasks, so it
/// must return at once: store or count, do not wait.
///
/// All methods do nothing unless they are overridden.
pub trait Observer: Send + Sync {
    /// A whole message was received (and admitted by the guard) or handed to a socket.
    ///
    /// `bytes` are as on the wire, credentials included: pass them through
    /// [`redact`](crate::trace::redact()) before they are stored or shown.
    fn message(&self, at: SystemTime, direction: Direction, flow: &Flow, bytes: &[u8]) {
        let _ = (at, direction, flow, bytes);
    }

    /// Something from or to `peer` went no further, and why.
    fn dropped(&self, transport: Transport, peer: SocketAddr, why: DropReason) {
        let _ = (transport, peer, why);
    }

    /// A keepalive (RFC 5626 3.5.1, or a CRLF datagram) went by.
    fn keepalive(&self, direction: Direction, flow: &Flow) {
        let _ = (direction, flow);
    }
}

/// The observer that looks away.
impl Observer for () {}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer to us.
    Received,
    /// From us to the peer.
    Sent,
}

/// Why something was dropped instead of parsed or sent. Each has a counter in
/// [`Counts::dropped`](crate::counters::Counts::dropped).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The source had used up its budget: see [`GuardConfig`](crate::guard::GuardConfig).
    OverBudget,
    /// A datagram that cannot be SIP: it does not begin like a request or a response.
    NotSip,
    /// A message larger than `sip_core::message::Limits::message`.
    TooLarge,
    /// A stream whose bytes could not be cut into messages; the connection was closed.
    Unframable,
    /// A stream ended or was closed in the middle of a message.
    Unfinished,
    /// A peer took longer than the deadline for one message, or for its first one; closed.
    TooSlow,
    /// An incoming connection beyond the total that we keep.
    TooManyConnections,
    /// An incoming connection beyond what one source may keep.
    TooManyFromSource,
    /// A connection whose peer did not read what we sent until its queue was full; closed.
    NotReading,
    /// A datagram to send while the socket's queue was full.
    SendQueueFull,
    /// The socket refused to send a datagram, or there was no socket to send it from.
    Unsendable,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 11] = [
        Self::OverBudget,
        Self::NotSip,
        Self::TooLarge,
        Self::Unframable,
        Self::Unfinished,
        Self::TooSlow,
        Self::TooManyConnections,
        Self::TooManyFromSource,
        Self::NotReading,
        Self::SendQueueFull,
        Self::Unsendable,
    ];

    /// Name of the reason as a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::OverBudget => "over_budget",
            Self::NotSip => "not_sip",
            Self::TooLarge => "too_large",
            Self::Unframable => "unframable",
            Self::Unfinished => "unfinished",
            Self::TooSlow => "too_slow",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFromSource => "too_many_from_source",
            Self::NotReading => "not_reading",
            Self::SendQueueFull => "send_queue_full",
            Self::Unsendable => "unsendable",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

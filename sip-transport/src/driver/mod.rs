//! One task that owns one endpoint, its sockets and the application above it.
//!
//! Everything that changes signalling happens on this task, one thing at a time: a message, a
//! timer, a command. So neither the endpoint nor the [`Handler`] needs a lock, and a handler that
//! blocks stops all calls: it must return at once and leave waiting to tasks of its own, which come
//! back through a [`Handle`].
//!
//! | queue | bound | when full |
//! |---|---|---|
//! | received datagrams | kernel buffer | the kernel drops, peers retransmit |
//! | messages from connections | 1,024 | connections are not read, TCP slows the peer down |
//! | datagrams to send | 1,024 a socket | dropped and counted, retransmission brings them |
//! | bytes to a connection | [`StreamConfig::write_queue`](crate::stream::StreamConfig) | closed, `FlowFailed` |
//! | commands | 16,384 | [`Handle::post`] says `false`, [`Handle::call`] waits |
//! | host lookups | 512 | fail at once |

mod builder;
mod handle;
mod task;

use std::time::Instant;

use sip_core::endpoint::{Endpoint, Event};

pub use builder::{Builder, Driver};
pub use handle::{Handle, Running};

/// The application above an endpoint. Runs on the driver's task, synchronously.
///
/// Any `FnMut(&mut Endpoint, Instant, Event)` is a handler without timers.
pub trait Handler: Send + 'static {
    /// Something happened. Answer with the endpoint's commands, now or later through a [`Handle`].
    fn event(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event);

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Must move it into the future.
    fn timeout(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let _ = (endpoint, now);
    }

    /// When [`timeout`](Self::timeout) is to be called; asked after every event and command.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl<F> Handler for F
where
    F: FnMut(&mut Endpoint, Instant, Event) + Send + 'static,
{
    fn event(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) {
        self(endpoint, now, event);
    }
}

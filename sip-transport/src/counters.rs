//! Figures of a running driver, kept in atomics so that metrics can read them at any time.
//! Counting never locks and never waits.

use std::sync::atomic::{AtomicU64, Ordering};

use sip_core::endpoint::Transport;

use crate::observer::DropReason;

/// The driver's live figures. Shared; read them with [`Counters::counts`].
#[derive(Debug, Default)]
pub struct Counters {
    received: PerTransport,
    sent: PerTransport,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    keepalives: AtomicU64,
    connections: AtomicU64,
    accepted: AtomicU64,
    connected: AtomicU64,
    lookups: AtomicU64,
    posts_refused: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

/// The figures at one moment. All but `connections` only ever rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages received over UDP and given to the endpoint.
    pub received_udp: u64,
    /// Messages received over streams and given to the endpoint.
    pub received_stream: u64,
    /// Datagrams handed to the kernel.
    pub sent_udp: u64,
    /// Messages handed to connections.
    pub sent_stream: u64,
    /// Bytes of all messages received.
    pub bytes_received: u64,
    /// Bytes of all messages sent.
    pub bytes_sent: u64,
    /// Keepalives received.
    pub keepalives: u64,
    /// Connections open now, both ways.
    pub connections: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections opened by us.
    pub connected: u64,
    /// Host names looked up.
    pub lookups: u64,
    /// Closures that [`Handle::post`](crate::driver::Handle::post) refused because its queue was
    /// full. Anything but 0 says that the driver cannot keep up.
    pub posts_refused: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counts {
    /// How often `why` has happened.
    pub fn dropped(&self, why: DropReason) -> u64 {
        self.dropped.get(why as usize).copied().unwrap_or_default()
    }

    /// How often anything was dropped.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

impl Counters {
    /// The figures now.
    pub fn counts(&self) -> Counts {
        let mut dropped = [0; DropReason::ALL.len()];
        for (to, from) in dropped.iter_mut().zip(&self.dropped) {
            *to = load(from);
        }
        Counts {
            received_udp: load(&self.received.udp),
            received_stream: load(&self.received.stream),
            sent_udp: load(&self.sent.udp),
            sent_stream: load(&self.sent.stream),
            bytes_received: load(&self.bytes_received),
            bytes_sent: load(&self.bytes_sent),
            keepalives: load(&self.keepalives),
            connections: load(&self.connections),
            accepted: load(&self.accepted),
            connected: load(&self.connected),
            lookups: load(&self.lookups),
            posts_refused: load(&self.posts_refused),
            dropped,
        }
    }

    pub(crate) fn received(&self, transport: Transport, bytes: usize) {
        self.received.count(transport);
        self.bytes_received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, transport: Transport, bytes: usize) {
        self.sent.count(transport);
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn keepalive(&self) {
        self.keepalives.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_connections(&self, open: usize) {
        self.connections.store(open as u64, Ordering::Relaxed);
    }

    pub(crate) fn lookup(&self) {
        self.lookups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn post_refused(&self) {
        self.posts_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, why: DropReason) {
        if let Some(counter) = self.dropped.get(why as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct PerTransport {
    udp: AtomicU64,
    stream: AtomicU64,
}

impl PerTransport {
    fn count(&self, transport: Transport) {
        match transport {
            Transport::Udp => self.udp.fetch_add(1, Ordering::Relaxed),
            Transport::Tcp | Transport::Tls => self.stream.fetch_add(1, Ordering::Relaxed),
        };
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        let counters = Counters::default();
        for (at, why) in DropReason::ALL.into_iter().enumerate() {
            for _ in 0..=at {
                counters.dropped(why);
            }
        }
        let counts = counters.counts();
        for (at, why) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(counts.dropped(why), at as u64 + 1, "{why}");
        }
        assert_eq!(counts.dropped_total(), 66);
    }
}

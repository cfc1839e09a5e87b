//! The bounds of streams: how many, how long, how much.
//! The defaults hold a few thousand phones and shut out those who only hold connections.

use std::time::Duration;

/// Limits of TCP connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// Connections open at once, both ways. Further incoming ones are closed at once; ours fail.
    /// Default 4,096.
    pub connections: usize,
    /// Incoming connections of one source (an IPv4 address, an IPv6 /64) open at once.
    /// Default 256.
    pub per_source: usize,
    /// How long opening a connection may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a peer that connected may take to bring its first message. Default 10 s.
    pub first_message: Duration,
    /// How long a message may take from its first to its last byte. Default 10 s.
    pub message_deadline: Duration,
    /// How long a connection may carry nothing, keepalives included, before it is closed.
    /// Default 30 minutes.
    pub idle: Duration,
    /// Bytes that may wait for a peer that does not read; at more, its connection is closed.
    /// Default 1 MiB.
    pub write_queue: usize,
    /// How long a write may make no progress. Default 20 s.
    pub write_stall: Duration,
    /// How often we send a keepalive on connections that we opened, when nothing else was sent.
    /// Default 100 s, inside the 95 to 120 s of RFC 5626 4.4.1.
    pub ping: Duration,
    /// How long a peer that has answered keepalives before may take to answer one.
    /// Default 10 s (RFC 5626 4.4.1).
    pub pong: Duration,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_source: 256,
            connect_timeout: Duration::from_secs(5),
            first_message: Duration::from_secs(10),
            message_deadline: Duration::from_secs(10),
            idle: Duration::from_secs(30 * 60),
            write_queue: 1024 * 1024,
            write_stall: Duration::from_secs(20),
            ping: Duration::from_secs(100),
            pong: Duration::from_secs(10),
        }
    }
}

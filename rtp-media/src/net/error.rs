//! Why the media plane did not start, and why a leg could not be opened.

use std::io;
use std::ops::RangeInclusive;

/// The media plane cannot start. The configuration or the machine is to blame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The range holds no even port followed by an odd one.
    #[error(
        "rtp port range {}-{} holds no port pair; give at least an even port and the next one",
        .range.start(), .range.end()
    )]
    NoPorts {
        /// The range of the configuration.
        range: RangeInclusive<u16>,
    },
    /// The advertised address is of another IP version than the one that sockets are bound to.
    #[error("advertised media address {advertise} and bound address {bind} differ in IP version")]
    Family {
        /// The address of the configuration that peers are told.
        advertise: std::net::IpAddr,
        /// The address of the configuration that sockets are bound to.
        bind: std::net::IpAddr,
    },
    /// The system gave no thread, poll or random numbers.
    #[error("media thread cannot start: {0}")]
    System(#[from] io::Error),
}

/// A leg cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Every pair of the range is in use or in quarantine.
    #[error(
        "no rtp port left in {}-{}: {in_use} pairs in use, {quarantined} in quarantine; widen \
         the range",
        .range.start(), .range.end()
    )]
    Exhausted {
        /// The range of the configuration.
        range: RangeInclusive<u16>,
        /// Pairs that calls hold.
        in_use: usize,
        /// Pairs that rest after a call.
        quarantined: usize,
    },
    /// The system refused a socket for another reason than a taken port.
    #[error("rtp socket on port {port}: {source}")]
    Socket {
        /// The port that was tried.
        port: u16,
        /// The system's word, such as too many open files.
        source: io::Error,
    },
    /// The bound address is unspecified, and nothing says which address to tell the peer.
    #[error(
        "no address to tell the peer: media is bound to {bind}; configure the public address or \
         name one when opening"
    )]
    NoAddress {
        /// The address that sockets are bound to.
        bind: std::net::IpAddr,
    },
    /// The system gave no random numbers for the stream's identifiers.
    #[error("no random numbers: {0}")]
    Random(io::Error),
    /// The media plane was shut down.
    #[error("media is shut down")]
    Stopped,
}

impl OpenError {
    /// A short word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            OpenError::Exhausted { .. } => "ports_exhausted",
            OpenError::Socket { .. } => "socket",
            OpenError::NoAddress { .. } => "no_address",
            OpenError::Random(_) => "random",
            OpenError::Stopped => "stopped",
        }
    }
}

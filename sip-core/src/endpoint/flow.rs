//! Where a message came from and where one goes: addresses as data, no socket.
//! A flow is what RFC 5626 calls one: a transport, two addresses and, on streams, one connection.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A SIP transport, as named in Via and in the `transport` URI parameter.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams; every timer of RFC 3261 17 is in force.
    Udp,
    /// A byte stream.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// True when the transport itself retransmits, so that transactions need not (RFC 3261 17).
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// The port taken when an address names none: 5061 for TLS, else 5060 (RFC 3261 19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Tls => 5061,
            Self::Udp | Self::Tcp => 5060,
        }
    }

    /// The upper-case name for a Via header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownTransport)
    }
}

/// The text names no transport that this crate knows.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown transport, expected udp, tcp or tls")]
pub struct UnknownTransport;

/// One path between us and a peer.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address. Unspecified (`0.0.0.0`) means: whichever fits.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The connection on a stream; 0 on UDP, and on streams "any connection to `remote`, or a new
    /// one".
    pub connection: u64,
}

/// A resolved place to send a request to.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// The transport to use.
    pub transport: Transport,
    /// The address and port to send to.
    pub addr: SocketAddr,
}

impl Target {
    /// A target over UDP.
    pub fn udp(addr: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            addr,
        }
    }

    /// A target over TCP.
    pub fn tcp(addr: SocketAddr) -> Self {
        Self {
            transport: Transport::Tcp,
            addr,
        }
    }
}

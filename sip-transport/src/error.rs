//! What can go wrong before a driver runs, and the one thing that can go wrong after.
//! Each text names the address, the transport, the cause and what to do.

use std::io;
use std::net::SocketAddr;

use sip_core::endpoint::Transport;
use thiserror::Error;

/// Why a driver did not start. None of its sockets stays open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Neither a UDP nor a TCP address was given.
    #[error("no address to listen on: give the driver at least one udp or tcp address")]
    NoAddress,
    /// `start` was called outside a tokio runtime.
    #[error("no tokio runtime: start the driver from within one")]
    NoRuntime,
    /// Another socket has the port.
    #[error(
        "address already in use: another program listens on {name} {addr}; stop it or set [sip] \
         {name} to another port", name = config_key(*.transport)
    )]
    AddrInUse {
        /// Which listener.
        transport: Transport,
        /// The address that is taken.
        addr: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error(
        "address not available: no interface of this machine has {ip}; set [sip] {name} to one of \
         its own addresses, or to a wildcard such as 0.0.0.0:{port}",
        ip = .addr.ip(), port = .addr.port(), name = config_key(*.transport)
    )]
    AddrNotAvailable {
        /// Which listener.
        transport: Transport,
        /// The address that nobody here has.
        addr: SocketAddr,
    },
    /// The operating system does not allow this process to bind the port.
    #[error(
        "permission denied: this process may not listen on {name} {addr}; ports below 1024 need \
         CAP_NET_BIND_SERVICE, or set [sip] {name} to a higher port", name = config_key(*.transport)
    )]
    PermissionDenied {
        /// Which listener.
        transport: Transport,
        /// The address that was refused.
        addr: SocketAddr,
    },
    /// Anything else that the operating system said.
    #[error(
        "cannot listen on {name} {addr}: {source}; check [sip] {name}",
        name = config_key(*.transport)
    )]
    Listen {
        /// Which listener.
        transport: Transport,
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

impl StartError {
    pub(crate) fn listen(transport: Transport, addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddrInUse { transport, addr },
            io::ErrorKind::AddrNotAvailable => Self::AddrNotAvailable { transport, addr },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { transport, addr },
            _ => Self::Listen {
                transport,
                addr,
                source,
            },
        }
    }
}

/// The driver has ended: it was shut down, or its handler panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the SIP driver has ended")]
pub struct Closed;

fn config_key(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

//! The two sockets of a leg: binding, reading within a budget, writing.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::session::{Channel, Datagram};

/// The two sockets of a leg.
#[derive(Debug)]
pub(in crate::net) struct Sockets {
    rtp: Port,
    rtcp: Port,
}

#[derive(Debug)]
struct Port {
    socket: UdpSocket,
    /// Whether more was there than a tick allows to read.
    unread: bool,
}

impl Sockets {
    /// Binds `port` and the one after it.
    pub fn bind(ip: IpAddr, port: u16) -> io::Result<Sockets> {
        Ok(Sockets {
            rtp: bind(SocketAddr::new(ip, port))?,
            rtcp: bind(SocketAddr::new(ip, port.saturating_add(1)))?,
        })
    }

    /// Has the poll tell when packets arrive.
    pub fn register(&mut self, registry: &Registry, rtp: Token, rtcp: Token) -> io::Result<()> {
        registry.register(&mut self.rtp.socket, rtp, Interest::READABLE)?;
        registry.register(&mut self.rtcp.socket, rtcp, Interest::READABLE)
    }

    /// The next packet of a socket, as long as there is one and the budget lasts.
    pub fn receive(
        &mut self,
        channel: Channel,
        budget: &mut u32,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        let port = self.port(channel);
        while *budget > 0 {
            *budget -= 1;
            match port.socket.recv_from(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // An error of an earlier packet; it says nothing about the next one.
                Err(error) => tracing::debug!(%error, "rtp read"),
            }
        }
        port.unread = true;
        None
    }

    /// Whether a socket had more than the budget allowed; it will not be told of again.
    pub fn take_unread(&mut self, channel: Channel) -> bool {
        std::mem::take(&mut self.port(channel).unread)
    }

    fn port(&mut self, channel: Channel) -> &mut Port {
        match channel {
            Channel::Rtp => &mut self.rtp,
            Channel::Rtcp => &mut self.rtcp,
        }
    }

    /// Writes a packet of a session; what the system does not take is lost, as on any network.
    pub fn send(&self, datagram: Datagram<'_>, unsent: &mut u64) {
        // A peer on hold by the address 0.0.0.0 is not to be sent to; the system would take it
        // for this host.
        if datagram.to.ip().is_unspecified() {
            return;
        }
        let port = match datagram.channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        };
        if let Err(error) = port.socket.send_to(datagram.bytes, datagram.to) {
            if *unsent == 0 {
                tracing::warn!(to = %datagram.to, %error, "rtp packet not sent");
            }
            *unsent += 1;
        }
    }
}

fn bind(addr: SocketAddr) -> io::Result<Port> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    // Marked for routers as voice; where the system forbids it, calls work all the same.
    let marked = if addr.is_ipv4() {
        socket.set_tos_v4(EXPEDITED)
    } else {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(EXPEDITED)
    };
    if let Err(error) = marked {
        tracing::debug!(%error, "rtp packets go unmarked");
    }
    socket.bind(&addr.into())?;
    Ok(Port {
        socket: UdpSocket::from_std(socket.into()),
        unread: false,
    })
}

/// Expedited forwarding, DSCP 46 (RFC 3246), in the place of the former type of service.
const EXPEDITED: u32 = 46 << 2;

//! One UDP socket: received in batches, answered from the address that was called.
//! Never blocks; what the kernel does not take at once waits in a queue of bounded size.

use std::array;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams taken from the kernel in one call.
const BATCH: usize = 16;
/// The largest UDP payload and a bit: what arrives is never cut.
const BUFFER: usize = 64 * 1024;
/// What we ask of the kernel for its own queues; it grants what `net.core.rmem_max` allows. A burst
/// of INVITEs while a core is busy elsewhere should wait, not be lost.
const KERNEL_BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams that may wait for the kernel. At 1 kB each this is a megabyte; beyond, SIP's own
/// retransmission is the better queue.
const QUEUE: usize = 1024;

/// A bound UDP socket.
pub(crate) struct UdpPort {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    waiting: VecDeque<Outgoing>,
}

/// Buffers for one receive call, shared by all sockets of a driver: a megabyte in all.
pub(crate) struct Batch {
    storage: Box<[u8]>,
}

/// One datagram as received, still in its batch.
pub(crate) struct Datagram<'a> {
    /// Our address that it was sent to.
    pub(crate) local: SocketAddr,
    /// Its sender.
    pub(crate) remote: SocketAddr,
    /// Its payload.
    pub(crate) bytes: &'a [u8],
}

/// What became of a datagram given to [`UdpPort::send`].
#[derive(Debug)]
pub(crate) enum Sent {
    /// The kernel has it, or it waits for the kernel.
    Accepted,
    /// The queue is full: dropped.
    QueueFull,
    /// The kernel refuses it, now and later.
    Failed(io::Error),
}

struct Outgoing {
    source: Option<IpAddr>,
    destination: SocketAddr,
    bytes: Bytes,
}

impl UdpPort {
    /// Binds a socket. Needs a tokio runtime.
    ///
    /// `dual_stack`: an IPv6 wildcard also takes IPv4.
    pub(crate) fn bind(addr: SocketAddr, dual_stack: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(!dual_stack)?;
        }
        socket.set_nonblocking(true)?;
        // Smaller buffers than asked for are no reason not to start.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.bind(&addr.into())?;
        let state = packet_info(&socket, addr)?;
        let io = UdpSocket::from_std(socket.into())?;
        let local = io.local_addr()?;
        Ok(Self {
            io,
            state,
            local,
            waiting: VecDeque::new(),
        })
    }

    /// The address the socket is bound to, possibly a wildcard.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Can this socket reach addresses of the family of `remote`?
    pub(crate) fn reaches(&self, remote: SocketAddr) -> bool {
        self.local.is_ipv6() == remote.is_ipv6() || (self.is_dual_stack() && remote.is_ipv4())
    }

    /// Bytes that the kernel keeps for us until we read them.
    pub(crate) fn kernel_buffer(&self) -> usize {
        SockRef::from(&self.io)
            .recv_buffer_size()
            .unwrap_or_default()
    }

    /// Receives up to a batch and hands each datagram to `each`. Ready with the number of them.
    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        mut each: impl FnMut(Datagram<'_>),
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let mut meta = [RecvMeta::default(); BATCH];
            let mut slices = batch.slices();
            let received = self.io.try_io(Interest::READABLE, || {
                self.state.recv((&self.io).into(), &mut slices, &mut meta)
            });
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let mut datagrams = 0;
            for (slice, meta) in slices.iter().zip(&meta).take(count) {
                let bytes = slice.get(..meta.len).unwrap_or_default();
                let local = match meta.dst_ip {
                    Some(ip) => SocketAddr::new(ip.to_canonical(), self.local.port()),
                    None => self.local,
                };
                // More than one only if the kernel merges datagrams (GRO), which we did not ask for.
                // An empty datagram has no chunk, and nothing to say.
                for bytes in bytes.chunks(meta.stride.max(1)) {
                    datagrams += 1;
                    each(Datagram {
                        local,
                        remote: canonical(meta.addr),
                        bytes,
                    });
                }
            }
            return Poll::Ready(Ok(datagrams));
        }
    }

    /// Sends a datagram, from `local` when this socket has more than one address.
    //= RFC 3261 18.2.2
    //# the response MUST be sent from the same address and port that the request was received on
    // (RFC 3581 4 says so for `rport`; NATs and firewalls take nothing else.)
    pub(crate) fn send(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &Bytes) -> Sent {
        let source = Some(local.ip())
            .filter(|ip| self.local.ip().is_unspecified() && !ip.is_unspecified())
            .filter(|ip| ip.is_ipv4() == remote.is_ipv4())
            .map(|ip| self.native(SocketAddr::new(ip, 0)).ip());
        let outgoing = Outgoing {
            source,
            destination: self.native(remote),
            bytes: bytes.clone(),
        };
        // Order is kept: nothing overtakes what waits.
        if self.waiting.is_empty() {
            match self.transmit(&outgoing) {
                Ok(()) => return Sent::Accepted,
                Err(error) if is_busy(&error) => {}
                Err(error) => return Sent::Failed(error),
            }
        }
        if self.waiting.len() >= QUEUE {
            return Sent::QueueFull;
        }
        self.waiting.push_back(outgoing);
        Sent::Accepted
    }

    /// Sends what waits, as far as the kernel takes it. Pending while something waits.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(outgoing) = self.waiting.front() {
            if ready!(self.io.poll_send_ready(cx)).is_ok() {
                // Through tokio, which has to learn when the kernel is busy to wake us later.
                let sent = self
                    .io
                    .try_io(Interest::WRITABLE, || self.transmit(outgoing));
                if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                    continue;
                }
                // Other errors: it was accepted when it was queued, whoever sent it retransmits.
            }
            self.waiting.pop_front();
        }
        Poll::Ready(())
    }

    /// One attempt, straight at the kernel.
    fn transmit(&self, outgoing: &Outgoing) -> io::Result<()> {
        let transmit = |source| {
            let transmit = Transmit {
                destination: outgoing.destination,
                ecn: None,
                contents: &outgoing.bytes,
                segment_size: None,
                src_ip: source,
            };
            self.state.try_send((&self.io).into(), &transmit)
        };
        match transmit(outgoing.source) {
            // Called on a broadcast address, or on one that is no longer ours: an answer from
            // another address of ours is better than none.
            Err(error)
                if outgoing.source.is_some()
                    && matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput | io::ErrorKind::AddrNotAvailable
                    ) =>
            {
                transmit(None)
            }
            sent => sent,
        }
    }

    fn is_dual_stack(&self) -> bool {
        self.local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            && SockRef::from(&self.io).only_v6().is_ok_and(|only| !only)
    }

    /// `addr` as this socket's family spells it.
    fn native(&self, addr: SocketAddr) -> SocketAddr {
        match addr {
            SocketAddr::V4(v4) if self.local.is_ipv6() => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            addr => addr,
        }
    }
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            storage: vec![0; BATCH * BUFFER].into_boxed_slice(),
        }
    }

    fn slices(&mut self) -> [IoSliceMut<'_>; BATCH] {
        let mut buffers = self.storage.chunks_exact_mut(BUFFER);
        array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()))
    }
}

/// IPv4 in IPv6 clothing becomes IPv4, so that one peer has one address everywhere above.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(ip) => SocketAddrV4::new(ip, v6.port()).into(),
            None => addr,
        },
        SocketAddr::V4(_) => addr,
    }
}

/// Would the same datagram be taken later? `ENOBUFS` is a full device queue.
fn is_busy(error: &io::Error) -> bool {
    const ENOBUFS: i32 = 105;
    error.kind() == io::ErrorKind::WouldBlock
        || (cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOBUFS))
}

/// Asks the kernel to tell, with each datagram, which of our addresses it was sent to.
///
/// `UdpSocketState::new` would do that and two things more which are right for QUIC and wrong here:
/// it forbids fragmentation (a SIP message larger than the path's MTU could not be sent any more),
/// and it lets the kernel merge datagrams. So the state is made on a socket that is thrown away,
/// and ours gets this one option. The state itself keeps nothing of the socket it was made on.
#[cfg(target_os = "linux")]
fn packet_info(socket: &Socket, addr: SocketAddr) -> io::Result<UdpSocketState> {
    use nix::sys::socket::{setsockopt, sockopt};

    if addr.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    let other = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    UdpSocketState::new((&other).into())
}

/// Elsewhere large datagrams may be refused; those peers then need TCP.
#[cfg(not(target_os = "linux"))]
fn packet_info(socket: &Socket, _addr: SocketAddr) -> io::Result<UdpSocketState> {
    UdpSocketState::new(socket.into())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::UdpSocket as StdSocket;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_answer_leaves_from_the_address_that_was_called() {
        let mut port = UdpPort::bind("0.0.0.0:0".parse().unwrap(), false).unwrap();
        let peer = peer("127.0.0.1:0");
        let called = SocketAddr::new("127.0.0.2".parse().unwrap(), port.local().port());
        peer.send_to(b"hello", called).unwrap();
        let received = receive(&port).await;
        assert_eq!(
            received,
            [(called, peer.local_addr().unwrap(), b"hello".to_vec())]
        );
        assert!(matches!(
            port.send(
                called,
                peer.local_addr().unwrap(),
                &Bytes::from_static(b"yes")
            ),
            Sent::Accepted
        ));
        assert_eq!(answer(&peer), (called, b"yes".to_vec()));
    }

    #[tokio::test]
    async fn a_dual_stack_socket_shows_ipv4_as_ipv4_and_answers_from_the_address_called() {
        let Ok(mut port) = UdpPort::bind("[::]:0".parse().unwrap(), true) else {
            // A machine without IPv6 has no dual stack to get wrong.
            return;
        };
        let peer = peer("127.0.0.1:0");
        let called = SocketAddr::new("127.0.0.3".parse().unwrap(), port.local().port());
        peer.send_to(b"hello", called).unwrap();
        let received = receive(&port).await;
        assert_eq!(
            received,
            [(called, peer.local_addr().unwrap(), b"hello".to_vec())]
        );
        assert!(port.reaches(called));
        port.send(
            called,
            peer.local_addr().unwrap(),
            &Bytes::from_static(b"yes"),
        );
        assert_eq!(answer(&peer), (called, b"yes".to_vec()));
    }

    #[tokio::test]
    async fn datagrams_of_the_largest_size_pass_both_ways() {
        let mut port = UdpPort::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let peer = peer("127.0.0.1:0");
        let large = vec![b'x'; 65_507];
        peer.send_to(&large, port.local()).unwrap();
        let received = receive(&port).await;
        assert_eq!(
            received.first().map(|(.., bytes)| bytes.len()),
            Some(65_507)
        );
        port.send(
            port.local(),
            peer.local_addr().unwrap(),
            &Bytes::from(large),
        );
        assert_eq!(answer(&peer).1.len(), 65_507);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_message_larger_than_the_mtu_may_be_fragmented() {
        use rustix::net::sockopt::{Ipv4PathMtuDiscovery, ip_mtu_discover};

        let port = UdpPort::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let plain = ip_mtu_discover(peer("127.0.0.1:0")).unwrap();
        assert_eq!(ip_mtu_discover(&port.io).unwrap(), plain);
        assert_ne!(plain, Ipv4PathMtuDiscovery::PROBE);
    }

    #[tokio::test]
    async fn a_hard_error_is_reported_and_does_not_break_the_socket() {
        let mut port = UdpPort::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let local = port.local();
        let too_large = Bytes::from(vec![0; 65_508]);
        assert!(matches!(
            port.send(local, local, &too_large),
            Sent::Failed(_)
        ));
        port.send(local, local, &Bytes::from_static(b"still here"));
        assert_eq!(receive(&port).await.len(), 1);
    }

    fn peer(addr: &str) -> StdSocket {
        let peer = StdSocket::bind(addr).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer
    }

    fn answer(peer: &StdSocket) -> (SocketAddr, Vec<u8>) {
        let mut buffer = vec![0; 65_536];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        buffer.truncate(length);
        (from, buffer)
    }

    async fn receive(port: &UdpPort) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut batch = Batch::new();
        let mut got = Vec::new();
        poll_fn(|cx| {
            port.poll_receive(cx, &mut batch, |datagram| {
                got.push((datagram.local, datagram.remote, datagram.bytes.to_vec()));
            })
        })
        .await
        .unwrap();
        got
    }
}

//! The other side of a leg: two bare sockets that write and read packets by hand.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rtp_media::net::{LegEvent, LegEvents, Media, MediaConfig};
use rtp_media::sdp::{Codec, Direction, Negotiated};

pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A media plane on loopback; each test has a range of its own.
pub fn media(first_port: u16, ports: u16) -> Media {
    let mut config = MediaConfig::new(HERE, first_port..=first_port + ports - 1);
    config.quarantine = Duration::from_millis(200);
    Media::start(config).unwrap()
}

pub fn negotiated(remote: SocketAddr, remote_rtcp: SocketAddr) -> Negotiated {
    Negotiated {
        remote,
        remote_rtcp,
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: Some(101),
        telephone_event_in: Some(101),
        direction: Direction::SendRecv,
        ptime_ms: 20,
        rtcp_mux: false,
    }
}

pub struct Peer {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    leg: SocketAddr,
    sequence: u16,
}

impl Peer {
    pub fn of(leg: SocketAddr) -> Peer {
        let socket = || {
            let socket = UdpSocket::bind((HERE, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            socket
        };
        Peer {
            rtp: socket(),
            rtcp: socket(),
            leg,
            sequence: 0,
        }
    }

    pub fn negotiated(&self) -> Negotiated {
        negotiated(
            self.rtp.local_addr().unwrap(),
            self.rtcp.local_addr().unwrap(),
        )
    }

    /// Sends 20 ms of a constant level.
    pub fn send_audio(&mut self) {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend(0x1357_9bdf_u32.to_be_bytes());
        packet.extend([0x20; 160]);
        self.rtp.send_to(&packet, self.leg).unwrap();
    }

    pub fn receive(&self) -> Option<(Instant, Vec<u8>)> {
        receive(&self.rtp)
    }
}

pub fn receive(socket: &UdpSocket) -> Option<(Instant, Vec<u8>)> {
    let mut buffer = [0; 2048];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some((Instant::now(), buffer[..length].to_vec()))
}

/// Waits for an event that this accepts; others are passed over.
pub fn wait_for(events: &mut LegEvents, accept: impl Fn(&LegEvent) -> bool) -> LegEvent {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        match events.try_recv() {
            Some(event) if accept(&event) => return event,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    panic!("the event did not come within 5 s");
}

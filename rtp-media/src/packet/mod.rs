//! What travels in media datagrams: RTP, RTCP and telephone-event, parsed without a copy.
//! No state and no policy here: a packet says nothing about whether it is wanted.

pub mod rtcp;
pub mod rtp;
pub mod telephone_event;

pub use rtcp::{Compound, ReportBlock, RtcpError, RtcpPacket, SenderInfo};
pub use rtp::{Extension, RtpError, RtpPacket};
pub use telephone_event::TelephoneEvent;

/// Whether a datagram on a shared port is RTCP rather than RTP.
///
//= RFC 5761 4
/// RTP payload types 64–95 with the marker bit look like RTCP types 192–223 and are never used
/// where both share a port, so the second byte tells them apart.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [_, 192..=223, ..])
}

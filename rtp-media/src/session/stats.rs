//! What a session counted.

use std::net::SocketAddr;
use std::time::Duration;

use crate::codec::Codec;

/// Counts and figures of a session since its start.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// RTP packets accepted from the peer, duplicates and late ones included.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// RTP payload bytes accepted.
    pub bytes_in: u64,
    /// RTP payload bytes sent.
    pub bytes_out: u64,
    /// RTP packets that never came (RFC 3550 A.3: expected less received, not below 0).
    pub lost: u64,
    /// RTP packets that came after their time to be heard.
    pub late: u64,
    /// RTP packets that came more than once.
    pub duplicates: u64,
    /// RTP packets that came after one with a higher sequence number.
    pub reordered: u64,
    /// Datagrams that were not RTP or RTCP, or of no payload type that was agreed.
    pub malformed: u64,
    /// Datagrams from sources other than the peer.
    pub foreign: u64,
    /// Milliseconds of audio that were concealed because their packets were lost or late.
    pub concealed_ms: u64,
    /// Heard frames that nobody fetched in time and were dropped.
    pub dropped_frames: u64,
    /// Interarrival jitter, in milliseconds (RFC 3550 section 6.4.1).
    pub jitter_ms: f32,
    /// Delay that the jitter buffer adds at present, in milliseconds.
    pub delay_ms: f32,
    /// Where RTP is sent to at present.
    pub remote: Option<SocketAddr>,
    /// Whether `remote` has been heard from and is locked.
    pub latched: bool,
    /// Round-trip time from the latest RTCP report that told one.
    pub rtt: Option<Duration>,
    /// Share of our packets that the peer says it lost, in its latest report: 0 to 1.
    pub peer_loss: Option<f32>,
    /// Packets of ours that the peer says it lost in all.
    pub peer_lost: Option<i32>,
    /// Interarrival jitter that the peer measures, in milliseconds.
    pub peer_jitter_ms: Option<f32>,
    /// Digits heard.
    pub digits_in: u64,
    /// Digits sent.
    pub digits_out: u64,
    /// The codec that is sent.
    pub codec: Option<Codec>,
}

//! What a session is told before it starts.
//! Plain values: where they come from (SDP, a test, another protocol) is not its business.

use std::net::SocketAddr;
use std::time::Duration;

use crate::codec::Codec;
use crate::jitter;

/// What both sides agreed on, usually by an SDP offer and its answer.
///
/// A new agreement in mid-call (a re-INVITE) goes to [`Session::update`](super::Session::update).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// Where the peer says it receives RTP. Packets go there until the peer is heard elsewhere.
    pub remote: SocketAddr,
    /// Where the peer says it receives RTCP (RFC 3605, else the RTP port plus one).
    pub remote_rtcp: SocketAddr,
    /// The codec that we send.
    pub codec: Codec,
    /// The payload type under which `codec` is sent and expected.
    pub payload_type: u8,
    /// The payload type of telephone-event (RFC 4733) toward the peer.
    /// Without it digits are sent as tones in the audio.
    pub telephone_event: Option<u8>,
    /// The payload type under which the peer sends telephone-event to us; the same as
    /// `telephone_event` unless offer and answer number it differently (RFC 3264 section 6.1).
    pub telephone_event_in: Option<u8>,
    /// Whether we may send (our direction is `sendrecv` or `sendonly`).
    pub send: bool,
    /// Whether we receive (our direction is `sendrecv` or `recvonly`).
    pub receive: bool,
    /// Audio per packet that the peer wants, in milliseconds; 10 to 60, else 20 is used.
    pub ptime_ms: u8,
    /// RTCP shares the RTP port (RFC 5761).
    pub rtcp_mux: bool,
}

impl Agreed {
    /// Both directions, 20 ms packets, telephone-event on 101, RTCP on the next port.
    pub fn new(remote: SocketAddr, codec: Codec) -> Agreed {
        let rtcp_port = remote.port().saturating_add(1);
        Agreed {
            remote,
            remote_rtcp: SocketAddr::new(remote.ip(), rtcp_port),
            codec,
            payload_type: codec.payload_type(),
            telephone_event: Some(101),
            telephone_event_in: Some(101),
            send: true,
            receive: true,
            ptime_ms: 20,
            rtcp_mux: false,
        }
    }
}

/// Everything that a [`Session`](super::Session) needs to know at its start.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// What offer and answer agreed on.
    pub agreed: Agreed,
    /// Our synchronisation source: random (RFC 3550 section 8.1).
    pub ssrc: u32,
    /// Our first sequence number: random (RFC 3550 section 5.1).
    pub sequence: u16,
    /// Our first timestamp: random (RFC 3550 section 5.1).
    pub timestamp: u32,
    /// Our canonical name in RTCP (RFC 3550 section 6.5.1); at most 255 bytes are sent.
    pub cname: String,
    /// Bounds of the jitter buffer.
    pub jitter: jitter::JitterConfig,
    /// Without RTP for so long, [`SessionEvent::NoAudio`](super::SessionEvent::NoAudio) is told.
    pub no_audio_after: Duration,
    /// How much audio may wait to be sent; more is refused.
    pub playout_limit: Duration,
    /// Mean time between RTCP reports (RFC 3550 section 6.2 recommends at least 5 s).
    pub rtcp_interval: Duration,
    /// How long a digit that we send lasts.
    pub digit: Duration,
    /// The pause after a digit that we send.
    pub digit_gap: Duration,
}

impl SessionConfig {
    /// Defaults for a telephone call; the three numbers come from the caller's entropy.
    pub fn new(agreed: Agreed, ssrc: u32, sequence: u16, timestamp: u32) -> SessionConfig {
        SessionConfig {
            agreed,
            ssrc,
            sequence,
            timestamp,
            cname: format!("{ssrc:08x}@media.invalid"),
            jitter: jitter::JitterConfig::default(),
            no_audio_after: Duration::from_secs(3),
            playout_limit: Duration::from_secs(600),
            rtcp_interval: Duration::from_secs(5),
            digit: Duration::from_millis(100),
            digit_gap: Duration::from_millis(100),
        }
    }
}

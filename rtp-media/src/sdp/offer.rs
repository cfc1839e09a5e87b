//! Our side of the bargain, what comes out of it, and the offer we make (RFC 3264 section 5).
//! One audio stream, our codecs in our order, telephone events beside them.

use std::net::{IpAddr, SocketAddr};

use super::description::{
    Attribute, Connection, MediaDescription, Origin, SessionDescription, Timing,
};
use super::direction::Direction;
use crate::codec::Codec;
use crate::session::Agreed;

/// What we bring to an offer or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address that the peer shall send to: the advertised one, behind NAT the public one.
    pub addr: IpAddr,
    /// The RTP port; RTCP is the next one.
    pub port: u16,
    /// The codecs we take, the preferred one first.
    pub codecs: Vec<Codec>,
    /// Whether RFC 4733 telephone events are taken.
    pub telephone_event: bool,
    /// How much audio a packet shall hold, in milliseconds.
    pub ptime: u8,
    /// The session id of the `o=` line: the same for the whole call, unlike any other's.
    pub session_id: u64,
    /// The version of the `o=` line; [`super::Exchange`] counts it.
    pub version: u64,
    /// What we want of the stream: anything but `sendrecv` holds the peer.
    pub direction: Direction,
}

impl LocalMedia {
    /// Every codec of this build in the product's order, telephone events, 20 ms, both ways.
    ///
    /// Of the session id the low 61 bits count, as RFC 3264 section 5 bounds it.
    pub fn new(addr: IpAddr, port: u16, session_id: u64) -> Self {
        //= RFC 3264 5
        // The numeric value of the session id and version in the o line MUST be representable
        // with a 64 bit signed integer. The initial value of the version MUST be less than
        // (2**62)-1, to avoid rollovers.
        let session_id = session_id & (u64::MAX >> 3);
        Self {
            addr,
            port,
            codecs: Codec::ALL.to_vec(),
            telephone_event: true,
            ptime: DEFAULT_PTIME,
            session_id,
            version: session_id,
            direction: Direction::SendRecv,
        }
    }

    /// The description that holds these streams.
    pub(super) fn describe(
        &self,
        media: Vec<MediaDescription>,
        timing: Timing,
    ) -> SessionDescription {
        let connection = Connection::to_ip(self.addr);
        SessionDescription {
            origin: Origin {
                username: "-".to_owned(),
                session_id: self.session_id,
                version: self.version,
                address_type: connection.address_type.clone(),
                address: connection.address.clone(),
            },
            name: "-".to_owned(),
            information: None,
            connection: Some(connection),
            bandwidth: Vec::new(),
            timing: vec![timing],
            attributes: Vec::new(),
            media,
        }
    }

    /// Our audio stream with these codecs under these payload types.
    pub(super) fn stream(
        &self,
        protocol: &str,
        codecs: &[(u8, Codec)],
        telephone_event: Option<(u8, u32)>,
        direction: Direction,
        rtcp_mux: bool,
    ) -> MediaDescription {
        let mut formats = Vec::new();
        let mut attributes = Vec::new();
        for (number, codec) in codecs {
            formats.push(number.to_string());
            attributes.push(Attribute::value(
                "rtpmap",
                format!("{number} {}/{}", codec.name(), codec.clock_rate()),
            ));
        }
        if let Some((number, rate)) = telephone_event {
            formats.push(number.to_string());
            attributes.push(Attribute::value(
                "rtpmap",
                format!("{number} telephone-event/{rate}"),
            ));
            attributes.push(Attribute::value("fmtp", format!("{number} {EVENTS}")));
        }
        attributes.push(Attribute::value("ptime", self.ptime.to_string()));
        attributes.push(Attribute::flag(direction.name()));
        if rtcp_mux {
            attributes.push(Attribute::flag("rtcp-mux"));
        }
        MediaDescription {
            kind: "audio".to_owned(),
            port: self.port,
            port_count: None,
            protocol: protocol.to_owned(),
            formats,
            information: None,
            connection: None,
            bandwidth: Vec::new(),
            attributes,
        }
    }
}

/// What both sides agreed on for the audio stream.
///
/// A [`Session`](crate::session::Session) takes it as [`Agreed`], by `into()`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where the peer says it wants RTP. Behind NAT it may come from elsewhere.
    pub remote: SocketAddr,
    /// Where the peer says it wants RTCP.
    pub remote_rtcp: SocketAddr,
    /// The codec of both directions.
    pub codec: Codec,
    /// The codec's payload type.
    pub payload_type: u8,
    /// The payload type of telephone events to the peer, when both sides take them.
    pub telephone_event: Option<u8>,
    /// The payload type under which the peer sends telephone events: the same number unless it
    /// answered our offer with another one (RFC 3264 section 6.1).
    pub telephone_event_in: Option<u8>,
    /// The direction as seen from our side.
    pub direction: Direction,
    /// How much audio the peer wants in a packet, in milliseconds: 10 to 60.
    pub ptime_ms: u8,
    /// Whether RTCP shares the RTP port (RFC 5761): taken when offered, never offered by us.
    pub rtcp_mux: bool,
}

impl From<Negotiated> for Agreed {
    fn from(negotiated: Negotiated) -> Agreed {
        let mut agreed = Agreed::new(negotiated.remote, negotiated.codec);
        agreed.remote_rtcp = negotiated.remote_rtcp;
        agreed.payload_type = negotiated.payload_type;
        agreed.telephone_event = negotiated.telephone_event;
        agreed.telephone_event_in = negotiated.telephone_event_in;
        agreed.send = negotiated.direction.sends();
        agreed.receive = negotiated.direction.receives();
        agreed.ptime_ms = negotiated.ptime_ms;
        agreed.rtcp_mux = negotiated.rtcp_mux;
        agreed
    }
}

/// The offer of our audio stream (RFC 3264 section 5).
pub fn offer(local: &LocalMedia) -> SessionDescription {
    local.describe(
        vec![offered_stream(local, TELEPHONE_EVENT)],
        Timing::default(),
    )
}

/// Our audio stream as an offer, telephone events under this payload type.
pub(super) fn offered_stream(local: &LocalMedia, telephone_event: u8) -> MediaDescription {
    let codecs: Vec<(u8, Codec)> = local
        .codecs
        .iter()
        .map(|&codec| (codec.payload_type(), codec))
        .collect();
    let rate = local
        .codecs
        .first()
        .map_or(8_000, |codec| codec.clock_rate());
    let telephone_event = local.telephone_event.then_some((telephone_event, rate));
    local.stream("RTP/AVP", &codecs, telephone_event, local.direction, false)
}

/// The payload type that telephone systems expect for events when they are offered.
pub(super) const TELEPHONE_EVENT: u8 = 101;

/// The events of a telephone's keypad and the hook flash, RFC 4733 section 3.2.
const EVENTS: &str = "0-16";

/// 20 ms, the packet time of RFC 3551 4.5 for all our codecs.
const DEFAULT_PTIME: u8 = 20;

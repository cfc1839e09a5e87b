//! Striking the bargain: our answer to an offer, and reading the answer to ours (RFC 3264).
//! What is answered was offered; among that, our order of preference wins.

use std::net::{IpAddr, SocketAddr};

use super::description::{Connection, MediaDescription, SessionDescription};
use super::direction::Direction;
use super::offer::{LocalMedia, Negotiated, TELEPHONE_EVENT};
use super::payloads::{Meaning, Payload, payloads};
use super::refusal::{Refusal, quoted};
use crate::codec::Codec;

/// Answers an offer (RFC 3264 section 6): the first audio stream that can be agreed is taken,
/// every other stream is refused with port 0.
///
/// # Errors
/// [`Refusal`] when no audio stream can be agreed; the first audio stream's cause is told.
pub fn answer(
    local: &LocalMedia,
    offer: &SessionDescription,
) -> Result<(SessionDescription, Negotiated), Refusal> {
    let mut taken = None;
    let mut cause = None;
    for (slot, media) in offer.media.iter().enumerate() {
        if !is_live_audio(media) {
            continue;
        }
        match agree(local, offer, media, Preference::Ours) {
            Ok(negotiated) => {
                taken = Some((slot, negotiated));
                break;
            }
            Err(refusal) => cause = cause.or(Some(refusal)),
        }
    }
    let Some((taken_slot, negotiated)) = taken else {
        return Err(cause.unwrap_or(Refusal::NoAudio));
    };

    //= RFC 3264 6
    // For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer.
    let streams = offer.media.iter().enumerate().map(|(slot, media)| {
        if slot == taken_slot {
            accepted(local, media, &negotiated)
        } else {
            refused(media)
        }
    });
    //= RFC 3264 6
    // The "t=" line in the answer MUST equal that of the offer.
    let timing = offer.timing.first().copied().unwrap_or_default();
    Ok((local.describe(streams.collect(), timing), negotiated))
}

/// Reads the answer to an offer made with [`super::offer`].
///
/// # Errors
/// [`Refusal`] when the peer refused the stream, or answered with something that was not offered.
pub fn accept_answer(
    local: &LocalMedia,
    answer: &SessionDescription,
) -> Result<Negotiated, Refusal> {
    accept_stream(local, answer, 0, TELEPHONE_EVENT)
}

/// Reads the answer to an offer in which our stream stood at this place, and telephone events
/// under this payload type.
pub(super) fn accept_stream(
    local: &LocalMedia,
    answer: &SessionDescription,
    slot: usize,
    telephone_event: u8,
) -> Result<Negotiated, Refusal> {
    let media = answer
        .media
        .get(slot)
        .filter(|media| is_live_audio(media))
        .ok_or(Refusal::NoAudio)?;
    agree(local, answer, media, Preference::Theirs(telephone_event))
}

/// A stream of the offer as we refuse it.
///
/// RFC 3264 section 6: the port is 0, the formats do not matter but one has to stand there.
pub(super) fn refused(media: &MediaDescription) -> MediaDescription {
    MediaDescription {
        kind: media.kind.clone(),
        port: 0,
        port_count: None,
        protocol: media.protocol.clone(),
        formats: media.formats.iter().take(1).cloned().collect(),
        information: None,
        connection: None,
        bandwidth: Vec::new(),
        attributes: Vec::new(),
    }
}

/// Whose order of codecs decides: ours for an answer of ours, theirs for an answer of theirs.
#[derive(Copy, Clone)]
enum Preference {
    Ours,
    /// With the payload type under which we offered telephone events.
    Theirs(u8),
}

fn is_live_audio(media: &MediaDescription) -> bool {
    media.kind.eq_ignore_ascii_case("audio") && media.port != 0
}

fn accepted(
    local: &LocalMedia,
    offered: &MediaDescription,
    negotiated: &Negotiated,
) -> MediaDescription {
    let codec = negotiated.codec;
    let telephone_event = negotiated
        .telephone_event
        .map(|number| (number, codec.clock_rate()));
    // One codec only: peers such as pjsua send a second offer when two were accepted.
    local.stream(
        &offered.protocol,
        &[(negotiated.payload_type, codec)],
        telephone_event,
        negotiated.direction,
        negotiated.rtcp_mux,
    )
}

fn agree(
    local: &LocalMedia,
    description: &SessionDescription,
    media: &MediaDescription,
    preference: Preference,
) -> Result<Negotiated, Refusal> {
    check_protocol(&media.protocol)?;
    let address = address(local, description.connection_of(media))?;
    let payloads = payloads(media);
    let (payload_type, codec) = codec(local, &payloads, preference)?;
    let telephone_event = telephone_event(local, &payloads, codec);
    let remote = SocketAddr::new(address, media.port);
    Ok(Negotiated {
        remote,
        remote_rtcp: rtcp(media, remote),
        codec,
        payload_type,
        telephone_event,
        telephone_event_in: telephone_event.map(|number| match preference {
            Preference::Ours => number,
            Preference::Theirs(offered) => offered,
        }),
        direction: direction(local, description.direction_of(media), address),
        ptime_ms: ptime(local, media),
        rtcp_mux: matches!(preference, Preference::Ours) && media.has("rtcp-mux"),
    })
}

fn check_protocol(protocol: &str) -> Result<(), Refusal> {
    let upper = protocol.to_ascii_uppercase();
    match upper.as_str() {
        // AVPF (RFC 4585) differs from AVP in when feedback may be sent, and none has to be.
        "RTP/AVP" | "RTP/AVPF" => Ok(()),
        _ if upper.contains("SAVP") => Err(Refusal::Srtp {
            protocol: quoted(protocol),
        }),
        _ => Err(Refusal::Transport {
            protocol: quoted(protocol),
        }),
    }
}

fn address(local: &LocalMedia, connection: Option<&Connection>) -> Result<IpAddr, Refusal> {
    let connection = connection.ok_or(Refusal::NoAddress)?;
    let unusable = || Refusal::Address {
        address: quoted(&connection.address),
    };
    let address = connection.ip().ok_or_else(unusable)?;
    if address.is_multicast() || connection.multicast.is_some() {
        return Err(unusable());
    }
    if address.is_ipv4() != local.addr.is_ipv4() {
        return Err(Refusal::Family {
            address: address.to_string(),
            theirs: version(address),
            ours: version(local.addr),
        });
    }
    Ok(address)
}

fn version(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn codec(
    local: &LocalMedia,
    payloads: &[Payload],
    preference: Preference,
) -> Result<(u8, Codec), Refusal> {
    let offered = payloads.iter().filter_map(|payload| match payload.meaning {
        Meaning::Voice(codec) => Some((payload.number, codec)),
        _ => None,
    });
    let mut common = offered.filter(|(_, codec)| local.codecs.contains(codec));
    let chosen = match preference {
        Preference::Theirs(_) => common.next(),
        Preference::Ours => {
            // min_by_key takes the first of equals: the peer's first number for that codec.
            common.min_by_key(|(_, codec)| local.codecs.iter().position(|ours| ours == codec))
        }
    };
    chosen.ok_or_else(|| Refusal::NoCodec {
        offered: names(payloads),
        taken: local.codecs.clone(),
    })
}

fn names(payloads: &[Payload]) -> Vec<String> {
    let name = |payload: &Payload| match &payload.meaning {
        Meaning::Voice(codec) => Some(codec.name().to_owned()),
        Meaning::TelephoneEvent(_) => None,
        Meaning::Other(name) => Some(quoted(name)),
    };
    payloads
        .iter()
        .filter_map(name)
        .take(Refusal::MAX_NAMES)
        .collect()
}

fn telephone_event(local: &LocalMedia, payloads: &[Payload], codec: Codec) -> Option<u8> {
    // Events share the audio's timestamps (RFC 4733 2.1), so they have to be of its clock. Phones
    // that offer wideband list them once per clock.
    payloads
        .iter()
        .find(|payload| payload.meaning == Meaning::TelephoneEvent(codec.clock_rate()))
        .map(|payload| payload.number)
        .filter(|_| local.telephone_event)
}

fn direction(local: &LocalMedia, theirs: Direction, address: IpAddr) -> Direction {
    //= RFC 3264 8.4
    // An agent MUST be capable of receiving SDP with a connection address of 0.0.0.0, in which
    // case it means that neither RTP nor RTCP should be sent to the peer.
    let deaf = if address.is_unspecified() {
        Direction::SendOnly
    } else {
        Direction::SendRecv
    };
    local.direction.and(theirs.and(deaf).reversed())
}

/// How much audio the peer wants in a packet, within what a session can send.
fn ptime(local: &LocalMedia, media: &MediaDescription) -> u8 {
    let number = |name| {
        media
            .attribute(name)
            .and_then(|value| value.parse::<u8>().ok())
    };
    let most = number("maxptime").unwrap_or(MAX_PTIME);
    number("ptime")
        .filter(|&wish| wish <= most && (MIN_PTIME..=MAX_PTIME).contains(&wish))
        .unwrap_or(local.ptime)
}

/// `a=rtcp:<port> [<nettype> <addrtype> <address>]` (RFC 3605), else the next higher port.
fn rtcp(media: &MediaDescription, rtp: SocketAddr) -> SocketAddr {
    let default = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(rtp.port()));
    let Some(value) = media.attribute("rtcp") else {
        return default;
    };
    let mut fields = value.split_ascii_whitespace();
    let port = fields.next().and_then(|port| port.parse().ok());
    let Some(port) = port.filter(|&port| port != 0) else {
        return default;
    };
    let address = fields
        .nth(2)
        .and_then(|address| address.parse::<IpAddr>().ok())
        .filter(|address| address.is_ipv4() == rtp.is_ipv4())
        .filter(|address| !address.is_multicast() && !address.is_unspecified());
    SocketAddr::new(address.unwrap_or(rtp.ip()), port)
}

/// The shortest packet that is sent, in milliseconds.
const MIN_PTIME: u8 = 10;
/// The longest packet that is sent, in milliseconds.
const MAX_PTIME: u8 = 60;

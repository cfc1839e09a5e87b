//! What the payload types of an `m=` line mean: `a=rtpmap` where there is one, else RFC 3551.
//! Reads a stream's formats in their order of preference.

use super::description::MediaDescription;
use crate::codec::Codec;

/// One format of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    /// The payload type, 0 to 127.
    pub number: u8,
    pub meaning: Meaning,
}

/// What a payload type carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Voice(Codec),
    /// RFC 4733 events, timed by this clock in Hz.
    TelephoneEvent(u32),
    /// Something this build does not speak, by its name.
    Other(String),
}

/// The formats of an RTP stream in the peer's order of preference; what is no payload type is
/// left out.
pub(super) fn payloads(media: &MediaDescription) -> Vec<Payload> {
    media
        .formats
        .iter()
        .filter_map(|format| format.parse().ok().filter(|&number| number < 128))
        .map(|number| Payload {
            number,
            meaning: meaning(media, number),
        })
        .collect()
}

fn meaning(media: &MediaDescription, number: u8) -> Meaning {
    let Some(encoding) = rtpmap(media, number) else {
        return match Codec::from_payload_type(number) {
            Some(codec) => Meaning::Voice(codec),
            None => Meaning::Other(static_name(number)),
        };
    };
    let mut parts = encoding.split('/');
    let name = parts.next().unwrap_or_default();
    let rate = parts.next().and_then(|rate| rate.parse().ok());
    //= RFC 8866 6.6
    // For audio streams, <encoding-parameters> indicates the number of audio channels. This
    // parameter is OPTIONAL and may be omitted if the number of channels is one
    let mono = parts.next().is_none_or(|channels| channels == "1");
    if name.eq_ignore_ascii_case("telephone-event") {
        return Meaning::TelephoneEvent(rate.unwrap_or(8_000));
    }
    match Codec::from_name(name, rate.unwrap_or(8_000)) {
        Some(codec) if mono => Meaning::Voice(codec),
        _ => Meaning::Other(name.to_owned()),
    }
}

/// The encoding that `a=rtpmap` gives this payload type: `PCMU/8000`.
fn rtpmap(media: &MediaDescription, number: u8) -> Option<&str> {
    media.values("rtpmap").find_map(|value| {
        let (payload_type, encoding) = value.split_once(char::is_whitespace)?;
        (payload_type.parse() == Ok(number)).then(|| encoding.trim())
    })
}

/// The names of RFC 3551 table 4 that phones still offer without a map; for texts only.
fn static_name(number: u8) -> String {
    match number {
        3 => "GSM",
        4 => "G723",
        9 => "G722",
        13 => "CN",
        15 => "G728",
        18 => "G729",
        _ => return format!("payload type {number}"),
    }
    .to_owned()
}

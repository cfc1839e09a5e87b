//! Why no stream could be agreed: each cause with its warning code, its words and its fix.
//! The words reach the PBX's administrator in the Warning header of a 488, and the call record.

use crate::codec::Codec;

/// No audio stream can be agreed with this description.
///
/// As an answer to an INVITE it is `488 Not Acceptable Here` with [`Refusal::warning`]; when it
/// is the peer's answer to our offer, the call is ended with this text as the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no audio stream, or each is switched off with port 0.
    #[error("no audio stream is offered; send an audio line with a port other than 0")]
    NoAudio,
    /// None of the offered codecs is one of ours.
    #[error(
        "no codec in common: offered {}; taken here {}; allow one of these on the PBX",
        list(.offered.iter().map(String::as_str)), list(.taken.iter().map(|codec| codec.name()))
    )]
    NoCodec {
        /// The names of what was offered, in the peer's order, at most [`Refusal::MAX_NAMES`].
        offered: Vec<String>,
        /// What the trunk takes, in our order.
        taken: Vec<Codec>,
    },
    /// Only encrypted media is offered.
    #[error(
        "SRTP is offered ({protocol}) and not taken here; switch media encryption off on the \
         PBX (RTP/AVP)"
    )]
    Srtp {
        /// The transport profile of the offer.
        protocol: String,
    },
    /// The stream is not carried by RTP over UDP.
    #[error("transport {protocol} is not taken here; offer RTP/AVP")]
    Transport {
        /// The transport profile of the offer.
        protocol: String,
    },
    /// Neither the stream nor the session has a `c=` line.
    #[error("no c= line says where to send media; send one for the session or the stream")]
    NoAddress,
    /// The `c=` line holds a host name or a multicast group.
    #[error("media address {address} cannot be used; put a unicast IP address into the c= line")]
    Address {
        /// The address of the offer.
        address: String,
    },
    /// The peer's media address is of the other IP version.
    #[error("media address {address} is {theirs}, media here is {ours}; offer an {ours} address")]
    Family {
        /// The address of the offer.
        address: String,
        /// The IP version of the offer: `IPv4` or `IPv6`.
        theirs: &'static str,
        /// Our IP version.
        ours: &'static str,
    },
}

impl Refusal {
    /// The most codec names that a text lists.
    pub const MAX_NAMES: usize = 8;

    /// The SIP status that refuses an offer for this cause: 488.
    pub fn status(&self) -> u16 {
        488
    }

    /// The warning code of RFC 3261 20.43 for this cause.
    pub fn warning_code(&self) -> u16 {
        match self {
            // 301 Incompatible network address formats
            Refusal::NoAddress | Refusal::Address { .. } | Refusal::Family { .. } => 301,
            // 302 Incompatible transport protocol
            Refusal::Transport { .. } => 302,
            // 304 Media type not available
            Refusal::NoAudio => 304,
            // 305 Incompatible media format
            Refusal::NoCodec { .. } => 305,
            // 399 Miscellaneous warning
            Refusal::Srtp { .. } => 399,
        }
    }

    /// The value of a Warning header (RFC 3261 20.43), `agent` being our host name or pseudonym.
    pub fn warning(&self, agent: &str) -> String {
        let text: String = self
            .to_string()
            .chars()
            .filter(|c| !matches!(c, '"' | '\\') && !c.is_control())
            .collect();
        format!("{} {agent} \"{text}\"", self.warning_code())
    }

    /// A short word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Refusal::NoAudio => "no_audio",
            Refusal::NoCodec { .. } => "no_codec",
            Refusal::Srtp { .. } => "srtp",
            Refusal::Transport { .. } => "transport",
            Refusal::NoAddress => "no_address",
            Refusal::Address { .. } => "address",
            Refusal::Family { .. } => "ip_version",
        }
    }
}

/// A word of the peer that is safe to quote in our texts: printable ASCII, and short.
pub(super) fn quoted(word: &str) -> String {
    let safe = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    word.chars().filter(safe).take(MAX_WORD).collect()
}

const MAX_WORD: usize = 40;

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

//! Audio codecs by the name that RTP and SDP give them.
//! Everything outside this room handles 16-bit linear samples.

pub mod g711;

use std::fmt;

/// A codec that an RTP stream can carry.
///
/// The static payload types and names are those of RFC 3551 section 6, table 4.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Codec {
    /// G.711 µ-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
}

impl Codec {
    /// Every codec that this build knows, in the order in which we prefer them.
    pub const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    /// The static payload type of RFC 3551 table 4.
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The codec that a static payload type of RFC 3551 table 4 stands for.
    pub fn from_payload_type(payload_type: u8) -> Option<Codec> {
        Codec::ALL
            .into_iter()
            .find(|codec| codec.payload_type() == payload_type)
    }

    /// The encoding name of an SDP `rtpmap` line (RFC 3551 table 4).
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The codec of an SDP `rtpmap` line; names compare without case (RFC 4855 section 3).
    pub fn from_name(name: &str, clock_rate: u32) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| {
            codec.name().eq_ignore_ascii_case(name) && codec.clock_rate() == clock_rate
        })
    }

    /// Units of the RTP timestamp in a second.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8000,
        }
    }

    /// Samples in a second of the decoded audio.
    pub fn sample_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8000,
        }
    }

    /// How many units of the RTP timestamp a payload of `bytes` covers.
    pub fn duration(self, bytes: usize) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }

    /// Appends the encoded form of `samples` to `payload`.
    pub fn encode(self, samples: &[i16], payload: &mut Vec<u8>) {
        match self {
            Codec::Pcmu => payload.extend(samples.iter().map(|&s| g711::ulaw_encode(s))),
            Codec::Pcma => payload.extend(samples.iter().map(|&s| g711::alaw_encode(s))),
        }
    }

    /// Appends the decoded form of `payload` to `samples`.
    pub fn decode(self, payload: &[u8], samples: &mut Vec<i16>) {
        match self {
            Codec::Pcmu => samples.extend(payload.iter().map(|&b| g711::ulaw_decode(b))),
            Codec::Pcma => samples.extend(payload.iter().map(|&b| g711::alaw_decode(b))),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_payload_types_lead_back_to_the_codec() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
            assert_eq!(
                Codec::from_name(&codec.name().to_lowercase(), 8000),
                Some(codec)
            );
        }
        assert_eq!(Codec::from_payload_type(18), None);
        assert_eq!(Codec::from_name("PCMU", 16000), None);
    }
}

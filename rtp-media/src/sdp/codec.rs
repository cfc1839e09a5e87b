//! The voice codecs that this build speaks, and their names on the wire.
//! A codec's static payload type, encoding name and clock rate are RFC 3551 table 4.

/// A voice codec that can be offered and answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// G.711 µ-law (RFC 3551 4.5.14), 64 kbit/s.
    Pcmu,
    /// G.711 A-law (RFC 3551 4.5.14), 64 kbit/s.
    Pcma,
}

impl Codec {
    /// Every codec of this build in the order that the product prefers.
    pub const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    /// The encoding name as `a=rtpmap` writes it (RFC 3551 table 4).
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The payload type that means this codec even without an `a=rtpmap` (RFC 3551 table 4).
    pub fn static_payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The RTP clock rate in Hz: what timestamps count and what `a=rtpmap` states.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8_000,
        }
    }

    /// The codec of this encoding name, compared without regard to case (RFC 4855 section 3).
    pub fn from_name(name: &str) -> Option<Codec> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The codec that this payload type means when no `a=rtpmap` names it.
    pub fn from_static(payload_type: u8) -> Option<Codec> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.static_payload_type() == payload_type)
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

//! RTP packets (RFC 3550 section 5.1), borrowed from the datagram that carried them.
//! Parsing never allocates; writing appends to a buffer of the caller.

use thiserror::Error;

/// One RTP packet; payload, CSRC list and extension point into the datagram.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct RtpPacket<'a> {
    /// The M bit: for audio, the first packet after silence (RFC 3551 section 4.1).
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The sampling instant of the payload's first sample, in units of the clock rate.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The contributing sources: four bytes each, 15 at most.
    pub csrc: &'a [[u8; 4]],
    /// The header extension (RFC 3550 section 5.3.1).
    pub extension: Option<Extension<'a>>,
    /// What is carried, without padding.
    pub payload: &'a [u8],
    /// Bytes of padding after the payload, their count byte included; 0 when the P bit is clear.
    pub padding: u8,
}

/// A header extension: its meaning depends on `profile`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Extension<'a> {
    /// The 16 bits "defined by profile"; 0xBEDE for one-byte elements (RFC 8285).
    pub profile: u16,
    /// Whole 32-bit words.
    pub words: &'a [[u8; 4]],
}

/// Why bytes are not an RTP packet, or a packet cannot be written.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RtpError {
    /// Fewer than the 12 bytes of the fixed header, or than the header says.
    #[error("rtp packet cut short in its {0}")]
    Truncated(&'static str),
    /// Not version 2.
    #[error("rtp version {0} instead of 2")]
    Version(u8),
    /// The padding count is 0 or exceeds the payload.
    #[error("rtp padding of {0} bytes does not fit")]
    Padding(u8),
    /// A field holds more than its bits can say.
    #[error("rtp {0} too large to write")]
    TooLarge(&'static str),
}

impl<'a> RtpPacket<'a> {
    /// Reads a whole datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<RtpPacket<'a>, RtpError> {
        let (header, rest) = datagram
            .split_first_chunk::<12>()
            .ok_or(RtpError::Truncated("header"))?;
        let [first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *header;
        //= RFC 3550 A.1
        // RTP version field must equal 2.
        if first >> 6 != 2 {
            return Err(RtpError::Version(first >> 6));
        }
        let (csrc, rest) = rest
            .split_at_checked(usize::from(first & 0x0f) * 4)
            .ok_or(RtpError::Truncated("csrc list"))?;
        let (extension, rest) = match first & 0x10 {
            0 => (None, rest),
            _ => {
                let (extension, rest) = Extension::parse(rest)?;
                (Some(extension), rest)
            }
        };
        let (payload, padding) = match first & 0x20 {
            0 => (rest, 0),
            _ => unpad(rest)?,
        };
        Ok(RtpPacket {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            csrc: csrc.as_chunks().0,
            extension,
            payload,
            padding,
        })
    }

    /// The contributing sources as numbers.
    pub fn contributors(&self) -> impl Iterator<Item = u32> + 'a {
        self.csrc.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Appends the packet to `out`; on an error nothing is appended.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), RtpError> {
        let csrc_count = match u8::try_from(self.csrc.len()) {
            Ok(count @ 0..=15) => count,
            _ => return Err(RtpError::TooLarge("csrc list")),
        };
        if self.payload_type > 127 {
            return Err(RtpError::TooLarge("payload type"));
        }
        let extension = match self.extension {
            Some(extension) => {
                let words = u16::try_from(extension.words.len())
                    .map_err(|_| RtpError::TooLarge("extension"))?;
                Some((extension, words))
            }
            None => None,
        };
        let padding_bit = u8::from(self.padding > 0) << 5;
        let extension_bit = u8::from(extension.is_some()) << 4;
        out.push(0x80 | padding_bit | extension_bit | csrc_count);
        out.push(u8::from(self.marker) << 7 | self.payload_type);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(self.csrc.as_flattened());
        if let Some((extension, words)) = extension {
            out.extend_from_slice(&extension.profile.to_be_bytes());
            out.extend_from_slice(&words.to_be_bytes());
            out.extend_from_slice(extension.words.as_flattened());
        }
        out.extend_from_slice(self.payload);
        if self.padding > 0 {
            out.resize(out.len() + usize::from(self.padding) - 1, 0);
            out.push(self.padding);
        }
        Ok(())
    }
}

impl<'a> Extension<'a> {
    fn parse(bytes: &'a [u8]) -> Result<(Extension<'a>, &'a [u8]), RtpError> {
        let truncated = RtpError::Truncated("extension");
        let (header, rest) = bytes.split_first_chunk::<4>().ok_or(truncated)?;
        let [p0, p1, l0, l1] = *header;
        let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let (data, rest) = rest.split_at_checked(length).ok_or(truncated)?;
        let profile = u16::from_be_bytes([p0, p1]);
        Ok((
            Extension {
                profile,
                words: data.as_chunks().0,
            },
            rest,
        ))
    }
}

//= RFC 3550 5.1
// The last octet of the padding contains a count of how many padding octets should be ignored,
// including itself.
fn unpad(bytes: &[u8]) -> Result<(&[u8], u8), RtpError> {
    let count = *bytes.last().ok_or(RtpError::Padding(0))?;
    let length = bytes.len().checked_sub(usize::from(count));
    match length.and_then(|length| bytes.get(..length)) {
        Some(payload) if count > 0 => Ok((payload, count)),
        _ => Err(RtpError::Padding(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_of_the_fixed_header_stand_where_the_rfc_draws_them() {
        let bytes = [
            0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 0xd5, 0x55,
        ];
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence), (8, 0x1234));
        assert_eq!((packet.timestamp, packet.ssrc), (160, 0xdead_beef));
        assert_eq!(packet.payload, [0xd5, 0x55]);
        assert_eq!(
            (packet.csrc.len(), packet.extension, packet.padding),
            (0, None, 0)
        );
    }

    #[test]
    fn csrc_extension_and_padding_are_cut_from_the_payload() {
        let bytes = [
            0xb1, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, // fixed header with P, X and one CSRC
            0, 0, 0, 9, // CSRC
            0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, // extension of one word
            7, 8, 0, 0, 3, // payload of two, padding of three
        ];
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.contributors().collect::<Vec<_>>(), [9]);
        let extension = packet.extension.unwrap();
        assert_eq!(
            (extension.profile, extension.words),
            (0xbede, &[[0x10, 0xff, 0, 0]][..])
        );
        assert_eq!((packet.payload, packet.padding), (&[7, 8][..], 3));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let header = |first| [first, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3].to_vec();
        let with = |first, tail: &[u8]| [header(first), tail.to_vec()].concat();
        let error = |bytes: Vec<u8>| RtpPacket::parse(&bytes).unwrap_err();
        assert_eq!(
            error(header(0x80)[..11].to_vec()),
            RtpError::Truncated("header")
        );
        assert_eq!(error(header(0x40)), RtpError::Version(1));
        assert_eq!(error(with(0x82, &[0; 7])), RtpError::Truncated("csrc list"));
        assert_eq!(error(with(0x90, &[0; 3])), RtpError::Truncated("extension"));
        assert_eq!(
            error(with(0x90, &[0, 0, 0, 2, 0, 0, 0, 0])),
            RtpError::Truncated("extension")
        );
        assert_eq!(error(header(0xa0)), RtpError::Padding(0));
        assert_eq!(error(with(0xa0, &[1, 0])), RtpError::Padding(0));
        assert_eq!(error(with(0xa0, &[1, 3])), RtpError::Padding(3));
    }

    #[test]
    fn what_does_not_fit_the_header_is_not_written() {
        let mut out = Vec::new();
        let many = [[0; 4]; 16];
        let packet = RtpPacket {
            csrc: &many,
            ..RtpPacket::default()
        };
        assert_eq!(packet.write(&mut out), Err(RtpError::TooLarge("csrc list")));
        let packet = RtpPacket {
            payload_type: 128,
            ..RtpPacket::default()
        };
        assert_eq!(
            packet.write(&mut out),
            Err(RtpError::TooLarge("payload type"))
        );
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (marker, payload_type, sequence) in (any::<bool>(), 0u8..128, any::<u16>()),
            (timestamp, ssrc, padding) in (any::<u32>(), any::<u32>(), any::<u8>()),
            csrc in prop::collection::vec(any::<[u8; 4]>(), 0..=15),
            extension in prop::option::of((any::<u16>(), prop::collection::vec(any::<[u8; 4]>(), 0..9))),
            payload in prop::collection::vec(any::<u8>(), 0..500),
        ) {
            let extension = extension.as_ref().map(|(profile, words)| Extension { profile: *profile, words });
            let packet = RtpPacket {
                marker, payload_type, sequence, timestamp, ssrc, csrc: &csrc, extension, payload: &payload, padding,
            };
            let mut out = vec![0xaa];
            packet.write(&mut out).unwrap();
            prop_assert_eq!(RtpPacket::parse(&out[1..]).unwrap(), packet);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in any::<bool>()) {
            if version && let Some(first) = bytes.first_mut() {
                *first = *first & 0x3f | 0x80;
            }
            if let Ok(packet) = RtpPacket::parse(&bytes) {
                // What the parser takes, the writer gives back, save for the padding's filling.
                let mut out = Vec::new();
                packet.write(&mut out).unwrap();
                prop_assert_eq!(out.len(), bytes.len());
                prop_assert_eq!(RtpPacket::parse(&out).unwrap(), packet);
            }
        }
    }
}

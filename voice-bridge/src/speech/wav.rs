//! Reads the WAV file that a voice program or server answers with.
//! Tolerates what streaming writers do: lengths of zero or larger than the file.

use rtp_media::codec::Codec;

/// Audio as one channel of 16-bit samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// The samples.
    pub samples: Vec<i16>,
    /// Samples in a second.
    pub rate: u32,
}

/// Why bytes are not a WAV file that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The first twelve bytes are not those of a WAV file.
    #[error("not a WAV file: it begins with {0:?}")]
    NotWav(String),
    /// A part that every WAV file has is missing.
    #[error("WAV file has no {0:?} part")]
    Missing(&'static str),
    /// The format is one that is not read here.
    #[error(
        "WAV format {tag:#06x} with {bits} bits, {channels} channels at {rate} Hz not supported"
    )]
    Unsupported {
        /// The format tag: 1 is PCM.
        tag: u16,
        /// Bits in a sample.
        bits: u16,
        /// Channels.
        channels: u16,
        /// Samples in a second.
        rate: u32,
    },
}

/// Reads PCM of 8 to 32 bits, 32-bit float, µ-law and A-law; channels are mixed into one.
///
/// # Errors
/// The bytes are no WAV file, or one of another format.
pub fn parse(bytes: &[u8]) -> Result<Audio, WavError> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        let begin = bytes.get(..bytes.len().min(16)).unwrap_or_default();
        return Err(WavError::NotWav(
            String::from_utf8_lossy(begin).into_owned(),
        ));
    }
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut format = None;
    while let (Some(id), Some(length)) = (rest.get(..4), u32_at(rest, 4)) {
        let body = rest.get(8..).unwrap_or_default();
        // A writer to a pipe cannot go back to fill in the length: then it is the rest.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match id {
            b"fmt " => format = Some(Format::parse(body.get(..length).unwrap_or(body))?),
            b"data" => {
                let data = match length {
                    0 => body,
                    _ => body.get(..length).unwrap_or(body),
                };
                let format = format.ok_or(WavError::Missing("fmt "))?;
                return Ok(Audio {
                    samples: format.read(data),
                    rate: format.rate,
                });
            }
            _ => {}
        }
        let padded = length.saturating_add(length & 1);
        rest = body.get(padded..).unwrap_or_default();
    }
    Err(WavError::Missing(if format.is_some() {
        "data"
    } else {
        "fmt "
    }))
}

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

#[derive(Debug, Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

impl Format {
    fn parse(body: &[u8]) -> Result<Format, WavError> {
        let short = WavError::Missing("fmt ");
        let (Some(mut tag), Some(channels), Some(rate), Some(bits)) = (
            u16_at(body, 0),
            u16_at(body, 2),
            u32_at(body, 4),
            u16_at(body, 14),
        ) else {
            return Err(short);
        };
        if tag == EXTENSIBLE {
            // The first two bytes of the sub-format GUID are the tag itself.
            tag = u16_at(body, 24).ok_or(short)?;
        }
        let known = matches!(
            (tag, bits),
            (PCM, 8 | 16 | 24 | 32) | (FLOAT, 32) | (ALAW | ULAW, 8)
        );
        if !known || !(1..=8).contains(&channels) || !(4000..=192_000).contains(&rate) {
            return Err(WavError::Unsupported {
                tag,
                bits,
                channels,
                rate,
            });
        }
        Ok(Format {
            tag,
            channels,
            rate,
            bits,
        })
    }

    fn read(self, data: &[u8]) -> Vec<i16> {
        let mut samples = Vec::new();
        match self.tag {
            ALAW => Codec::Pcma.decode(data, &mut samples),
            ULAW => Codec::Pcmu.decode(data, &mut samples),
            _ => {
                let width = usize::from(self.bits / 8);
                samples.extend(data.chunks_exact(width).map(|bytes| self.sample(bytes)));
            }
        }
        if self.channels == 1 {
            return samples;
        }
        let channels = usize::from(self.channels);
        samples
            .chunks_exact(channels)
            .map(|together| {
                let sum: i32 = together.iter().copied().map(i32::from).sum();
                (sum / i32::from(self.channels)) as i16
            })
            .collect()
    }

    fn sample(self, bytes: &[u8]) -> i16 {
        match (self.tag, bytes) {
            (PCM, &[a]) => (i16::from(a) - 128) * 256,
            (PCM, &[a, b]) => i16::from_le_bytes([a, b]),
            (PCM, &[_, b, c]) => i16::from_le_bytes([b, c]),
            (PCM, &[_, _, c, d]) => i16::from_le_bytes([c, d]),
            // A cast from float saturates, and NaN becomes zero.
            (FLOAT, &[a, b, c, d]) => (f32::from_le_bytes([a, b, c, d]) * 32767.0) as i16,
            _ => 0,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(two.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A WAV file as the field writes it; `length` is what the header claims of the data.
    pub(crate) fn wav(
        tag: u16,
        bits: u16,
        channels: u16,
        rate: u32,
        length: u32,
        data: &[u8],
    ) -> Vec<u8> {
        let mut out = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        out.extend(tag.to_le_bytes());
        out.extend(channels.to_le_bytes());
        out.extend(rate.to_le_bytes());
        out.extend((rate * u32::from(channels) * u32::from(bits) / 8).to_le_bytes());
        out.extend((channels * bits / 8).to_le_bytes());
        out.extend(bits.to_le_bytes());
        out.extend(b"LIST\x03\0\0\0abc\0data");
        out.extend(length.to_le_bytes());
        out.extend(data);
        out
    }

    fn pcm16(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|s| s.to_le_bytes()).collect()
    }

    #[test]
    fn a_piped_file_with_a_made_up_length_is_read_to_its_end() {
        let data = pcm16(&[1, -2, 3]);
        for claimed in [0, 6, 0x7fff_f000, u32::MAX] {
            let audio = parse(&wav(PCM, 16, 1, 22050, claimed, &data)).unwrap();
            assert_eq!(audio.samples, [1, -2, 3], "claimed {claimed}");
            assert_eq!(audio.rate, 22050);
        }
    }

    #[test]
    fn channels_are_mixed_into_one() {
        let data = pcm16(&[100, 300, i16::MIN, i16::MIN]);
        let audio = parse(&wav(PCM, 16, 2, 8000, 8, &data)).unwrap();
        assert_eq!(audio.samples, [200, i16::MIN]);
    }

    #[test]
    fn every_sample_format_gives_the_same_loudness() {
        let half = 16384i32;
        let cases: [(u16, u16, Vec<u8>); 5] = [
            (PCM, 8, vec![192]),
            (PCM, 24, (half << 8).to_le_bytes()[..3].to_vec()),
            (PCM, 32, (half << 16).to_le_bytes().to_vec()),
            (FLOAT, 32, 0.5f32.to_le_bytes().to_vec()),
            (ULAW, 8, vec![rtp_media::codec::g711::ulaw_encode(16384)]),
        ];
        for (tag, bits, data) in cases {
            let audio = parse(&wav(tag, bits, 1, 8000, data.len() as u32, &data)).unwrap();
            let sample = i32::from(audio.samples[0]);
            assert!((sample - half).abs() < 500, "{tag} {bits}: {sample}");
        }
    }

    #[test]
    fn what_is_no_wav_file_is_named() {
        assert_eq!(
            parse(b"{\"error\":\"no model\"}").unwrap_err().to_string(),
            "not a WAV file: it begins with \"{\\\"error\\\":\\\"no mod\""
        );
        let error = parse(&wav(0x55, 16, 1, 8000, 0, &[])).unwrap_err();
        assert!(matches!(error, WavError::Unsupported { tag: 0x55, .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            tag in prop_oneof![Just(PCM), Just(FLOAT), Just(ULAW), any::<u16>()],
            bits in any::<u16>(), channels in 0u16..9, rate in 0u32..200_000, length in any::<u32>(),
            data in proptest::collection::vec(any::<u8>(), 0..64), cut in 0usize..120,
        ) {
            let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
            bytes.extend(tag.to_le_bytes());
            bytes.extend(channels.to_le_bytes());
            bytes.extend(rate.to_le_bytes());
            bytes.extend([0; 6]);
            bytes.extend(bits.to_le_bytes());
            bytes.extend(b"data");
            bytes.extend(length.to_le_bytes());
            bytes.extend(data);
            bytes.truncate(cut);
            let _ = parse(&bytes);
        }
    }
}

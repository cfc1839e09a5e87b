//! ITU-T G.711: µ-law and A-law, bit exact to the tables of the Recommendation.
//! Linear samples are 16 bit: 14 significant bits for µ-law, 13 for A-law, left-justified.

/// Encodes one linear sample as µ-law (G.711 table 2, with the inverted bits of section 3.2).
///
/// Negative samples are taken in one's complement, as the ITU-T software tool library does.
#[inline]
pub fn ulaw_encode(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    let biased = ((magnitude >> 2) + ULAW_BIAS).min(0x1fff);
    // The bias makes 32 the least value: its segment is the place of its highest bit above bit 5.
    let segment = biased.ilog2() - 5;
    let step = (biased >> (segment + 1)) & 0x0f;
    !(((segment << 4) | step) as u8) & 0x7f | sign
}

/// Decodes one µ-law byte to a 16-bit linear sample (G.711 table 2, column 7, times 4).
#[inline]
pub fn ulaw_decode(byte: u8) -> i16 {
    ULAW.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Encodes one linear sample as A-law (G.711 table 1, even bits inverted).
#[inline]
pub fn alaw_encode(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    let value = magnitude >> 4;
    let code = if value < 32 {
        value
    } else {
        let segment = value.ilog2() - 4;
        (value >> segment) - 16 + ((segment + 1) << 4)
    };
    (code as u8 | sign) ^ 0x55
}

/// Decodes one A-law byte to a 16-bit linear sample (G.711 table 1, column 7, times 8).
#[inline]
pub fn alaw_decode(byte: u8) -> i16 {
    ALAW.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Magnitude in one's complement, and the sign bit as both laws send it (set: not negative).
#[inline]
fn fold(sample: i16) -> (u32, u8) {
    if sample < 0 {
        (u32::from(!sample as u16), 0)
    } else {
        (u32::from(sample as u16), 0x80)
    }
}

const ULAW_BIAS: u32 = 33;

static ULAW: [i16; 256] = table(false);
static ALAW: [i16; 256] = table(true);

#[allow(
    clippy::indexing_slicing,
    reason = "runs in the compiler only: a bad index fails the build"
)]
const fn table(alaw: bool) -> [i16; 256] {
    let mut out = [0i16; 256];
    let mut byte = 0;
    while byte < 256 {
        out[byte] = if alaw {
            alaw_expand(byte as u8)
        } else {
            ulaw_expand(byte as u8)
        };
        byte += 1;
    }
    out
}

const fn ulaw_expand(byte: u8) -> i16 {
    let code = !byte & 0x7f;
    let biased = ((((code & 0x0f) as i16) << 1) + 33) << (code >> 4);
    let magnitude = (biased - 33) << 2;
    if byte & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

const fn alaw_expand(byte: u8) -> i16 {
    let code = (byte ^ 0x55) & 0x7f;
    let step = ((code & 0x0f) as i16) << 4;
    let magnitude = match code >> 4 {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 tables 1a and 2a name decision values; these are the positive ones of each law,
    /// in the units of the Recommendation, made by its rule: sixteen even steps in a segment
    /// and each segment twice as coarse as the one below it.
    fn decisions(first: i32, steps_in_first: i32, segments: u32) -> Vec<i32> {
        let mut values = vec![0];
        let mut at = 0;
        let mut step = first;
        for segment in 0..segments {
            let count = if segment == 0 { steps_in_first } else { 16 };
            for _ in 0..count {
                at += step;
                values.push(at);
            }
            step *= 2;
        }
        values
    }

    #[test]
    fn ulaw_follows_the_decision_values_of_the_recommendation() {
        // Table 2a: x0 = 0, x1 = 1, then steps of 2 up to 31, of 4 up to 95 … 8159.
        let mut values = decisions(2, 16, 8)
            .iter()
            .map(|v| v - 1)
            .collect::<Vec<_>>();
        values[0] = 0;
        assert_eq!(values.last(), Some(&8159));
        for (index, pair) in values.windows(2).enumerate() {
            let code = !(index as u8);
            let output = if index == 0 {
                0
            } else {
                (pair[0] + pair[1]) / 2
            };
            assert_eq!(ulaw_decode(code), (output * 4) as i16, "value {index}");
            assert_eq!(
                ulaw_encode((pair[0] * 4) as i16),
                code,
                "lower edge of {index}"
            );
            assert_eq!(
                ulaw_encode((pair[1] * 4 - 1) as i16),
                code,
                "upper edge of {index}"
            );
        }
        assert_eq!(ulaw_encode(i16::MAX), 0x80, "clipped to the last value");
        assert_eq!(ulaw_encode(i16::MIN), 0x00);
    }

    #[test]
    fn alaw_follows_the_decision_values_of_the_recommendation() {
        // Table 1a: steps of 2 up to 64, of 4 up to 128 … of 128 up to 4096.
        let values = decisions(2, 32, 7);
        assert_eq!(values.last(), Some(&4096));
        for (index, pair) in values.windows(2).enumerate() {
            let code = (index as u8 | 0x80) ^ 0x55;
            let output = (pair[0] + pair[1]) / 2;
            assert_eq!(alaw_decode(code), (output * 8) as i16, "value {index}");
            assert_eq!(
                alaw_encode((pair[0] * 8) as i16),
                code,
                "lower edge of {index}"
            );
            assert_eq!(
                alaw_encode((pair[1] * 8 - 1) as i16),
                code,
                "upper edge of {index}"
            );
        }
    }

    #[test]
    fn negative_samples_mirror_positive_ones() {
        for sample in 0..=i16::MAX {
            assert_eq!(ulaw_encode(!sample), ulaw_encode(sample) & 0x7f);
            assert_eq!(alaw_encode(!sample), alaw_encode(sample) ^ 0x80);
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=u8::MAX {
            assert_eq!(alaw_encode(alaw_decode(code)), code);
            // µ-law has two zeros; the negative one comes back as the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(ulaw_encode(ulaw_decode(code)), expected);
        }
    }
}

//! G.711 against the test sequences of the ITU-T software tool library (STL, `src/g711`).
//! They stay outside of this repository; `SMARTALEX_VECTORS` says where.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may panic and says what it skips"
)]

use std::path::PathBuf;

use rtp_media::codec::g711;

/// The 16-bit words of a vector; `None`, said aloud, where the vectors are not installed.
fn words(test: &str, name: &str) -> Option<Vec<u16>> {
    let root = std::env::var_os("SMARTALEX_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let path = root.join("g711-stl").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|pair| u16::from_le_bytes(*pair))
                .collect(),
        ),
        Err(error) => {
            let must = std::env::var_os("SMARTALEX_NO_SKIP").is_some_and(|value| value == "1");
            assert!(
                !must,
                "{test} may not be skipped: {}: {error}",
                path.display()
            );
            eprintln!("SKIPPED {test}: {}: {error}", path.display());
            None
        }
    }
}

fn check(test: &str, law: &str, encode: fn(i16) -> u8, decode: fn(u8) -> i16) {
    let vector = |kind: &str| words(test, &format!("sweep-r.{kind}"));
    let (Some(source), Some(codes)) = (words(test, "sweep.src"), vector(law)) else {
        return;
    };
    let (Some(decoded), Some(both)) =
        (vector(&format!("{law}-{law}")), vector(&format!("re{law}")))
    else {
        return;
    };
    assert_eq!(source.len(), 65_536, "the sweep holds every sample");
    for (index, &sample) in source.iter().enumerate() {
        let sample = sample as i16;
        assert_eq!(u16::from(encode(sample)), codes[index], "encoding {sample}");
        let back = decode(codes[index] as u8) as u16;
        assert_eq!(back, decoded[index], "decoding {:#x}", codes[index]);
        assert_eq!(back, both[index], "coding and decoding {sample}");
    }
}

#[test]
fn ulaw_is_bit_exact_over_every_sample() {
    check(
        "ulaw_is_bit_exact_over_every_sample",
        "u",
        g711::ulaw_encode,
        g711::ulaw_decode,
    );
}

#[test]
fn alaw_is_bit_exact_over_every_sample() {
    check(
        "alaw_is_bit_exact_over_every_sample",
        "a",
        g711::alaw_encode,
        g711::alaw_decode,
    );
}

//! The only source of randomness: branches, tags, Call-IDs, cnonces and hash keys come from here.
//! Also the keyed hashing of those, so that a peer can neither guess them nor flood a table.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A source of unpredictable bytes.
///
/// The application gives one to [`Endpoint::new`](super::Endpoint::new): the operating system's
/// generator in production, a seeded one in simulation. The same bytes and the same inputs at the
/// same times make an endpoint send the same bytes.
pub trait Entropy: Send {
    /// Fills `out` with unpredictable bytes.
    fn fill(&mut self, out: &mut [u8]);
}

impl<E: Entropy + ?Sized> Entropy for Box<E> {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// Draws a 64-bit number.
pub(crate) fn draw_u64(entropy: &mut dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Draws 64 bits as 16 lower-case hexadecimal digits.
pub(crate) fn draw_hex(entropy: &mut dyn Entropy) -> String {
    hex64(draw_u64(entropy))
}

/// A tag for From or To. The 0 in front leaves room for a shard's number, as in branches.
pub(crate) fn tag(number: u64) -> String {
    format!("0{number:016x}")
}

/// Writes a number as 16 lower-case hexadecimal digits.
pub(crate) fn hex64(number: u64) -> String {
    let mut text = String::with_capacity(16);
    // Writing to a String cannot fail.
    let _ = write!(text, "{number:016x}");
    text
}

/// Secret keys for hashing what the network sends.
///
/// Tables are keyed by 128-bit keyed hashes of the identifying header fields instead of owned
/// copies of them: nothing is allocated per entry, and without the key nobody can find a collision.
#[derive(Clone, Debug)]
pub(crate) struct HashKey {
    low: [u8; 16],
    high: [u8; 16],
}

impl HashKey {
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        let (mut low, mut high) = ([0; 16], [0; 16]);
        entropy.fill(&mut low);
        entropy.fill(&mut high);
        Self { low, high }
    }

    /// Hashes a sequence of parts; the boundaries between parts count.
    pub(crate) fn fingerprint(&self, kind: u8, parts: &[&[u8]]) -> Fingerprint {
        let half = |secret: &[u8; 16]| {
            let mut hasher = DefaultHasher::new();
            hasher.write(secret);
            hasher.write_u8(kind);
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            hasher.finish()
        };
        Fingerprint(u128::from(half(&self.high)) << 64 | u128::from(half(&self.low)))
    }
}

/// A keyed 128-bit hash that stands for the fields it was made from.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fingerprint(u128);

impl Fingerprint {
    /// 64 of its bits as a tag, for tags that must be the same on every retransmission.
    pub(crate) fn to_tag(self) -> String {
        tag(self.0 as u64)
    }
}

/// A table from fingerprints, which are keyed hashes already and need no second hashing.
pub(crate) type FingerprintMap<V> = HashMap<Fingerprint, V, PassThrough>;

/// Takes a fingerprint's own bits as its hash.
#[derive(Clone, Default, Debug)]
pub(crate) struct PassThrough;

impl BuildHasher for PassThrough {
    type Hasher = FoldedBits;

    fn build_hasher(&self) -> FoldedBits {
        FoldedBits(0)
    }
}

/// See [`PassThrough`].
#[derive(Debug)]
pub(crate) struct FoldedBits(u64);

impl Hasher for FoldedBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = (number >> 64) as u64 ^ number as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn a_fingerprint_depends_on_key_kind_parts_and_their_boundaries() {
        let key = HashKey::new(&mut SeededEntropy::new(1));
        let other = HashKey::new(&mut SeededEntropy::new(2));
        let print = key.fingerprint(0, &[b"ab", b"c"]);
        assert_eq!(print, key.fingerprint(0, &[b"ab", b"c"]));
        assert_ne!(print, key.fingerprint(0, &[b"a", b"bc"]));
        assert_ne!(print, key.fingerprint(1, &[b"ab", b"c"]));
        assert_ne!(print, other.fingerprint(0, &[b"ab", b"c"]));
    }
}

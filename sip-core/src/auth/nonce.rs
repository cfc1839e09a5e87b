//! Nonces that need no memory until they are used: shard, time and serial under an HMAC.
//! Used ones are remembered, boundedly, so that no nonce count is accepted twice (RFC 7616 3.4).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::digest::{hex, unhex};

/// Makes nonces and recognises its own.
pub(crate) struct Mint {
    key: [u8; 64],
    shard: u8,
}

impl Mint {
    pub(crate) fn new(key: &[u8; 32], shard: u8) -> Self {
        // HMAC pads keys with zeros to the hash's block size, so this is the same key.
        let mut padded = [0; 64];
        for (to, from) in padded.iter_mut().zip(key) {
            *to = *from;
        }
        Self { key: padded, shard }
    }

    /// A nonce for `realm`, made `age` after the epoch.
    pub(crate) fn make(&self, realm: &str, age: Duration, serial: u64) -> String {
        let mut bytes = Vec::with_capacity(STAMP + MAC);
        bytes.push(self.shard);
        bytes.extend_from_slice(&age.as_secs().to_be_bytes());
        bytes.extend_from_slice(&serial.to_be_bytes());
        let mac = self.mac(&bytes, realm);
        bytes.extend_from_slice(&mac);
        hex(&bytes)
    }

    /// Reads a nonce of our own making for this realm.
    pub(crate) fn read(&self, nonce: &str, realm: &str) -> Option<Stamp> {
        let bytes = unhex(nonce)?;
        let (stamp, mac) = bytes.split_at_checked(STAMP)?;
        if !bool::from(self.mac(stamp, realm).as_slice().ct_eq(mac)) {
            return None;
        }
        let (made, serial) = stamp.get(1..)?.split_at_checked(8)?;
        Some(Stamp {
            made: Duration::from_secs(u64::from_be_bytes(made.try_into().ok()?)),
            serial: u64::from_be_bytes(serial.try_into().ok()?),
        })
    }

    fn mac(&self, stamp: &[u8], realm: &str) -> [u8; MAC] {
        let mut hmac = Hmac::<Sha256>::new((&self.key).into());
        hmac.update(stamp);
        hmac.update(realm.as_bytes());
        let full = hmac.finalize().into_bytes();
        let mut short = [0; MAC];
        for (to, from) in short.iter_mut().zip(full) {
            *to = from;
        }
        short
    }
}

impl Drop for Mint {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

/// What a nonce says about itself.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// When it was made, since the epoch, in whole seconds.
    pub(crate) made: Duration,
    /// Its number.
    pub(crate) serial: u64,
}

/// Remembers which nonce counts were used with which nonce.
pub(crate) struct Replays {
    used: BTreeMap<u64, Window>,
    // In order of first use, so that the oldest goes first.
    order: VecDeque<(Duration, u64)>,
    // Nonces up to this serial may have been forgotten: unless remembered, they count as stale.
    forgotten: Option<u64>,
    capacity: usize,
}

impl Replays {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            used: BTreeMap::new(),
            order: VecDeque::new(),
            forgotten: None,
            capacity: capacity.max(1),
        }
    }

    /// Records the use of `nc` with a nonce; tells whether that is new, used before, or unknowable.
    pub(crate) fn record(&mut self, stamp: Stamp, nc: u32) -> Use {
        if let Some(window) = self.used.get_mut(&stamp.serial) {
            return if window.record(nc) {
                Use::New
            } else {
                Use::Again
            };
        }
        if self.forgotten.is_some_and(|serial| stamp.serial <= serial) {
            return Use::Forgotten;
        }
        if self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        let mut window = Window::default();
        window.record(nc);
        self.used.insert(stamp.serial, window);
        self.order.push_back((stamp.made, stamp.serial));
        Use::New
    }

    /// Forgets nonces made before `limit`: they are stale by their own time.
    pub(crate) fn expire(&mut self, limit: Duration) {
        while let Some(&(made, serial)) = self.order.front() {
            if made >= limit {
                break;
            }
            self.order.pop_front();
            self.used.remove(&serial);
        }
    }

    /// How many nonces are remembered.
    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }

    fn forget_oldest(&mut self) {
        if let Some((_, serial)) = self.order.pop_front() {
            self.used.remove(&serial);
            self.forgotten = Some(self.forgotten.map_or(serial, |before| before.max(serial)));
        }
    }
}

/// What the use of a nonce count amounts to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// The first of its kind.
    New,
    /// A replay.
    Again,
    /// The nonce was forgotten for lack of room.
    Forgotten,
}

// The last 64 counts of one nonce, as in the replay windows of IPsec.
#[derive(Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    fn record(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            let shift = nc - self.highest;
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let Some(bit) = 1_u64.checked_shl(self.highest - nc) else {
            return false;
        };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

// Shard, seconds, serial.
const STAMP: usize = 1 + 8 + 8;
// 128 bits of the HMAC.
const MAC: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(serial: u64) -> Stamp {
        Stamp {
            made: Duration::from_secs(serial),
            serial,
        }
    }

    #[test]
    fn a_nonce_is_read_back_only_with_its_key_and_realm() {
        let mint = Mint::new(&[1; 32], 0);
        let nonce = mint.make("realm", Duration::from_millis(7900), 42);
        assert_eq!(
            mint.read(&nonce, "realm"),
            Some(Stamp {
                made: Duration::from_secs(7),
                serial: 42
            })
        );
        assert_eq!(mint.read(&nonce, "other"), None);
        assert_eq!(Mint::new(&[2; 32], 0).read(&nonce, "realm"), None);
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(
                mint.read(std::str::from_utf8(&forged).unwrap(), "realm"),
                None
            );
        }
    }

    #[test]
    fn no_count_is_accepted_twice_in_whatever_order() {
        let mut replays = Replays::new(4);
        for nc in [1, 2, 5, 4, 3, 70] {
            assert_eq!(replays.record(stamp(1), nc), Use::New, "{nc}");
        }
        for nc in [1, 2, 3, 4, 5, 70] {
            assert_eq!(replays.record(stamp(1), nc), Use::Again, "{nc}");
        }
        assert_eq!(replays.record(stamp(1), 69), Use::New);
        // Too far below to be known.
        assert_eq!(replays.record(stamp(1), 6), Use::Again);
    }

    #[test]
    fn memory_is_bounded_and_what_was_forgotten_is_not_accepted_again() {
        let mut replays = Replays::new(3);
        for serial in 1..=10 {
            assert_eq!(replays.record(stamp(serial), 1), Use::New);
            assert!(replays.len() <= 3);
        }
        assert_eq!(replays.record(stamp(7), 1), Use::Forgotten);
        assert_eq!(replays.record(stamp(8), 1), Use::Again);
        replays.expire(Duration::from_secs(11));
        assert_eq!(replays.len(), 0);
    }
}

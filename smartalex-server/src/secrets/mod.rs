//! What must not leak: values that hide themselves, the vault that seals them at rest,
//! and the making of keys and passwords.

mod password;
mod vault;

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use password::{PasswordHash, hash_password};
pub use vault::{Cell, Vault, VaultError};

/// A secret text. `Debug` and `Display` never show it; memory is cleared when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A new API key: `sak_` and 256 random bits in hexadecimal.
pub fn fresh_api_key() -> Secret {
    let mut key = String::from(API_KEY_PREFIX);
    push_hex(&mut key, &random::<32>());
    Secret(Zeroizing::new(key))
}

/// SHA-256 of an API key: what is stored of it.
///
/// A plain hash is enough, because the key has 256 random bits: nothing can be guessed.
pub fn api_key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// A new webhook signing secret: 64 hexadecimal characters.
pub fn fresh_signing_secret() -> Secret {
    let mut secret = String::with_capacity(64);
    push_hex(&mut secret, &random::<32>());
    Secret(Zeroizing::new(secret))
}

/// A new password of 24 characters that cannot be misread: no `0 O o 1 l I`.
pub fn fresh_password() -> Secret {
    Secret(Zeroizing::new(readable(24)))
}

/// `length` random characters of the alphabet that cannot be misread.
pub fn readable(length: usize) -> String {
    // 56 letters and digits: 24 of them carry 139 bits.
    const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz";
    let limit = (256 / ALPHABET.len()) * ALPHABET.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random::<32>() {
            // Bytes above the last whole multiple would favour the first letters.
            let index = usize::from(byte);
            if index < limit
                && text.len() < length
                && let Some(&letter) = ALPHABET.get(index % ALPHABET.len())
            {
                text.push(char::from(letter));
            }
        }
    }
    text
}

/// `N` bytes from the operating system.
///
/// # Panics
/// When the operating system has no random source: nothing secret could be made then.
#[allow(
    clippy::panic,
    reason = "a system without randomness cannot run this server, and no peer can cause it"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the operating system gives no random bytes: {error}");
    }
    bytes
}

/// Appends `bytes` to `text` in lower-case hexadecimal.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

/// What every API key starts with, so that scanners for leaked keys can find one.
pub const API_KEY_PREFIX: &str = "sak_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2-hunter2");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(!format!("{:?}", Some(secret)).contains("hunter2"));
    }

    #[test]
    fn passwords_have_24_readable_characters_and_differ() {
        let (first, second) = (fresh_password(), fresh_password());
        assert_eq!(first.expose().len(), 24);
        assert!(!first.expose().contains(['0', 'O', 'o', '1', 'l', 'I']));
        assert_ne!(first, second);
    }

    #[test]
    fn keys_have_256_bits() {
        assert_eq!(fresh_api_key().expose().len(), 4 + 64);
        let secret = fresh_signing_secret();
        assert_eq!(secret.expose().len(), 64);
        assert!(secret.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(api_key_hash("a"), api_key_hash("b"));
    }
}

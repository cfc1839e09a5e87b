//! Signatures of webhooks: Standard Webhooks' three headers, and our own in one.
//! The key of both is the 64 ASCII bytes of the endpoint's signing secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secrets::{Secret, push_hex};

/// The signature headers of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// `webhook-signature`: `v1,` and base64 of HMAC-SHA256 over `ID.SECONDS.BODY`.
    pub standard: String,
    /// `X-SmartAlex-Signature`: `t=SECONDS,v1=` and hexadecimal of HMAC-SHA256 over
    /// `SECONDS.BODY`.
    pub own: String,
}

/// Signs `body` of the event `id`, sent at `seconds` since 1970.
pub fn sign(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Signatures {
    let at = seconds.to_string();
    let standard = mac(secret, &[id.as_bytes(), b".", at.as_bytes(), b".", body]);
    let own = mac(secret, &[at.as_bytes(), b".", body]);
    let mut hex = String::with_capacity(64);
    push_hex(&mut hex, &own);
    Signatures {
        standard: format!("v1,{}", STANDARD.encode(standard)),
        own: format!("t={at},v1={hex}"),
    }
}

fn mac(secret: &Secret, parts: &[&[u8]]) -> [u8; 32] {
    let key = secret.expose().as_bytes();
    // HMAC takes keys of every length, so there is nothing to refuse.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl dgst -sha256 -hmac SECRET`, so that it is not this code that says so.
    #[test]
    fn signatures_are_those_that_openssl_makes() {
        let secret = Secret::new("0123456789abcdef".repeat(4));
        let signed = sign(&secret, "evt_1", 1_776_854_062, br#"{"a":1}"#);
        assert_eq!(
            signed.own,
            "t=1776854062,v1=055ff080331f28b61081dd68890e8392b466c447f76168248dae14372ab59c54"
        );
        assert_eq!(
            signed.standard,
            "v1,btgbHy/dGAbLmGR3UJPP7dk7npEe2iGcWdZ2bIuV/mI="
        );
    }

    #[test]
    fn a_changed_byte_changes_both() {
        let secret = Secret::new("k");
        let one = sign(&secret, "evt_1", 1, b"a");
        for other in [
            sign(&secret, "evt_1", 1, b"b"),
            sign(&secret, "evt_1", 2, b"a"),
        ] {
            assert_ne!(one.own, other.own);
            assert_ne!(one.standard, other.standard);
        }
    }
}

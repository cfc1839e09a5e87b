//! The arithmetic of digest authentication (RFC 7616 3.4, RFC 8760): strings in, hex out.
//! No header, no nonce policy, no time.

use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A hash algorithm of RFC 8760.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Algorithm {
    /// MD5, which an absent `algorithm` parameter means too.
    Md5,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// The token of the `algorithm` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The algorithm that a parameter names, case-insensitively.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(token))
    }

    /// The hash of `parts` joined by colons, as lower-case hex.
    fn hash(self, parts: &[&str]) -> Zeroizing<String> {
        match self {
            Self::Md5 => hash::<Md5>(parts),
            Self::Sha256 => hash::<Sha256>(parts),
        }
    }
}

/// `H(A1)`: what stands for the password of one user in one realm (RFC 7616 3.4.2).
pub fn ha1(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> Zeroizing<String> {
    algorithm.hash(&[username, realm, password])
}

/// What a response is computed over, besides `H(A1)`.
#[derive(Copy, Clone, Debug)]
pub struct Challenged<'a> {
    /// The server's nonce.
    pub nonce: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The `uri` parameter of the credentials, not necessarily the Request-URI.
    pub uri: &'a str,
    /// `nc` and `cnonce` with qop `auth`; `None` computes as RFC 2069 did, without qop.
    pub auth: Option<(&'a str, &'a str)>,
}

/// The `response` parameter (RFC 7616 3.4.1).
pub fn response(algorithm: Algorithm, ha1: &str, over: Challenged<'_>) -> String {
    let ha2 = algorithm.hash(&[over.method, over.uri]);
    let hash = match over.auth {
        Some((nc, cnonce)) => algorithm.hash(&[ha1, over.nonce, nc, cnonce, "auth", &ha2]),
        None => algorithm.hash(&[ha1, over.nonce, &ha2]),
    };
    hash.to_string()
}

/// Compares two responses without telling by the time taken where they differ. Hex digits may come
/// in either case.
pub fn matches(expected: &str, given: &str) -> bool {
    let given = given.to_ascii_lowercase();
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

fn hash<D: Digest>(parts: &[&str]) -> Zeroizing<String> {
    let mut hasher = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update(b":");
        }
        hasher.update(part.as_bytes());
    }
    Zeroizing::new(hex(&hasher.finalize()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes that hexadecimal digits of either case spell.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|nibble| nibble as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2617_comes_out() {
        //= RFC 2617 3.5
        let ha1 = ha1(
            Algorithm::Md5,
            "Mufasa",
            "testrealm@host.com",
            "Circle Of Life",
        );
        assert_eq!(*ha1, "939e7578ed9e3c518a452acee763bce9");
        let over = Challenged {
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            method: "GET",
            uri: "/dir/index.html",
            auth: Some(("00000001", "0a4f113b")),
        };
        assert_eq!(
            response(Algorithm::Md5, &ha1, over),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        //= RFC 7616 3.9.1
        let over = Challenged {
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            method: "GET",
            uri: "/dir/index.html",
            auth: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let ha1 = ha1(
                algorithm,
                "Mufasa",
                "http-auth@example.org",
                "Circle of Life",
            );
            assert_eq!(response(algorithm, &ha1, over), expected);
        }
    }

    #[test]
    fn without_qop_the_response_is_that_of_rfc_2069() {
        let ha1 = ha1(
            Algorithm::Md5,
            "Mufasa",
            "testrealm@host.com",
            "CircleOfLife",
        );
        let over = Challenged {
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            method: "GET",
            uri: "/dir/index.html",
            auth: None,
        };
        // The value of RFC 2069 2.4 as corrected by its erratum 749.
        assert_eq!(
            response(Algorithm::Md5, &ha1, over),
            "1949323746fe6a43ef61f9606e7febea"
        );
    }

    #[test]
    fn responses_compare_in_either_case_and_only_when_equal() {
        assert!(matches("0a1b", "0A1B"));
        assert!(!matches("0a1b", "0a1c"));
        assert!(!matches("0a1b", "0a1"));
        assert!(!matches("0a1b", ""));
    }

    #[test]
    fn hex_round_trips() {
        assert_eq!(unhex(&hex(&[0, 15, 16, 255])), Some(vec![0, 15, 16, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
    }
}

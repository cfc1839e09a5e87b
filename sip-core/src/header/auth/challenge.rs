//! The challenge of WWW-Authenticate and Proxy-Authenticate (RFC 7616 3.3).

use std::fmt;

use super::{Algorithm, AuthParams, Qop, Writer};
use crate::error::HeaderError;
use crate::header::Header;
use crate::header::grammar;

/// A digest challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Which credentials are asked for.
    pub realm: String,
    /// The server's number.
    pub nonce: String,
    /// To be given back unchanged.
    pub opaque: Option<String>,
    /// The hash; absent means MD5.
    pub algorithm: Option<Algorithm>,
    /// What may be protected; empty in challenges of RFC 2069.
    pub qop: Vec<Qop>,
    /// The nonce was old, the password was right: try again with this one.
    pub stale: bool,
    /// The URIs the credentials are good for, as written.
    pub domain: Option<String>,
}

impl Challenge {
    /// A challenge with `qop="auth"`.
    pub fn new(realm: &str, nonce: &str, algorithm: Algorithm) -> Challenge {
        Challenge {
            realm: realm.to_owned(),
            nonce: nonce.to_owned(),
            opaque: None,
            algorithm: Some(algorithm),
            qop: vec![Qop::Auth],
            stale: false,
            domain: None,
        }
    }

    pub(super) fn read<H: Header>(value: &str) -> Result<Challenge, HeaderError> {
        let params = AuthParams::digest::<H>(value)?;
        let qop = params.take::<H>("qop")?.unwrap_or_default();
        Ok(Challenge {
            realm: params.need::<H>("realm")?,
            nonce: params.need::<H>("nonce")?,
            opaque: params.take::<H>("opaque")?,
            algorithm: params
                .take::<H>("algorithm")?
                .and_then(|text| text.parse().ok()),
            qop: grammar::items(&qop)
                .filter_map(|text| text.parse().ok())
                .collect(),
            stale: params
                .take::<H>("stale")?
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
            domain: params.take::<H>("domain")?,
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest ")?;
        let mut out = Writer::new(f);
        out.quoted("realm", &self.realm)?;
        if let Some(domain) = &self.domain {
            out.quoted("domain", domain)?;
        }
        out.quoted("nonce", &self.nonce)?;
        if let Some(opaque) = &self.opaque {
            out.quoted("opaque", opaque)?;
        }
        if self.stale {
            out.plain("stale", &"true")?;
        }
        if let Some(algorithm) = &self.algorithm {
            out.token("algorithm", algorithm.as_str())?;
        }
        if !self.qop.is_empty() {
            let all: Vec<&str> = self.qop.iter().map(Qop::as_str).collect();
            out.quoted("qop", &all.join(","))?;
        }
        Ok(())
    }
}

//! The answer to a challenge (RFC 7616 3.4), and what a server tells back (3.5).

use std::fmt;

use super::{Algorithm, AuthParams, Qop, Writer};
use crate::error::{Fault, HeaderError};
use crate::header::{Header, fault};
use crate::name::Name;

/// Digest credentials. `Debug` shows neither the response nor the client's number.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who answers.
    pub username: String,
    /// The realm of the challenge.
    pub realm: String,
    /// The nonce of the challenge.
    pub nonce: String,
    /// The digest-uri, over which the response was computed.
    pub uri: String,
    /// The proof, in hexadecimal digits.
    pub response: String,
    /// The hash; absent means MD5.
    pub algorithm: Option<Algorithm>,
    /// The client's number.
    pub cnonce: Option<String>,
    /// How often this nonce was used, this request included.
    pub nc: Option<u32>,
    /// What is protected.
    pub qop: Option<Qop>,
    /// Given back as it came.
    pub opaque: Option<String>,
}

impl Credentials {
    pub(super) fn read<H: Header>(value: &str) -> Result<Credentials, HeaderError> {
        let params = AuthParams::digest::<H>(value)?;
        Ok(Credentials {
            username: params.need::<H>("username")?,
            realm: params.need::<H>("realm")?,
            nonce: params.need::<H>("nonce")?,
            uri: params.need::<H>("uri")?,
            response: params.need::<H>("response")?,
            algorithm: params
                .take::<H>("algorithm")?
                .and_then(|text| text.parse().ok()),
            cnonce: params.take::<H>("cnonce")?,
            nc: nonce_count::<H>(&params)?,
            qop: params.take::<H>("qop")?.and_then(|text| text.parse().ok()),
            opaque: params.take::<H>("opaque")?,
        })
    }
}

/// `nc-value = 8LHEX`
fn nonce_count<H: Header>(params: &AuthParams<'_>) -> Result<Option<u32>, HeaderError> {
    let Some(text) = params.take::<H>("nc")? else {
        return Ok(None);
    };
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match u32::from_str_radix(&text, 16) {
        Ok(count) if digits => Ok(Some(count)),
        _ => Err(fault::<H>(Fault::Malformed {
            rule: "nc of eight hexadecimal digits",
            at: 0,
        })),
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest ")?;
        let mut out = Writer::new(f);
        out.quoted("username", &self.username)?;
        out.quoted("realm", &self.realm)?;
        out.quoted("nonce", &self.nonce)?;
        out.quoted("uri", &self.uri)?;
        out.quoted("response", &self.response)?;
        if let Some(algorithm) = &self.algorithm {
            out.token("algorithm", algorithm.as_str())?;
        }
        if let Some(cnonce) = &self.cnonce {
            out.quoted("cnonce", cnonce)?;
        }
        if let Some(opaque) = &self.opaque {
            out.quoted("opaque", opaque)?;
        }
        if let Some(qop) = &self.qop {
            out.token("qop", qop.as_str())?;
        }
        match self.nc {
            Some(nc) => out.plain("nc", &format_args!("{nc:08x}")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("nonce", &self.nonce)
            .field("uri", &self.uri)
            .field("algorithm", &self.algorithm)
            .field("nc", &self.nc)
            .field("qop", &self.qop)
            .finish_non_exhaustive()
    }
}

/// Authentication-Info (RFC 7616 3.5): the next nonce, and the server's own proof.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AuthenticationInfo {
    /// The nonce to use next.
    pub nextnonce: Option<String>,
    /// What is protected.
    pub qop: Option<Qop>,
    /// The proof that the server knows the password too.
    pub rspauth: Option<String>,
    /// The client's number.
    pub cnonce: Option<String>,
    /// The client's count.
    pub nc: Option<u32>,
}

impl Header for AuthenticationInfo {
    const NAME: Name = Name::AuthenticationInfo;

    fn parse(value: &str) -> Result<AuthenticationInfo, HeaderError> {
        let params = AuthParams::bare::<AuthenticationInfo>(value)?;
        Ok(AuthenticationInfo {
            nextnonce: params.take::<AuthenticationInfo>("nextnonce")?,
            qop: params
                .take::<AuthenticationInfo>("qop")?
                .and_then(|text| text.parse().ok()),
            rspauth: params.take::<AuthenticationInfo>("rspauth")?,
            cnonce: params.take::<AuthenticationInfo>("cnonce")?,
            nc: nonce_count::<AuthenticationInfo>(&params)?,
        })
    }
}

impl fmt::Display for AuthenticationInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Writer::new(f);
        if let Some(nextnonce) = &self.nextnonce {
            out.quoted("nextnonce", nextnonce)?;
        }
        if let Some(qop) = &self.qop {
            out.token("qop", qop.as_str())?;
        }
        if let Some(rspauth) = &self.rspauth {
            out.quoted("rspauth", rspauth)?;
        }
        if let Some(cnonce) = &self.cnonce {
            out.quoted("cnonce", cnonce)?;
        }
        match self.nc {
            Some(nc) => out.plain("nc", &format_args!("{nc:08x}")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AuthenticationInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AuthenticationInfo");
        shown
            .field("nextnonce", &self.nextnonce)
            .field("qop", &self.qop)
            .field("nc", &self.nc);
        shown.finish_non_exhaustive()
    }
}

//! Call-ID (RFC 3261 20.8): names one invitation or all registrations of a client.
//! Compares octet by octet, with case.

use std::fmt;

use super::Header;
use super::grammar::{Input, Parsed, word};
use crate::error::HeaderError;
use crate::name::Name;

/// The value of Call-ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallId(String);

impl CallId {
    /// `callid = word [ "@" word ]`; peers use other visible characters too, and as a Call-ID is
    /// only ever compared, they may.
    pub(crate) fn check(value: &[u8]) -> Result<(), HeaderError> {
        if !value.is_empty() && value.iter().all(u8::is_ascii_graphic) {
            return Ok(());
        }
        Err(super::fault::<CallId>(crate::error::Fault::Malformed {
            rule: "word",
            at: 0,
        }))
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `callid = word [ "@" word ]`
pub(crate) fn callid(input: Input<'_>) -> Parsed<'_, ()> {
    let (rest, _) = word(input)?;
    match rest {
        [b'@', rest @ ..] => word(rest).map(|(rest, _)| (rest, ())),
        _ => Ok((rest, ())),
    }
}

impl Header for CallId {
    const NAME: Name = Name::CallId;

    fn parse(value: &str) -> Result<CallId, HeaderError> {
        CallId::check(value.as_bytes())?;
        Ok(CallId(value.to_owned()))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

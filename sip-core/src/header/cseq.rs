//! CSeq (RFC 3261 20.16): orders the requests of a dialog and tells retransmissions from new ones.

use std::fmt;

use super::grammar::{Input, Parsed, lws, number, rule, token};
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::method::Method;
use crate::name::Name;

/// Sequence number and method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// The number; RFC 3261 8.1.1.5 wants it below 2^31.
    pub seq: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// A CSeq of this number and method.
    pub fn new(seq: u32, method: Method) -> CSeq {
        CSeq { seq, method }
    }

    pub(crate) fn from_bytes(value: &[u8]) -> Result<CSeq, HeaderError> {
        let (seq, method) = parse_whole::<CSeq, _>(value, cseq)?;
        let method = Method::from_bytes(method).map_err(|_| {
            super::fault::<CSeq>(crate::error::Fault::Malformed {
                rule: "method",
                at: 0,
            })
        })?;
        Ok(CSeq { seq, method })
    }
}

/// `CSeq = 1*DIGIT LWS Method`
pub(crate) fn cseq(input: Input<'_>) -> Parsed<'_, (u32, Input<'_>)> {
    let (input, seq) = number(input)?;
    let (input, _) = lws(input)?;
    let (input, method) = rule("method", token)(input)?;
    Ok((input, (seq, method)))
}

impl Header for CSeq {
    const NAME: Name = Name::CSeq;

    fn parse(value: &str) -> Result<CSeq, HeaderError> {
        CSeq::from_bytes(value.as_bytes())
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.method)
    }
}

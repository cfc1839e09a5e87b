//! Replaces (RFC 3891): the dialog that a new INVITE takes the place of.

use std::fmt;

use nom::Parser;
use nom::combinator::recognize;

use super::call_id::callid;
use super::grammar::{Input, Parsed, params, sws};
use super::params::Params;
use super::{Header, fault, parse_whole};
use crate::error::{Fault, HeaderError};
use crate::name::Name;

/// The dialog, as its other side sees it: `to_tag` is the tag of who receives this INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Call-ID of the dialog.
    pub call_id: String,
    /// Local tag at the recipient.
    pub to_tag: String,
    /// Remote tag at the recipient.
    pub from_tag: String,
    /// Replace the dialog only while it is early.
    pub early_only: bool,
}

/// `Replaces = callid *(SEMI replaces-param)`
fn replaces(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>)> {
    let (input, call_id) = recognize(callid).parse(input)?;
    let (input, _) = sws(input)?;
    let (input, section) = params(input, |_, _| {})?;
    Ok((input, (call_id, section)))
}

impl Header for Replaces {
    const NAME: Name = Name::Replaces;

    fn parse(value: &str) -> Result<Replaces, HeaderError> {
        let (call_id, section) = parse_whole::<Replaces, _>(value.as_bytes(), replaces)?;
        let section = String::from_utf8_lossy(section);
        let params = Params::new(&section);
        // "exactly one to-tag parameter and exactly one from-tag parameter" (RFC 3891 3)
        let tag = |name: &'static str| {
            let mut tags = params.clone().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            match (tags.next(), tags.next()) {
                (Some((_, Some(tag))), None) => Ok(tag.to_owned()),
                (_, Some(_)) => Err(fault::<Replaces>(Fault::Repeated(name))),
                _ => Err(fault::<Replaces>(Fault::Missing(name))),
            }
        };
        Ok(Replaces {
            call_id: String::from_utf8_lossy(call_id).into_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.clone().value("early-only").is_some(),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early = if self.early_only { ";early-only" } else { "" };
        write!(
            f,
            "{};to-tag={};from-tag={}{early}",
            self.call_id, self.to_tag, self.from_tag
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tags_are_needed_and_only_once() {
        let text = "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff;early-only";
        let replaces = Replaces::parse(text).unwrap();
        assert!(replaces.early_only);
        assert_eq!(Replaces::parse(&replaces.to_string()).unwrap(), replaces);
        assert!(Replaces::parse("98732@sip.example.com;to-tag=ff87ff").is_err());
        assert!(Replaces::parse("a;to-tag=b;to-tag=c;from-tag=d").is_err());
        assert!(Replaces::parse("a;to-tag;from-tag=d").is_err());
    }
}

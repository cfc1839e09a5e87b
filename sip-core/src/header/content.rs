//! Content-Type (RFC 3261 20.15) and Content-Length (20.14): what a body is, and how long.
//! Media types compare without case.

use std::borrow::Cow;
use std::fmt;

use super::grammar::{Input, Parsed, number, params, slash, sws, token};
use super::params::Params;
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// The media type of a body, with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    media: String,
    /// From the first semicolon.
    params: String,
}

impl ContentType {
    /// `type/subtype` in lower case.
    pub fn media(&self) -> &str {
        &self.media
    }

    /// Whether this is `media` (`type/subtype`, any case), whatever its parameters.
    pub fn is(&self, media: &str) -> bool {
        self.media.eq_ignore_ascii_case(media)
    }

    /// The value of a parameter, quotes undone.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params().value(name)
    }

    /// The parameters in order.
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.params)
    }
}

/// `media-type = m-type SLASH m-subtype *(SEMI m-parameter)`
fn media_type(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>, Input<'_>)> {
    let (input, kind) = token(input)?;
    let (input, ()) = slash(input)?;
    let (input, subtype) = token(input)?;
    let (input, section) = params(input, |_, _| {})?;
    let (input, _) = sws(input)?;
    Ok((input, (kind, subtype, section)))
}

impl Header for ContentType {
    const NAME: Name = Name::ContentType;

    fn parse(value: &str) -> Result<ContentType, HeaderError> {
        let (kind, subtype, section) = parse_whole::<ContentType, _>(value.as_bytes(), media_type)?;
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        Ok(ContentType {
            media: format!("{}/{}", text(kind), text(subtype)).to_ascii_lowercase(),
            params: text(section).trim_start().to_owned(),
        })
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.media, self.params)
    }
}

/// The length of a body in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLength(pub u32);

impl Header for ContentLength {
    const NAME: Name = Name::ContentLength;

    fn parse(value: &str) -> Result<ContentLength, HeaderError> {
        parse_whole::<ContentLength, _>(value.as_bytes(), number).map(ContentLength)
    }
}

impl fmt::Display for ContentLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_compare_without_case_and_keep_their_parameters() {
        let kind = ContentType::parse("Multipart / Mixed ;boundary=\"a b\"; x").unwrap();
        assert!(kind.is("multipart/mixed"));
        assert_eq!(kind.param("boundary").unwrap(), "a b");
        assert_eq!(kind.to_string(), "multipart/mixed;boundary=\"a b\"; x");
        assert!(ContentType::parse("text").is_err());
    }

    #[test]
    fn a_length_is_digits_and_nothing_else() {
        assert_eq!(ContentLength::parse("0364").unwrap(), ContentLength(364));
        assert!(ContentLength::parse("-999").is_err());
        assert!(ContentLength::parse("4294967296").is_err());
        assert!(ContentLength::parse("").is_err());
    }
}

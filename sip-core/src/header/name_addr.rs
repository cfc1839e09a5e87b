//! Addresses with a display name and parameters (RFC 3261 20.10, 20.20, 20.34, 20.39), and the
//! fields that hold one: From, To, Route, Record-Route, the asserted identities.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while};
use nom::{Parser, combinator::recognize};

use super::grammar::{
    self, Expected, Input, Parsed, expected, params, quoted_string, rule, sws, whole,
};
use super::params::{Params, is_section};
use super::{Header, Shape, SharedText};
use crate::error::{Fault, HeaderError, UriError};
use crate::message::text::{Span, Text};
use crate::name::Name;
use crate::uri::Uri;

/// `name-addr / addr-spec`, and the parameters of the field it stands in.
///
/// What was received is written back octet for octet.
#[derive(Clone)]
pub struct NameAddr {
    text: Text,
    /// With its quotes, if it has them; empty without a display name.
    display: Span,
    uri: Uri,
    /// From the first semicolon; empty without parameters.
    params: Span,
    tag: Option<Span>,
}

impl NameAddr {
    /// `<uri>`, without display name and parameters.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr::compose("", uri, "")
    }

    /// The same with this display name, always in quotes; characters no header may hold become
    /// spaces, and it is cut at 1,024 characters.
    pub fn with_display(&self, display: &str) -> NameAddr {
        let cut: String = display.chars().take(1024).collect();
        NameAddr::compose(
            &grammar::quote(&cut),
            self.uri.clone(),
            self.text.get(self.params),
        )
    }

    /// The same with this parameter, which replaces one of the same name. A value that is no
    /// token is put in quotes; `None` writes the name alone.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Result<NameAddr, HeaderError> {
        let mut section = self.params_but(name);
        section.push(';');
        section.push_str(name);
        if let Some(value) = value {
            section.push('=');
            section.push_str(&grammar::value_text(value));
        }
        let named = !name.is_empty() && name.bytes().all(grammar::is_token);
        if !named || !is_section(&section) || section.len() > 16_384 {
            let fault = Fault::Malformed {
                rule: "parameter",
                at: 0,
            };
            return Err(HeaderError::new(Name::From, fault));
        }
        Ok(NameAddr::compose(
            self.text.get(self.display),
            self.uri.clone(),
            &section,
        ))
    }

    /// The same without this parameter.
    pub fn without_param(&self, name: &str) -> NameAddr {
        let section = self.params_but(name);
        NameAddr::compose(self.text.get(self.display), self.uri.clone(), &section)
    }

    /// The same with this tag; a tag that is no token is refused (RFC 3261 19.3).
    pub fn with_tag(&self, tag: &str) -> Result<NameAddr, HeaderError> {
        if tag.is_empty() || !tag.bytes().all(grammar::is_token) {
            let fault = Fault::Malformed { rule: "tag", at: 0 };
            return Err(HeaderError::new(Name::From, fault));
        }
        self.with_param("tag", Some(tag))
    }

    /// The display name, quotes and escapes undone; `None` when there is none or it is empty.
    pub fn display(&self) -> Option<Cow<'_, str>> {
        let display = grammar::unquote(self.text.get(self.display));
        (!display.is_empty()).then_some(display)
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.tag.map(|span| self.text.get(span))
    }

    /// The value of a parameter, quotes undone; `""` without a value, `None` when absent.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params().value(name)
    }

    /// The parameters in order.
    pub fn params(&self) -> Params<'_> {
        Params::new(self.text.get(self.params))
    }

    /// The whole value as written or received.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The same value in memory of its own: lets go of the message it came from.
    pub fn detached(&self) -> NameAddr {
        NameAddr {
            text: self.text.detached(),
            uri: self.uri.detached(),
            ..*self
        }
    }

    /// Parts that are known to be well-formed: a quoted or empty display name, a section.
    fn compose(display: &str, uri: Uri, section: &str) -> NameAddr {
        let mut text =
            String::with_capacity(display.len() + uri.as_str().len() + section.len() + 3);
        text.push_str(display);
        if !display.is_empty() {
            text.push(' ');
        }
        text.push('<');
        text.push_str(uri.as_str());
        text.push('>');
        let from = text.len();
        text.push_str(section);
        let display = Span {
            from: 0,
            to: display.len() as u16,
        };
        let to = text.len() as u16;
        let mut made = NameAddr {
            text: Text::bounded(text),
            display,
            uri,
            params: Span {
                from: from as u16,
                to,
            },
            tag: None,
        };
        made.tag = made.find_tag();
        made
    }

    fn find_tag(&self) -> Option<Span> {
        let (_, value) = self
            .params()
            .find(|(name, _)| name.eq_ignore_ascii_case("tag"))?;
        value.map(|value| self.text.span_of(value.as_bytes()))
    }

    fn params_but(&self, name: &str) -> String {
        let mut section = String::new();
        for (n, v) in self.params().filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
            section.push(';');
            section.push_str(n);
            if let Some(v) = v {
                section.push('=');
                section.push_str(v);
            }
        }
        section
    }

    /// Reads a whole value.
    pub(crate) fn from_text(text: Text) -> Result<NameAddr, Fault> {
        let value = text.as_bytes();
        let parts = whole(value, name_addr).map_err(|e| e.fault(value.len()))?;
        let uri_at = text.span_of(parts.uri);
        let uri = Uri::from_text(text.part(uri_at)).map_err(|e| match e {
            UriError::Malformed { rule, at } => Fault::Malformed {
                rule,
                at: at + usize::from(uri_at.from),
            },
            UriError::TooLong => Fault::TooLong,
        })?;
        if parts.tags > 1 {
            return Err(Fault::Repeated("tag"));
        }
        let span = |part: &[u8]| {
            if part.is_empty() {
                Span::default()
            } else {
                text.span_of(part)
            }
        };
        let display = span(parts.display);
        let params = span(parts.params);
        let tag = parts.tag.map(span);
        Ok(NameAddr {
            display,
            uri,
            params,
            tag,
            text,
        })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_str())
    }
}

impl fmt::Debug for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Piece by piece, because the URI knows how to hide its password.
        write!(
            f,
            "{}<{:?}>{}",
            self.text.get(self.display),
            self.uri,
            self.text.get(self.params)
        )
    }
}

/// Same display name, equal URI (RFC 3261 19.1.4), same parameters in the same order.
impl PartialEq for NameAddr {
    fn eq(&self, other: &NameAddr) -> bool {
        self.display() == other.display()
            && self.uri == other.uri
            && self.params().eq(other.params())
    }
}

struct Parts<'a> {
    display: Input<'a>,
    uri: Input<'a>,
    params: Input<'a>,
    tag: Option<Input<'a>>,
    tags: usize,
}

/// `( name-addr / addr-spec ) *( SEMI generic-param )`
fn name_addr(input: Input<'_>) -> Parsed<'_, Parts<'_>> {
    let (rest, (display, uri)) = match memchr::memchr(b'<', input) {
        Some(_) => alt((bracketed, addr_spec)).parse(input)?,
        None => addr_spec(input)?,
    };
    let (rest, _) = sws(rest)?;
    let mut tag = None;
    let mut tags = 0;
    let (rest, section) = params(rest, |name, value| {
        if name.eq_ignore_ascii_case(b"tag") {
            tag = value;
            tags += 1;
        }
    })?;
    Ok((
        rest,
        Parts {
            display,
            uri,
            params: section,
            tag,
            tags,
        },
    ))
}

/// `name-addr = [ display-name ] LAQUOT addr-spec RAQUOT`, the URI not yet looked at
fn bracketed(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>)> {
    let (rest, display) = display_name(input)?;
    let (rest, _) = sws(rest)?;
    let (start, _) = rule("\"<\"", tag("<"))(rest)?;
    match memchr::memchr(b'>', start).and_then(|end| start.split_at_checked(end)) {
        Some((uri, rest)) => Ok((rest.get(1..).unwrap_or_default(), (display, uri))),
        None => expected("\">\"", start),
    }
}

/// `display-name = *(token LWS) / quoted-string`; octets above ASCII pass without quotes, because
/// phones send names that way.
fn display_name(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    if let [b'"', ..] = input {
        return recognize(quoted_string).parse(input);
    }
    let (rest, name) =
        take_while(|b: u8| grammar::is_token(b) || grammar::is_space(b) || !b.is_ascii())(input)?;
    Ok((rest, name.trim_ascii()))
}

/// `addr-spec` without brackets: ends where the parameters of the field begin.
fn addr_spec(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>)> {
    let end = input
        .iter()
        .position(|b| matches!(b, b';' | b',' | b'?' | b' ' | b'\t' | b'<' | b'"'));
    let (uri, rest) = input
        .split_at_checked(end.unwrap_or(input.len()))
        .unwrap_or((input, &[]));
    //= RFC 3261 20
    // "If the URI contains a comma, question mark or semicolon, the URI MUST be enclosed in angle
    // brackets."
    match rest {
        [b'?', ..] => expected("angle brackets around a URI with \"?\"", rest),
        _ if uri.is_empty() => Err(nom::Err::Error(Expected {
            rule: "address",
            left: input.len(),
        })),
        _ => Ok((rest, (&[], uri))),
    }
}

macro_rules! address_fields {
    ($($name:ident $shape:ident $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name(pub NameAddr);

            impl Header for $name {
                const NAME: Name = Name::$name;
                const SHAPE: Shape = Shape::$shape;

                fn parse(value: &str) -> Result<$name, HeaderError> {
                    let text = Text::copy(value).map_err(super::fault::<$name>)?;
                    NameAddr::from_text(text).map($name).map_err(super::fault::<$name>)
                }

                fn parse_shared(value: SharedText) -> Result<$name, HeaderError> {
                    NameAddr::from_text(value.0).map($name).map_err(super::fault::<$name>)
                }
            }

            impl Deref for $name {
                type Target = NameAddr;

                fn deref(&self) -> &NameAddr {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}
pub(super) use address_fields;

address_fields! {
    From Single "The initiator of the request (RFC 3261 20.20).";
    To Single "The logical recipient of the request (RFC 3261 20.39).";
    Route List "A proxy that the request is to visit (RFC 3261 20.34).";
    RecordRoute List "A proxy that stays on the path of the dialog (RFC 3261 20.30).";
    Path List "A proxy between a registrar and the contact (RFC 3327).";
    ServiceRoute List "A proxy the registrar wants requests to visit (RFC 3608).";
    PAssertedIdentity List "The caller as a trusted element vouches for (RFC 3325 9.1).";
    PPreferredIdentity List "The caller as they would like to be asserted (RFC 3325 9.2).";
    Diversion List "Who diverted the call here (RFC 5806).";
}

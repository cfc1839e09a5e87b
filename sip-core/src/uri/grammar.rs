//! The grammar of URIs (RFC 3261 25.1, RFC 3966 3) as nom functions named after their rules.
//! They yield where the parts lie, not copies of them.

use nom::bytes::complete::{tag_no_case, take_while, take_while1};
use nom::combinator::recognize;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::{Parts, Scheme};
use crate::header::grammar::{Expected, Input, Parsed, expected, host, port, rule, whole};
use crate::message::text::{Span, Text};

/// Parameters or headers of one URI: comparing two URIs costs the square of it.
const MOST: usize = 64;

/// The parts of a whole URI: `SIP-URI / SIPS-URI / telephone-uri / absoluteURI`
pub(super) fn parts(text: &Text) -> Result<Parts, Expected> {
    let input = text.as_bytes();
    let (rest, scheme) = match scheme(input) {
        Ok(done) => done,
        Err(nom::Err::Error(e) | nom::Err::Failure(e)) => return Err(e),
        Err(nom::Err::Incomplete(_)) => {
            return Err(Expected {
                rule: "scheme",
                left: 0,
            });
        }
    };
    match scheme {
        Scheme::Sip | Scheme::Sips => whole(rest, |rest| sip_uri(text, scheme, rest)),
        Scheme::Tel => whole(rest, |rest| telephone_uri(text, rest)),
        Scheme::Other => whole(rest, |rest| opaque(text, rest)),
    }
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`, and its colon
#[inline]
fn scheme(input: Input<'_>) -> Parsed<'_, Scheme> {
    // The common form first.
    if let [b's', b'i', b'p', b':', rest @ ..] = input {
        return Ok((rest, Scheme::Sip));
    }
    let known: IResult<Input<'_>, Input<'_>, Expected> = tag_no_case("sip:")(input);
    if let Ok((rest, _)) = known {
        return Ok((rest, Scheme::Sip));
    }
    let known: IResult<Input<'_>, Input<'_>, Expected> = tag_no_case("sips:")(input);
    if let Ok((rest, _)) = known {
        return Ok((rest, Scheme::Sips));
    }
    let known: IResult<Input<'_>, Input<'_>, Expected> = tag_no_case("tel:")(input);
    if let Ok((rest, _)) = known {
        return Ok((rest, Scheme::Tel));
    }
    if !input.first().is_some_and(u8::is_ascii_alphabetic) {
        return expected("scheme", input);
    }
    let (rest, _) = rule(
        "scheme",
        take_while1(|b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')),
    )(input)?;
    match rest {
        [b':', rest @ ..] => Ok((rest, Scheme::Other)),
        _ => expected("\":\" after the scheme", rest),
    }
}

/// `[ userinfo ] hostport uri-parameters [ headers ]`
fn sip_uri<'a>(text: &Text, scheme: Scheme, input: Input<'a>) -> Parsed<'a, Parts> {
    // No part but userinfo may be followed by "@", so its presence decides.
    let (input, (user, password)) = match memchr::memchr(b'@', input) {
        Some(_) => userinfo(input)?,
        None => (input, (None, None)),
    };
    let (input, host) = host(input)?;
    let (input, port) = match input {
        [b':', rest @ ..] => {
            let (rest, port) = port(rest)?;
            (rest, Some(port))
        }
        _ => (input, None),
    };
    let (input, params) = uri_parameters(input)?;
    let (input, headers) = match input {
        [b'?', rest @ ..] => headers(rest)?,
        _ => (input, &[][..]),
    };
    let parts = Parts {
        scheme,
        user: user.map_or(Span::default(), |user| text.span_of(user)),
        password: password.map(|password| text.span_of(password)),
        host: text.span_of(host),
        port,
        params: section(text, params),
        headers: section(text, headers),
    };
    Ok((input, parts))
}

#[inline]
fn section(text: &Text, part: &[u8]) -> Span {
    if part.is_empty() {
        Span::default()
    } else {
        text.span_of(part)
    }
}

type UserInfo<'a> = (Option<Input<'a>>, Option<Input<'a>>);

/// `userinfo = ( user / telephone-subscriber ) [ ":" password ] "@"`
#[inline]
fn userinfo(input: Input<'_>) -> Parsed<'_, UserInfo<'_>> {
    let (rest, user) = rule("user", escaped1(is_user))(input)?;
    let (rest, password) = match rest {
        [b':', rest @ ..] => {
            let (rest, password) = escaped0(is_password)(rest)?;
            (rest, Some(password))
        }
        _ => (rest, None),
    };
    match rest {
        [b'@', rest @ ..] => Ok((rest, (Some(user), password))),
        _ => expected("\"@\" after the user", rest),
    }
}

/// `uri-parameters = *( ";" uri-parameter)`
#[inline]
fn uri_parameters(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    let mut rest = input;
    let mut count = 0;
    while let [b';', after @ ..] = rest {
        count += 1;
        if count > MOST {
            return expected("no more than 64 parameters", rest);
        }
        let (after, _) = rule("URI parameter", escaped1(is_paramchar))(after)?;
        rest = match after {
            [b'=', value @ ..] => rule("URI parameter value", escaped1(is_paramchar))(value)?.0,
            _ => after,
        };
    }
    let section = input
        .get(..input.len().saturating_sub(rest.len()))
        .unwrap_or_default();
    Ok((rest, section))
}

/// `headers = "?" header *( "&" header )`, `header = hname "=" hvalue`, after the question mark
fn headers(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    let header = |input| {
        let (input, _) = rule("URI header name", escaped1(is_hnv))(input)?;
        match input {
            [b'=', rest @ ..] => escaped0(is_hnv)(rest),
            _ => expected("\"=\" after the URI header name", input),
        }
    };
    let (mut rest, _) = header(input)?;
    let mut count = 1;
    while let [b'&', after @ ..] = rest {
        count += 1;
        if count > MOST {
            return expected("no more than 64 headers", rest);
        }
        (rest, _) = header(after)?;
    }
    let section = input
        .get(..input.len().saturating_sub(rest.len()))
        .unwrap_or_default();
    Ok((rest, section))
}

/// `telephone-subscriber = global-number / local-number`, then `*par`
fn telephone_uri<'a>(text: &Text, input: Input<'a>) -> Parsed<'a, Parts> {
    let number = take_while1(|b: u8| {
        b.is_ascii_hexdigit() || matches!(b, b'*' | b'#' | b'-' | b'.' | b'(' | b')')
    });
    let (input, number) = match input {
        [b'+', ..] => {
            let global =
                take_while1(|b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'(' | b')'));
            rule(
                "telephone number",
                recognize(preceded(take_while1(|b| b == b'+'), global)),
            )(input)?
        }
        _ => rule("telephone number", number)(input)?,
    };
    let (input, params) = uri_parameters(input)?;
    let parts = Parts {
        scheme: Scheme::Tel,
        user: text.span_of(number),
        password: None,
        host: Span::default(),
        port: None,
        params: section(text, params),
        headers: Span::default(),
    };
    Ok((input, parts))
}

/// `absoluteURI` of a scheme this crate does not know: any `uric`
fn opaque<'a>(_: &Text, input: Input<'a>) -> Parsed<'a, Parts> {
    let (input, _) = rule("URI", escaped1(is_uric))(input)?;
    let parts = Parts {
        scheme: Scheme::Other,
        user: Span::default(),
        password: None,
        host: Span::default(),
        port: None,
        params: Span::default(),
        headers: Span::default(),
    };
    Ok((input, parts))
}

/// `*( allowed / escaped )`, `escaped = "%" HEXDIG HEXDIG`
#[inline]
fn escaped0<'a>(allowed: impl Fn(u8) -> bool) -> impl Fn(Input<'a>) -> Parsed<'a, Input<'a>> {
    move |input| {
        let mut rest = input;
        loop {
            (rest, _) = take_while(&allowed).parse(rest)?;
            match rest {
                [b'%', high, low, after @ ..]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    rest = after;
                }
                [b'%', ..] => return expected("two hexadecimal digits after \"%\"", rest),
                _ => break,
            }
        }
        let taken = input
            .get(..input.len().saturating_sub(rest.len()))
            .unwrap_or_default();
        Ok((rest, taken))
    }
}

/// `1*( allowed / escaped )`
#[inline]
fn escaped1<'a>(allowed: impl Fn(u8) -> bool) -> impl Fn(Input<'a>) -> Parsed<'a, Input<'a>> {
    let run = escaped0(allowed);
    move |input| match run(input)? {
        (_, []) => expected("", input),
        done => Ok(done),
    }
}

const USER: u8 = 1;
const PASSWORD: u8 = 2;
const PARAM: u8 = 4;
const HNV: u8 = 8;
const URIC: u8 = 16;

static CLASS: [u8; 256] = classes();

// Runs in the compiler: an index out of bounds would be a compile error.
#[allow(clippy::indexing_slicing)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        // unreserved = alphanum / mark
        if b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
            )
        {
            table[byte] |= USER | PASSWORD | PARAM | HNV | URIC;
        }
        // user-unreserved; and "#", which phones dial without escaping it
        if matches!(
            b,
            b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#'
        ) {
            table[byte] |= USER;
        }
        if matches!(b, b'&' | b'=' | b'+' | b'$' | b',') {
            table[byte] |= PASSWORD;
        }
        // param-unreserved
        if matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$') {
            table[byte] |= PARAM;
        }
        // hnv-unreserved
        if matches!(b, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$') {
            table[byte] |= HNV;
        }
        // reserved, and the fragment mark
        if matches!(
            b,
            b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',' | b'#'
        ) || matches!(b, b'[' | b']')
        {
            table[byte] |= URIC;
        }
        byte += 1;
    }
    table
}

#[inline]
fn class(b: u8) -> u8 {
    CLASS.get(usize::from(b)).copied().unwrap_or(0)
}

/// `unreserved / user-unreserved`
#[inline]
pub(super) fn is_user(b: u8) -> bool {
    class(b) & USER != 0
}

#[inline]
fn is_password(b: u8) -> bool {
    class(b) & PASSWORD != 0
}

/// `param-unreserved / unreserved`
#[inline]
pub(super) fn is_paramchar(b: u8) -> bool {
    class(b) & PARAM != 0
}

/// `hnv-unreserved / unreserved`
#[inline]
pub(super) fn is_hnv(b: u8) -> bool {
    class(b) & HNV != 0
}

fn is_uric(b: u8) -> bool {
    class(b) & URIC != 0
}

//! The common rules of RFC 3261 25.1 as nom functions, each named after its rule.
//! They read octets of unfolded values; LWS is therefore spaces and tabs only.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::recognize;
use nom::error::{ErrorKind, ParseError};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use crate::error::Fault;

pub(crate) type Input<'a> = &'a [u8];
pub(crate) type Parsed<'a, O> = IResult<Input<'a>, O, Expected>;

/// The rule that did not match, and how many octets were left there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) rule: &'static str,
    pub(crate) left: usize,
}

impl Expected {
    /// As a fault of a value of `total` octets.
    pub(crate) fn fault(self, total: usize) -> Fault {
        Fault::Malformed {
            rule: self.rule,
            at: total.saturating_sub(self.left),
        }
    }
}

impl ParseError<Input<'_>> for Expected {
    fn from_error_kind(input: Input<'_>, _: ErrorKind) -> Self {
        Expected {
            rule: "",
            left: input.len(),
        }
    }

    fn append(_: Input<'_>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Fails at `input`, naming `name`.
pub(crate) fn expected<'a, O>(name: &'static str, input: Input<'a>) -> Parsed<'a, O> {
    Err(nom::Err::Error(Expected {
        rule: name,
        left: input.len(),
    }))
}

/// Runs `parser` and names `name` where it fails without a name.
#[inline]
pub(crate) fn rule<'a, O>(
    name: &'static str,
    mut parser: impl Parser<Input<'a>, Output = O, Error = Expected>,
) -> impl FnMut(Input<'a>) -> Parsed<'a, O> {
    move |input| {
        parser.parse(input).map_err(|error| {
            error.map(|e| Expected {
                rule: if e.rule.is_empty() { name } else { e.rule },
                ..e
            })
        })
    }
}

/// Runs `parser` over the whole of `input`.
#[inline]
pub(crate) fn whole<'a, O>(
    input: Input<'a>,
    mut parser: impl FnMut(Input<'a>) -> Parsed<'a, O>,
) -> Result<O, Expected> {
    match parser(input) {
        Ok(([], output)) => Ok(output),
        Ok((rest, _)) => Err(Expected {
            rule: "end of value",
            left: rest.len(),
        }),
        Err(nom::Err::Error(e) | nom::Err::Failure(e)) => Err(e),
        Err(nom::Err::Incomplete(_)) => Err(Expected {
            rule: "more octets",
            left: 0,
        }),
    }
}

const TOKEN: u8 = 1;
const WORD: u8 = 2;
const HOST: u8 = 4;
const VALUE: u8 = 8;

static CLASS: [u8; 256] = classes();

// Runs in the compiler: an index out of bounds would be a compile error.
#[allow(clippy::indexing_slicing)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] |= TOKEN | WORD | HOST | VALUE;
        }
        if matches!(
            b,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        ) {
            table[byte] |= TOKEN | WORD;
        }
        if matches!(
            b,
            b'(' | b')' | b'<' | b'>' | b':' | b'\\' | b'"' | b'/' | b'[' | b']' | b'?'
        ) || matches!(b, b'{' | b'}')
        {
            table[byte] |= WORD;
        }
        if matches!(b, b'-' | b'.' | b'_') {
            table[byte] |= HOST;
        }
        if b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"' | b'<' | b'>' | b'\\') {
            table[byte] |= VALUE;
        }
        byte += 1;
    }
    table
}

#[inline]
fn class(b: u8) -> u8 {
    CLASS.get(usize::from(b)).copied().unwrap_or(0)
}

/// `token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )`
#[inline]
pub(crate) fn is_token(b: u8) -> bool {
    class(b) & TOKEN != 0
}

/// The octets of `word`.
#[inline]
pub(crate) fn is_word(b: u8) -> bool {
    class(b) & WORD != 0
}

/// Letters, digits, `-`, `.`; and `_`, which no RFC allows and many networks use.
#[inline]
pub(crate) fn is_host(b: u8) -> bool {
    class(b) & HOST != 0
}

/// `gen-value = token / host / quoted-string`, without quotes. Peers put `=`, `/`, `@` and `:`
/// into branches and tags: what cannot be mistaken for a delimiter is let through.
#[inline]
fn is_gen_value(b: u8) -> bool {
    class(b) & VALUE != 0
}

#[inline]
pub(crate) fn is_space(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// `token`
#[inline]
pub(crate) fn token(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    rule("token", take_while1(is_token))(input)
}

/// `word`, of which Call-IDs are made
pub(crate) fn word(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    rule("word", take_while1(is_word))(input)
}

/// `SWS = [LWS]`
#[inline]
pub(crate) fn sws(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    take_while(is_space)(input)
}

/// `LWS = [*WSP CRLF] 1*WSP`
#[inline]
pub(crate) fn lws(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    rule("whitespace", take_while1(is_space))(input)
}

macro_rules! separators {
    ($($name:ident $text:literal;)*) => {
        $(
            #[doc = concat!("`SWS \"", $text, "\" SWS`")]
            #[inline]
            pub(crate) fn $name(input: Input<'_>) -> Parsed<'_, ()> {
                let (input, _) = sws(input)?;
                let (input, _) = rule(concat!("\"", $text, "\""), tag($text))(input)?;
                let (input, _) = sws(input)?;
                Ok((input, ()))
            }
        )*
    };
}

separators! {
    slash "/";
    equal "=";
    semi ";";
    comma ",";
    colon ":";
}

/// `quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE`: what stands between the quotes,
/// escapes included. Octets above ASCII are taken as they are.
#[inline]
pub(crate) fn quoted_string(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    let (start, _) = rule("quoted string", tag("\""))(input)?;
    let mut rest = start;
    loop {
        rest = match rest {
            [b'"', after @ ..] => {
                let text = start.get(..start.len() - rest.len()).unwrap_or_default();
                return Ok((after, text));
            }
            // quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
            [b'\\', escaped, after @ ..] if !matches!(escaped, b'\r' | b'\n') => after,
            [b'\\', ..] | [] => return expected("closing quote", rest),
            // qdtext has no control characters but the tab
            [b'\t', after @ ..] => after,
            [octet, ..] if octet.is_ascii_control() => return expected("closing quote", rest),
            [_, after @ ..] => after,
        }
    }
}

/// `generic-param = token [ EQUAL gen-value ]`: name and, when there is one, the value with its
/// quotes.
#[inline]
pub(crate) fn generic_param(input: Input<'_>) -> Parsed<'_, (Input<'_>, Option<Input<'_>>)> {
    let (rest, name) = token(input)?;
    // The common form first: no whitespace, no quotes.
    if let [b'=', value @ ..] = rest {
        if value.first().is_some_and(|b| is_gen_value(*b)) {
            let (rest, value) = take_while1(is_gen_value)(value)?;
            return Ok((rest, (name, Some(value))));
        }
    } else if matches!(rest, [] | [b';', ..] | [b',', ..]) {
        return Ok((rest, (name, None)));
    }
    match equal(rest) {
        Ok((rest, ())) => {
            let (rest, value) = rule("parameter value", gen_value)(rest)?;
            Ok((rest, (name, Some(value))))
        }
        Err(_) => Ok((rest, (name, None))),
    }
}

/// `gen-value = token / host / quoted-string`, a quoted string with its quotes.
#[inline]
pub(crate) fn gen_value(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    alt((take_while1(is_gen_value), recognize(quoted_string))).parse(input)
}

/// `host = hostname / IPv4address / IPv6reference`
#[inline]
pub(crate) fn host(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    match input {
        [b'[', ..] => rule(
            "IPv6 reference",
            recognize(delimited(
                tag("["),
                take_while1(|b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')),
                tag("]"),
            )),
        )(input),
        _ => rule("host", take_while1(is_host))(input),
    }
}

/// `port = 1*DIGIT`, at most 65535
#[inline]
pub(crate) fn port(input: Input<'_>) -> Parsed<'_, u16> {
    let (rest, number) = rule("port", number)(input)?;
    match u16::try_from(number) {
        Ok(port) => Ok((rest, port)),
        Err(_) => expected("port up to 65535", input),
    }
}

/// `1*DIGIT`, at most 2^32 - 1
#[inline]
pub(crate) fn number(input: Input<'_>) -> Parsed<'_, u32> {
    let (rest, digits) = rule("number", take_while1(|b: u8| b.is_ascii_digit()))(input)?;
    match decimal(digits) {
        Some(number) => Ok((rest, number)),
        None => expected("number up to 4294967295", input),
    }
}

/// The value of decimal digits, `None` above 2^32 - 1.
#[inline]
pub(crate) fn decimal(digits: Input<'_>) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, digit| {
        sum.checked_mul(10)?
            .checked_add(u32::from(digit.wrapping_sub(b'0')))
    })
}

/// `*( SEMI generic-param )`: the whole section, checked, and what `each` is told on the way.
#[inline]
pub(crate) fn params<'a>(
    input: Input<'a>,
    mut each: impl FnMut(Input<'a>, Option<Input<'a>>),
) -> Parsed<'a, Input<'a>> {
    let mut rest = input;
    loop {
        let (after_space, _) = sws(rest)?;
        if !matches!(after_space, [b';', ..]) {
            break;
        }
        let (after_semi, ()) = semi(after_space)?;
        let (after_param, (name, value)) = rule("parameter", generic_param)(after_semi)?;
        each(name, value);
        rest = after_param;
    }
    let section = input
        .get(..input.len().saturating_sub(rest.len()))
        .unwrap_or_default();
    let (rest, _) = sws(rest)?;
    Ok((rest, section))
}

/// Text in quotes: `\` and `"` escaped, what no quoted string may hold (CR, LF, NUL) a space.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A parameter value: as it is when it is a token, in quotes otherwise.
pub(crate) fn value_text(value: &str) -> std::borrow::Cow<'_, str> {
    match !value.is_empty() && value.bytes().all(is_token) {
        true => value.into(),
        false => quote(value).into(),
    }
}

/// The text that a quoted string (with its quotes) or a plain value means.
#[inline]
pub(crate) fn unquote(raw: &str) -> std::borrow::Cow<'_, str> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        None => raw.into(),
        Some(inner) if !inner.contains('\\') => inner.into(),
        Some(inner) => {
            let mut text = String::with_capacity(inner.len());
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                if c == '\\' {
                    text.extend(chars.next());
                } else {
                    text.push(c);
                }
            }
            text.into()
        }
    }
}

/// The items of a list: cut at each comma that stands neither in quotes nor in angle brackets.
/// Empty items (RFC 3261 7.3.1 has none) are passed over.
#[inline]
pub(crate) fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let (item, after) = match next_comma(text.as_bytes()) {
                Some(at) => (text.get(..at)?, text.get(at + 1..)),
                None => (text, None),
            };
            rest = after;
            let item = item.trim_matches([' ', '\t']);
            if !item.is_empty() {
                return Some(item);
            }
        }
    })
}

fn next_comma(text: &[u8]) -> Option<usize> {
    // Without any comma there is nothing to weigh.
    memchr::memchr(b',', text)?;
    let mut quoted = false;
    let mut bracket = false;
    let mut octets = text.iter().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'\\' if quoted => {
                octets.next();
            }
            b'"' => quoted = !quoted,
            b'<' if !quoted => bracket = true,
            b'>' if !quoted => bracket = false,
            b',' if !quoted && !bracket => return Some(at),
            _ => {}
        }
    }
    None
}

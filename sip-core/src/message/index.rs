//! The one pass over a message: where its lines begin, end, and which field each one is.
//! Nothing is copied and no value is looked into.

use super::Limits;
use super::parse_error::ParseErrorKind;
use crate::error::{Fault, HeaderError};
use crate::header::grammar::{decimal, is_space, is_token};
use crate::name::{self, Name, NameId, Repeat};

/// One header line, continuations included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// First octet of the name.
    pub(crate) start: u32,
    /// The colon.
    pub(crate) colon: u32,
    /// After the last octet, before its CRLF.
    pub(crate) end: u32,
    /// Of the name; `name::OTHER` when it has none.
    pub(crate) id: u8,
    /// Whether the value goes on over several lines.
    pub(crate) folded: bool,
}

impl Line {
    /// The name as written.
    #[inline]
    pub(crate) fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.start as usize..self.colon as usize)
            .unwrap_or_default()
            .trim_ascii_end()
    }

    /// Where the value lies, without the whitespace around it.
    #[inline]
    pub(crate) fn value_range(&self, bytes: &[u8]) -> (usize, usize) {
        let mut from = self.colon as usize + 1;
        let mut to = self.end as usize;
        while from < to && bytes.get(from).is_some_and(u8::is_ascii_whitespace) {
            from += 1;
        }
        while to > from && bytes.get(to - 1).is_some_and(u8::is_ascii_whitespace) {
            to -= 1;
        }
        (from, to)
    }

    /// The value as written, folding included, without the whitespace around it.
    #[inline]
    pub(crate) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let (from, to) = self.value_range(bytes);
        bytes.get(from..to).unwrap_or_default()
    }
}

/// What one pass learns. After an error it holds what came before, and the lines after it as far
/// as they can be told apart: enough to answer with 400.
#[derive(Debug, Default)]
pub(crate) struct Index {
    start: usize,
    start_end: usize,
    pub(crate) lines: Vec<Line>,
    /// First octet of the body.
    pub(crate) body: usize,
    pub(crate) via: Option<usize>,
    pub(crate) from: Option<usize>,
    pub(crate) to: Option<usize>,
    pub(crate) call_id: Option<usize>,
    pub(crate) cseq: Option<usize>,
    pub(crate) content_length: Option<usize>,
}

impl Index {
    /// Where the start line lies, without its CRLF.
    #[inline]
    pub(crate) fn start_line(&self) -> std::ops::Range<usize> {
        self.start..self.start_end
    }
}

/// Fills `index`. The first fault is returned, but the pass goes on behind it where it can.
pub(crate) fn scan(bytes: &[u8], limits: &Limits, index: &mut Index) -> Result<(), ParseErrorKind> {
    let mut fault = None;
    // Positions are kept in 32 bits.
    let most = limits.message.min(u32::MAX as usize - 1);
    let too_large = bytes.len() > most;
    let bytes = bytes.get(..most).unwrap_or(bytes);

    //= RFC 3261 7.5
    // "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF
    // appearing before the start-line"; in datagrams they are keepalives in front of a message.
    let mut at = 0;
    while let [b'\r', b'\n', ..] = bytes.get(at..).unwrap_or_default() {
        at += 2;
    }
    index.start = at;
    index.start_end = at;
    let Some((end, next)) = line_end(bytes, at, &mut fault) else {
        let empty = at == bytes.len();
        return Err(if empty {
            ParseErrorKind::Empty
        } else {
            too_large_or(too_large, limits)
        });
    };
    index.start_end = end;
    if end - at > limits.line {
        keep(
            &mut fault,
            ParseErrorKind::LineTooLong { limit: limits.line },
        );
    }
    at = next;

    index.lines.reserve(24);
    let mut seen = 0u128;
    loop {
        let Some((mut end, mut next)) = line_end(bytes, at, &mut fault) else {
            keep(&mut fault, too_large_or(too_large, limits));
            index.body = bytes.len();
            break;
        };
        if end == at {
            index.body = next;
            break;
        }
        let mut folded = false;
        while bytes.get(next).is_some_and(|b| is_space(*b)) {
            folded = true;
            match line_end(bytes, next, &mut fault) {
                Some(more) => (end, next) = more,
                None => break,
            }
        }
        if index.lines.len() >= limits.headers {
            keep(
                &mut fault,
                ParseErrorKind::TooManyHeaders {
                    limit: limits.headers,
                },
            );
            index.body = bytes.len();
            break;
        }
        if end - at > limits.line {
            keep(
                &mut fault,
                ParseErrorKind::LineTooLong { limit: limits.line },
            );
        } else {
            match header_line(bytes, at, end, folded) {
                Some(line) => add(index, line, &mut seen, &mut fault),
                None => keep(&mut fault, ParseErrorKind::HeaderLine { at }),
            }
        }
        at = next;
    }
    if too_large {
        keep(
            &mut fault,
            ParseErrorKind::TooLarge {
                limit: limits.message,
            },
        );
    }
    fault.map_or(Ok(()), Err)
}

fn too_large_or(too_large: bool, limits: &Limits) -> ParseErrorKind {
    match too_large {
        true => ParseErrorKind::TooLarge {
            limit: limits.message,
        },
        false => ParseErrorKind::Unterminated,
    }
}

/// The first fault is the one that is told.
fn keep(fault: &mut Option<ParseErrorKind>, kind: ParseErrorKind) {
    fault.get_or_insert(kind);
}

/// Where the line from `at` ends, and where the next one begins. A CR or LF alone is a fault and
/// no end: elements that disagree on where a line ends can be played against each other.
#[inline]
fn line_end(bytes: &[u8], at: usize, fault: &mut Option<ParseErrorKind>) -> Option<(usize, usize)> {
    let mut from = at;
    loop {
        let found = from + memchr::memchr2(b'\r', b'\n', bytes.get(from..)?)?;
        if let Some([b'\r', b'\n']) = bytes.get(found..found + 2) {
            return Some((found, found + 2));
        }
        keep(fault, ParseErrorKind::LoneCrOrLf { at: found });
        from = found + 1;
    }
}

/// `header-name HCOLON header-value`
#[inline]
fn header_line(bytes: &[u8], start: usize, end: usize, folded: bool) -> Option<Line> {
    let line = bytes.get(start..end)?;
    let colon = memchr::memchr(b':', line)?;
    let mut name = line.get(..colon)?;
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    let id = name::lookup(name);
    if id == name::OTHER && (name.is_empty() || !name.iter().copied().all(is_token)) {
        return None;
    }
    let colon = start + colon;
    Some(Line {
        start: start as u32,
        colon: colon as u32,
        end: end as u32,
        id,
        folded,
    })
}

#[inline]
fn add(index: &mut Index, line: Line, seen: &mut u128, fault: &mut Option<ParseErrorKind>) {
    let at = index.lines.len();
    index.lines.push(line);
    let mandatory = match line.id {
        name::OTHER => return,
        id if id == NameId::Via as u8 => &mut index.via,
        id if id == NameId::From as u8 => &mut index.from,
        id if id == NameId::To as u8 => &mut index.to,
        id if id == NameId::CallId as u8 => &mut index.call_id,
        id if id == NameId::CSeq as u8 => &mut index.cseq,
        id if id == NameId::ContentLength as u8 => &mut index.content_length,
        _ => &mut None,
    };
    mandatory.get_or_insert(at);
    if name::repeat(line.id) != Repeat::Once {
        return;
    }
    //= RFC 3261 7.3.1
    // Fields whose value is no list may not be repeated: which one counts would be a guess.
    let bit = 1u128 << line.id;
    if *seen & bit != 0 {
        let name = Name::from_id(line.id).unwrap_or(Name::Via);
        keep(fault, ParseErrorKind::Repeated(name));
    }
    *seen |= bit;
}

/// The value of a Content-Length line: digits, and nothing else.
pub(crate) fn content_length(bytes: &[u8], line: Line) -> Result<usize, HeaderError> {
    let digits = line.value(bytes);
    let malformed = |rule| HeaderError::new(Name::ContentLength, Fault::Malformed { rule, at: 0 });
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed("number"));
    }
    match decimal(digits) {
        Some(length) => Ok(length as usize),
        None => Err(HeaderError::new(Name::ContentLength, Fault::OutOfRange)),
    }
}

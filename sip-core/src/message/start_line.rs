//! Request-Line and Status-Line (RFC 3261 7.1, 7.2): single spaces, nothing before or behind.

use std::ops::Range;

use bytes::Bytes;

use super::parse_error::ParseErrorKind;
use super::text::Text;
use crate::header::grammar::decimal;
use crate::method::Method;
use crate::status::Status;
use crate::uri::Uri;

pub(super) enum StartLine {
    Request { method: Method, uri: Uri },
    Response { status: Status, reason: Text },
}

/// `start-line = Request-Line / Status-Line`
pub(super) fn read(bytes: &Bytes, range: Range<usize>) -> Result<StartLine, ParseErrorKind> {
    let line = bytes.get(range.clone()).unwrap_or_default();
    let wrong = |rule| ParseErrorKind::StartLine { rule };
    // A method is a token, which has no slash: "SIP/" begins responses only.
    if line
        .get(..4)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"))
    {
        return status_line(bytes, range);
    }
    let first = memchr::memchr(b' ', line).ok_or(wrong("method, URI and version"))?;
    let last = memchr::memrchr(b' ', line).ok_or(wrong("method, URI and version"))?;
    let method = line.get(..first).unwrap_or_default();
    let method = Method::from_bytes(method).map_err(|_| wrong("method"))?;
    let version = line.get(last + 1..).unwrap_or_default();
    sip_version(version)?;
    let uri = line.get(first + 1..last).unwrap_or_default();
    if uri.is_empty() || uri.iter().any(|b| b.is_ascii_whitespace()) {
        return Err(wrong("single spaces"));
    }
    let (from, to) = (range.start + first + 1, range.start + last);
    let text = Text::share(bytes, from, to)
        .map_err(|_| ParseErrorKind::Uri(crate::error::UriError::TooLong))?;
    let uri = Uri::from_text(text).map_err(ParseErrorKind::Uri)?;
    //= RFC 3261 19.1.1
    // Headers are not allowed in a Request-URI (table 1).
    if uri.has_headers() {
        return Err(ParseErrorKind::UriHeaders);
    }
    Ok(StartLine::Request { method, uri })
}

/// `Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF`; the space before an empty
/// phrase may be missing.
fn status_line(bytes: &Bytes, range: Range<usize>) -> Result<StartLine, ParseErrorKind> {
    let line = bytes.get(range.clone()).unwrap_or_default();
    let version_end = memchr::memchr(b' ', line).unwrap_or(line.len());
    sip_version(line.get(..version_end).unwrap_or_default())?;
    let after = line.get(version_end + 1..).unwrap_or_default();
    let code_end = memchr::memchr(b' ', after).unwrap_or(after.len());
    let code = after.get(..code_end).unwrap_or_default();
    let status = match code {
        [a, b, c] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => decimal(code)
            .and_then(|code| u16::try_from(code).ok())
            .and_then(Status::new),
        _ => None,
    };
    let status = status.ok_or(ParseErrorKind::StartLine {
        rule: "status code 100 to 699",
    })?;
    let from = (range.start + version_end + 1 + code_end + 1).min(range.end);
    let reason = Text::share(bytes, from, range.end).map_err(|_| ParseErrorKind::StartLine {
        rule: "shorter reason phrase",
    })?;
    Ok(StartLine::Response { status, reason })
}

/// `SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT`: ours is 2.0, another one is another matter than
/// no version at all.
fn sip_version(version: &[u8]) -> Result<(), ParseErrorKind> {
    if version == b"SIP/2.0" || version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let number = version
        .split_at_checked(4)
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"SIP/"));
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let dotted = number.is_some_and(|(_, number)| {
        let mut parts = number.split(|b| *b == b'.');
        matches!((parts.next(), parts.next(), parts.next()), (Some(a), Some(b), None) if digits(a) && digits(b))
    });
    match dotted {
        true => Err(ParseErrorKind::Version),
        false => Err(ParseErrorKind::StartLine {
            rule: "SIP version",
        }),
    }
}

//! Why a message was refused, and the answer it gets if enough of it can be read.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::head::value_of;
use super::index::{Index, Line};
use crate::error::{HeaderError, UriError};
use crate::header::{NameAddr, Warning};
use crate::name::{Name, NameId};
use crate::status::Status;

/// A message that cannot be taken, with whatever of it could be read.
#[derive(Clone, Error)]
#[error("{kind}")]
pub struct ParseError {
    kind: ParseErrorKind,
    salvage: Box<Salvage>,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// No octets, or line ends only: a keepalive.
    #[error("empty message")]
    Empty,
    /// The header section does not end with an empty line.
    #[error("no empty line after the headers")]
    Unterminated,
    /// Larger than the limit.
    #[error("message larger than {limit} octets")]
    TooLarge {
        /// Octets.
        limit: usize,
    },
    /// A header line with its continuations, or the start line, is longer than the limit.
    #[error("line longer than {limit} octets")]
    LineTooLong {
        /// Octets.
        limit: usize,
    },
    /// More header lines than the limit.
    #[error("more than {limit} header lines")]
    TooManyHeaders {
        /// Lines.
        limit: usize,
    },
    /// A body larger than the limit.
    #[error("body larger than {limit} octets")]
    BodyTooLarge {
        /// Octets.
        limit: usize,
    },
    /// A CR without LF or an LF without CR before the body.
    #[error("lone CR or LF at octet {at}")]
    LoneCrOrLf {
        /// Octets from the start of the message.
        at: usize,
    },
    /// The first line is neither a Request-Line nor a Status-Line.
    #[error("malformed start line: expected {rule}")]
    StartLine {
        /// What was expected.
        rule: &'static str,
    },
    /// A SIP version other than 2.0.
    #[error("SIP version other than 2.0")]
    Version,
    /// The Request-URI is malformed.
    #[error("Request-URI: {0}")]
    Uri(UriError),
    /// The Request-URI has headers.
    #[error("Request-URI has headers")]
    UriHeaders,
    /// A line without a colon, or whose name is no token.
    #[error("malformed header line at octet {at}")]
    HeaderLine {
        /// Octets from the start of the message.
        at: usize,
    },
    /// A field that every message must have.
    #[error("{0} is missing")]
    Missing(Name),
    /// A field of one value that occurs more than once.
    #[error("{0} is repeated")]
    Repeated(Name),
    /// A field that must be understood is malformed.
    #[error("malformed {0}")]
    Header(#[from] HeaderError),
    /// Content-Length announces more octets than there are.
    #[error("Content-Length is {announced}, but {present} octets follow")]
    Truncated {
        /// Octets announced.
        announced: usize,
        /// Octets there.
        present: usize,
    },
    /// CSeq names another method than the Request-Line.
    #[error("CSeq and Request-Line name different methods")]
    CSeqMethod,
    /// A message on a stream that does not say how long it is.
    #[error("no Content-Length on a stream")]
    NoContentLength,
}

impl ParseErrorKind {
    /// The status a request with this fault is answered with.
    pub fn status(&self) -> Status {
        match self {
            ParseErrorKind::Version => Status::VERSION_NOT_SUPPORTED,
            ParseErrorKind::BodyTooLarge { .. } => Status::REQUEST_ENTITY_TOO_LARGE,
            ParseErrorKind::TooLarge { .. }
            | ParseErrorKind::LineTooLong { .. }
            | ParseErrorKind::TooManyHeaders { .. } => Status::MESSAGE_TOO_LARGE,
            _ => Status::BAD_REQUEST,
        }
    }
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, salvage: Salvage) -> ParseError {
        ParseError {
            kind,
            salvage: Box::new(salvage),
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ParseErrorKind {
        &self.kind
    }

    /// The status a request with this fault is answered with: 400, 413, 505 or 513.
    pub fn status(&self) -> Status {
        self.kind.status()
    }

    /// The answer: Via, From, To, Call-ID and CSeq as they came, the cause as a Warning, and
    /// `server` as the Server field. `None` for responses and ACKs, which get no answer, and for
    /// requests of which these fields cannot be read.
    pub fn reply(&self, server: &str) -> Option<Bytes> {
        let method = self.salvage.method()?;
        //= RFC 3261 17.1.1.3
        // An ACK is never answered.
        if method == b"ACK" {
            return None;
        }
        let status = self.status();
        let mut out = BytesMut::with_capacity(1024);
        put(
            &mut out,
            format_args!("SIP/2.0 {status} {}\r\n", status.reason()),
        );
        let mut any = false;
        for via in self.salvage.lines(NameId::Via) {
            any = true;
            self.salvage.copy(&mut out, Name::Via, via, "");
        }
        if !any {
            return None;
        }
        self.salvage
            .copy(&mut out, Name::From, self.salvage.line(NameId::From)?, "");
        let to = self.salvage.line(NameId::To)?;
        self.salvage
            .copy(&mut out, Name::To, to, &self.salvage.to_tag(to));
        self.salvage.copy(
            &mut out,
            Name::CallId,
            self.salvage.line(NameId::CallId)?,
            "",
        );
        self.salvage
            .copy(&mut out, Name::CSeq, self.salvage.line(NameId::CSeq)?, "");
        let server: String = server.chars().filter(|c| !c.is_control()).collect();
        let agent: String = server
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
            .collect();
        let warning = Warning::new(399, &agent, &self.kind.to_string());
        put(&mut out, format_args!("Warning: {warning}\r\n"));
        if !server.is_empty() {
            put(&mut out, format_args!("Server: {server}\r\n"));
        }
        put(&mut out, format_args!("Content-Length: 0\r\n\r\n"));
        Some(out.freeze())
    }

    /// The method, if the first line begins with one. For records.
    pub fn method(&self) -> Option<String> {
        self.salvage
            .method()
            .map(|method| String::from_utf8_lossy(method).into_owned())
    }

    /// The first Call-ID as received. For records.
    pub fn call_id(&self) -> Option<String> {
        self.salvage.value(NameId::CallId)
    }

    /// The first From as received. For records.
    pub fn from(&self) -> Option<String> {
        self.salvage.value(NameId::From)
    }

    /// The first To as received. For records.
    pub fn to(&self) -> Option<String> {
        self.salvage.value(NameId::To)
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParseError")
            .field("kind", &self.kind)
            .field("call_id", &self.call_id())
            .finish_non_exhaustive()
    }
}

/// Two errors are equal when the same thing is wrong.
impl PartialEq for ParseError {
    fn eq(&self, other: &ParseError) -> bool {
        self.kind == other.kind
    }
}

/// What could be read of a refused message.
#[derive(Clone)]
pub(crate) struct Salvage {
    bytes: Bytes,
    start: std::ops::Range<usize>,
    lines: Vec<Line>,
}

impl Salvage {
    pub(crate) fn new(bytes: Bytes, index: Index) -> Salvage {
        Salvage {
            bytes,
            start: index.start_line(),
            lines: index.lines,
        }
    }

    /// The first word of a Request-Line.
    fn method(&self) -> Option<&[u8]> {
        let line = self.bytes.get(self.start.clone())?;
        let method = line.split(|b| *b == b' ').next()?;
        // "SIP/2.0" of a response is no token.
        crate::method::Method::from_bytes(method)
            .ok()
            .map(|_| method)
    }

    fn lines(&self, id: NameId) -> impl Iterator<Item = Line> {
        let id = id as u8;
        self.lines.iter().copied().filter(move |line| line.id == id)
    }

    fn line(&self, id: NameId) -> Option<Line> {
        self.lines(id).next()
    }

    fn value(&self, id: NameId) -> Option<String> {
        self.line(id)
            .map(|line| value_of(&self.bytes, line).into_owned())
    }

    fn copy(&self, out: &mut BytesMut, name: Name, line: Line, more: &str) {
        put(out, format_args!("{name}: "));
        out.extend_from_slice(line.value(&self.bytes));
        put(out, format_args!("{more}\r\n"));
    }

    //= RFC 3261 8.2.7
    // A stateless server must give the same To tag to each retransmission: it is made from the
    // request alone.
    fn to_tag(&self, to: Line) -> String {
        let value = value_of(&self.bytes, to);
        let tagged = match crate::message::text::Text::copy(&value).and_then(NameAddr::from_text) {
            Ok(to) => to.tag().is_some(),
            Err(_) => value.to_ascii_lowercase().contains(";tag="),
        };
        if tagged {
            return String::new();
        }
        let mut hash = DefaultHasher::new();
        for id in [NameId::Via, NameId::From, NameId::CallId, NameId::CSeq] {
            self.value(id).hash(&mut hash);
        }
        format!(";tag={:016x}", hash.finish())
    }
}

fn put(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    // Writing into a BytesMut cannot fail: it grows.
    _ = fmt::Write::write_fmt(out, text);
}

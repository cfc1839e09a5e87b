//! SIP messages: octets, an index of their lines made in one pass, and builders for new ones.
//! Header values are parsed when somebody asks for them; unknown fields survive octet for octet.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::header::NameAddr;
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;
use crate::uri::Uri;

mod builder;
mod head;
mod index;
pub(crate) mod parse_error;
mod start_line;
pub mod stream;
pub(crate) mod text;

pub use builder::{RequestBuilder, ResponseBuilder};
pub use head::{Head, HeaderLine};
pub use parse_error::{ParseError, ParseErrorKind};

use index::Index;
use parse_error::Salvage;
use start_line::StartLine;
use text::Text;

/// What a message may cost. Whatever is larger is refused before it is looked at closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a whole message.
    pub message: usize,
    /// Header lines.
    pub headers: usize,
    /// Octets of one header line with its continuations.
    pub line: usize,
    /// Octets of the body.
    pub body: usize,
    /// Items of a list field (Via, Route, Contact …) over all its lines.
    pub items: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message: 65_536,
            headers: 256,
            line: 8_192,
            body: 65_536,
            items: 128,
        }
    }
}

/// A request or a response. Cheap to clone: the octets and the index are shared.
#[derive(Clone, Debug)]
pub enum Message {
    /// Asks for something.
    Request(Request),
    /// Answers a request.
    Response(Response),
}

impl Message {
    /// Reads one whole message: a datagram, or what a [`stream::Framer`] cut out of a stream.
    ///
    /// Octets after the body that Content-Length announces are ignored (RFC 3261 18.3); without
    /// Content-Length the body is the rest. The start line, Via (the topmost), From, To, Call-ID
    /// and CSeq are parsed here and can be relied on; of the other fields only that those of a
    /// single value do not occur twice.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        let mut index = Index::default();
        let parsed = match index::scan(&bytes, limits, &mut index) {
            Ok(()) => read(&bytes, &mut index, limits),
            Err(kind) => Err(kind),
        };
        parsed.map_err(|kind| ParseError::new(kind, Salvage::new(bytes, index)))
    }

    /// What requests and responses have in common.
    pub fn head(&self) -> &Head {
        match self {
            Message::Request(request) => request,
            Message::Response(response) => response,
        }
    }
}

impl Deref for Message {
    type Target = Head;

    fn deref(&self) -> &Head {
        self.head()
    }
}

/// A request. Everything of [`Head`] besides.
#[derive(Clone)]
pub struct Request(Arc<RequestParts>);

struct RequestParts {
    head: Head,
    method: Method,
    uri: Uri,
}

impl Request {
    /// What is asked for.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The Request-URI; without headers.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }
}

impl Deref for Request {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0.head
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Request");
        shown
            .field("method", self.method())
            .field("uri", self.uri());
        shown
            .field("call_id", &self.call_id())
            .field("cseq", self.cseq())
            .finish_non_exhaustive()
    }
}

/// A response. Everything of [`Head`] besides.
#[derive(Clone)]
pub struct Response(Arc<ResponseParts>);

struct ResponseParts {
    head: Head,
    status: Status,
    reason: Text,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// The reason phrase as received, possibly empty; octets that are not UTF-8 as U+FFFD.
    pub fn reason(&self) -> &str {
        self.0.reason.as_str()
    }
}

impl Deref for Response {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0.head
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Response");
        shown
            .field("status", &self.status())
            .field("reason", &self.reason());
        shown
            .field("call_id", &self.call_id())
            .field("cseq", self.cseq())
            .finish_non_exhaustive()
    }
}

/// The index pass alone, for the benches: how many header lines it found.
#[doc(hidden)]
pub fn index_only(bytes: &[u8], limits: &Limits) -> Option<usize> {
    let mut index = Index::default();
    index::scan(bytes, limits, &mut index).ok()?;
    Some(index.lines.len())
}

/// Everything that [`Message::parse`] vouches for, out of an index without faults.
fn read(bytes: &Bytes, index: &mut Index, limits: &Limits) -> Result<Message, ParseErrorKind> {
    let start = start_line::read(bytes, index.start_line())?;
    let first = |line: Option<usize>, name: Name| match line.and_then(|at| index.lines.get(at)) {
        Some(line) => Ok(*line),
        None => Err(ParseErrorKind::Missing(name)),
    };
    let via_line = first(index.via, Name::Via)?;
    let from_line = first(index.from, Name::From)?;
    let to_line = first(index.to, Name::To)?;
    let call_id_line = first(index.call_id, Name::CallId)?;
    let cseq_line = first(index.cseq, Name::CSeq)?;

    let via = head::first_via(bytes, via_line)?;
    let address = |line, name: Name| {
        head::text_of(bytes, line)
            .and_then(NameAddr::from_text)
            .map_err(|fault| crate::error::HeaderError::new(name, fault))
    };
    let from = address(from_line, Name::From)?;
    let to = address(to_line, Name::To)?;
    let call_id = head::call_id(bytes, call_id_line)?;
    let cseq = head::cseq(bytes, cseq_line)?;
    let body = body_range(bytes, index, limits)?;
    if let StartLine::Request { method, .. } = &start {
        //= RFC 3261 8.1.1.5
        // "The method MUST match that of the request."
        if cseq.method != *method {
            return Err(ParseErrorKind::CSeqMethod);
        }
    }

    let lines = std::mem::take(&mut index.lines);
    let head = Head::new(
        bytes.clone(),
        lines,
        body,
        limits.items,
        head::Vouched {
            via,
            from,
            to,
            call_id,
            cseq,
        },
    );
    Ok(match start {
        StartLine::Request { method, uri } => {
            Message::Request(Request(Arc::new(RequestParts { head, method, uri })))
        }
        StartLine::Response { status, reason } => {
            Message::Response(Response(Arc::new(ResponseParts {
                head,
                status,
                reason,
            })))
        }
    })
}

//= RFC 3261 18.3
/// Where the body lies. A datagram with less than Content-Length announces is an error, one with
/// more has octets that do not belong to it.
fn body_range(
    bytes: &Bytes,
    index: &Index,
    limits: &Limits,
) -> Result<std::ops::Range<usize>, ParseErrorKind> {
    let from = index.body;
    let present = bytes.len().saturating_sub(from);
    let length = match index.content_length.and_then(|at| index.lines.get(at)) {
        None => present,
        Some(line) => index::content_length(bytes, *line)?,
    };
    //= RFC 3261 18.3
    // If there are not enough bytes, it is an error: of the message, not of its size.
    if length > present {
        return Err(ParseErrorKind::Truncated {
            announced: length,
            present,
        });
    }
    if length > limits.body {
        return Err(ParseErrorKind::BodyTooLarge { limit: limits.body });
    }
    Ok(from..from.saturating_add(length))
}

#[cfg(test)]
mod tests;

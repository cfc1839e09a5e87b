//! New messages, written straight into one buffer. What would break the structure of a message
//! (CR, LF, NUL, a second value where one is allowed) is refused with the field's name.

use std::borrow::Borrow;
use std::fmt;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::Request;
use crate::error::BuildError;
use crate::header::grammar::{is_token, items};
use crate::header::{Header, Via};
use crate::method::Method;
use crate::name::{Name, NameId};
use crate::status::Status;
use crate::uri::Uri;

/// A new request.
#[derive(Debug)]
pub struct RequestBuilder {
    fields: Fields,
}

impl RequestBuilder {
    /// `METHOD uri SIP/2.0`. Headers of the URI are left out: they may not stand there
    /// (RFC 3261 19.1.1).
    pub fn new(method: Method, uri: &Uri) -> RequestBuilder {
        let mut fields = Fields::new();
        fields.put(format_args!(
            "{method} {} SIP/2.0\r\n",
            uri.without_headers()
        ));
        RequestBuilder { fields }
    }

    /// Adds a Via below those that are there: the topmost one first.
    pub fn via(mut self, via: &Via) -> RequestBuilder {
        self.fields.put(format_args!("Via: {via}\r\n"));
        self
    }

    /// Adds a field.
    pub fn header(
        mut self,
        name: impl Borrow<Name>,
        value: impl fmt::Display,
    ) -> Result<Self, BuildError> {
        self.fields.header(name.borrow(), &value)?;
        Ok(self)
    }

    /// Adds a field that has a type.
    pub fn typed<H: Header + fmt::Display>(self, header: &H) -> Result<Self, BuildError> {
        self.header(H::NAME, header)
    }

    /// Gives the request its body, in place of one it had.
    pub fn body(mut self, content_type: &str, body: Bytes) -> Result<Self, BuildError> {
        self.fields.body(content_type, body)?;
        Ok(self)
    }

    /// The octets to send.
    pub fn finish(self) -> Bytes {
        self.fields.finish()
    }
}

/// A new response to a request. The fields that a response takes over from its request
/// (RFC 3261 8.2.6.2) are copied as they came.
#[derive(Debug)]
pub struct ResponseBuilder<'a> {
    request: &'a Request,
    status: Status,
    reason: Option<String>,
    to_tag: Option<String>,
    source: Option<SocketAddr>,
    record_route: bool,
    fields: Fields,
}

impl<'a> ResponseBuilder<'a> {
    /// A response with the phrase that the RFCs give with the status.
    pub fn to(request: &'a Request, status: Status) -> ResponseBuilder<'a> {
        ResponseBuilder {
            request,
            status,
            reason: None,
            to_tag: None,
            source: None,
            record_route: false,
            fields: Fields::new(),
        }
    }

    /// Another reason phrase.
    pub fn reason(mut self, reason: &str) -> Result<Self, BuildError> {
        if has_control(reason.as_bytes()) {
            return Err(BuildError::ReasonPhrase);
        }
        self.reason = Some(reason.to_owned());
        Ok(self)
    }

    /// The tag of this side: added to To unless the request has one already.
    pub fn to_tag(mut self, tag: &str) -> Result<Self, BuildError> {
        if tag.is_empty() || !tag.bytes().all(is_token) {
            return Err(BuildError::Tag(Name::To));
        }
        self.to_tag = Some(tag.to_owned());
        Ok(self)
    }

    /// Where the request came from: `received` and `rport` of the topmost Via are filled in
    /// (RFC 3261 18.2.1, RFC 3581 4).
    pub fn source(mut self, source: SocketAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Copies Record-Route too: for responses that make a dialog (RFC 3261 12.1.1).
    pub fn record_route(mut self) -> Self {
        self.record_route = true;
        self
    }

    /// Adds a field that is not taken over from the request.
    pub fn header(
        mut self,
        name: impl Borrow<Name>,
        value: impl fmt::Display,
    ) -> Result<Self, BuildError> {
        if let name @ (Name::Via | Name::From | Name::To | Name::CallId | Name::CSeq) =
            name.borrow()
        {
            return Err(BuildError::Reserved(name.clone()));
        }
        self.fields.header(name.borrow(), &value)?;
        Ok(self)
    }

    /// Adds a field that has a type.
    pub fn typed<H: Header + fmt::Display>(self, header: &H) -> Result<Self, BuildError> {
        self.header(H::NAME, header)
    }

    /// Gives the response its body, in place of one it had.
    pub fn body(mut self, content_type: &str, body: Bytes) -> Result<Self, BuildError> {
        self.fields.body(content_type, body)?;
        Ok(self)
    }

    /// The octets to send.
    pub fn finish(self) -> Bytes {
        let mut out = Fields::new();
        let reason = self.reason.as_deref().unwrap_or(self.status.reason());
        out.put(format_args!("SIP/2.0 {} {reason}\r\n", self.status));
        self.copy_vias(&mut out);
        if self.record_route {
            self.copy(&mut out, Name::RecordRoute);
        }
        self.copy(&mut out, Name::From);
        self.copy_to(&mut out);
        self.copy(&mut out, Name::CallId);
        self.copy(&mut out, Name::CSeq);
        if self.status == Status::TRYING {
            //= RFC 3261 8.2.6.1
            self.copy(&mut out, Name::Timestamp);
        }
        out.buffer.extend_from_slice(&self.fields.buffer);
        out.body = self.fields.body;
        out.finish()
    }

    /// Every line of the field as it came.
    fn copy(&self, out: &mut Fields, name: Name) {
        for line in self.request.headers().filter(|line| line.name() == name) {
            out.raw(&name, line.raw_value(), "");
        }
    }

    fn copy_to(&self, out: &mut Fields) {
        let to = self.request.headers().find(|line| line.name() == Name::To);
        let value = to.map(|line| line.raw_value()).unwrap_or_default();
        match &self.to_tag {
            Some(tag) if self.request.to().tag().is_none() => {
                out.raw(&Name::To, value, &format!(";tag={tag}"));
            }
            _ => out.raw(&Name::To, value, ""),
        }
    }

    fn copy_vias(&self, out: &mut Fields) {
        let mut source = self.source;
        for line in self
            .request
            .headers()
            .filter(|line| line.name() == Name::Via)
        {
            let Some(source) = source.take() else {
                out.raw(&Name::Via, line.raw_value(), "");
                continue;
            };
            // The topmost hop stands first in the first line; others may follow in it.
            let value = line.value();
            let mut noted = self.request.via().noted(source);
            for hop in items(&value).skip(1) {
                noted.push_str(", ");
                noted.push_str(hop);
            }
            out.raw(&Name::Via, noted.as_bytes(), "");
        }
    }
}

/// The lines written so far, and the body that comes last.
struct Fields {
    buffer: BytesMut,
    /// A bit per known name.
    seen: u128,
    body: Option<(String, Bytes)>,
}

impl Fields {
    fn new() -> Fields {
        Fields {
            buffer: BytesMut::with_capacity(1024),
            seen: 0,
            body: None,
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing into a BytesMut cannot fail: it grows.
        _ = fmt::Write::write_fmt(&mut self.buffer, text);
    }

    /// A value that came from a message: it has its folding, but no other line end.
    fn raw(&mut self, name: &Name, value: &[u8], more: &str) {
        self.put(format_args!("{name}: "));
        self.buffer.put_slice(value);
        self.put(format_args!("{more}\r\n"));
    }

    fn header(&mut self, name: &Name, value: &dyn fmt::Display) -> Result<(), BuildError> {
        if *name == Name::ContentLength {
            return Err(BuildError::Reserved(name.clone()));
        }
        if name.is_single() {
            let bit = 1u128.checked_shl(name.id().into()).unwrap_or(0);
            if self.seen & bit != 0 {
                return Err(BuildError::Repeated(name.clone()));
            }
            self.seen |= bit;
        }
        let start = self.buffer.len();
        self.put(format_args!("{name}: "));
        let value_at = self.buffer.len();
        self.put(format_args!("{value}"));
        if has_control(self.buffer.get(value_at..).unwrap_or_default()) {
            self.buffer.truncate(start);
            return Err(BuildError::ControlCharacter(name.clone()));
        }
        self.buffer.put_slice(b"\r\n");
        Ok(())
    }

    fn body(&mut self, content_type: &str, body: Bytes) -> Result<(), BuildError> {
        if has_control(content_type.as_bytes()) {
            return Err(BuildError::ControlCharacter(Name::ContentType));
        }
        let bit = 1u128 << NameId::ContentType as u8;
        if self.seen & bit != 0 && self.body.is_none() {
            return Err(BuildError::Repeated(Name::ContentType));
        }
        self.seen |= bit;
        self.body = Some((content_type.to_owned(), body));
        Ok(())
    }

    fn finish(mut self) -> Bytes {
        let (content_type, body) = match self.body.take() {
            Some((content_type, body)) => (Some(content_type), body),
            None => (None, Bytes::new()),
        };
        if let Some(content_type) = content_type {
            self.put(format_args!("Content-Type: {content_type}\r\n"));
        }
        self.put(format_args!("Content-Length: {}\r\n\r\n", body.len()));
        self.buffer.put_slice(&body);
        self.buffer.freeze()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fields may hold credentials.
        f.debug_struct("Fields")
            .field("octets", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

/// Whether `value` has an octet that ends a line or, in C, a text.
fn has_control(value: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, value).is_some()
}

#[cfg(test)]
mod tests;

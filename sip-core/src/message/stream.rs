//! Cuts a stream of octets into messages (RFC 3261 18.3) and keepalives (RFC 5626 3.5.1).

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::Limits;
use super::index::{self, Index};
use super::parse_error::{ParseError, ParseErrorKind, Salvage};
use crate::name::NameId;

/// What came out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// One whole message, for [`super::Message::parse`].
    Message(Bytes),
    /// CRLF CRLF between messages: to be answered with a CRLF.
    Ping,
    /// CRLF between messages: the answer to a ping, or an empty line in front of a message.
    Pong,
}

/// The stream cannot be followed any further: nobody knows where the next message begins.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("stream cannot be framed: {cause}")]
pub struct FrameError {
    cause: ParseError,
}

impl FrameError {
    /// What is wrong with the message at which framing stopped; can make the 400 that is to be
    /// sent before the connection is closed.
    pub fn cause(&self) -> &ParseError {
        &self.cause
    }
}

/// Collects octets and gives whole messages, each in memory of its own.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// Octets already searched for the end of the headers.
    searched: usize,
    /// Length of the message at the front, once its headers are complete.
    whole: Option<usize>,
    /// A single CRLF was just given as a pong: another one makes it a ping.
    half_ping: bool,
    broken: Option<FrameError>,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            buffer: BytesMut::new(),
            searched: 0,
            whole: None,
            half_ping: false,
            broken: None,
        }
    }

    /// Adds octets. Call [`Framer::next`] until it gives `None` before adding more: it is `next`
    /// that holds the limits.
    pub fn push(&mut self, octets: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Octets of an unfinished message that are held; 0 between messages.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next message or keepalive; `None` when more octets are needed. After an error it gives
    /// that error for ever.
    // Not an iterator: it can go on after `None`.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Framed>, FrameError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if self.whole.is_none() {
            if let Some(keepalive) = self.keepalive() {
                return Ok(Some(keepalive));
            }
            self.whole = self.measure()?;
        }
        match self.whole {
            Some(whole) if self.buffer.len() >= whole => {
                let message = self
                    .buffer
                    .get(..whole)
                    .map(Bytes::copy_from_slice)
                    .unwrap_or_default();
                self.buffer.advance(whole);
                self.whole = None;
                self.searched = 0;
                if self.buffer.is_empty() {
                    // A quiet connection holds no memory.
                    self.buffer = BytesMut::new();
                }
                Ok(Some(Framed::Message(message)))
            }
            _ => Ok(None),
        }
    }

    fn keepalive(&mut self) -> Option<Framed> {
        match self.buffer.as_ref() {
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                self.buffer.advance(4);
                self.half_ping = false;
                Some(Framed::Ping)
            }
            // Perhaps the second half of the line end is on its way.
            [b'\r', b'\n', b'\r'] | [b'\r'] | [] => None,
            [b'\r', b'\n', ..] => {
                self.buffer.advance(2);
                self.half_ping = !self.half_ping;
                Some(if self.half_ping {
                    Framed::Pong
                } else {
                    Framed::Ping
                })
            }
            _ => {
                self.half_ping = false;
                None
            }
        }
    }

    /// The length of the message at the front, once its headers are there.
    fn measure(&mut self) -> Result<Option<usize>, FrameError> {
        if matches!(self.buffer.as_ref(), [] | [b'\r'] | [b'\r', b'\n', b'\r']) {
            return Ok(None);
        }
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memmem::find(unseen, b"\r\n\r\n") else {
            if self.buffer.len() > self.limits.message {
                return Err(self.fail(ParseErrorKind::TooLarge {
                    limit: self.limits.message,
                }));
            }
            // The empty line may begin in the last three octets.
            self.searched = self.buffer.len().saturating_sub(3);
            return Ok(None);
        };
        let head = self.searched + found + 4;
        let mut index = Index::default();
        let scanned = index::scan(
            self.buffer.get(..head).unwrap_or_default(),
            &self.limits,
            &mut index,
        );
        let mut lengths = index
            .lines
            .iter()
            .filter(|line| line.id == NameId::ContentLength as u8);
        let length = match (lengths.next(), lengths.next()) {
            (Some(line), None) => {
                index::content_length(&self.buffer, *line).map_err(ParseErrorKind::Header)
            }
            (Some(_), Some(_)) => Err(ParseErrorKind::Repeated(crate::name::Name::ContentLength)),
            //= RFC 3261 20.14
            // "If a stream-based protocol (such as TCP) is used as transport, then the header field
            // MUST be used." Without it the next message could begin anywhere. Where the line could
            // not be read the index says why.
            (None, _) => Err(scanned.err().unwrap_or(ParseErrorKind::NoContentLength)),
        };
        let limits = self.limits;
        let whole = length.and_then(|length| match head.saturating_add(length) {
            _ if length > limits.body => Err(ParseErrorKind::BodyTooLarge { limit: limits.body }),
            whole if whole > limits.message => Err(ParseErrorKind::TooLarge {
                limit: limits.message,
            }),
            whole => Ok(whole),
        });
        whole.map(Some).map_err(|kind| self.fail(kind))
    }

    /// From here on nothing is read any more.
    fn fail(&mut self, kind: ParseErrorKind) -> FrameError {
        let kept = self.buffer.len().min(self.limits.message);
        let bytes = Bytes::copy_from_slice(self.buffer.get(..kept).unwrap_or_default());
        self.buffer = BytesMut::new();
        let mut index = Index::default();
        // What is wrong is known; the index is for the answer.
        _ = index::scan(&bytes, &self.limits, &mut index);
        let error = FrameError {
            cause: ParseError::new(kind, Salvage::new(bytes, index)),
        };
        self.broken = Some(error.clone());
        error
    }
}

#[cfg(test)]
mod tests;

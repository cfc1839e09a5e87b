//! What requests and responses have in common: the octets, the header lines, the body, and the
//! five fields that were parsed with the message.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::index::Line;
use super::text::Text;
use crate::error::{Fault, HeaderError};
use crate::header::grammar::items;
use crate::header::{CSeq, CallId, Header, NameAddr, Shape, SharedText, Via, fault};
use crate::name::Name;

/// The part of a message that is the same in requests and responses.
pub struct Head {
    bytes: Bytes,
    lines: Vec<Line>,
    body: Range<usize>,
    items: usize,
    vouched: Vouched,
}

/// The fields that every message has, parsed.
pub(super) struct Vouched {
    pub(super) via: Via,
    pub(super) from: NameAddr,
    pub(super) to: NameAddr,
    pub(super) call_id: Text,
    pub(super) cseq: CSeq,
}

impl Head {
    pub(super) fn new(
        bytes: Bytes,
        lines: Vec<Line>,
        body: Range<usize>,
        items: usize,
        vouched: Vouched,
    ) -> Head {
        Head {
            bytes,
            lines,
            body,
            items,
            vouched,
        }
    }

    /// The message as it was received, octets behind the body included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The body, cut to Content-Length; shares the octets of the message.
    pub fn body(&self) -> Bytes {
        match self.bytes.get(self.body.clone()) {
            Some(body) => self.bytes.slice_ref(body),
            None => Bytes::new(),
        }
    }

    /// The topmost Via.
    pub fn via(&self) -> &Via {
        &self.vouched.via
    }

    /// From.
    pub fn from(&self) -> &NameAddr {
        &self.vouched.from
    }

    /// To.
    pub fn to(&self) -> &NameAddr {
        &self.vouched.to
    }

    /// Call-ID.
    #[inline]
    pub fn call_id(&self) -> &str {
        self.vouched.call_id.as_str()
    }

    /// CSeq.
    pub fn cseq(&self) -> &CSeq {
        &self.vouched.cseq
    }

    /// Whether there is a line of this field.
    pub fn has(&self, name: &Name) -> bool {
        self.lines_of(name).next().is_some()
    }

    /// The value of the first line of this field: unfolded, trimmed, octets that are not UTF-8 as
    /// U+FFFD.
    pub fn header(&self, name: &Name) -> Option<Cow<'_, str>> {
        self.header_values(name).next()
    }

    /// The value of each line of this field, in order, as [`Head::header`] gives it.
    pub fn header_values<'a>(
        &'a self,
        name: &Name,
    ) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.lines_of(name).map(|line| value_of(&self.bytes, *line))
    }

    /// All header lines in order, as they were received.
    pub fn headers(&self) -> impl Iterator<Item = HeaderLine<'_>> {
        self.lines.iter().map(|line| HeaderLine {
            bytes: &self.bytes,
            line: *line,
        })
    }

    /// The field as its type: `None` when absent, an error when malformed.
    ///
    /// Of a list ([`Shape::List`]) this is the first item; take [`Head::all`] for the others.
    pub fn typed<H: Header>(&self) -> Option<Result<H, HeaderError>> {
        let mut lines = self.lines_of(&H::NAME).copied();
        match H::SHAPE {
            Shape::Single => lines.next().map(|line| self.parse_line(line)),
            Shape::List => {
                let mut first = None;
                let found = self.each_item::<H>(&mut |text| {
                    first = Some(H::parse_shared(SharedText(text)));
                    false
                });
                match found {
                    Ok(()) => first,
                    Err(e) => Some(Err(e)),
                }
            }
            Shape::Joined => {
                let first = lines.next()?;
                let mut joined = value_of(&self.bytes, first);
                for line in lines {
                    let joined = joined.to_mut();
                    joined.push_str(", ");
                    joined.push_str(&value_of(&self.bytes, line));
                }
                Some(
                    match items(&joined).take(self.items.saturating_add(1)).count() {
                        count if count > self.items => Err(self.too_many::<H>()),
                        _ => H::parse(&joined),
                    },
                )
            }
        }
    }

    /// Every value of the field, over lines and commas; empty when absent. One malformed value
    /// makes it an error, and so do more items than the limit.
    pub fn all<H: Header>(&self) -> Result<Vec<H>, HeaderError> {
        let mut values = Vec::new();
        match H::SHAPE {
            Shape::Single => {
                for line in self.lines_of(&H::NAME).take(self.items) {
                    values.push(self.parse_line(*line)?);
                }
            }
            Shape::List => {
                let mut wrong = None;
                self.each_item::<H>(&mut |text| {
                    if values.len() >= self.items {
                        wrong = Some(self.too_many::<H>());
                        return false;
                    }
                    match H::parse_shared(SharedText(text)) {
                        Ok(value) => values.push(value),
                        Err(e) => wrong = Some(e),
                    }
                    wrong.is_none()
                })?;
                if let Some(e) = wrong {
                    return Err(e);
                }
            }
            Shape::Joined => values.extend(self.typed::<H>().transpose()?),
        }
        Ok(values)
    }

    fn too_many<H: Header>(&self) -> HeaderError {
        fault::<H>(Fault::TooMany { limit: self.items })
    }

    fn parse_line<H: Header>(&self, line: Line) -> Result<H, HeaderError> {
        H::parse_shared(SharedText(text_of(&self.bytes, line).map_err(fault::<H>)?))
    }

    /// Hands over the items of a list until `each` has had enough.
    fn each_item<H: Header>(&self, each: &mut dyn FnMut(Text) -> bool) -> Result<(), HeaderError> {
        for line in self.lines_of(&H::NAME) {
            let text = text_of(&self.bytes, *line).map_err(fault::<H>)?;
            for item in items(text.as_str()) {
                if !each(text.part(text.span_of(item.as_bytes()))) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn lines_of<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a Line> + use<'a> {
        let id = name.id();
        let other = match name {
            Name::Other(other) => Some(other.clone()),
            _ => None,
        };
        self.lines.iter().filter(move |line| {
            let named = |bytes: &[u8], other: &str| bytes.eq_ignore_ascii_case(other.as_bytes());
            line.id == id
                && other
                    .as_ref()
                    .is_none_or(|other| named(line.name(&self.bytes), other.as_str()))
        })
    }
}

/// One header line as it was received.
#[derive(Clone, Copy)]
pub struct HeaderLine<'a> {
    bytes: &'a Bytes,
    line: Line,
}

impl<'a> HeaderLine<'a> {
    /// The field, compact forms resolved.
    pub fn name(&self) -> Name {
        // Lines whose name is no token never get into the index.
        Name::from_bytes(self.raw_name()).unwrap_or(Name::Via)
    }

    /// The name as written.
    pub fn raw_name(&self) -> &'a [u8] {
        self.line.name(self.bytes)
    }

    /// The value as written, folding and odd octets included, without whitespace at its ends.
    pub fn raw_value(&self) -> &'a [u8] {
        self.line.value(self.bytes)
    }

    /// The value as [`Head::header`] gives it.
    pub fn value(&self) -> Cow<'a, str> {
        value_of(self.bytes, self.line)
    }
}

/// The value of a line, unfolded and trimmed, as a text that shares the message where it can.
#[inline]
pub(super) fn text_of(bytes: &Bytes, line: Line) -> Result<Text, Fault> {
    if line.folded {
        return Text::own(value_of(bytes, line).into_owned());
    }
    let (from, to) = line.value_range(bytes);
    Text::share(bytes, from, to)
}

/// The value of a line, unfolded and trimmed.
pub(super) fn value_of(bytes: &Bytes, line: Line) -> Cow<'_, str> {
    let raw = String::from_utf8_lossy(line.value(bytes));
    if !line.folded {
        return raw;
    }
    //= RFC 3261 7.3.1
    // "The line break and the whitespace at the beginning of the next line are treated as a single
    // SP character."
    let mut text = String::with_capacity(raw.len());
    for part in raw.split("\r\n") {
        let part = part.trim_matches([' ', '\t']);
        if !text.is_empty() && !part.is_empty() {
            text.push(' ');
        }
        text.push_str(part);
    }
    text.into()
}

/// The first hop of the first Via line.
#[inline]
pub(super) fn first_via(bytes: &Bytes, line: Line) -> Result<Via, HeaderError> {
    let text = text_of(bytes, line).map_err(fault::<Via>)?;
    let first = items(text.as_str()).next();
    match first.map(|item| (item.len(), text.span_of(item.as_bytes()))) {
        Some((length, _)) if length == text.as_bytes().len() => Via::from_text(text),
        Some((_, span)) => Via::from_text(text.part(span)),
        None => Err(fault::<Via>(Fault::Malformed { rule: "Via", at: 0 })),
    }
}

/// Call-ID is compared, never taken apart: any visible octets will do.
pub(super) fn call_id(bytes: &Bytes, line: Line) -> Result<Text, HeaderError> {
    let text = text_of(bytes, line).map_err(fault::<CallId>)?;
    CallId::check(text.as_bytes())?;
    Ok(text)
}

/// CSeq needs no text of its own: what it holds is copied.
#[inline]
pub(super) fn cseq(bytes: &Bytes, line: Line) -> Result<CSeq, HeaderError> {
    match line.folded {
        true => CSeq::parse(&value_of(bytes, line)),
        false => CSeq::from_bytes(line.value(bytes)),
    }
}

//! Text that shares the octets of the datagram it came in, and spans within such a text.
//! Values cut from a message stay slices of it until somebody asks for a `String`.

use bytes::Bytes;

use crate::error::Fault;

/// Longest text that is taken from outside. Three of them together still fit a span.
pub(crate) const MAX: usize = 16_384;

/// UTF-8 octets, cheap to clone. Never longer than a span can address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text(Bytes);

impl Text {
    /// A copy of `text` in memory of its own.
    pub(crate) fn copy(text: &str) -> Result<Text, Fault> {
        if text.len() > MAX {
            return Err(Fault::TooLong);
        }
        Ok(Text(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// `text` itself, moved.
    pub(crate) fn own(text: String) -> Result<Text, Fault> {
        if text.len() > MAX {
            return Err(Fault::TooLong);
        }
        Ok(Text(Bytes::from(text)))
    }

    /// `text`, which the caller knows to be shorter than 65,536 octets.
    pub(crate) fn bounded(text: String) -> Text {
        debug_assert!(text.len() <= usize::from(u16::MAX));
        Text(Bytes::from(text))
    }

    /// The octets `from..to` of `bytes`, shared; octets that are not UTF-8 are copied and become
    /// U+FFFD. The caller has checked the bounds: outside of them the text is empty.
    #[inline]
    pub(crate) fn share(bytes: &Bytes, from: usize, to: usize) -> Result<Text, Fault> {
        let Some(part) = bytes.get(from..to) else {
            return Ok(Text(Bytes::new()));
        };
        if part.len() > MAX {
            return Err(Fault::TooLong);
        }
        // Nearly every value is ASCII, which is quicker to see.
        if part.is_ascii() || std::str::from_utf8(part).is_ok() {
            return Ok(Text(bytes.slice_ref(part)));
        }
        Text::own(String::from_utf8_lossy(part).into_owned())
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        // Checked when the text was made: the empty string stands for what cannot happen.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The characters of `span`; empty when it does not fit.
    #[inline]
    pub(crate) fn get(&self, span: Span) -> &str {
        self.0
            .get(span.range())
            .and_then(|part| std::str::from_utf8(part).ok())
            .unwrap_or_default()
    }

    /// The part of this text that `span` covers, shared. Spans begin and end beside ASCII octets,
    /// so that the part is UTF-8 as the whole is.
    #[inline]
    pub(crate) fn part(&self, span: Span) -> Text {
        match self.0.get(span.range()) {
            Some(part) => Text(self.0.slice_ref(part)),
            None => Text(Bytes::new()),
        }
    }

    /// Where `part`, a slice of this text, lies in it.
    #[inline]
    pub(crate) fn span_of(&self, part: &[u8]) -> Span {
        let from = (part.as_ptr() as usize).wrapping_sub(self.0.as_ptr() as usize);
        Span {
            from: from as u16,
            to: from.wrapping_add(part.len()) as u16,
        }
    }

    /// The same text in memory of its own: lets go of the datagram.
    pub(crate) fn detached(&self) -> Text {
        Text(Bytes::copy_from_slice(&self.0))
    }
}

/// A range of octets in a [`Text`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Span {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

impl Span {
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.from >= self.to
    }

    #[inline]
    fn range(self) -> std::ops::Range<usize> {
        usize::from(self.from)..usize::from(self.to)
    }
}

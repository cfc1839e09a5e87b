//! What can be wrong with the words of a message. State machines have errors of their own.
//! Texts are lower-case and name the cause; they carry no user data that could be a secret.

use thiserror::Error;

use crate::name::Name;

pub use crate::message::parse_error::{ParseError, ParseErrorKind};

/// A text that is no header field name: empty, or not a token (RFC 3261 7.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a header field name")]
pub struct NameError;

/// A text that is no method: empty, or not a token (RFC 3261 25.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a method name")]
pub struct MethodError;

/// A number that is no status code: outside 100 to 699 (RFC 3261 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is not a status code (100 to 699)")]
pub struct StatusError(pub u16);

/// A text that is no URI as RFC 3261 19.1 and 25.1, or RFC 3966, write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UriError {
    /// The grammar broke: what was expected, and at which octet of the text.
    #[error("malformed URI: expected {rule} at octet {at}")]
    Malformed {
        /// The rule of the grammar that did not match.
        rule: &'static str,
        /// Octets from the start of the URI.
        at: usize,
    },
    /// Longer than 16,384 octets.
    #[error("URI longer than 16384 octets")]
    TooLong,
}

/// A header field value that does not follow its grammar.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name}: {fault}")]
pub struct HeaderError {
    name: Name,
    fault: Fault,
}

impl HeaderError {
    pub(crate) fn new(name: Name, fault: Fault) -> HeaderError {
        HeaderError { name, fault }
    }

    /// The field that is wrong.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What is wrong with it.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// What is wrong with a header field value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The grammar broke: what was expected, and at which octet of the value.
    #[error("expected {rule} at octet {at}")]
    Malformed {
        /// The rule of the grammar that did not match.
        rule: &'static str,
        /// Octets from the start of the (unfolded, trimmed) value.
        at: usize,
    },
    /// A number larger than the field allows.
    #[error("number out of range")]
    OutOfRange,
    /// A parameter that the field must have.
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter that occurs more than once.
    #[error("parameter {0} is repeated")]
    Repeated(&'static str),
    /// An authentication scheme other than Digest.
    #[error("authentication scheme is not digest")]
    Scheme,
    /// More list items than the limit.
    #[error("more than {limit} items")]
    TooMany {
        /// The limit that was passed.
        limit: usize,
    },
    /// A value longer than 16,384 octets.
    #[error("value longer than 16384 octets")]
    TooLong,
}

/// A message that a builder refuses to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value with CR, LF or NUL would change the structure of the message.
    #[error("{0}: value contains CR, LF or NUL")]
    ControlCharacter(Name),
    /// The field may stand in a message once only.
    #[error("{0}: may occur only once")]
    Repeated(Name),
    /// The builder writes this field itself.
    #[error("{0}: written by the builder")]
    Reserved(Name),
    /// A tag that is not a token.
    #[error("{0}: tag is not a token")]
    Tag(Name),
    /// A reason phrase with CR, LF or NUL.
    #[error("reason phrase contains CR, LF or NUL")]
    ReasonPhrase,
}

impl BuildError {
    /// The field that was refused; `None` when it was the reason phrase.
    pub fn name(&self) -> Option<&Name> {
        match self {
            BuildError::ControlCharacter(name)
            | BuildError::Repeated(name)
            | BuildError::Reserved(name)
            | BuildError::Tag(name) => Some(name),
            BuildError::ReasonPhrase => None,
        }
    }
}

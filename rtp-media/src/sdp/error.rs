//! Why a text is not a session description: which line, and what is wrong with it.
//! The text of these errors reaches the PBX's administrator, so it names cause and place.

/// A session description that cannot be read. Whoever sent it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the session description: {kind}")]
pub struct SdpError {
    line: usize,
    kind: SdpErrorKind,
}

impl SdpError {
    pub(super) fn new(line: usize, kind: SdpErrorKind) -> Self {
        Self { line, kind }
    }

    /// The line that is wrong, counted from 1; for something missing, the last line read.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &SdpErrorKind {
        &self.kind
    }
}

/// What is wrong with a line of a session description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpErrorKind {
    /// The body has no line at all.
    #[error("the body is empty")]
    Empty,
    /// One of the bounds of this parser was passed.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of: bytes, lines, media lines, attributes, formats.
        what: &'static str,
        /// The bound that was passed.
        limit: usize,
    },
    /// The line does not begin with a letter and an equals sign.
    #[error("not of the form <letter>=<value>")]
    NotALine,
    /// A type letter that RFC 8866 does not define.
    #[error("unknown line type '{}='", .letter.escape_default())]
    UnknownType {
        /// The letter before the equals sign.
        letter: char,
    },
    /// The description does not begin with `v=0`.
    #[error("the description must begin with v=0")]
    Version,
    /// A line that stands once per section came again.
    #[error("a second '{letter}=' line in the same section")]
    Twice {
        /// The line's type letter.
        letter: char,
    },
    /// A line that stands only before the first media line, or only once there is one.
    #[error("a '{letter}=' line is not allowed here")]
    Misplaced {
        /// The line's type letter.
        letter: char,
    },
    /// A field of the line is not there.
    #[error("the {field} is missing")]
    MissingField {
        /// The field's name in the RFC 8866 grammar.
        field: &'static str,
    },
    /// A field of the line does not hold what its grammar asks for.
    #[error("the {field} is not valid")]
    BadField {
        /// The field's name in the RFC 8866 grammar.
        field: &'static str,
    },
    /// A NUL or CR byte inside a value, which no line may hold (RFC 8866 section 9, byte-string).
    #[error("a NUL or CR byte inside the line")]
    Control,
}

//! Who speaks in a transcript, and how long a line of it may be.
//! The lines themselves go to the call's observer; nothing is kept here.

/// The longest text of one line in bytes; what is longer is cut at a character boundary.
pub const MAX_LINE: usize = 4096;

/// One of the two parties of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// Our side.
    Agent,
    /// The other side.
    Caller,
}

impl Speaker {
    /// `agent` or `caller`, as the records have it.
    pub fn label(self) -> &'static str {
        match self {
            Speaker::Agent => "agent",
            Speaker::Caller => "caller",
        }
    }

    /// Reads `agent` or `caller`.
    pub fn from_label(label: &str) -> Option<Self> {
        match label {
            "agent" => Some(Speaker::Agent),
            "caller" => Some(Speaker::Caller),
            _ => None,
        }
    }
}

/// The text cut to [`MAX_LINE`] bytes at a character boundary.
pub(crate) fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_LINE))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let long = format!("a{}", "é".repeat(MAX_LINE));
        let cut = bounded(&long);
        assert_eq!(cut.len(), MAX_LINE - 1);
        assert!(long.starts_with(cut));
        assert_eq!(bounded("short"), "short");
    }

    #[test]
    fn a_speaker_is_read_as_it_is_written() {
        for speaker in [Speaker::Agent, Speaker::Caller] {
            assert_eq!(Speaker::from_label(speaker.label()), Some(speaker));
        }
        assert_eq!(Speaker::from_label("Agent"), None);
    }
}

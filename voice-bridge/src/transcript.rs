//! Who said what during a call, bounded.
//! Time comes in as an argument: a transcript owns no clock.

use std::time::SystemTime;

/// The longest text of one line in bytes; what is longer is cut at a character boundary.
pub const MAX_LINE: usize = 4096;
/// The most lines a transcript keeps; further ones are counted, not kept.
pub const MAX_LINES: usize = 5000;

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

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who said it.
    pub speaker: Speaker,
    /// What was said, or keyed.
    pub text: String,
    /// When.
    pub at: SystemTime,
}

/// What was said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    lines: Vec<Line>,
    omitted: usize,
}

impl Transcript {
    /// An empty transcript.
    pub fn new() -> Self {
        Transcript::default()
    }

    /// Adds a line. Blank text adds nothing.
    pub fn push(&mut self, at: SystemTime, speaker: Speaker, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.omitted = self.omitted.saturating_add(1);
            return;
        }
        self.lines.push(Line {
            speaker,
            text: bounded(text).to_owned(),
            at,
        });
    }

    /// The lines in the order they were said.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many lines were not kept because the transcript was full.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

/// The text cut to [`MAX_LINE`] bytes at a character boundary.
pub fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_LINE))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_transcript_counts_what_it_does_not_keep() {
        let mut transcript = Transcript::new();
        for _ in 0..MAX_LINES + 3 {
            transcript.push(SystemTime::UNIX_EPOCH, Speaker::Caller, "again");
        }
        assert_eq!(transcript.lines().len(), MAX_LINES);
        assert_eq!(transcript.omitted(), 3);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let mut transcript = Transcript::new();
        transcript.push(
            SystemTime::UNIX_EPOCH,
            Speaker::Agent,
            &"é".repeat(MAX_LINE),
        );
        let text = &transcript.lines()[0].text;
        assert_eq!(text.len(), MAX_LINE);
        assert!(text.chars().all(|c| c == 'é'));
        transcript.push(SystemTime::UNIX_EPOCH, Speaker::Agent, "  \n");
        assert_eq!(transcript.lines().len(), 1);
    }
}

//! Speech on its way to the caller: whole frames in order, with marks between them.
//! `clear` takes away what was not played and says which marks went with it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::Frame;

/// The audio that may wait in a lane before the speaker is held back.
const AUDIO: Duration = Duration::from_secs(1);
/// How many pieces may wait, marks included.
const PIECES: usize = 100;

/// One thing that was said.
#[derive(Debug, Clone, PartialEq)]
pub enum Spoken {
    /// A piece of audio.
    Audio(Frame),
    /// A mark: all before it has been said.
    Mark(String),
}

/// The lane between an agent and the play-out queue of the call's media.
#[derive(Debug, Default)]
pub struct Lane {
    spoken: VecDeque<Spoken>,
    audio: Duration,
}

impl Lane {
    /// Whether the speaker has to wait. A lane that is full still takes what it is given.
    pub fn is_full(&self) -> bool {
        self.audio >= AUDIO || self.spoken.len() >= PIECES
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.spoken.is_empty()
    }

    /// Adds to the end.
    pub fn push(&mut self, spoken: Spoken) {
        self.audio = self.audio.saturating_add(length(&spoken));
        self.spoken.push_back(spoken);
    }

    /// Takes from the front.
    pub fn pop(&mut self) -> Option<Spoken> {
        let spoken = self.spoken.pop_front()?;
        self.audio = self.audio.saturating_sub(length(&spoken));
        Some(spoken)
    }

    /// Empties the lane and returns the marks that were in it, in order.
    pub fn clear(&mut self) -> Vec<String> {
        self.audio = Duration::ZERO;
        self.spoken
            .drain(..)
            .filter_map(|spoken| match spoken {
                Spoken::Mark(name) => Some(name),
                Spoken::Audio(_) => None,
            })
            .collect()
    }
}

fn length(spoken: &Spoken) -> Duration {
    match spoken {
        Spoken::Audio(frame) => frame.duration(),
        Spoken::Mark(_) => Duration::ZERO,
    }
}

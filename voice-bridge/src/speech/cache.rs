//! Remembers what was spoken, so that a prompt is rendered once and not once a call.
//! Bounded by the audio it holds; what was used longest ago goes first.

use std::collections::HashMap;
use std::sync::Arc;

/// The most samples kept: 16 minutes of speech, 16 MB.
const SAMPLES: usize = 8_000_000;

/// Speech by its text.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<String, Entry>,
    samples: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    speech: Arc<[i16]>,
    used: u64,
}

impl Cache {
    /// The speech of this text, if it is remembered.
    pub fn recall(&mut self, text: &str) -> Option<Arc<[i16]>> {
        self.uses = self.uses.wrapping_add(1);
        let entry = self.entries.get_mut(text)?;
        entry.used = self.uses;
        Some(Arc::clone(&entry.speech))
    }

    /// Remembers the speech of a text and forgets as many others as that takes.
    pub fn remember(&mut self, text: &str, speech: &Arc<[i16]>) {
        if speech.len() > SAMPLES / 4 {
            return;
        }
        self.forget(text);
        while self.samples.saturating_add(speech.len()) > SAMPLES {
            let Some(oldest) = self.oldest() else { break };
            self.forget(&oldest);
        }
        self.samples = self.samples.saturating_add(speech.len());
        self.entries.insert(
            text.to_owned(),
            Entry {
                speech: Arc::clone(speech),
                used: self.uses,
            },
        );
    }

    fn oldest(&self) -> Option<String> {
        let (text, _) = self.entries.iter().min_by_key(|(_, entry)| entry.used)?;
        Some(text.clone())
    }

    fn forget(&mut self, text: &str) {
        if let Some(entry) = self.entries.remove(text) {
            self.samples = self.samples.saturating_sub(entry.speech.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let mut cache = Cache::default();
        let quarter: Arc<[i16]> = vec![0; SAMPLES / 4].into();
        for text in ["a", "b", "c", "d"] {
            cache.remember(text, &quarter);
            cache.recall(text);
        }
        assert!(cache.recall("a").is_some());
        cache.remember("e", &quarter);
        assert!(cache.recall("b").is_none(), "b was used longest ago");
        for text in ["a", "c", "d", "e"] {
            assert!(cache.recall(text).is_some(), "{text}");
        }
        assert!(cache.samples <= SAMPLES);
    }

    #[test]
    fn remembering_a_text_anew_counts_it_once() {
        let mut cache = Cache::default();
        for _ in 0..100 {
            cache.remember("a", &vec![0; SAMPLES / 4].into());
        }
        assert_eq!(cache.samples, SAMPLES / 4);
        cache.remember("huge", &vec![0; SAMPLES].into());
        assert!(cache.recall("huge").is_none());
    }
}

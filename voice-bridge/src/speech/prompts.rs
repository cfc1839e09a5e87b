//! The bundled voice: recorded words and phrases, put together to sentences.
//! What it has no recording of is sounded in tones. `prompts/PROVENANCE.md` says who made them.

use std::collections::HashMap;
use std::sync::LazyLock;

use rtp_media::codec::g711::ulaw_decode;

use super::RATE;
use super::tones::tones;

/// All recordings one after the other, µ-law at 8 kHz.
static RECORDINGS: &[u8] = include_bytes!("prompts/prompts.ulaw");
/// A line for each: the phrase, where it begins, how long it is; in bytes.
static INDEX: &str = include_str!("prompts/index.tsv");

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::read(INDEX));

/// Between two recordings, and after the end of a sentence or clause.
const WORD_GAP_MS: u32 = 40;
const CLAUSE_GAP_MS: u32 = 250;

/// The text from recordings where there are any, otherwise from tones.
pub fn speak(text: &str) -> Vec<i16> {
    let mut out = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Recorded(phrase) => {
                let recording = PHRASES.recording(phrase);
                out.extend(recording.iter().map(|byte| ulaw_decode(*byte)));
                pause(&mut out, WORD_GAP_MS);
            }
            Piece::Unknown(words) => out.extend(tones(&words)),
            Piece::Pause => pause(&mut out, CLAUSE_GAP_MS),
        }
    }
    if out.is_empty() {
        out = tones("");
    }
    out
}

/// The words of the text that there is no recording of.
#[cfg(test)]
pub fn unknown(text: &str) -> Vec<String> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Unknown(words) => Some(words),
            _ => None,
        })
        .collect()
}

#[derive(Debug, PartialEq)]
enum Piece {
    Recorded(&'static str),
    Unknown(String),
    Pause,
}

/// Cuts a text into the longest phrases that there are recordings of.
fn pieces(text: &str) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let words = words(text);
    let mut rest = words.as_slice();
    while let Some(first) = rest.first() {
        let longest = rest.len().min(PHRASES.longest);
        let found = (1..=longest).rev().find_map(|count| {
            let taken = rest.get(..count)?;
            let inside = taken.get(..count.checked_sub(1)?)?;
            // A phrase does not reach over the end of a clause.
            if inside.iter().any(|word| word.ends_clause) {
                return None;
            }
            let joined: Vec<&str> = taken.iter().map(|word| word.text.as_str()).collect();
            let phrase = PHRASES.find(&joined.join(" "))?;
            Some((phrase, count))
        });
        let count = match found {
            Some((phrase, count)) => {
                out.push(Piece::Recorded(phrase));
                count
            }
            None => {
                match out.last_mut() {
                    Some(Piece::Unknown(words)) => {
                        words.push(' ');
                        words.push_str(&first.text);
                    }
                    _ => out.push(Piece::Unknown(first.text.clone())),
                }
                1
            }
        };
        if rest
            .get(count.saturating_sub(1))
            .is_some_and(|word| word.ends_clause)
        {
            out.push(Piece::Pause);
        }
        rest = rest.get(count..).unwrap_or_default();
    }
    out
}

#[derive(Debug)]
struct Word {
    text: String,
    ends_clause: bool,
}

/// Words in lower case without punctuation; numbers digit by digit.
fn words(text: &str) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    for raw in text.split_whitespace() {
        let plain: String = raw
            .to_lowercase()
            .replace('’', "'")
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '\'')
            .collect();
        let number = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
        if number {
            out.extend(plain.chars().map(|digit| Word {
                text: digit.to_string(),
                ends_clause: false,
            }));
        } else if !plain.is_empty() {
            out.push(Word {
                text: plain,
                ends_clause: false,
            });
        }
        if raw.ends_with(['.', ',', '!', '?', ':', ';'])
            && let Some(last) = out.last_mut()
        {
            last.ends_clause = true;
        }
    }
    out
}

fn pause(out: &mut Vec<i16>, ms: u32) {
    let more = (RATE * ms / 1000) as usize;
    out.resize(out.len().saturating_add(more), 0);
}

struct Phrases {
    by_text: HashMap<&'static str, (usize, usize)>,
    /// Words in the longest phrase.
    longest: usize,
}

impl Phrases {
    fn read(index: &'static str) -> Phrases {
        let by_text: HashMap<_, _> = index
            .lines()
            .filter_map(|line| {
                let mut fields = line.split('\t');
                let phrase = fields.next()?;
                let begin = fields.next()?.parse().ok()?;
                let length = fields.next()?.parse().ok()?;
                Some((phrase, (begin, length)))
            })
            .collect();
        let longest = by_text.keys().map(|phrase| phrase.split(' ').count()).max();
        Phrases {
            longest: longest.unwrap_or(0),
            by_text,
        }
    }

    fn find(&self, phrase: &str) -> Option<&'static str> {
        self.by_text
            .get_key_value(phrase)
            .map(|(phrase, _)| *phrase)
    }

    fn recording(&self, phrase: &str) -> &'static [u8] {
        self.by_text
            .get(phrase)
            .and_then(|(begin, length)| RECORDINGS.get(*begin..begin.checked_add(*length)?))
            .unwrap_or_default()
    }
}

//! Speech of last resort: text as tones, a letter as its Morse sign.
//! Nobody needs to read it; it tells a caller that the line is alive and something is wrong.

use std::f64::consts::PI;

use super::RATE;

/// Length of a dot; everything else is a multiple of it (ITU-R M.1677-1).
const DOT_MS: u32 = 50;
const PITCH: f64 = 650.0;
/// For a character that has no sign.
const LOW_PITCH: f64 = 330.0;
/// Letters of one word, and of one text, that are sounded: a paragraph would last for minutes.
const WORD: usize = 10;
const TEXT: usize = 30;

/// The text as tones at 8 kHz, never longer than a minute. Never empty: text without a
/// single sign gives one low tone.
pub fn tones(text: &str) -> Vec<i16> {
    let mut out = Vec::new();
    let mut left = TEXT;
    for word in text.split_whitespace() {
        if left == 0 {
            break;
        }
        let signs = word.chars().filter(|c| c.is_alphanumeric());
        for letter in signs.take(WORD.min(left)) {
            left = left.saturating_sub(1);
            sound(&mut out, letter);
            silence(&mut out, 2);
        }
        silence(&mut out, 4);
    }
    if left == TEXT {
        tone(&mut out, LOW_PITCH, 6);
    }
    out
}

/// The tone after which a caller speaks a message.
pub fn beep() -> Vec<i16> {
    let mut out = Vec::new();
    tone(&mut out, 1000.0, 6);
    out
}

fn sound(out: &mut Vec<i16>, letter: char) {
    let Some(sign) = sign(letter) else {
        tone(out, LOW_PITCH, 4);
        silence(out, 1);
        return;
    };
    for mark in sign.bytes() {
        tone(out, PITCH, if mark == b'.' { 1 } else { 3 });
        silence(out, 1);
    }
}

fn tone(out: &mut Vec<i16>, pitch: f64, dots: u32) {
    let samples = RATE * DOT_MS * dots / 1000;
    // The edges rise and fall over 5 ms: a hard edge is a click.
    let edge = f64::from(RATE / 200);
    out.extend((0..samples).map(|n| {
        let from_edge = f64::from(n.min(samples.saturating_sub(n)));
        let gain = 6000.0 * (from_edge / edge).min(1.0);
        (gain * (2.0 * PI * pitch * f64::from(n) / f64::from(RATE)).sin()) as i16
    }));
}

fn silence(out: &mut Vec<i16>, dots: u32) {
    let more = (RATE * DOT_MS * dots / 1000) as usize;
    out.resize(out.len().saturating_add(more), 0);
}

/// ITU-R M.1677-1, 1.1.
fn sign(letter: char) -> Option<&'static str> {
    Some(match letter.to_ascii_lowercase() {
        'a' => ".-",
        'b' => "-...",
        'c' => "-.-.",
        'd' => "-..",
        'e' => ".",
        'f' => "..-.",
        'g' => "--.",
        'h' => "....",
        'i' => "..",
        'j' => ".---",
        'k' => "-.-",
        'l' => ".-..",
        'm' => "--",
        'n' => "-.",
        'o' => "---",
        'p' => ".--.",
        'q' => "--.-",
        'r' => ".-.",
        's' => "...",
        't' => "-",
        'u' => "..-",
        'v' => "...-",
        'w' => ".--",
        'x' => "-..-",
        'y' => "-.--",
        'z' => "--..",
        '0' => "-----",
        '1' => ".----",
        '2' => "..---",
        '3' => "...--",
        '4' => "....-",
        '5' => ".....",
        '6' => "-....",
        '7' => "--...",
        '8' => "---..",
        '9' => "----.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of sound and silence in dots, long enough to hear.
    fn rhythm(samples: &[i16]) -> String {
        let dot = (RATE * DOT_MS / 1000) as usize;
        samples
            .chunks(dot)
            .map(|chunk| {
                if chunk.iter().any(|s| s.abs() > 1000) {
                    '#'
                } else {
                    '_'
                }
            })
            .collect()
    }

    #[test]
    fn a_letter_is_its_morse_sign() {
        assert_eq!(rhythm(&tones("a")), "#_###_______");
        assert_eq!(rhythm(&tones("ee")), "#___#_______");
    }

    #[test]
    fn any_text_is_heard_and_ends() {
        for text in ["", "???", "東京", "Sales", &"word ".repeat(5000)] {
            let samples = tones(text);
            assert!(samples.iter().any(|s| s.abs() > 3000), "{text:.20}");
        }
        let slowest = tones(&"0000 ".repeat(5000));
        assert!(slowest.len() < RATE as usize * 60, "{}", slowest.len());
    }
}

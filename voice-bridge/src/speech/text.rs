//! Text on its way to a voice: cleaned, bounded, cut into sentences.
//! A sentence at a time is what keeps the first word from waiting for the last.

/// The most characters of one text that are spoken, about five minutes.
pub const MAX_TEXT: usize = 4000;
/// The longest piece given to a voice at once.
const MAX_SENTENCE: usize = 300;

/// One line without control characters, single-spaced and at most [`MAX_TEXT`] characters long.
pub fn cleaned(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT));
    let mut count = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        for c in (!out.is_empty())
            .then_some(' ')
            .into_iter()
            .chain(word.chars())
        {
            if count >= MAX_TEXT {
                return out;
            }
            out.push(c);
            count = count.saturating_add(1);
        }
    }
    out
}

/// The sentences of a text in order; one that is too long is cut between words.
pub fn sentences(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut sentence = String::new();
    for word in cleaned(text).split(' ').filter(|word| !word.is_empty()) {
        if sentence.len().saturating_add(word.len()) >= MAX_SENTENCE && !sentence.is_empty() {
            out.push(std::mem::take(&mut sentence));
        }
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        if ends_sentence(word) {
            out.push(std::mem::take(&mut sentence));
        }
    }
    if !sentence.is_empty() {
        out.push(sentence);
    }
    out
}

/// `Dr.` and `J.` end no sentence; nor does a number such as `3.`
fn ends_sentence(word: &str) -> bool {
    const SHORT: [&str; 8] = ["Mr.", "Mrs.", "Ms.", "Dr.", "St.", "No.", "ext.", "Ext."];
    let stem = word.trim_end_matches(['.', '!', '?', '"', '\'', ')']);
    let ended = word.ends_with(['.', '!', '?'])
        || (stem.len() < word.len() && word.ends_with(['"', '\'', ')']));
    ended && stem.chars().count() > 1 && !SHORT.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_each_sentence() {
        assert_eq!(
            sentences("Hello.  You have reached Dr. Jones\nand J. Smith! Press 1.5 or 2?"),
            [
                "Hello.",
                "You have reached Dr. Jones and J. Smith!",
                "Press 1.5 or 2?"
            ]
        );
        assert!(sentences(" \n\t ").is_empty());
    }

    #[test]
    fn a_text_without_end_is_cut_between_words_and_bounded() {
        let pieces = sentences(&"word ".repeat(10_000));
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_SENTENCE));
        assert!(pieces.iter().map(String::len).sum::<usize>() <= MAX_TEXT);
        let one = cleaned(&"é".repeat(10_000));
        assert_eq!(one.chars().count(), MAX_TEXT);
    }

    #[test]
    fn nothing_can_end_the_line_or_speak_in_control_characters() {
        assert_eq!(cleaned("a\r\n\u{1b}[2J b\0c"), "a [2J b c");
    }
}

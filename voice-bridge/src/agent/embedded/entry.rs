//! What keys mean: a choice of the menu, an extension dialled in full, or not yet clear.
//! The longest match wins; a pause or `#` says that nothing more will come.

use crate::agent::{Directory, ExtensionEntry};

/// How many extensions can be chosen with a single key.
pub const KEYS: usize = 9;

/// What the caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// To be connected.
    Extension(ExtensionEntry),
    /// To leave a message.
    Message,
}

/// What the digits keyed so far can mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// This and nothing else.
    Clear(Choice),
    /// This, unless more digits follow.
    Unless(Choice),
    /// The beginning of an extension.
    Beginning,
    /// Nothing, and more digits will not help.
    Nothing,
}

/// Reads the digits keyed so far.
pub fn meaning(digits: &str, directory: &Directory) -> Meaning {
    let longer = directory
        .entries()
        .iter()
        .any(|entry| entry.extension.len() > digits.len() && entry.extension.starts_with(digits));
    let exact = single_key(digits, directory).or_else(|| in_full(digits, directory));
    match (exact, longer) {
        (Some(choice), false) => Meaning::Clear(choice),
        (Some(choice), true) => Meaning::Unless(choice),
        (None, true) => Meaning::Beginning,
        (None, false) => Meaning::Nothing,
    }
}

/// Reads digits that were ended with `#`: here an extension comes before a choice of the menu,
/// so that one with a single digit can be dialled too.
pub fn ended(digits: &str, directory: &Directory) -> Option<Choice> {
    in_full(digits, directory).or_else(|| single_key(digits, directory))
}

fn single_key(digits: &str, directory: &Directory) -> Option<Choice> {
    let &[key] = digits.as_bytes() else {
        return None;
    };
    match key {
        b'0' => Some(Choice::Message),
        b'1'..=b'9' => directory
            .nth(usize::from(key - b'0'))
            .cloned()
            .map(Choice::Extension),
        _ => None,
    }
}

fn in_full(digits: &str, directory: &Directory) -> Option<Choice> {
    directory.by_number(digits).cloned().map(Choice::Extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(numbers: &[&str]) -> Directory {
        numbers
            .iter()
            .map(|n| ExtensionEntry::new(*n, format!("name {n}")))
            .collect()
    }

    fn extension(number: &str) -> Choice {
        Choice::Extension(ExtensionEntry::new(number, format!("name {number}")))
    }

    #[test]
    fn a_key_is_the_nth_extension_by_number() {
        let directory = directory(&["900", "20", "100"]);
        assert_eq!(meaning("1", &directory), Meaning::Unless(extension("20")));
        assert_eq!(meaning("3", &directory), Meaning::Clear(extension("900")));
        assert_eq!(meaning("4", &directory), Meaning::Nothing);
        assert_eq!(meaning("0", &directory), Meaning::Clear(Choice::Message));
    }

    #[test]
    fn an_extension_that_begins_another_waits_for_more() {
        let directory = directory(&["10", "101", "102"]);
        assert_eq!(meaning("10", &directory), Meaning::Unless(extension("10")));
        assert_eq!(meaning("101", &directory), Meaning::Clear(extension("101")));
        assert_eq!(meaning("103", &directory), Meaning::Nothing);
        assert_eq!(meaning("1", &directory), Meaning::Unless(extension("10")));
    }

    #[test]
    fn a_single_digit_extension_is_dialled_with_hash() {
        let directory = directory(&["2", "3", "4"]);
        assert_eq!(meaning("2", &directory), Meaning::Clear(extension("3")));
        assert_eq!(ended("2", &directory), Some(extension("2")));
        assert_eq!(ended("1", &directory), Some(extension("2")));
        assert_eq!(ended("7", &directory), None);
    }

    #[test]
    fn a_zero_that_begins_an_extension_waits_for_more() {
        let directory = directory(&["012"]);
        assert_eq!(meaning("0", &directory), Meaning::Unless(Choice::Message));
        assert_eq!(meaning("01", &directory), Meaning::Beginning);
    }
}

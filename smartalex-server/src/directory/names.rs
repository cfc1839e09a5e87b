//! Finding an extension by what a caller or an agent calls it, and what comes near when nothing
//! fits: number, then name, owner or alias; case, spaces and small slips do not matter.

use crate::trunks::Extension;

/// The extensions of one trunk, by number.
#[derive(Debug, Default)]
pub struct Names {
    extensions: Vec<Extension>,
    /// Every name in comparable form, with the index of its extension.
    names: Vec<(String, usize)>,
}

/// What a name led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// This extension and no other.
    One(&'a Extension),
    /// Several fit, or none: these come nearest, the nearest first.
    Nearest(Vec<&'a Extension>),
}

impl Names {
    /// The names of `extensions`, which are in order of their number.
    pub fn new(extensions: Vec<Extension>) -> Self {
        let mut names = Vec::new();
        for (index, extension) in extensions.iter().enumerate() {
            let own = [&extension.display_name].into_iter();
            for name in own.chain(&extension.owner).chain(&extension.aliases) {
                let name = comparable(name);
                if !name.is_empty() {
                    names.push((name, index));
                }
            }
        }
        Self { extensions, names }
    }

    /// All extensions in order of their number.
    pub fn all(&self) -> &[Extension] {
        &self.extensions
    }

    /// The extension with exactly this number.
    pub fn by_number(&self, number: &str) -> Option<&Extension> {
        self.extensions
            .iter()
            .find(|extension| extension.extension.eq_ignore_ascii_case(number))
    }

    /// The extension that `target` names: by number, name, owner or alias.
    pub fn find(&self, target: &str) -> Found<'_> {
        let target: String = target.chars().take(LONGEST_TARGET).collect();
        if let Some(extension) = self.by_number(target.trim()) {
            return Found::One(extension);
        }
        let wanted = comparable(&target);
        let mut exact: Vec<usize> = self
            .names
            .iter()
            .filter(|(name, _)| *name == wanted)
            .map(|(_, index)| *index)
            .collect();
        exact.dedup();
        match exact.as_slice() {
            [index] => match self.extensions.get(*index) {
                Some(extension) => Found::One(extension),
                None => Found::Nearest(Vec::new()),
            },
            [] => Found::Nearest(self.nearest(&wanted)),
            several => Found::Nearest(
                several
                    .iter()
                    .filter_map(|index| self.extensions.get(*index))
                    .take(MOST_NEAREST)
                    .collect(),
            ),
        }
    }

    fn nearest(&self, wanted: &str) -> Vec<&Extension> {
        let mut scored: Vec<(usize, usize)> = self
            .names
            .iter()
            .map(|(name, index)| (name.as_str(), *index))
            .chain(
                self.extensions
                    .iter()
                    .enumerate()
                    .map(|(index, extension)| (extension.extension.as_str(), index)),
            )
            .filter_map(|(name, index)| Some((score(wanted, name)?, index)))
            .collect();
        scored.sort_unstable();
        let mut nearest: Vec<&Extension> = Vec::new();
        for (_, index) in scored {
            if let Some(extension) = self.extensions.get(index)
                && !nearest.iter().any(|other| std::ptr::eq(*other, extension))
            {
                nearest.push(extension);
            }
            if nearest.len() == MOST_NEAREST {
                break;
            }
        }
        nearest
    }
}

/// How far `name` is from `wanted`: 0 is nearest; `None` is too far to offer.
fn score(wanted: &str, name: &str) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let shares_word = wanted
        .split(' ')
        .any(|word| word.len() > 1 && name.split(' ').any(|other| other == word));
    if shares_word || (wanted.len() > 2 && name.starts_with(wanted)) {
        return Some(0);
    }
    let allowed = 1 + wanted.chars().count().max(name.chars().count()) / 4;
    let whole = distance(wanted, name);
    let by_word = name.split(' ').map(|word| distance(wanted, word)).min();
    let best = whole.min(by_word.unwrap_or(whole));
    (best <= allowed && best < wanted.chars().count()).then_some(best)
}

/// Lower case, words parted by one space, everything else gone.
fn comparable(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars().take(LONGEST_TARGET) {
        if c.is_alphanumeric() {
            text.extend(c.to_lowercase());
        } else if !text.is_empty() && !text.ends_with(' ') && c != '\'' && c != '’' {
            text.push(' ');
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = *cell;
            *cell = substituted.min(left + 1).min(diagonal + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

const MOST_NEAREST: usize = 3;
const LONGEST_TARGET: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extension(number: &str, name: &str, owner: &str, aliases: &[&str]) -> Extension {
        Extension {
            extension: number.to_owned(),
            display_name: name.to_owned(),
            owner: Some(owner.to_owned()),
            department: None,
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        }
    }

    fn office() -> Names {
        Names::new(vec![
            extension("101", "Sales", "Sarah Jones", &["sarah", "sales team"]),
            extension("102", "Support", "Piet O'Brien", &["help desk"]),
            extension("103", "Accounts", "Sarah Nkosi", &["billing"]),
        ])
    }

    fn number<'a>(found: &Found<'a>) -> Option<&'a str> {
        match found {
            Found::One(extension) => Some(&extension.extension),
            Found::Nearest(_) => None,
        }
    }

    fn nearest(names: &Names, target: &str) -> Vec<String> {
        match names.find(target) {
            Found::One(extension) => panic!("{target} is {extension:?}"),
            Found::Nearest(list) => list.iter().map(|e| e.extension.clone()).collect(),
        }
    }

    #[test]
    fn numbers_names_owners_and_aliases_lead_to_an_extension() {
        let names = office();
        for (target, expected) in [
            ("101", "101"),
            ("SALES", "101"),
            ("sarah", "101"),
            (" Sales  Team ", "101"),
            ("Piet OBrien", "102"),
            ("help-desk", "102"),
            ("sarah nkosi", "103"),
        ] {
            assert_eq!(number(&names.find(target)), Some(expected), "{target}");
        }
    }

    #[test]
    fn slips_are_offered_but_not_followed() {
        let names = office();
        assert_eq!(nearest(&names, "Suport"), ["102"]);
        assert_eq!(nearest(&names, "acounts"), ["103"]);
        assert_eq!(nearest(&names, "jones"), ["101"]);
        assert!(nearest(&names, "warehouse").is_empty());
        assert!(nearest(&names, "").is_empty());
    }

    #[test]
    fn a_name_of_two_people_is_a_question() {
        let names = Names::new(vec![
            extension("1", "Sarah", "A", &[]),
            extension("2", "Sarah", "B", &[]),
        ]);
        assert_eq!(nearest(&names, "sarah"), ["1", "2"]);
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(target in ".{0,200}") {
            let _ = office().find(&target);
        }
    }
}

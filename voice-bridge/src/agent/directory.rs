//! Whom a caller can be transferred to: the extensions of a trunk, ordered by number.
//! A target is found by number, name, owner or alias; otherwise the nearest entries are named.

/// One extension of the customer's phone system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtensionEntry {
    /// The number as dialled on the phone system.
    pub extension: String,
    /// What it is called: `Sales`.
    pub display_name: String,
    /// Who sits there: `Sarah Jones`; may be empty.
    pub owner: String,
    /// Other names callers use for it.
    pub aliases: Vec<String>,
}

impl ExtensionEntry {
    /// An entry with a number and a name.
    pub fn new(extension: impl Into<String>, display_name: impl Into<String>) -> Self {
        ExtensionEntry {
            extension: extension.into(),
            display_name: display_name.into(),
            ..ExtensionEntry::default()
        }
    }

    /// The name to say aloud: the display name, else the owner, else `extension` and its number.
    pub fn spoken_name(&self) -> String {
        [&self.display_name, &self.owner]
            .into_iter()
            .map(|name| name.trim())
            .find(|name| !name.is_empty())
            .map_or_else(|| format!("extension {}", self.extension), str::to_owned)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [self.display_name.as_str(), self.owner.as_str()]
            .into_iter()
            .chain(self.aliases.iter().map(String::as_str))
            .filter(|name| !name.is_empty())
    }
}

/// The extensions that one agent can transfer to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    entries: Vec<ExtensionEntry>,
}

impl Directory {
    /// The entries, put in the order of their numbers.
    pub fn new(entries: impl IntoIterator<Item = ExtensionEntry>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by(|a, b| order(a).cmp(&order(b)));
        Directory { entries }
    }

    /// All entries in the order of their numbers.
    pub fn entries(&self) -> &[ExtensionEntry] {
        &self.entries
    }

    /// The `n`th entry, counted from 1.
    pub fn nth(&self, n: usize) -> Option<&ExtensionEntry> {
        self.entries.get(n.checked_sub(1)?)
    }

    /// The entry with exactly this number.
    pub fn by_number(&self, number: &str) -> Option<&ExtensionEntry> {
        self.entries.iter().find(|e| e.extension == number)
    }

    /// Finds whom a word names: a number, a name, an owner or an alias, letters of either case.
    ///
    /// # Errors
    /// Nobody, or more than one: then the nearest entries come back, best first, three at most.
    pub fn resolve(&self, target: &str) -> Result<&ExtensionEntry, Vec<&ExtensionEntry>> {
        let wanted = folded(target);
        if let Some(entry) = self.by_number(wanted.as_str()) {
            return Ok(entry);
        }
        let mut named = self
            .entries
            .iter()
            .filter(|e| e.names().any(|name| folded(name) == wanted));
        if let Some(entry) = named.next()
            && named.next().is_none()
        {
            return Ok(entry);
        }
        Err(self.nearest(&wanted))
    }

    fn nearest(&self, wanted: &str) -> Vec<&ExtensionEntry> {
        let mut scored: Vec<(usize, &ExtensionEntry)> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let best = entry
                    .names()
                    .map(folded)
                    .chain([folded(&entry.extension)])
                    .filter_map(|name| closeness(wanted, &name))
                    .min()?;
                Some((best, entry))
            })
            .collect();
        scored.sort_by_key(|(score, _)| *score);
        scored.into_iter().take(NEAREST).map(|(_, e)| e).collect()
    }
}

impl FromIterator<ExtensionEntry> for Directory {
    fn from_iter<I: IntoIterator<Item = ExtensionEntry>>(entries: I) -> Self {
        Directory::new(entries)
    }
}

/// How many entries are offered instead of one that does not exist.
const NEAREST: usize = 3;
/// Longer words are not compared letter by letter: the work grows with the square.
const COMPARED: usize = 64;

/// Numbers first, by value; then whatever else an extension may be called.
fn order(entry: &ExtensionEntry) -> (u128, &str) {
    let value = entry.extension.parse::<u128>().unwrap_or(u128::MAX);
    (value, entry.extension.as_str())
}

fn folded(word: &str) -> String {
    word.split_whitespace()
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

/// How far apart two words are, or `None` if they are not alike at all.
fn closeness(wanted: &str, name: &str) -> Option<usize> {
    if wanted.is_empty() || wanted.len() > COMPARED || name.len() > COMPARED {
        return None;
    }
    if wanted == name {
        return Some(0);
    }
    if name.split(' ').any(|word| word == wanted) || wanted.split(' ').any(|word| word == name) {
        return Some(1);
    }
    let apart = edits(wanted, name);
    let longest = wanted.chars().count().max(name.chars().count());
    (apart.saturating_mul(2) <= longest).then_some(apart.saturating_add(1))
}

/// Levenshtein's distance between two words.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i.saturating_add(1);
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let swapped = corner.saturating_add(usize::from(x != *y));
            left = swapped.min(above.min(&left).saturating_add(1));
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn office() -> Directory {
        let mut sales = ExtensionEntry::new("101", "Sales");
        sales.owner = "Sarah Jones".to_owned();
        sales.aliases = vec!["sarah".to_owned(), "sales team".to_owned()];
        let mut support = ExtensionEntry::new("102", "Support");
        support.aliases = vec!["help".to_owned()];
        let mut second = ExtensionEntry::new("1000", "Help");
        second.owner = "Ann".to_owned();
        Directory::new([second, support, sales])
    }

    fn numbers(entries: &[&ExtensionEntry]) -> Vec<String> {
        entries.iter().map(|e| e.extension.clone()).collect()
    }

    #[test]
    fn entries_stand_in_the_order_of_their_numbers() {
        let directory = Directory::new(
            ["1000", "front", "20", "101", "020"].map(|n| ExtensionEntry::new(n, "x")),
        );
        let order: Vec<_> = directory
            .entries()
            .iter()
            .map(|e| e.extension.as_str())
            .collect();
        assert_eq!(order, ["020", "20", "101", "1000", "front"]);
        assert_eq!(directory.nth(3).unwrap().extension, "101");
        assert!(directory.nth(0).is_none() && directory.nth(6).is_none());
    }

    #[test]
    fn a_target_is_found_by_number_name_owner_or_alias() {
        let directory = office();
        for target in ["101", "sales", " SALES  team ", "Sarah Jones", "sarah"] {
            assert_eq!(
                directory.resolve(target).unwrap().extension,
                "101",
                "{target:?}"
            );
        }
    }

    #[test]
    fn a_name_of_two_is_no_answer_but_both_are_offered() {
        let nearest = numbers(&office().resolve("help").unwrap_err());
        assert_eq!(nearest, ["102", "1000"]);
    }

    #[test]
    fn a_target_nobody_has_brings_the_nearest() {
        let directory = office();
        assert_eq!(numbers(&directory.resolve("Sara").unwrap_err()), ["101"]);
        assert_eq!(numbers(&directory.resolve("Jones").unwrap_err()), ["101"]);
        assert_eq!(
            numbers(&directory.resolve("103").unwrap_err()),
            ["101", "102", "1000"]
        );
        assert!(directory.resolve("zzzzzzzz").unwrap_err().is_empty());
        assert!(directory.resolve("").unwrap_err().is_empty());
    }

    #[test]
    fn an_entry_without_a_name_is_called_by_its_number() {
        assert_eq!(
            ExtensionEntry::new("109", " ").spoken_name(),
            "extension 109"
        );
    }

    proptest! {
        #[test]
        fn any_target_is_answered_and_distance_is_symmetric(
            target in ".{0,80}", a in "[a-zé ]{0,12}", b in "[a-zé ]{0,12}",
        ) {
            let directory = office();
            if let Err(nearest) = directory.resolve(&target) {
                prop_assert!(nearest.len() <= NEAREST);
            }
            prop_assert_eq!(edits(&a, &b), edits(&b, &a));
            prop_assert_eq!(edits(&a, &a), 0);
        }
    }
}

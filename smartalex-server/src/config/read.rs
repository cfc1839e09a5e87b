//! Finds keys: in the TOML file with their lines, in the environment with their variables.
//! What nobody asks for is left over in the end, and reported as unknown.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Place, Problem};

/// A value that was set, and where.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value in the forms that a configuration knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value>),
    /// From the environment: whatever the key needs.
    Raw(String),
    /// Something else, by its TOML name.
    Other(&'static str),
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Raw(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Other(name) => name,
        }
    }
}

/// All that was set, and all that is wrong so far.
pub(super) struct Found {
    settings: BTreeMap<(String, String), Setting>,
    master_key: Option<String>,
    known: Vec<(&'static str, &'static str)>,
    problems: Vec<Problem>,
}

impl Found {
    pub(super) fn new(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut found = Self {
            settings: BTreeMap::new(),
            master_key: None,
            known: Vec::new(),
            problems: Vec::new(),
        };
        found.read_file(name, text);
        for (variable, value) in environment {
            found.read_variable(variable, value);
        }
        found
    }

    /// The value of `section.key`, once; from now on the key is known.
    pub(super) fn take(&mut self, section: &'static str, key: &'static str) -> Option<Setting> {
        self.known.push((section, key));
        self.settings.remove(&(section.to_owned(), key.to_owned()))
    }

    pub(super) fn take_master_key(&mut self) -> Option<String> {
        self.master_key.take()
    }

    pub(super) fn problem(&mut self, place: Place, key: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            place,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// Ends the search: whatever was not taken is unknown.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        for ((section, key), setting) in std::mem::take(&mut self.settings) {
            let full = format!("{section}.{key}");
            let in_section: Vec<&str> = self
                .known
                .iter()
                .filter(|(name, _)| *name == section)
                .map(|(_, key)| *key)
                .collect();
            let message = if in_section.is_empty() {
                let mut sections: Vec<&str> = self.known.iter().map(|(name, _)| *name).collect();
                sections.dedup();
                format!(
                    "unknown section [{section}]; there are {}",
                    sections.join(", ")
                )
            } else {
                format!("unknown key; [{section}] has {}", in_section.join(", "))
            };
            self.problem(setting.place, &full, message);
        }
        let line = |problem: &Problem| match problem.place {
            Place::Line(_, line) => line,
            Place::File(_) => 0,
            Place::Variable(_) | Place::Default => usize::MAX,
        };
        self.problems.sort_by_key(line);
        self.problems
    }

    fn read_file(&mut self, name: &str, text: &str) {
        let lines = Lines::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(1, |span| lines.of(span.start));
            self.problem(
                Place::Line(name.to_owned(), line),
                "",
                format!("not TOML: {}", error.message().replace('\n', ", ")),
            );
        }
        for (section, value) in table.get_ref() {
            let line = lines.of(section.span().start);
            let section_name = section.get_ref().to_string();
            let DeValue::Table(keys) = value.get_ref() else {
                self.problem(
                    Place::Line(name.to_owned(), line),
                    &section_name,
                    "stands outside of any section; write it under [sip], [http] or another one",
                );
                continue;
            };
            for (key, value) in keys {
                let place = Place::Line(name.to_owned(), lines.of(key.span().start));
                self.settings.insert(
                    (section_name.clone(), key.get_ref().to_string()),
                    Setting {
                        place,
                        value: from_toml(value),
                    },
                );
            }
        }
    }

    fn read_variable(&mut self, variable: String, value: String) {
        if variable == "SMARTALEX_MASTER_KEY" {
            self.master_key = Some(value);
            return;
        }
        let Some((section, key)) = variable
            .strip_prefix("SMARTALEX_")
            .and_then(|rest| rest.split_once("__"))
        else {
            return;
        };
        self.settings.insert(
            (section.to_ascii_lowercase(), key.to_ascii_lowercase()),
            Setting {
                place: Place::Variable(variable.clone()),
                value: Value::Raw(value),
            },
        );
    }
}

fn from_toml(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Value::Other("an integer beyond 64 bits"), Value::Integer),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Array(items) => Value::List(items.iter().map(from_toml).collect()),
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

/// Where each line of a text begins.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(index, _)| index).collect())
    }

    /// The line, counted from 1, that the byte at `offset` is on.
    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|&newline| newline < offset) + 1
    }
}

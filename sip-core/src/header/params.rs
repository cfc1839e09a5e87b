//! The parameters after a value: `;name=value;flag`. Checked when the value was read, so that
//! walking them again cannot fail.

use std::borrow::Cow;

use super::grammar::{generic_param, params, unquote};

/// Parameters in their order.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a str,
}

impl<'a> Params<'a> {
    /// `section` begins with the first semicolon, or is empty.
    pub(crate) fn new(section: &'a str) -> Params<'a> {
        Params { rest: section }
    }

    /// The value of the first parameter of this name (any case), quotes undone; `""` when it has
    /// no value, `None` when it is not there.
    pub fn value(mut self, name: &str) -> Option<Cow<'a, str>> {
        self.find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| unquote(value.unwrap_or("")))
    }
}

impl<'a> Iterator for Params<'a> {
    /// Name, and value as written (with its quotes) when there is one.
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self
            .rest
            .trim_start_matches([' ', '\t'])
            .strip_prefix(';')?;
        let start = start.trim_start_matches([' ', '\t']);
        let (left, (name, value)) = generic_param(start.as_bytes()).ok()?;
        self.rest = start.get(start.len() - left.len()..)?;
        let text = |part: &[u8]| {
            let from = (part.as_ptr() as usize).wrapping_sub(start.as_ptr() as usize);
            start.get(from..from.wrapping_add(part.len()))
        };
        Some((text(name)?, value.and_then(text)))
    }
}

/// Whether `section` is a well-formed parameter section and nothing else.
pub(crate) fn is_section(section: &str) -> bool {
    matches!(params(section.as_bytes(), |_, _| {}), Ok(([], _)))
}

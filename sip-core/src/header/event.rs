//! Event (RFC 6665 8.2.1): the package a subscription or notification belongs to.

use std::fmt;

use super::grammar::{Input, Parsed, params, token, value_text};
use super::params::Params;
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// Package and, where one dialog has several subscriptions, the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The package with its templates: `refer`, `presence.winfo`.
    pub package: String,
    /// The `id` parameter; in the NOTIFYs of a REFER the CSeq number of that REFER (RFC 3515 2.4.6).
    pub id: Option<String>,
}

impl Event {
    /// The event of this package.
    pub fn new(package: &str) -> Event {
        Event {
            package: package.to_owned(),
            id: None,
        }
    }
}

/// `Event = event-type *( SEMI event-param )`
fn event(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>)> {
    let (input, package) = token(input)?;
    let (input, section) = params(input, |_, _| {})?;
    Ok((input, (package, section)))
}

impl Header for Event {
    const NAME: Name = Name::Event;

    fn parse(value: &str) -> Result<Event, HeaderError> {
        let (package, section) = parse_whole::<Event, _>(value.as_bytes(), event)?;
        let id = Params::new(&String::from_utf8_lossy(section))
            .value("id")
            .map(|id| id.into_owned());
        Ok(Event {
            package: String::from_utf8_lossy(package).into_owned(),
            id,
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        match &self.id {
            Some(id) => write!(f, ";id={}", value_text(id)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_and_id_are_read() {
        let event = Event::parse("refer ; id=93809824").unwrap();
        assert_eq!(
            event,
            Event {
                package: "refer".into(),
                id: Some("93809824".into())
            }
        );
        assert_eq!(event.to_string(), "refer;id=93809824");
        assert_eq!(
            Event::parse("presence.winfo").unwrap(),
            Event::new("presence.winfo")
        );
        assert!(Event::parse("").is_err());
    }
}

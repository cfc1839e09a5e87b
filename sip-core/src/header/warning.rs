//! Warning (RFC 3261 20.43): a code, who warns, and a text for people.

use std::fmt;

use nom::Parser;
use nom::bytes::complete::{take_while_m_n, take_while1};
use nom::combinator::recognize;

use super::grammar::{Input, Parsed, decimal, lws, quote, quoted_string, rule, unquote};
use super::{Header, Shape, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Three digits: 3xx for session descriptions, 399 for anything else.
    pub code: u16,
    /// Host or pseudonym of who warns.
    pub agent: String,
    /// What is wrong.
    pub text: String,
}

impl Warning {
    /// A warning; characters the agent may not have are left out.
    pub fn new(code: u16, agent: &str, text: &str) -> Warning {
        let agent: String = agent
            .chars()
            .filter(|c| c.is_ascii_graphic() && *c != '"')
            .collect();
        let agent = if agent.is_empty() {
            "-".to_owned()
        } else {
            agent
        };
        Warning {
            code,
            agent,
            text: text.to_owned(),
        }
    }
}

/// `warning-value = warn-code SP warn-agent SP warn-text`
fn warning_value(input: Input<'_>) -> Parsed<'_, (u16, Input<'_>, Input<'_>)> {
    let (input, code) = rule(
        "warning code",
        take_while_m_n(3, 3, |b: u8| b.is_ascii_digit()),
    )(input)?;
    let (input, _) = lws(input)?;
    let (input, agent) = rule(
        "warning agent",
        take_while1(|b: u8| b.is_ascii_graphic() && b != b'"'),
    )(input)?;
    let (input, _) = lws(input)?;
    let (input, text) = recognize(quoted_string).parse(input)?;
    Ok((input, (decimal(code).unwrap_or(0) as u16, agent, text)))
}

impl Header for Warning {
    const NAME: Name = Name::Warning;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &str) -> Result<Warning, HeaderError> {
        let (code, agent, text) = parse_whole::<Warning, _>(value.as_bytes(), warning_value)?;
        Ok(Warning {
            code,
            agent: String::from_utf8_lossy(agent).into_owned(),
            text: unquote(&String::from_utf8_lossy(text)).into_owned(),
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} {}", self.code, self.agent, quote(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_round_trip() {
        let text = r#"305 isi.edu:5060 "Incompatible \"media\" format""#;
        let warning = Warning::parse(text).unwrap();
        assert_eq!(
            (warning.code, warning.agent.as_str()),
            (305, "isi.edu:5060")
        );
        assert_eq!(warning.text, "Incompatible \"media\" format");
        assert_eq!(warning.to_string(), text);
    }

    #[test]
    fn codes_of_four_digits_are_refused() {
        assert!(Warning::parse("1812 overture \"In Progress\"").is_err());
    }

    #[test]
    fn an_agent_of_nothing_allowed_still_makes_a_valid_value() {
        let warning = Warning::new(399, " \r\n", "cause");
        assert_eq!(Warning::parse(&warning.to_string()).unwrap(), warning);
    }
}

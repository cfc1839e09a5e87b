//! Retry-After (RFC 3261 20.33): when to try again.

use std::fmt;

use super::grammar::{Input, Parsed, expected, number, params, sws};
use super::params::Params;
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// Seconds to wait, and how long the service will then be there. A comment is read over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Seconds to wait.
    pub seconds: u32,
    /// Seconds for which the service is then expected to last.
    pub duration: Option<u32>,
}

impl RetryAfter {
    /// Try again after this many seconds.
    pub fn new(seconds: u32) -> RetryAfter {
        RetryAfter {
            seconds,
            duration: None,
        }
    }
}

/// `Retry-After = delta-seconds [ comment ] *( SEMI retry-param )`
fn retry_after(input: Input<'_>) -> Parsed<'_, (u32, Input<'_>)> {
    let (input, seconds) = number(input)?;
    let (input, _) = sws(input)?;
    let (input, ()) = match input {
        [b'(', ..] => comment(input)?,
        _ => (input, ()),
    };
    let (input, section) = params(input, |_, _| {})?;
    Ok((input, (seconds, section)))
}

/// `comment = LPAREN *(ctext / quoted-pair / comment) RPAREN`
fn comment(input: Input<'_>) -> Parsed<'_, ()> {
    let mut depth = 0u32;
    let mut octets = input.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => {
                octets.next();
            }
            b'(' => depth = depth.saturating_add(1),
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Ok((octets.as_slice(), ()));
        }
    }
    expected("\")\"", octets.as_slice())
}

impl Header for RetryAfter {
    const NAME: Name = Name::RetryAfter;

    fn parse(value: &str) -> Result<RetryAfter, HeaderError> {
        let (seconds, section) = parse_whole::<RetryAfter, _>(value.as_bytes(), retry_after)?;
        let section = String::from_utf8_lossy(section);
        let duration = Params::new(&section)
            .value("duration")
            .and_then(|text| text.parse().ok());
        Ok(RetryAfter { seconds, duration })
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)?;
        match self.duration {
            Some(duration) => write!(f, ";duration={duration}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_durations_are_read() {
        let retry = RetryAfter::parse("18000 (in (my) \\) meeting);duration=3600").unwrap();
        assert_eq!(
            retry,
            RetryAfter {
                seconds: 18_000,
                duration: Some(3600)
            }
        );
        assert_eq!(retry.to_string(), "18000;duration=3600");
        assert_eq!(RetryAfter::parse("120").unwrap(), RetryAfter::new(120));
        assert!(RetryAfter::parse("120 (open").is_err());
        assert!(RetryAfter::parse("949302838503028349304023988").is_err());
    }
}

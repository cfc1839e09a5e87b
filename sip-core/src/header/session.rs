//! The session timer (RFC 4028): Session-Expires and Min-SE.

use std::fmt;

use super::grammar::{Input, Parsed, number, params, sws};
use super::params::Params;
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// Who refreshes the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

/// How long a session lives without a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// Seconds.
    pub interval: u32,
    /// Who refreshes, once that is agreed.
    pub refresher: Option<Refresher>,
}

/// `delta-seconds *(SEMI param)`
fn seconds(input: Input<'_>) -> Parsed<'_, (u32, Input<'_>)> {
    let (input, seconds) = number(input)?;
    let (input, _) = sws(input)?;
    let (input, section) = params(input, |_, _| {})?;
    Ok((input, (seconds, section)))
}

impl Header for SessionExpires {
    const NAME: Name = Name::SessionExpires;

    fn parse(value: &str) -> Result<SessionExpires, HeaderError> {
        let (interval, section) = parse_whole::<SessionExpires, _>(value.as_bytes(), seconds)?;
        let section = String::from_utf8_lossy(section);
        let refresher = match Params::new(&section).value("refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(SessionExpires {
            interval,
            refresher,
        })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.interval.fmt(f)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// The shortest session interval in seconds that somebody on the path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinSe(pub u32);

impl Header for MinSe {
    const NAME: Name = Name::MinSe;

    fn parse(value: &str) -> Result<MinSe, HeaderError> {
        parse_whole::<MinSe, _>(value.as_bytes(), seconds).map(|(seconds, _)| MinSe(seconds))
    }
}

impl fmt::Display for MinSe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_refresher_are_read() {
        let timer = SessionExpires::parse("1800 ;refresher=UAC").unwrap();
        assert_eq!(
            timer,
            SessionExpires {
                interval: 1800,
                refresher: Some(Refresher::Uac)
            }
        );
        assert_eq!(timer.to_string(), "1800;refresher=uac");
        assert_eq!(MinSe::parse("90;lr").unwrap(), MinSe(90));
        assert!(SessionExpires::parse(";refresher=uac").is_err());
    }
}

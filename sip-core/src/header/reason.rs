//! Reason (RFC 3326): why a request or response was sent, in the words of SIP or of Q.850.

use std::fmt;

use super::grammar::{Input, Parsed, params, quote, token};
use super::params::Params;
use super::{Header, Shape, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another protocol.
    pub protocol: String,
    /// The status or cause code.
    pub cause: Option<u16>,
    /// The text for people.
    pub text: Option<String>,
}

impl Reason {
    /// `SIP;cause=code;text="…"`
    pub fn sip(cause: u16, text: &str) -> Reason {
        Reason {
            protocol: "SIP".to_owned(),
            cause: Some(cause),
            text: Some(text.to_owned()),
        }
    }

    /// `Q.850;cause=code;text="…"`
    pub fn q850(cause: u16, text: &str) -> Reason {
        Reason {
            protocol: "Q.850".to_owned(),
            cause: Some(cause),
            text: Some(text.to_owned()),
        }
    }
}

/// `reason-value = protocol *(SEMI reason-params)`
fn reason_value(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>)> {
    let (input, protocol) = token(input)?;
    let (input, section) = params(input, |_, _| {})?;
    Ok((input, (protocol, section)))
}

impl Header for Reason {
    const NAME: Name = Name::Reason;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &str) -> Result<Reason, HeaderError> {
        let (protocol, section) = parse_whole::<Reason, _>(value.as_bytes(), reason_value)?;
        let section = String::from_utf8_lossy(section);
        let params = Params::new(&section);
        Ok(Reason {
            protocol: String::from_utf8_lossy(protocol).into_owned(),
            cause: params
                .clone()
                .value("cause")
                .and_then(|cause| cause.parse().ok()),
            text: params.value("text").map(|text| text.into_owned()),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", quote(text)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_round_trip_with_quotes_in_their_text() {
        let reason = Reason::q850(16, "Normal \"clearing\"");
        assert_eq!(
            reason.to_string(),
            r#"Q.850;cause=16;text="Normal \"clearing\"""#
        );
        assert_eq!(Reason::parse(&reason.to_string()).unwrap(), reason);
        let bare = Reason::parse("SIP ;cause=200").unwrap();
        assert_eq!((bare.cause, bare.text), (Some(200), None));
    }
}

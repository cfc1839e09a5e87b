//! Contact (RFC 3261 20.10): where to reach a user agent; or `*` in a REGISTER that removes all
//! bindings (10.2.2).

use std::fmt;

use super::{Header, NameAddr, Shape, SharedText, fault};
use crate::error::HeaderError;
use crate::message::text::Text;
use crate::name::Name;
use crate::uri::Uri;

/// One contact.
#[derive(Clone, Debug, PartialEq)]
pub enum Contact {
    /// `*`: all bindings.
    Any,
    /// An address.
    Addr(NameAddr),
}

impl Contact {
    /// The address; `None` for `*`.
    pub fn addr(&self) -> Option<&NameAddr> {
        match self {
            Contact::Any => None,
            Contact::Addr(addr) => Some(addr),
        }
    }

    /// The URI; `None` for `*`.
    pub fn uri(&self) -> Option<&Uri> {
        self.addr().map(NameAddr::uri)
    }

    /// The preference among contacts in thousandths, 0 to 1000; `None` when absent or malformed.
    pub fn q(&self) -> Option<u16> {
        qvalue(&self.addr()?.param("q")?)
    }

    //= RFC 3261 20.10
    // "Malformed values SHOULD be treated as equivalent to 3600."
    /// The `expires` parameter in seconds, 3600 when it is malformed; `None` when absent.
    pub fn expires(&self) -> Option<u32> {
        self.addr()?
            .param("expires")
            .map(|value| value.parse().unwrap_or(3600))
    }
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`, in thousandths
fn qvalue(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u16 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole * 1000 + fraction).filter(|q| *q <= 1000)
}

impl Header for Contact {
    const NAME: Name = Name::Contact;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &str) -> Result<Contact, HeaderError> {
        Contact::parse_shared(SharedText(Text::copy(value).map_err(fault::<Contact>)?))
    }

    fn parse_shared(value: SharedText) -> Result<Contact, HeaderError> {
        match value.0.as_str() {
            "*" => Ok(Contact::Any),
            _ => NameAddr::from_text(value.0)
                .map(Contact::Addr)
                .map_err(fault::<Contact>),
        }
    }
}

impl From<NameAddr> for Contact {
    fn from(addr: NameAddr) -> Contact {
        Contact::Addr(addr)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contact::Any => f.write_str("*"),
            Contact::Addr(addr) => addr.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_all_bindings() {
        assert_eq!(Contact::parse("*").unwrap(), Contact::Any);
        assert_eq!(Contact::Any.to_string(), "*");
    }

    #[test]
    fn q_and_expires_are_read_and_malformed_expires_is_an_hour() {
        let contact = Contact::parse("<sip:a@b>;q=0.33;expires=60").unwrap();
        assert_eq!((contact.q(), contact.expires()), (Some(330), Some(60)));
        let contact = Contact::parse("<sip:a@b>;q=1.5;expires=280297596632815").unwrap();
        assert_eq!((contact.q(), contact.expires()), (None, Some(3600)));
        let contact = Contact::parse("<sip:a@b>").unwrap();
        assert_eq!((contact.q(), contact.expires()), (None, None));
    }

    #[test]
    fn a_uri_with_headers_needs_its_brackets() {
        assert!(Contact::parse("sip:user@example.com?Route=%3Csip:sip.example.com%3E").is_err());
        assert!(Contact::parse("<sip:user@example.com?Route=%3Csip:sip.example.com%3E>").is_ok());
    }
}

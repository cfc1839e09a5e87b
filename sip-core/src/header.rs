//! Typed header fields, one small file each: text in, value out, and `Display` back to text.
//! They know nothing of messages or state machines. Absent is not malformed: see `Head::typed`.

use std::net::IpAddr;

use crate::error::{Fault, HeaderError};
use crate::message::text::Text;
use crate::name::Name;

pub(crate) mod grammar;

mod auth;
mod call_id;
mod contact;
mod content;
mod cseq;
mod date;
mod event;
mod name_addr;
mod numbers;
mod params;
mod reason;
mod refer;
mod replaces;
mod retry_after;
mod session;
mod subscription_state;
mod text_fields;
mod token_lists;
mod via;
mod warning;

pub use auth::{
    Algorithm, AuthenticationInfo, Authorization, Challenge, Credentials, ProxyAuthenticate,
    ProxyAuthorization, Qop, WwwAuthenticate,
};
pub use call_id::CallId;
pub use contact::Contact;
pub use content::{ContentLength, ContentType};
pub use cseq::CSeq;
pub use date::Date;
pub use event::Event;
pub use name_addr::{
    Diversion, From, NameAddr, PAssertedIdentity, PPreferredIdentity, Path, RecordRoute, Route,
    ServiceRoute, To,
};
pub use numbers::{Expires, MaxForwards, MinExpires, RSeq};
pub use params::Params;
pub use reason::Reason;
pub use refer::{ReferSub, ReferTo, ReferredBy};
pub use replaces::Replaces;
pub use retry_after::RetryAfter;
pub use session::{MinSe, Refresher, SessionExpires};
pub use subscription_state::{SubscriptionState, SubscriptionStatus};
pub use text_fields::{Server, Subject, UserAgent};
pub use token_lists::{
    Accept, Allow, AllowEvents, Privacy, ProxyRequire, Require, Supported, Unsupported,
};
pub use via::Via;
pub use warning::Warning;

/// A header field that has a type.
///
/// Values are unfolded and trimmed before they get here: no CR, no LF, no whitespace at the ends.
pub trait Header: Sized {
    /// The field.
    const NAME: Name;

    /// How the field spreads over lines and commas.
    const SHAPE: Shape = Shape::Single;

    /// Reads one value: one item of a list, or the whole of any other field.
    fn parse(value: &str) -> Result<Self, HeaderError>;

    /// As [`Header::parse`], for types that keep slices of the message they came in.
    #[doc(hidden)]
    fn parse_shared(value: SharedText) -> Result<Self, HeaderError> {
        Self::parse(value.0.as_str())
    }
}

/// A piece of a message, shared with it. Only this crate makes or reads one.
#[doc(hidden)]
#[derive(Clone)]
pub struct SharedText(pub(crate) Text);

/// How the values of a field spread over lines and commas (RFC 3261 7.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value a line, commas belong to it: Call-ID, Authorization.
    Single,
    /// A value per item, over commas and lines: Via, Route, Contact.
    List,
    /// All items of all lines are one value: Allow, Supported.
    Joined,
}

/// The address that a host names, with or without the brackets of IPv6.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
        .parse()
        .ok()
}

/// Runs `parser` over all of `value` and blames the field of `H` where it fails.
pub(crate) fn parse_whole<'a, H: Header, O>(
    value: &'a [u8],
    parser: impl FnMut(grammar::Input<'a>) -> grammar::Parsed<'a, O>,
) -> Result<O, HeaderError> {
    grammar::whole(value, parser).map_err(|e| HeaderError::new(H::NAME, e.fault(value.len())))
}

/// The error of a value of `H` with this fault.
pub(crate) fn fault<H: Header>(fault: Fault) -> HeaderError {
    HeaderError::new(H::NAME, fault)
}

#[cfg(test)]
mod tests;

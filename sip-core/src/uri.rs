//! URIs (RFC 3261 19.1, RFC 3966): a text that shares its message, and where its parts lie.
//! What comes in goes out octet for octet; parts are unescaped when they are asked for.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::error::{Fault, UriError};
use crate::message::text::{Span, Text};

mod equality;
mod grammar;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `sip:` (RFC 3261 19.1)
    Sip,
    /// `sips:` (RFC 3261 19.1)
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Anything else: only its text is known.
    Other,
}

/// A URI. Cheap to clone; keeps the message it came from in memory until [`Uri::detached`].
///
/// Two URIs are equal when RFC 3261 19.1.4 says so, which is not transitive: hence no `Eq`, and
/// no `Hash`. For a key, take [`Uri::address_of_record`]. `Debug` does not show a password.
#[derive(Clone)]
pub struct Uri {
    text: Text,
    parts: Parts,
}

/// Where the parts of a URI lie in its text.
#[derive(Clone, Copy)]
struct Parts {
    scheme: Scheme,
    user: Span,
    password: Option<Span>,
    host: Span,
    port: Option<u16>,
    /// From the first `;`, empty without parameters.
    params: Span,
    /// After the `?`, empty without headers.
    headers: Span,
}

impl Uri {
    /// `sip:user@host:port`. The user part is escaped as needed; the host is a name, an address,
    /// or an IPv6 address with or without brackets.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Result<Uri, UriError> {
        let mut text = String::from("sip:");
        if let Some(user) = user {
            escape(&mut text, user, is_plain_user);
            text.push('@');
        }
        match host.parse() {
            Ok(IpAddr::V6(ip)) => _ = write!(text, "[{ip}]"),
            _ => text.push_str(host),
        }
        if let Some(port) = port {
            _ = write!(text, ":{port}");
        }
        let uri: Uri = text.parse()?;
        // A host with `@`, `:`, `;` or `?` in it would have become something else.
        let bare = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let same = uri.host() == host || (bare(host).is_some() && bare(uri.host()) == bare(host));
        if same && uri.port() == port && uri.raw_user().is_some() == user.is_some() {
            Ok(uri)
        } else {
            Err(UriError::Malformed {
                rule: "host",
                at: usize::from(uri.parts.host.from),
            })
        }
    }

    /// `sip:user@ip:port`, which cannot fail; the user part is escaped as needed, and cut at
    /// 1,024 characters.
    pub fn sip_at(user: Option<&str>, addr: SocketAddr) -> Uri {
        let mut text = String::from("sip:");
        if let Some(user) = user {
            let end = user
                .char_indices()
                .nth(1024)
                .map_or(user.len(), |(at, _)| at);
            escape(
                &mut text,
                user.get(..end).unwrap_or_default(),
                is_plain_user,
            );
        }
        let user = Span {
            from: 4,
            to: text.len() as u16,
        };
        if !user.is_empty() {
            text.push('@');
        }
        let from = text.len() as u16;
        match addr.ip() {
            IpAddr::V4(ip) => _ = write!(text, "{ip}"),
            IpAddr::V6(ip) => _ = write!(text, "[{ip}]"),
        }
        let host = Span {
            from,
            to: text.len() as u16,
        };
        _ = write!(text, ":{}", addr.port());
        let parts = Parts {
            scheme: Scheme::Sip,
            user,
            password: None,
            host,
            port: Some(addr.port()),
            params: Span::default(),
            headers: Span::default(),
        };
        Uri {
            text: Text::bounded(text),
            parts,
        }
    }

    /// The whole of `text` as a URI.
    pub(crate) fn from_text(text: Text) -> Result<Uri, UriError> {
        match grammar::parts(&text) {
            Ok(parts) => Ok(Uri { text, parts }),
            Err(e) => match e.fault(text.as_bytes().len()) {
                Fault::Malformed { rule, at } => Err(UriError::Malformed { rule, at }),
                _ => Err(UriError::TooLong),
            },
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// Whether this is `sips:`.
    pub fn is_sips(&self) -> bool {
        self.parts.scheme == Scheme::Sips
    }

    /// The text as it was written or received, password included.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The user part, unescaped; of a `tel:` URI its number as written. `None` when there is none.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.raw_user().map(unescape)
    }

    /// The user part as written, escapes and all.
    pub fn raw_user(&self) -> Option<&str> {
        let user = self.text.get(self.parts.user);
        (!user.is_empty()).then_some(user)
    }

    /// The password part, unescaped (RFC 3261 19.1.1: its use is not recommended). A secret.
    pub fn password(&self) -> Option<Cow<'_, str>> {
        self.parts
            .password
            .map(|span| unescape(self.text.get(span)))
    }

    /// The host as written, an IPv6 address in its brackets; empty for `tel:` and other schemes.
    pub fn host(&self) -> &str {
        self.text.get(self.parts.host)
    }

    /// The host when it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        crate::header::host_ip(self.host())
    }

    /// The port, when one is written.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The value of a URI parameter, unescaped; `""` for one without value, `None` when absent.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params()
            .find(|(n, _)| unescape(n).eq_ignore_ascii_case(name))
            .map(|(_, v)| unescape(v.unwrap_or("")))
    }

    /// Whether a URI parameter is there, with a value or without.
    pub fn has_param(&self, name: &str) -> bool {
        self.param(name).is_some()
    }

    /// The parameters in order as written: name, and value when there is one.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let section = self.text.get(self.parts.params);
        section
            .split(';')
            .skip(1)
            .map(|param| match param.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (param, None),
            })
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<Cow<'_, str>> {
        self.param("transport")
    }

    /// The `lr` parameter: the element at this URI is a loose router (RFC 3261 19.1.1).
    pub fn is_loose_router(&self) -> bool {
        self.has_param("lr")
    }

    /// The `maddr` parameter.
    pub fn maddr(&self) -> Option<Cow<'_, str>> {
        self.param("maddr")
    }

    /// The headers of the URI in order: name and value, unescaped (RFC 3261 19.1.1).
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let section = self.text.get(self.parts.headers);
        section
            .split('&')
            .filter(|header| !header.is_empty())
            .map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                (unescape(name), unescape(value))
            })
    }

    /// The value of a URI header, unescaped.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether the URI has headers: not allowed in a Request-URI (RFC 3261 19.1.1).
    pub fn has_headers(&self) -> bool {
        !self.parts.headers.is_empty()
    }

    /// The URI without its headers: what may stand in a Request-URI.
    pub fn without_headers(&self) -> Uri {
        if !self.has_headers() {
            return self.clone();
        }
        let end = self.parts.headers.from.saturating_sub(1);
        let parts = Parts {
            headers: Span::default(),
            ..self.parts
        };
        Uri {
            text: self.text.part(Span { from: 0, to: end }),
            parts,
        }
    }

    /// The URI with this parameter, which replaces one of the same name. Name and value are
    /// escaped as needed; a `None` value writes the name alone.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Result<Uri, UriError> {
        let mut text = self.up_to_params();
        for (n, v) in self
            .params()
            .filter(|(n, _)| !unescape(n).eq_ignore_ascii_case(name))
        {
            text.push(';');
            text.push_str(n);
            if let Some(v) = v {
                text.push('=');
                text.push_str(v);
            }
        }
        text.push(';');
        escape(&mut text, name, grammar::is_paramchar);
        if let Some(value) = value {
            text.push('=');
            escape(&mut text, value, grammar::is_paramchar);
        }
        if self.has_headers() {
            text.push('?');
            text.push_str(self.text.get(self.parts.headers));
        }
        text.parse()
    }

    /// The URI with this header after those it has (RFC 3261 19.1.1), escaped: how a Refer-To
    /// carries Replaces.
    pub fn with_header(&self, name: &str, value: &str) -> Result<Uri, UriError> {
        let mut text = self.as_str().to_owned();
        text.push(if self.has_headers() { '&' } else { '?' });
        escape(&mut text, name, grammar::is_hnv);
        text.push('=');
        escape(&mut text, value, grammar::is_hnv);
        text.parse()
    }

    /// The canonical text under which a registrar keeps this user (RFC 3261 10.3 step 5):
    /// no parameters, no headers, no password, escapes undone, host in lower case.
    pub fn address_of_record(&self) -> String {
        let mut text = String::new();
        match self.parts.scheme {
            Scheme::Sip => text.push_str("sip:"),
            Scheme::Sips => text.push_str("sips:"),
            Scheme::Tel => text.push_str("tel:"),
            Scheme::Other => return self.as_str().to_owned(),
        }
        if let Some(user) = self.user() {
            escape(&mut text, &user, is_plain_user);
            if self.parts.scheme != Scheme::Tel {
                text.push('@');
            }
        }
        text.push_str(&self.host().to_ascii_lowercase());
        if let Some(port) = self.port() {
            _ = write!(text, ":{port}");
        }
        text
    }

    /// The same URI in memory of its own: lets go of the message it came from.
    pub fn detached(&self) -> Uri {
        Uri {
            text: self.text.detached(),
            parts: self.parts,
        }
    }

    fn up_to_params(&self) -> String {
        let text = self.as_str();
        let end = if !self.parts.params.is_empty() {
            usize::from(self.parts.params.from)
        } else if self.has_headers() {
            usize::from(self.parts.headers.from).saturating_sub(1)
        } else {
            text.len()
        };
        text.get(..end).unwrap_or(text).to_owned()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        let Some(password) = self.parts.password else {
            return f.write_str(text);
        };
        f.write_str(text.get(..usize::from(password.from)).unwrap_or_default())?;
        f.write_str("***")?;
        f.write_str(text.get(usize::from(password.to)..).unwrap_or_default())
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Uri, UriError> {
        Uri::from_text(Text::copy(text).map_err(|_| UriError::TooLong)?)
    }
}

impl TryFrom<&str> for Uri {
    type Error = UriError;

    fn try_from(text: &str) -> Result<Uri, UriError> {
        text.parse()
    }
}

/// Undoes `%HH`. What does not become UTF-8 becomes U+FFFD; a `%` that starts no escape stays.
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return text.into();
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    octets.push(high << 4 | low);
                    rest = after;
                }
                _ => octets.push(b'%'),
            },
            _ => octets.push(*first),
        }
    }
    Cow::Owned(
        String::from_utf8(octets)
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
    )
}

/// What needs no escape in a user part; `#` is read without one but written with it.
fn is_plain_user(b: u8) -> bool {
    grammar::is_user(b) && b != b'#'
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Writes `text` with each octet that `allowed` does not let stand as `%HH`.
fn escape(out: &mut String, text: &str, allowed: fn(u8) -> bool) {
    for byte in text.bytes() {
        if allowed(byte) {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;

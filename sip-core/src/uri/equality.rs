//! When two URIs name the same thing (RFC 3261 19.1.4, RFC 3966 4).
//! Not transitive: a URI can equal two others that differ from each other.

use super::{Scheme, Uri, unescape};

impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        if self.parts.scheme != other.parts.scheme {
            return false;
        }
        match self.parts.scheme {
            Scheme::Sip | Scheme::Sips => equal_sip(self, other),
            Scheme::Tel => equal_tel(self, other),
            Scheme::Other => self.as_str() == other.as_str(),
        }
    }
}

//= RFC 3261 19.1.4
// User and password compare with case, all else without; port, user, ttl, method, maddr and
// transport count also when one side only has them; other parameters when both do; headers always.
fn equal_sip(a: &Uri, b: &Uri) -> bool {
    if a.user() != b.user()
        || a.password() != b.password()
        || !a.host().eq_ignore_ascii_case(b.host())
        || a.port() != b.port()
    {
        return false;
    }
    let one_way = |a: &Uri, b: &Uri| {
        a.params().all(|(name, value)| match has(b, name, value) {
            Some(equal) => equal,
            None => !COUNTS_ALONE
                .iter()
                .any(|known| unescape(name).eq_ignore_ascii_case(known)),
        })
    };
    let headers = |a: &Uri, b: &Uri| {
        a.headers().all(|(name, value)| {
            b.headers()
                .any(|(n, v)| n.eq_ignore_ascii_case(&name) && v == value)
        })
    };
    one_way(a, b) && one_way(b, a) && headers(a, b) && headers(b, a)
}

const COUNTS_ALONE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

//= RFC 3966 4
// Numbers compare without visual separators, parameters in any order and without case.
fn equal_tel(a: &Uri, b: &Uri) -> bool {
    let digits = |uri: &Uri| {
        let number = uri.raw_user().unwrap_or_default().to_ascii_lowercase();
        number
            .chars()
            .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
            .collect::<String>()
    };
    let one_way = |a: &Uri, b: &Uri| {
        a.params()
            .all(|(name, value)| has(b, name, value) == Some(true))
    };
    digits(a) == digits(b) && one_way(a, b) && one_way(b, a)
}

/// Whether `uri` has this parameter with this value; `None` when it has none of the name. Where a
/// peer writes a name twice, against RFC 3261 19.1.1, either will do.
fn has(uri: &Uri, name: &str, value: Option<&str>) -> Option<bool> {
    let name = unescape(name);
    let value = unescape(value.unwrap_or(""));
    uri.params()
        .filter(|(other, _)| unescape(other).eq_ignore_ascii_case(&name))
        .map(|(_, other)| unescape(other.unwrap_or("")).eq_ignore_ascii_case(&value))
        .reduce(|one, other| one || other)
}

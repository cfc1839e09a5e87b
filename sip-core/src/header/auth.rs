//! The words of digest authentication (RFC 3261 20.7, 20.27, 20.44; RFC 7616; RFC 8760).
//! Only the words: what they prove is computed elsewhere.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use super::grammar::{
    self, Input, Parsed, comma, equal, gen_value, lws, rule, sws, token, unquote,
};
use super::{Header, Shape, fault, parse_whole};
use crate::error::{Fault, HeaderError};
use crate::name::Name;

mod challenge;
mod credentials;

pub use challenge::Challenge;
pub use credentials::{AuthenticationInfo, Credentials};

/// The hash of a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `MD5`, also when the parameter is absent.
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
    /// `SHA-512-256`
    Sha512_256,
    /// `SHA-512-256-sess`
    Sha512_256Sess,
    /// One this crate has no name for.
    Other(String),
}

impl Algorithm {
    /// The token of RFC 7616 and RFC 8760.
    pub fn as_str(&self) -> &str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Sha512_256Sess => "SHA-512-256-sess",
            Algorithm::Other(name) => name,
        }
    }
}

impl FromStr for Algorithm {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Algorithm, Infallible> {
        let known = [
            Algorithm::Md5,
            Algorithm::Md5Sess,
            Algorithm::Sha256,
            Algorithm::Sha256Sess,
            Algorithm::Sha512_256,
            Algorithm::Sha512_256Sess,
        ];
        let found = known
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text));
        Ok(found.unwrap_or_else(|| Algorithm::Other(text.to_owned())))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a digest protects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Qop {
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
    /// One this crate has no name for.
    Other(String),
}

impl Qop {
    /// The token of RFC 7616.
    pub fn as_str(&self) -> &str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
            Qop::Other(name) => name,
        }
    }
}

impl FromStr for Qop {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Qop, Infallible> {
        Ok(match text {
            text if text.eq_ignore_ascii_case("auth") => Qop::Auth,
            text if text.eq_ignore_ascii_case("auth-int") => Qop::AuthInt,
            text => Qop::Other(text.to_owned()),
        })
    }
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parameters after the scheme, as written.
pub(super) struct AuthParams<'a>(Vec<(&'a str, &'a str)>);

/// More parameters than any digest has.
const MAX_PARAMS: usize = 32;

impl<'a> AuthParams<'a> {
    /// The parameters of a value whose scheme must be Digest.
    fn digest<H: Header>(value: &'a str) -> Result<AuthParams<'a>, HeaderError> {
        let scheme = value.split([' ', '\t']).next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(fault::<H>(Fault::Scheme));
        }
        let rest = value.get(scheme.len()..).unwrap_or_default();
        let params = grammar::whole(rest.as_bytes(), |input| {
            let (input, _) = lws(input)?;
            auth_params(input)
        });
        let pairs = params.map_err(|e| fault::<H>(e.fault(value.len())))?;
        AuthParams::checked::<H>(rest, pairs)
    }

    /// The parameters of a value without a scheme.
    fn bare<H: Header>(value: &'a str) -> Result<AuthParams<'a>, HeaderError> {
        if value.is_empty() {
            return Ok(AuthParams(Vec::new()));
        }
        let pairs = parse_whole::<H, _>(value.as_bytes(), auth_params)?;
        AuthParams::checked::<H>(value, pairs)
    }

    fn checked<H: Header>(value: &'a str, pairs: Pairs<'a>) -> Result<AuthParams<'a>, HeaderError> {
        if pairs.len() > MAX_PARAMS {
            return Err(fault::<H>(Fault::TooMany { limit: MAX_PARAMS }));
        }
        let text = |part: &[u8]| {
            let from = (part.as_ptr() as usize).wrapping_sub(value.as_ptr() as usize);
            value
                .get(from..from.wrapping_add(part.len()))
                .unwrap_or_default()
        };
        Ok(AuthParams(
            pairs
                .into_iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        ))
    }

    /// The value, quotes undone. A parameter that stands twice is refused: two parties could
    /// read different ones.
    fn take<H: Header>(&self, name: &'static str) -> Result<Option<String>, HeaderError> {
        let mut found = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(fault::<H>(Fault::Repeated(name))),
            (Some((_, value)), None) => Ok(Some(unquote(value).into_owned())),
            (None, None) => Ok(None),
        }
    }

    fn need<H: Header>(&self, name: &'static str) -> Result<String, HeaderError> {
        self.take::<H>(name)?
            .ok_or_else(|| fault::<H>(Fault::Missing(name)))
    }
}

type Pairs<'a> = Vec<(Input<'a>, Input<'a>)>;

/// `auth-param *( COMMA auth-param )`, `auth-param = token EQUAL ( token / quoted-string )`
fn auth_params(input: Input<'_>) -> Parsed<'_, Pairs<'_>> {
    let mut pairs = Vec::with_capacity(12);
    let mut rest = input;
    loop {
        let (after, name) = rule("parameter name", token)(rest)?;
        let (after, ()) = equal(after)?;
        let (after, value) = rule("parameter value", gen_value)(after)?;
        // One more than allowed is kept, so that the caller sees it; the rest is only read over.
        if pairs.len() <= MAX_PARAMS {
            pairs.push((name, value));
        }
        match comma(after) {
            Ok((after, ())) => rest = after,
            Err(_) => {
                let (after, _) = sws(after)?;
                return Ok((after, pairs));
            }
        }
    }
}

/// Writes `name="value"` or `name=value` after a comma where one is due.
struct Writer<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    first: bool,
}

impl<'a, 'b> Writer<'a, 'b> {
    fn new(f: &'a mut fmt::Formatter<'b>) -> Writer<'a, 'b> {
        Writer { f, first: true }
    }

    fn quoted(&mut self, name: &str, value: &str) -> fmt::Result {
        self.plain(name, &grammar::quote(value))
    }

    /// A token, unless a peer put something else there.
    fn token(&mut self, name: &str, value: &str) -> fmt::Result {
        self.plain(name, &grammar::value_text(value))
    }

    fn plain(&mut self, name: &str, value: &dyn fmt::Display) -> fmt::Result {
        if !self.first {
            self.f.write_str(", ")?;
        }
        self.first = false;
        write!(self.f, "{name}={value}")
    }
}

macro_rules! auth_fields {
    ($($name:ident $inner:ident $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name(pub $inner);

            impl Header for $name {
                const NAME: Name = Name::$name;
                const SHAPE: Shape = Shape::Single;

                fn parse(value: &str) -> Result<$name, HeaderError> {
                    $inner::read::<$name>(value).map($name)
                }
            }

            impl Deref for $name {
                type Target = $inner;

                fn deref(&self) -> &$inner {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

auth_fields! {
    WwwAuthenticate Challenge "The challenge of a user agent server (RFC 3261 20.44). One a line.";
    ProxyAuthenticate Challenge "The challenge of a proxy (RFC 3261 20.27). One a line.";
    Authorization Credentials "The answer to a WWW-Authenticate (RFC 3261 20.7). One a line.";
    ProxyAuthorization Credentials "The answer to a Proxy-Authenticate (RFC 3261 20.28). One a line.";
}

#[cfg(test)]
mod tests;

//! Fields that are one list of words over all their lines: Allow, Supported, Require and the like.
//! An empty field is an empty list.

use std::fmt;

use super::grammar::{items, token, whole};
use super::{Header, Shape, fault};
use crate::error::HeaderError;
use crate::method::Method;
use crate::name::Name;

/// The methods its sender takes (RFC 3261 20.5).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Allow(pub Vec<Method>);

impl Allow {
    /// Whether the list names this method.
    pub fn contains(&self, method: &Method) -> bool {
        self.0.contains(method)
    }
}

impl Header for Allow {
    const NAME: Name = Name::Allow;
    const SHAPE: Shape = Shape::Joined;

    fn parse(value: &str) -> Result<Allow, HeaderError> {
        tokens::<Allow>(value)?
            .into_iter()
            .map(|method| {
                method.parse().map_err(|_| {
                    fault::<Allow>(crate::error::Fault::Malformed {
                        rule: "method",
                        at: 0,
                    })
                })
            })
            .collect::<Result<_, _>>()
            .map(Allow)
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0, ", ")
    }
}

macro_rules! token_lists {
    ($($name:ident $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq, Eq, Default)]
            pub struct $name(pub Vec<String>);

            impl $name {
                /// Whether the list names this token, in any case.
                pub fn contains(&self, token: &str) -> bool {
                    self.0.iter().any(|item| item.eq_ignore_ascii_case(token))
                }
            }

            impl Header for $name {
                const NAME: Name = Name::$name;
                const SHAPE: Shape = Shape::Joined;

                fn parse(value: &str) -> Result<$name, HeaderError> {
                    tokens::<$name>(value).map($name)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    join(f, &self.0, ", ")
                }
            }
        )*
    };
}

token_lists! {
    AllowEvents "The event packages its sender knows (RFC 6665 8.2.2).";
    ProxyRequire "Extensions that proxies must know (RFC 3261 20.29).";
    Require "Extensions that the recipient must know (RFC 3261 20.32).";
    Supported "Extensions that its sender knows (RFC 3261 20.37).";
    Unsupported "Required extensions that the responder does not know (RFC 3261 20.40).";
}

/// The media types its sender takes in a body (RFC 3261 20.1), with their parameters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Accept(pub Vec<String>);

impl Accept {
    /// Whether a range of the list covers this `type/subtype`.
    pub fn takes(&self, media: &str) -> bool {
        let main = media.split('/').next().unwrap_or(media);
        self.0.iter().any(|range| {
            let range = range.split(';').next().unwrap_or(range).trim();
            range == "*/*"
                || range.eq_ignore_ascii_case(media)
                || range
                    .strip_suffix("/*")
                    .is_some_and(|kind| kind.eq_ignore_ascii_case(main))
        })
    }
}

impl Header for Accept {
    const NAME: Name = Name::Accept;
    const SHAPE: Shape = Shape::Joined;

    fn parse(value: &str) -> Result<Accept, HeaderError> {
        Ok(Accept(items(value).map(str::to_owned).collect()))
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0, ", ")
    }
}

/// The kinds of privacy its sender asks for (RFC 3323 4.2), separated by semicolons.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Privacy(pub Vec<String>);

impl Privacy {
    /// Whether this kind is asked for: `id`, `header`, `user`, `session`, `none`, `critical`.
    pub fn contains(&self, kind: &str) -> bool {
        self.0.iter().any(|item| item.eq_ignore_ascii_case(kind))
    }
}

impl Header for Privacy {
    const NAME: Name = Name::Privacy;
    const SHAPE: Shape = Shape::Joined;

    fn parse(value: &str) -> Result<Privacy, HeaderError> {
        // Several lines were joined by commas.
        tokens::<Privacy>(&value.replace(';', ",")).map(Privacy)
    }
}

impl fmt::Display for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0, ";")
    }
}

/// `token *(COMMA token)`, or nothing
fn tokens<H: Header>(value: &str) -> Result<Vec<String>, HeaderError> {
    items(value)
        .map(|item| match whole(item.as_bytes(), token) {
            Ok(_) => Ok(item.to_owned()),
            Err(e) => Err(fault::<H>(e.fault(item.len()))),
        })
        .collect()
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip_and_an_empty_field_is_an_empty_list() {
        let allow = Allow::parse("INVITE,ACK ,  PUBLISH, FOO").unwrap();
        assert!(allow.contains(&Method::Publish) && !allow.contains(&Method::Bye));
        assert_eq!(allow.to_string(), "INVITE, ACK, PUBLISH, FOO");
        assert_eq!(Supported::parse("").unwrap(), Supported::default());
        assert!(
            Supported::parse("timer, 100REL")
                .unwrap()
                .contains("100rel")
        );
        assert!(Require::parse("a b").is_err());
    }

    #[test]
    fn ranges_cover_their_types() {
        let accept = Accept::parse("text/*;q=0.5, application/sdp;level=1").unwrap();
        assert!(accept.takes("application/SDP") && accept.takes("text/plain"));
        assert!(!accept.takes("message/sipfrag"));
        assert!(Accept::parse("*/*").unwrap().takes("message/sipfrag"));
    }

    #[test]
    fn privacy_uses_semicolons() {
        let privacy = Privacy::parse("id; critical").unwrap();
        assert!(privacy.contains("id"));
        assert_eq!(privacy.to_string(), "id;critical");
    }
}

//! Fields that are text for people: User-Agent, Server, Subject.

use std::fmt;

use super::Header;
use crate::error::HeaderError;
use crate::name::Name;

macro_rules! text_fields {
    ($($name:ident $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name(pub String);

            impl Header for $name {
                const NAME: Name = Name::$name;

                /// Any text will do.
                fn parse(value: &str) -> Result<$name, HeaderError> {
                    Ok($name(value.to_owned()))
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }
        )*
    };
}

text_fields! {
    UserAgent "The software of who sent the request (RFC 3261 20.41).";
    Server "The software of who sent the response (RFC 3261 20.35).";
    Subject "What the call is about (RFC 3261 20.36).";
}

//! Fields that are one number: Max-Forwards, Expires, Min-Expires, RSeq.
//! A number too large for its field is an error, never a smaller number.

use std::fmt;

use super::grammar::number;
use super::{Header, fault, parse_whole};
use crate::error::{Fault, HeaderError};
use crate::name::Name;

macro_rules! number_fields {
    ($($name:ident $kind:ty, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
            pub struct $name(pub $kind);

            impl Header for $name {
                const NAME: Name = Name::$name;

                fn parse(value: &str) -> Result<$name, HeaderError> {
                    let number = parse_whole::<$name, _>(value.as_bytes(), number)?;
                    let fits = <$kind>::try_from(number);
                    fits.map($name).map_err(|_| fault::<$name>(Fault::OutOfRange))
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

number_fields! {
    MaxForwards u8, "How many more hops the request may take (RFC 3261 20.22).";
    Expires u32, "For how many seconds a registration or subscription is to live (RFC 3261 20.19).";
    MinExpires u32, "The shortest life in seconds that a registrar takes (RFC 3261 20.23).";
    RSeq u32, "The number of a reliable provisional response (RFC 3262 7.1).";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(MaxForwards::parse("0068").unwrap(), MaxForwards(68));
        assert!(MaxForwards::parse("300").is_err());
        assert!(MaxForwards::parse("7 0").is_err());
        assert_eq!(Expires::parse("4294967295").unwrap(), Expires(u32::MAX));
        assert!(Expires::parse("4294967296").is_err());
        assert!(Expires::parse(&"1".repeat(100)).is_err());
    }
}

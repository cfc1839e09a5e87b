//! The fields of a transfer: Refer-To (RFC 3515 2.1), Referred-By (RFC 3892), Refer-Sub (RFC 4488).

use std::fmt;
use std::ops::Deref;

use super::grammar::{Input, Parsed, expected, params, token};
use super::name_addr::address_fields;
use super::{Header, NameAddr, Shape, SharedText, parse_whole};
use crate::error::HeaderError;
use crate::message::text::Text;
use crate::name::Name;

address_fields! {
    ReferTo Single "Whom the recipient of a REFER is to contact (RFC 3515 2.1). The URI of an attended transfer carries a Replaces header.";
    ReferredBy Single "Who asked for the transfer (RFC 3892).";
}

/// Whether a REFER makes a subscription (RFC 4488). Absent means `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferSub(pub bool);

/// `Refer-Sub = refer-sub-value *(SEMI exten)`
fn refer_sub(input: Input<'_>) -> Parsed<'_, bool> {
    let (rest, value) = token(input)?;
    let value = match value {
        value if value.eq_ignore_ascii_case(b"true") => true,
        value if value.eq_ignore_ascii_case(b"false") => false,
        _ => return expected("true or false", input),
    };
    let (rest, _) = params(rest, |_, _| {})?;
    Ok((rest, value))
}

impl Header for ReferSub {
    const NAME: Name = Name::ReferSub;

    fn parse(value: &str) -> Result<ReferSub, HeaderError> {
        parse_whole::<ReferSub, _>(value.as_bytes(), refer_sub).map(ReferSub)
    }
}

impl fmt::Display for ReferSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Replaces;
    use super::*;

    #[test]
    fn a_refer_to_carries_the_dialog_it_replaces() {
        let text = "<sip:carol@chicago.example.com?Replaces=425928%40bobster.example.org%3Bto-tag%3D7743\
                    %3Bfrom-tag%3D6472&Require=replaces>";
        let refer = ReferTo::parse(text).unwrap();
        let replaces = Replaces::parse(&refer.uri().header("replaces").unwrap()).unwrap();
        assert_eq!(replaces.call_id, "425928@bobster.example.org");
        assert_eq!(
            (replaces.to_tag.as_str(), replaces.from_tag.as_str()),
            ("7743", "6472")
        );
        assert_eq!(refer.to_string(), text);
    }

    #[test]
    fn refer_sub_is_true_or_false() {
        assert_eq!(ReferSub::parse("False ; x=y").unwrap(), ReferSub(false));
        assert_eq!(ReferSub(true).to_string(), "true");
        assert!(ReferSub::parse("perhaps").is_err());
    }
}

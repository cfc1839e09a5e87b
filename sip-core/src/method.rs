//! Request methods (RFC 3261 7.1). Case-sensitive; a method this crate does not know survives as
//! its token.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::MethodError;
use crate::header::grammar::is_token;

macro_rules! methods {
    ($($variant:ident $text:literal $source:literal;)*) => {
        /// What a request asks for.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Method {
            $(
                #[doc = concat!("`", $text, "` (", $source, ")")]
                $variant,
            )*
            /// A method this crate does not know.
            Other(OtherMethod),
        }

        impl Method {
            /// The method as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other(other) => &other.0,
                }
            }

            /// The method that `bytes` spell. Any token is a method; nothing else is.
            pub fn from_bytes(bytes: &[u8]) -> Result<Method, MethodError> {
                $(
                    if bytes == $text.as_bytes() {
                        return Ok(Method::$variant);
                    }
                )*
                if bytes.is_empty() || !bytes.iter().copied().all(is_token) {
                    return Err(MethodError);
                }
                let text = std::str::from_utf8(bytes).map_err(|_| MethodError)?;
                Ok(Method::Other(OtherMethod(text.into())))
            }
        }
    };
}

methods! {
    Invite "INVITE" "RFC 3261 13";
    Ack "ACK" "RFC 3261 13";
    Bye "BYE" "RFC 3261 15";
    Cancel "CANCEL" "RFC 3261 9";
    Options "OPTIONS" "RFC 3261 11";
    Register "REGISTER" "RFC 3261 10";
    Prack "PRACK" "RFC 3262";
    Update "UPDATE" "RFC 3311";
    Info "INFO" "RFC 6086";
    Refer "REFER" "RFC 3515";
    Notify "NOTIFY" "RFC 6665";
    Subscribe "SUBSCRIBE" "RFC 6665";
    Message "MESSAGE" "RFC 3428";
    Publish "PUBLISH" "RFC 3903";
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Method, MethodError> {
        Method::from_bytes(text.as_bytes())
    }
}

/// The token of a method this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherMethod(Arc<str>);

impl OtherMethod {
    /// The token as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!("INVITE".parse::<Method>().unwrap(), Method::Invite);
        let odd: Method = "invite".parse().unwrap();
        assert_ne!(odd, Method::Invite);
        assert_eq!(odd.to_string(), "invite");
        assert!("IN VITE".parse::<Method>().is_err());
        assert!("".parse::<Method>().is_err());
        assert!("INVITE\r\n".parse::<Method>().is_err());
    }
}

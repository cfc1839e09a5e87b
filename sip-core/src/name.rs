//! Header field names: the known ones as variants, every other one kept as it was written.
//! Comparison ignores case and takes a compact form for its long one (RFC 3261 7.3.1, 7.3.3).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use crate::error::NameError;
use crate::header::grammar::is_token;

macro_rules! names {
    ($($variant:ident $canonical:literal $compact:literal $repeat:ident $source:literal;)*) => {
        /// The name of a header field.
        ///
        /// Two names are equal when they name the same field: case does not count, and a compact
        /// form equals its long form.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Name {
            $(
                #[doc = concat!("`", $canonical, "` (", $source, ")")]
                $variant,
            )*
            /// A field this crate has no name for.
            Other(OtherName),
        }

        #[derive(Clone, Copy)]
        #[repr(u8)]
        pub(crate) enum NameId { $($variant,)* }

        const TABLE: &[Entry] = &[
            $(Entry { canonical: $canonical, compact: $compact, repeat: Repeat::$repeat },)*
        ];

        impl Name {
            /// A small number for indexes; [`OTHER`] for names outside the table.
            pub(crate) const fn id(&self) -> u8 {
                match self {
                    $(Name::$variant => NameId::$variant as u8,)*
                    Name::Other(_) => OTHER,
                }
            }

            /// The name of a number that [`lookup`] gave.
            pub(crate) fn from_id(id: u8) -> Option<Name> {
                match id {
                    $(id if id == NameId::$variant as u8 => Some(Name::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

// Variant, canonical form, compact form (space = none), may it occur twice, source.
names! {
    Accept "Accept" ' ' Often "RFC 3261 20.1";
    AcceptContact "Accept-Contact" 'a' Often "RFC 3841 9.2";
    AcceptEncoding "Accept-Encoding" ' ' Often "RFC 3261 20.2";
    AcceptLanguage "Accept-Language" ' ' Often "RFC 3261 20.3";
    AlertInfo "Alert-Info" ' ' Often "RFC 3261 20.4";
    Allow "Allow" ' ' Often "RFC 3261 20.5";
    AllowEvents "Allow-Events" 'u' Often "RFC 6665 8.2.2";
    AuthenticationInfo "Authentication-Info" ' ' Often "RFC 3261 20.6";
    Authorization "Authorization" ' ' Often "RFC 3261 20.7";
    CallId "Call-ID" 'i' Once "RFC 3261 20.8";
    CallInfo "Call-Info" ' ' Often "RFC 3261 20.9";
    Contact "Contact" 'm' Often "RFC 3261 20.10";
    ContentDisposition "Content-Disposition" ' ' Once "RFC 3261 20.11";
    ContentEncoding "Content-Encoding" 'e' Often "RFC 3261 20.12";
    ContentLanguage "Content-Language" ' ' Often "RFC 3261 20.13";
    ContentLength "Content-Length" 'l' Once "RFC 3261 20.14";
    ContentType "Content-Type" 'c' Once "RFC 3261 20.15";
    CSeq "CSeq" ' ' Once "RFC 3261 20.16";
    Date "Date" ' ' Harmless "RFC 3261 20.17";
    Diversion "Diversion" ' ' Often "RFC 5806";
    ErrorInfo "Error-Info" ' ' Often "RFC 3261 20.18";
    Event "Event" 'o' Once "RFC 6665 8.2.1";
    Expires "Expires" ' ' Once "RFC 3261 20.19";
    From "From" 'f' Once "RFC 3261 20.20";
    HistoryInfo "History-Info" ' ' Often "RFC 7044";
    Identity "Identity" 'y' Often "RFC 8224 4";
    InReplyTo "In-Reply-To" ' ' Often "RFC 3261 20.21";
    Join "Join" ' ' Once "RFC 3911";
    MaxForwards "Max-Forwards" ' ' Once "RFC 3261 20.22";
    MimeVersion "MIME-Version" ' ' Harmless "RFC 3261 20.24";
    MinExpires "Min-Expires" ' ' Once "RFC 3261 20.23";
    MinSe "Min-SE" ' ' Once "RFC 4028 5";
    Organization "Organization" ' ' Harmless "RFC 3261 20.25";
    PAssertedIdentity "P-Asserted-Identity" ' ' Often "RFC 3325 9.1";
    PPreferredIdentity "P-Preferred-Identity" ' ' Often "RFC 3325 9.2";
    Path "Path" ' ' Often "RFC 3327";
    Priority "Priority" ' ' Harmless "RFC 3261 20.26";
    Privacy "Privacy" ' ' Often "RFC 3323 4.2";
    ProxyAuthenticate "Proxy-Authenticate" ' ' Often "RFC 3261 20.27";
    ProxyAuthorization "Proxy-Authorization" ' ' Often "RFC 3261 20.28";
    ProxyRequire "Proxy-Require" ' ' Often "RFC 3261 20.29";
    RAck "RAck" ' ' Once "RFC 3262 7.2";
    RSeq "RSeq" ' ' Once "RFC 3262 7.1";
    Reason "Reason" ' ' Often "RFC 3326";
    RecordRoute "Record-Route" ' ' Often "RFC 3261 20.30";
    ReferSub "Refer-Sub" ' ' Once "RFC 4488";
    ReferTo "Refer-To" 'r' Once "RFC 3515 2.1";
    ReferredBy "Referred-By" 'b' Once "RFC 3892";
    RejectContact "Reject-Contact" 'j' Often "RFC 3841 9.3";
    RemotePartyId "Remote-Party-ID" ' ' Often "draft-ietf-sip-privacy-04";
    Replaces "Replaces" ' ' Once "RFC 3891 6.1";
    ReplyTo "Reply-To" ' ' Once "RFC 3261 20.31";
    RequestDisposition "Request-Disposition" 'd' Often "RFC 3841 9.1";
    Require "Require" ' ' Often "RFC 3261 20.32";
    RetryAfter "Retry-After" ' ' Once "RFC 3261 20.33";
    Route "Route" ' ' Often "RFC 3261 20.34";
    Server "Server" ' ' Harmless "RFC 3261 20.35";
    ServiceRoute "Service-Route" ' ' Often "RFC 3608";
    SessionExpires "Session-Expires" 'x' Once "RFC 4028 4";
    SipEtag "SIP-ETag" ' ' Once "RFC 3903 11.3.1";
    SipIfMatch "SIP-If-Match" ' ' Once "RFC 3903 11.3.2";
    Subject "Subject" 's' Harmless "RFC 3261 20.36";
    SubscriptionState "Subscription-State" ' ' Once "RFC 6665 8.2.3";
    Supported "Supported" 'k' Often "RFC 3261 20.37";
    TargetDialog "Target-Dialog" ' ' Once "RFC 4538 7";
    Timestamp "Timestamp" ' ' Harmless "RFC 3261 20.38";
    To "To" 't' Once "RFC 3261 20.39";
    Unsupported "Unsupported" ' ' Often "RFC 3261 20.40";
    UserAgent "User-Agent" ' ' Harmless "RFC 3261 20.41";
    Via "Via" 'v' Often "RFC 3261 20.42";
    Warning "Warning" ' ' Often "RFC 3261 20.43";
    WwwAuthenticate "WWW-Authenticate" ' ' Often "RFC 3261 20.44";
}

impl Name {
    /// The canonical spelling; for an unknown field the spelling it came with.
    pub fn as_str(&self) -> &str {
        match self {
            Name::Other(other) => &other.0,
            known => TABLE
                .get(usize::from(known.id()))
                .map_or("", |entry| entry.canonical),
        }
    }

    /// The name that `bytes` spell in any case, long or compact.
    pub fn from_bytes(bytes: &[u8]) -> Result<Name, NameError> {
        if let Some(name) = Name::from_id(lookup(bytes)) {
            return Ok(name);
        }
        if bytes.is_empty() || !bytes.iter().copied().all(is_token) {
            return Err(NameError);
        }
        // Tokens are ASCII.
        let text = std::str::from_utf8(bytes).map_err(|_| NameError)?;
        Ok(Name::Other(OtherName(text.into())))
    }

    /// Whether the field has one value and therefore occurs at most once in a message
    /// (RFC 3261 7.3.1). Unknown fields may repeat.
    pub fn is_single(&self) -> bool {
        !matches!(repeat(self.id()), Repeat::Often)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::from_bytes(text.as_bytes())
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Name, NameError> {
        text.parse()
    }
}

/// The spelling of a field this crate has no name for: a token that is in no known spelling.
#[derive(Clone, Debug)]
pub struct OtherName(Arc<str>);

impl OtherName {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for OtherName {
    fn eq(&self, other: &OtherName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for OtherName {}

impl Hash for OtherName {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

/// How often a field may stand in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeat {
    /// A list, or a field that may have several lines.
    Often,
    /// One value, and two would leave open which one counts.
    Once,
    /// One value, which decides nothing: tolerated when a peer sends it twice.
    Harmless,
}

struct Entry {
    canonical: &'static str,
    compact: char,
    repeat: Repeat,
}

/// The number of every name that has none of its own.
pub(crate) const OTHER: u8 = u8::MAX;

#[inline]
pub(crate) fn repeat(id: u8) -> Repeat {
    TABLE
        .get(usize::from(id))
        .map_or(Repeat::Often, |entry| entry.repeat)
}

/// The number of the name that `bytes` spell, or [`OTHER`].
#[inline]
pub(crate) fn lookup(bytes: &[u8]) -> u8 {
    match bytes {
        [] => OTHER,
        [letter] => COMPACT.get(usize::from(*letter)).copied().unwrap_or(OTHER),
        [first, .., last] => {
            let mut slot = hash(bytes.len(), *first, *last);
            // The table is less than half full: a free slot always ends the search.
            loop {
                let id = HASHED.get(slot).copied().unwrap_or(OTHER);
                match TABLE
                    .get(usize::from(id))
                    .map(|entry| entry.canonical.as_bytes())
                {
                    None => return OTHER,
                    // Most peers write the canonical form, which compares faster.
                    Some(name) if name == bytes || name.eq_ignore_ascii_case(bytes) => return id,
                    Some(_) => slot = (slot + 1) % SLOTS,
                }
            }
        }
    }
}

const SLOTS: usize = 256;

// The factors leave one pair of names in the same slot.
const fn hash(len: usize, first: u8, last: u8) -> usize {
    ((first | 0x20) as usize * 9 + (last | 0x20) as usize * 58 + len * 24) % SLOTS
}

static HASHED: [u8; SLOTS] = build_hashed();
static COMPACT: [u8; 256] = build_compact();

// Runs in the compiler: an index out of bounds would be a compile error.
#[allow(clippy::indexing_slicing)]
const fn build_hashed() -> [u8; SLOTS] {
    let mut slots = [OTHER; SLOTS];
    let mut id = 0;
    while id < TABLE.len() {
        let bytes = TABLE[id].canonical.as_bytes();
        let mut slot = hash(bytes.len(), bytes[0], bytes[bytes.len() - 1]);
        while slots[slot] != OTHER {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = id as u8;
        id += 1;
    }
    slots
}

// Runs in the compiler: an index out of bounds would be a compile error.
#[allow(clippy::indexing_slicing)]
const fn build_compact() -> [u8; 256] {
    let mut letters = [OTHER; 256];
    let mut id = 0;
    while id < TABLE.len() {
        let letter = TABLE[id].compact;
        if letter != ' ' {
            letters[letter.to_ascii_lowercase() as usize] = id as u8;
            letters[letter.to_ascii_uppercase() as usize] = id as u8;
        }
        id += 1;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_by_its_compact_form() {
        for (id, entry) in TABLE.iter().enumerate() {
            let id = id as u8;
            assert_eq!(lookup(entry.canonical.as_bytes()), id);
            assert_eq!(lookup(entry.canonical.to_ascii_uppercase().as_bytes()), id);
            assert_eq!(lookup(entry.canonical.to_ascii_lowercase().as_bytes()), id);
            if entry.compact != ' ' {
                assert_eq!(lookup(entry.compact.to_string().as_bytes()), id);
            }
            let name = Name::from_id(id).unwrap();
            assert_eq!(name.id(), id);
            assert_eq!(name.as_str(), entry.canonical);
        }
        assert!(
            TABLE.len() < 128,
            "the builders keep a bit per name in a u128"
        );
    }

    #[test]
    fn an_unknown_name_keeps_its_spelling_and_compares_without_case() {
        let a: Name = "X-Custom".parse().unwrap();
        let b: Name = "x-CUSTOM".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!(a.as_str(), "X-Custom");
        assert_ne!(a, "X-Other".parse().unwrap());
        assert!("X Custom".parse::<Name>().is_err());
        assert!("".parse::<Name>().is_err());
        assert!("X\r\nVia".parse::<Name>().is_err());
    }
}

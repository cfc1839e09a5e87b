//! Identifiers: a word that says what it names, and a part that sorts by time.
//! `call_01jk3v…`: the unique part is a ULID in lower case.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The text is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id that starts with {prefix}")]
pub struct IdError {
    /// What was given, cut to 64 characters.
    pub text: String,
    /// What such an id starts with, for example `call_`.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id; the ids of one process sort by their age.
            pub fn fresh() -> Self {
                Self(fresh(Self::PREFIX))
            }

            /// Takes `text` as an id of this kind.
            ///
            /// # Errors
            /// When it does not start with [`Self::PREFIX`], is longer than 64 bytes or holds
            /// anything but letters, digits, `_` and `-` after it.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text, Self::PREFIX).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }
    };
}

id!(
    /// A workspace: one customer of the server, the `tenant_id` of webhooks.
    WorkspaceId, "ws_"
);
id!(
    /// A person who may sign in.
    UserId, "user_"
);
id!(
    /// An API key (not the key itself: its row).
    ApiKeyId, "key_"
);
id!(
    /// A trunk: the line between a customer's PBX and this server.
    TrunkId, "trunk_"
);
id!(
    /// An agent: who speaks to callers.
    AgentId, "agent_"
);
id!(
    /// A call, answered or refused.
    CallId, "call_"
);
id!(
    /// A transfer of a call.
    TransferId, "transfer_"
);
id!(
    /// A webhook endpoint of a customer.
    WebhookId, "webhook_"
);
id!(
    /// An event: also its idempotency key.
    EventId, "evt_"
);
id!(
    /// One event on its way to one webhook.
    DeliveryId, "dlv_"
);
id!(
    /// An entry of the audit log.
    AuditId, "audit_"
);

fn fresh(prefix: &str) -> Arc<str> {
    static SERIES: Mutex<ulid::Generator> = Mutex::new(ulid::Generator::new());
    // A series is whole between its ids; a panic elsewhere does not spoil it. It runs dry only
    // after 2^80 ids in one millisecond.
    let unique = SERIES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .generate()
        .unwrap_or_else(|_| ulid::Ulid::new());
    let mut id = String::with_capacity(prefix.len() + 26);
    id.push_str(prefix);
    id.push_str(&unique.to_string().to_ascii_lowercase());
    id.into()
}

fn check(text: &str, prefix: &'static str) -> Result<Arc<str>, IdError> {
    let wrong = || IdError {
        text: text.chars().take(MAX_LEN).collect(),
        prefix,
    };
    let rest = text.strip_prefix(prefix).ok_or_else(wrong)?;
    let fits = !rest.is_empty()
        && text.len() <= MAX_LEN
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits { Ok(text.into()) } else { Err(wrong()) }
}

const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_in_one_millisecond_sort_by_their_age() {
        let ids: Vec<CallId> = (0..1_000).map(|_| CallId::fresh()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let trunk = TrunkId::fresh();
        assert!(CallId::parse(trunk.as_str()).is_err());
        assert_eq!(TrunkId::parse(trunk.as_str()), Ok(trunk));
        assert!(CallId::parse("call_").is_err());
        assert!(CallId::parse("call_a b").is_err());
        assert!(CallId::parse(&format!("call_{}", "a".repeat(80))).is_err());
    }

    #[test]
    fn ids_made_later_sort_later() {
        let first = CallId::fresh();
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert!(first < CallId::fresh());
    }
}

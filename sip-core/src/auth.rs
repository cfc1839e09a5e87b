//! Digest authentication (RFC 3261 22, RFC 7616, RFC 8760), both sides, and who may do without.
//! Stateless until a user has proved itself; secrets never show in logs.

mod allowlist;
mod authenticator;
mod client;
pub mod digest;
mod nonce;
mod secret;

pub use allowlist::{Allowlist, AllowlistError};
pub use authenticator::{AuthConfig, Authenticator, Verdict};
pub use client::answer;
pub use secret::{Credentials, Secret};

/// What a peer must show to be let in.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    /// A user name and password, by digest.
    Digest,
    /// A source address on the allowlist.
    Ip,
    /// Both.
    Both,
}

impl Policy {
    /// True when credentials are needed.
    pub fn needs_digest(self) -> bool {
        matches!(self, Self::Digest | Self::Both)
    }

    /// True when the source address counts.
    pub fn needs_ip(self) -> bool {
        matches!(self, Self::Ip | Self::Both)
    }
}

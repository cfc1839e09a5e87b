//! Workspaces, the people in them, and the API keys that act for them.
//! A workspace is one customer; everything else belongs to one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, UserId, WorkspaceId};
use crate::secrets::PasswordHash;

/// One customer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id: the `tenant_id` of webhooks.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Read-only: calls are answered 403 and nothing can be changed.
    pub read_only: bool,
    /// The wallet is empty: calls are answered 403.
    pub wallet_empty: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Where it belongs.
    pub workspace: WorkspaceId,
    /// The name to sign in with.
    pub name: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An API key as stored: the key itself is not in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, for listing and revoking.
    pub id: ApiKeyId,
    /// The workspace it acts for.
    pub workspace: WorkspaceId,
    /// What it may do.
    pub role: Role,
    /// The first characters of the key, to tell keys apart.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What an API key may do; each role may do what the ones before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything but secrets.
    Read,
    /// Also acts on live calls: transfer, hang up, send digits.
    Control,
    /// Also changes the configuration.
    Admin,
}

impl Role {
    /// The role's name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Control => "control",
            Self::Admin => "admin",
        }
    }

    /// The role called `name`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Read, Self::Control, Self::Admin]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

//! Trunks: the lines between customers' PBXes and this server, and their extensions.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, TrunkId, WorkspaceId};

/// A trunk as stored; its password stays sealed.
#[derive(Clone, PartialEq)]
pub struct Trunk {
    /// Its id.
    pub id: TrunkId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What the PBX is, for people who read the list.
    pub pbx_type: String,
    /// Host, and port if not 5060, of the PBX: transfers go to `sip:EXT@` it.
    pub pbx_sip_domain: String,
    /// How calls from the PBX are authenticated.
    pub auth: TrunkAuth,
    /// Addresses that calls may come from, for `ip` and `both`.
    pub allowed_ips: Vec<IpNet>,
    /// Digest user, unique on the server; absent with `ip`.
    pub username: Option<String>,
    /// Digest password, sealed (cell `trunks`, id, `password`); absent with `ip`.
    pub password: Option<Vec<u8>>,
    /// Codecs in order of preference.
    pub codecs: Vec<TrunkCodec>,
    /// Transport that the PBX is told to use.
    pub transport: TrunkTransport,
    /// Most calls at a time, 1 to 1,000.
    pub max_concurrent_calls: u32,
    /// Numbers routed to this trunk.
    pub dids: Vec<Did>,
    /// The agent that answers.
    pub agent: Option<AgentId>,
    /// How callers are transferred.
    pub transfer: TransferMode,
    /// Where callers go when the PBX cannot take them.
    pub call_forwarding_number: Option<String>,
    /// Suspended: calls are answered 403.
    pub suspended: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trunk")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("auth", &self.auth)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

impl Trunk {
    /// Whether calls may come from `source` by address.
    pub fn allows(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.allowed_ips.iter().any(|net| net.contains(&source))
    }
}

/// A number that is routed to a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Did {
    /// As it was given, as in `+27 87 250 0100`.
    pub number: String,
    /// In the form of [`crate::directory::normal`].
    pub digits: String,
}

/// How calls from a PBX are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkAuth {
    /// By digest credentials.
    Digest,
    /// By the address they come from.
    Ip,
    /// Both must pass.
    Both,
}

/// A codec a trunk may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TrunkCodec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Transport of a trunk's signalling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// How callers are transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferMode {
    /// REFER on the caller's dialog, without asking the target first.
    Refer,
}

/// An extension of the PBX behind a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// What the PBX dials.
    pub extension: String,
    /// What callers call it.
    pub display_name: String,
    /// Who answers it.
    pub owner: Option<String>,
    /// The department it belongs to.
    pub department: Option<String>,
    /// Other names for it.
    pub aliases: Vec<String>,
}

macro_rules! stored_as_name {
    ($($type:ty: $($variant:ident = $name:literal),+;)+) => { $(
        impl $type {
            /// Its name in the API and in the store.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The one called `name`.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    )+ };
}

stored_as_name! {
    TrunkAuth: Digest = "digest", Ip = "ip", Both = "both";
    TrunkCodec: Pcmu = "PCMU", Pcma = "PCMA";
    TrunkTransport: Udp = "udp", Tcp = "tcp";
    TransferMode: Refer = "refer";
}

/// Most calls at a time when a trunk does not say.
pub const DEFAULT_CONCURRENT_CALLS: u32 = 10;
/// Most calls at a time that a trunk may ask for.
pub const MOST_CONCURRENT_CALLS: u32 = 1_000;

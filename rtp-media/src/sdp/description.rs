//! A session description as data: the lines of RFC 8866 section 5, in the order they are written.
//! No meaning is drawn here; what a stream is worth is decided in `answer`.

use std::net::IpAddr;

use super::direction::Direction;

/// A whole session description (RFC 8866 section 5).
///
/// Parsed with [`SessionDescription::parse`], written with `Display`. Lines that carry nothing for
/// a telephone call (`u=`, `e=`, `p=`, `z=`, `k=`) are read over and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    /// The `o=` line.
    pub origin: Origin,
    /// The `s=` line; `-` when there is nothing to say.
    pub name: String,
    /// The session-level `i=` line.
    pub information: Option<String>,
    /// The session-level `c=` line, which serves every stream without one of its own.
    pub connection: Option<Connection>,
    /// The session-level `b=` lines, as written: `AS:84`.
    pub bandwidth: Vec<String>,
    /// The `t=` lines; `0 0` for a call.
    pub timing: Vec<Timing>,
    /// The session-level `a=` lines.
    pub attributes: Vec<Attribute>,
    /// The streams, each an `m=` line and what follows it.
    pub media: Vec<MediaDescription>,
}

impl SessionDescription {
    /// The address that serves this stream: its own `c=`, else the session's.
    pub fn connection_of<'a>(&'a self, media: &'a MediaDescription) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// The direction of this stream: its own attribute, else the session's, else `sendrecv`.
    pub fn direction_of(&self, media: &MediaDescription) -> Direction {
        direction(&media.attributes)
            .or_else(|| direction(&self.attributes))
            .unwrap_or_default()
    }
}

/// The `o=` line (RFC 8866 5.2): who made the description, and which revision it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The user's name on the originating host, `-` when there is none.
    pub username: String,
    /// The session id: numeric, unique for username and address.
    pub session_id: u64,
    /// The version: one more each time the description changes.
    pub version: u64,
    /// The address type: `IP4`, `IP6`.
    pub address_type: String,
    /// The originating host; names nothing to send to, so it is not looked into.
    pub address: String,
}

/// A `c=` line (RFC 8866 5.7): where media is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The address type: `IP4`, `IP6`.
    pub address_type: String,
    /// The address as written, without a multicast TTL or count.
    pub address: String,
    /// What stood behind the first slash: TTL and count of a multicast address.
    pub multicast: Option<String>,
}

impl Connection {
    /// The line for this address.
    pub fn to_ip(addr: IpAddr) -> Self {
        Self {
            address_type: if addr.is_ipv4() { "IP4" } else { "IP6" }.to_owned(),
            address: addr.to_string(),
            multicast: None,
        }
    }

    /// The address, unless a host name stands there.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }
}

/// A `t=` line (RFC 8866 5.9): NTP seconds, 0 for "no bound".
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Start of the session in NTP seconds, 0 when permanent.
    pub start: u64,
    /// End of the session in NTP seconds, 0 when unbounded.
    pub stop: u64,
}

/// An `a=` line (RFC 8866 5.13): `name` or `name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name before the colon; case-sensitive.
    pub name: String,
    /// The value behind the colon.
    pub value: Option<String>,
}

impl Attribute {
    /// An attribute that is only a name: `a=sendonly`.
    pub fn flag(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: None,
        }
    }

    /// An attribute with a value: `a=ptime:20`.
    pub fn value(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }
}

/// An `m=` line and the lines that follow it (RFC 8866 5.14): one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// The media type: `audio`, `video`, `application`…
    pub kind: String,
    /// The transport port; 0 refuses or ends the stream.
    pub port: u16,
    /// How many port pairs, when the line says `port/count`.
    pub port_count: Option<u16>,
    /// The transport profile: `RTP/AVP`, `RTP/SAVP`…
    pub protocol: String,
    /// The formats in order of preference; for RTP these are payload types.
    pub formats: Vec<String>,
    /// The `i=` line of this stream.
    pub information: Option<String>,
    /// The `c=` line of this stream.
    pub connection: Option<Connection>,
    /// The `b=` lines of this stream, as written.
    pub bandwidth: Vec<String>,
    /// The `a=` lines of this stream.
    pub attributes: Vec<Attribute>,
}

impl MediaDescription {
    /// The value of the first attribute of this name that has one.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .filter(|attribute| attribute.name == name)
            .find_map(|attribute| attribute.value.as_deref())
    }

    /// Whether an attribute of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.attributes
            .iter()
            .any(|attribute| attribute.name == name)
    }

    /// The values of all attributes of this name, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |attribute| attribute.name == name)
            .filter_map(|attribute| attribute.value.as_deref())
    }
}

/// The last direction attribute wins: the one that a middlebox appended.
fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes
        .iter()
        .rev()
        .filter(|attribute| attribute.value.is_none())
        .find_map(|attribute| Direction::from_name(&attribute.name))
}

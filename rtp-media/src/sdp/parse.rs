//! Reading the text of a session description: RFC 8866 sections 5 and 9, bounded everywhere.
//! Tolerant in what peers are known to get wrong, exact about which line is at fault.
//!
//! Tolerated on purpose: lines ended by LF alone, blank lines at the end, lines of a section in
//! another order than the grammar's, an absent `s=` or `t=`, bytes that are not UTF-8, spaces in
//! the `o=` user name and more than one space between fields.

use super::description::{
    Attribute, Connection, MediaDescription, Origin, SessionDescription, Timing,
};
use super::error::{SdpError, SdpErrorKind as Kind};

/// The longest description that is read, in bytes.
pub const MAX_BYTES: usize = 32 * 1024;
/// The most lines that are read.
pub const MAX_LINES: usize = 1024;
/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 4096;
/// The most `m=` lines that are read.
pub const MAX_MEDIA: usize = 16;
/// The most `a=` lines that are read, over the whole description.
pub const MAX_ATTRIBUTES: usize = 512;
/// The most formats (payload types) that one `m=` line may name.
pub const MAX_FORMATS: usize = 64;

impl SessionDescription {
    /// Reads the body of a message of type `application/sdp`.
    ///
    /// # Errors
    /// [`SdpError`] with the number of the line that is wrong and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        within(1, bytes.len(), MAX_BYTES, "bytes")?;
        let mut reader = Reader::default();
        let mut number = 0;
        for line in lines(bytes) {
            number += 1;
            within(number, number, MAX_LINES, "lines")?;
            within(number, line.len(), MAX_LINE, "bytes in one line")?;
            reader.line(number, line)?;
        }
        reader.finish(number)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    information: Option<String>,
    connection: Option<Connection>,
    bandwidth: Vec<String>,
    timing: Vec<Timing>,
    attributes: Vec<Attribute>,
    attribute_count: usize,
    media: Vec<MediaDescription>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), SdpError> {
        let fail = |kind| SdpError::new(number, kind);
        if line.iter().any(|byte| matches!(byte, b'\0' | b'\r')) {
            return Err(fail(Kind::Control));
        }
        let text = String::from_utf8_lossy(line);
        let mut chars = text.chars();
        let (Some(letter), Some('=')) = (chars.next(), chars.next()) else {
            return Err(fail(Kind::NotALine));
        };
        let value = chars.as_str();

        if !self.version && letter != 'v' {
            return Err(fail(Kind::Version));
        }
        if self.media.is_empty() {
            self.session_line(number, letter, value)
        } else {
            self.media_line(number, letter, value)
        }
    }

    fn session_line(&mut self, number: usize, letter: char, value: &str) -> Result<(), SdpError> {
        let fail = |kind| SdpError::new(number, kind);
        let twice = Err(fail(Kind::Twice { letter }));
        match letter {
            'v' if self.version => return twice,
            'v' if value.trim() == "0" => self.version = true,
            'v' => return Err(fail(Kind::Version)),
            'o' if self.origin.is_some() => return twice,
            'o' => self.origin = Some(origin(value).map_err(fail)?),
            's' if self.name.is_some() => return twice,
            's' => self.name = Some(value.to_owned()),
            'i' if self.information.is_some() => return twice,
            'i' => self.information = Some(value.to_owned()),
            'c' if self.connection.is_some() => return twice,
            'c' => self.connection = Some(connection(value).map_err(fail)?),
            'b' => self.bandwidth.push(value.trim().to_owned()),
            't' => self.timing.push(timing(value).map_err(fail)?),
            'a' => {
                let attribute = self.attribute(number, value)?;
                self.attributes.push(attribute);
            }
            'm' => self.media(number, value)?,
            'u' | 'e' | 'p' | 'r' | 'z' | 'k' => {}
            //= RFC 8866 5
            // The set of type letters is deliberately small and not intended to be extensible
            // -- an SDP parser MUST completely ignore or reject any session description that
            // contains a type letter that it does not understand.
            _ => return Err(fail(Kind::UnknownType { letter })),
        }
        Ok(())
    }

    fn media_line(&mut self, number: usize, letter: char, value: &str) -> Result<(), SdpError> {
        let fail = |kind| SdpError::new(number, kind);
        match letter {
            'm' => return self.media(number, value),
            'k' => return Ok(()),
            'v' | 'o' | 's' | 'u' | 'e' | 'p' | 't' | 'r' | 'z' => {
                return Err(fail(Kind::Misplaced { letter }));
            }
            'i' | 'c' | 'b' | 'a' => {}
            _ => return Err(fail(Kind::UnknownType { letter })),
        }
        let attribute = match letter {
            'a' => Some(self.attribute(number, value)?),
            _ => None,
        };
        let Some(media) = self.media.last_mut() else {
            return Ok(());
        };
        match letter {
            'i' if media.information.is_some() => return Err(fail(Kind::Twice { letter })),
            'i' => media.information = Some(value.to_owned()),
            // Several c= lines at one stream are layers of a multicast: the first one is the base.
            'c' => {
                let connection = connection(value).map_err(fail)?;
                media.connection.get_or_insert(connection);
            }
            'b' => media.bandwidth.push(value.trim().to_owned()),
            _ => media.attributes.extend(attribute),
        }
        Ok(())
    }

    fn attribute(&mut self, number: usize, value: &str) -> Result<Attribute, SdpError> {
        self.attribute_count += 1;
        within(
            number,
            self.attribute_count,
            MAX_ATTRIBUTES,
            "attribute lines",
        )?;
        attribute(value).map_err(|kind| SdpError::new(number, kind))
    }

    fn media(&mut self, number: usize, value: &str) -> Result<(), SdpError> {
        within(number, self.media.len() + 1, MAX_MEDIA, "media lines")?;
        let media = media(value).map_err(|kind| SdpError::new(number, kind))?;
        self.media.push(media);
        Ok(())
    }

    fn finish(self, last_line: usize) -> Result<SessionDescription, SdpError> {
        if !self.version {
            return Err(SdpError::new(1, Kind::Empty));
        }
        let missing = Kind::MissingField { field: "o= line" };
        Ok(SessionDescription {
            origin: self
                .origin
                .ok_or_else(|| SdpError::new(last_line, missing))?,
            name: self.name.unwrap_or_else(|| "-".to_owned()),
            information: self.information,
            connection: self.connection,
            bandwidth: self.bandwidth,
            timing: self.timing,
            attributes: self.attributes,
            media: self.media,
        })
    }
}

/// The lines without their ends; blank ones at the very end are no lines.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .trim_ascii_end()
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|_| !bytes.trim_ascii_end().is_empty())
}

fn within(line: usize, count: usize, limit: usize, what: &'static str) -> Result<(), SdpError> {
    if count > limit {
        return Err(SdpError::new(line, Kind::TooMany { what, limit }));
    }
    Ok(())
}

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>`
fn origin(value: &str) -> Result<Origin, Kind> {
    // Counted from the right: some phones put a display name with spaces in front.
    let mut fields = value.split_ascii_whitespace().rev();
    let mut field = |field| fields.next().ok_or(Kind::MissingField { field });
    let address = field("unicast address")?.to_owned();
    let address_type = field("address type")?.to_owned();
    let network_type = field("network type")?;
    let version = field("session version")?;
    let session_id = field("session id")?;
    let mut username: Vec<&str> = fields.collect();
    username.reverse();
    if username.is_empty() {
        return Err(Kind::MissingField { field: "user name" });
    }
    internet(network_type)?;
    Ok(Origin {
        username: username.join(" "),
        session_id: number(session_id, "session id")?,
        version: number(version, "session version")?,
        address_type,
        address,
    })
}

/// A numeric string of any length: RFC 8866 does not bound it, a value too large becomes the largest.
fn number(text: &str, field: &'static str) -> Result<u64, Kind> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Kind::BadField { field });
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

fn internet(network_type: &str) -> Result<(), Kind> {
    if network_type.eq_ignore_ascii_case("IN") {
        return Ok(());
    }
    Err(Kind::BadField {
        field: "network type",
    })
}

/// `c=<nettype> <addrtype> <connection-address>`
fn connection(value: &str) -> Result<Connection, Kind> {
    let mut fields = value.split_ascii_whitespace();
    let mut field = |field| fields.next().ok_or(Kind::MissingField { field });
    internet(field("network type")?)?;
    let address_type = field("address type")?.to_ascii_uppercase();
    let whole = field("connection address")?;
    let (address, multicast) = match whole.split_once('/') {
        Some((address, rest)) => (address, Some(rest.to_owned())),
        None => (whole, None),
    };
    let bad = Kind::BadField {
        field: "connection address",
    };
    match address_type.as_str() {
        "IP4" if address.contains(':') => return Err(bad),
        "IP6" if address.parse::<std::net::Ipv4Addr>().is_ok() => return Err(bad),
        "IP4" | "IP6" => {}
        _ => {
            return Err(Kind::BadField {
                field: "address type",
            });
        }
    }
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if address.is_empty() || !address.bytes().all(host) {
        return Err(bad);
    }
    Ok(Connection {
        address_type,
        address: address.to_owned(),
        multicast,
    })
}

/// `t=<start-time> <stop-time>`
fn timing(value: &str) -> Result<Timing, Kind> {
    let mut fields = value.split_ascii_whitespace();
    let mut field = |field| {
        let text = fields.next().ok_or(Kind::MissingField { field })?;
        number(text, field)
    };
    Ok(Timing {
        start: field("start time")?,
        stop: field("stop time")?,
    })
}

/// `a=<attribute-name>` or `a=<attribute-name>:<attribute-value>`
fn attribute(value: &str) -> Result<Attribute, Kind> {
    let (name, value) = match value.split_once(':') {
        Some((name, value)) => (name, Some(value.trim())),
        None => (value, None),
    };
    let name = name.trim();
    if name.is_empty() {
        return Err(Kind::MissingField {
            field: "attribute name",
        });
    }
    if name.contains(char::is_whitespace) || name.contains(char::is_control) {
        return Err(Kind::BadField {
            field: "attribute name",
        });
    }
    Ok(Attribute {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    })
}

/// `m=<media> <port>[/<integer>] <proto> <fmt> …`
fn media(value: &str) -> Result<MediaDescription, Kind> {
    let mut fields = value.split_ascii_whitespace();
    let mut field = |field| fields.next().ok_or(Kind::MissingField { field });
    let kind = field("media type")?.to_owned();
    let ports = field("port")?;
    let protocol = field("transport protocol")?.to_owned();
    let (port, port_count) = match ports.split_once('/') {
        Some((port, count)) => (port, Some(count)),
        None => (ports, None),
    };
    let port_number = |text: &str, field| text.parse::<u16>().map_err(|_| Kind::BadField { field });
    let formats: Vec<String> = fields.take(MAX_FORMATS + 1).map(str::to_owned).collect();
    if formats.is_empty() {
        return Err(Kind::MissingField { field: "format" });
    }
    if formats.len() > MAX_FORMATS {
        return Err(Kind::TooMany {
            what: "formats in one media line",
            limit: MAX_FORMATS,
        });
    }
    Ok(MediaDescription {
        kind,
        port: port_number(port, "port")?,
        port_count: port_count
            .map(|count| port_number(count, "number of ports"))
            .transpose()?,
        protocol,
        formats,
        information: None,
        connection: None,
        bandwidth: Vec::new(),
        attributes: Vec::new(),
    })
}

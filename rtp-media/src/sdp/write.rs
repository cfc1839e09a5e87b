//! Writing a session description: the lines of RFC 8866 section 5 in the order of its grammar.
//! Nothing that a field holds can start a line of its own.

use std::fmt;

use super::description::{
    Attribute, Connection, MediaDescription, Origin, SessionDescription, Timing,
};

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, 'v', "0")?;
        line(f, 'o', &self.origin)?;
        // RFC 8866 5.3 forbids an empty name and recommends the dash.
        let name = if self.name.is_empty() {
            "-"
        } else {
            &self.name
        };
        line(f, 's', name)?;
        if let Some(information) = &self.information {
            line(f, 'i', information)?;
        }
        if let Some(connection) = &self.connection {
            line(f, 'c', connection)?;
        }
        for bandwidth in &self.bandwidth {
            line(f, 'b', bandwidth)?;
        }
        if self.timing.is_empty() {
            line(f, 't', Timing::default())?;
        }
        for timing in &self.timing {
            line(f, 't', timing)?;
        }
        for attribute in &self.attributes {
            line(f, 'a', attribute)?;
        }
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for MediaDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, 'm', MediaLine(self))?;
        if let Some(information) = &self.information {
            line(f, 'i', information)?;
        }
        if let Some(connection) = &self.connection {
            line(f, 'c', connection)?;
        }
        for bandwidth in &self.bandwidth {
            line(f, 'b', bandwidth)?;
        }
        self.attributes
            .iter()
            .try_for_each(|attribute| line(f, 'a', attribute))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} IN {} {}",
            self.username, self.session_id, self.version, self.address_type, self.address
        )
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IN {} {}", self.address_type, self.address)?;
        match &self.multicast {
            Some(rest) => write!(f, "/{rest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.start, self.stop)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}:{value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The `m=` line alone, without what follows it.
struct MediaLine<'a>(&'a MediaDescription);

impl fmt::Display for MediaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let media = self.0;
        write!(f, "{} {}", media.kind, media.port)?;
        if let Some(count) = media.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {}", media.protocol)?;
        media
            .formats
            .iter()
            .try_for_each(|format| write!(f, " {format}"))
    }
}

/// Writes one line; a CR, LF or NUL inside the value becomes a space, so that a field cannot
/// smuggle in a line.
fn line(f: &mut fmt::Formatter<'_>, letter: char, value: impl fmt::Display) -> fmt::Result {
    use fmt::Write as _;

    write!(f, "{letter}=")?;
    write!(OneLine(f), "{value}")?;
    f.write_str("\r\n")
}

struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (index, part) in text.split(['\r', '\n', '\0']).enumerate() {
            if index > 0 {
                self.0.write_str(" ")?;
            }
            self.0.write_str(part)?;
        }
        Ok(())
    }
}

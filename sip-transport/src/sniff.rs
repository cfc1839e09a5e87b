//! A first look at a datagram before it costs a parse.
//! Decides only what is beyond doubt; whatever may be SIP is left to the parser and its answers.

use memchr::memmem;

/// What a datagram seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Worth parsing.
    Sip,
    /// Blanks only: a keepalive to hold a NAT binding open. RFC 5626 wants STUN there, but phones
    /// send CRLFCRLF, one CRLF, or a few NULs.
    Keepalive,
    /// Not SIP of any version.
    Junk,
}

/// Looks at the first line only.
pub(crate) fn kind(bytes: &[u8]) -> Kind {
    //= RFC 3261 7.5
    //# Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF
    //# appearing before the start-line
    let Some(start) = bytes.iter().position(|byte| !is_blank(*byte)) else {
        return Kind::Keepalive;
    };
    let message = bytes.get(start..).unwrap_or_default();
    let line = message
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let starts_well = line.first().is_some_and(|byte| is_token(*byte));
    // Any version, or none at all: what is not 2.0 gets its 505, what has none its 400.
    let marks: [&[u8]; 4] = [b"SIP/", b"sip/", b"sip:", b"sips:"];
    if starts_well && marks.iter().any(|mark| memmem::find(line, mark).is_some()) {
        Kind::Sip
    } else {
        Kind::Junk
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0)
}

/// A character of `token` (RFC 3261 25.1), with which both methods and `SIP` begin.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sip_is_parsed() {
        for message in [
            &b"OPTIONS sip:a SIP/2.0\r\n\r\n"[..],
            b"SIP/2.0 200 OK\r\n\r\n",
            b"\r\n\r\nINVITE sip:a SIP/2.0\r\n\r\n",
            b"!interesting-Method0123456789_*+`.%indeed'~ sip:a SIP/2.0\n",
            b"OPTIONS sip:a SIP/7.0\r\n",
            b"OPTIONS sip:a sip/2.0\r\n",
            b"INVITE <sip:a b> SIP/2.0",
            b"INVITE sip:a\r\n",
        ] {
            assert_eq!(kind(message), Kind::Sip, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn blanks_are_keepalives() {
        for message in [&b"\r\n\r\n"[..], b"\r\n", b"\0\0\0\0", b" ", b""] {
            assert_eq!(kind(message), Kind::Keepalive, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn junk_is_not_parsed() {
        let stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42012345678901";
        for message in [
            &stun[..],
            b"\x80\x00\x00\x01",
            b"GET / HTTP/1.1\r\n\r\n",
            b"garbage",
            b"garbage\r\nSIP/2.0 in the second line",
            b"<?xml SIP/2.0 ?>",
        ] {
            assert_eq!(kind(message), Kind::Junk, "{}", message.escape_ascii());
        }
    }
}

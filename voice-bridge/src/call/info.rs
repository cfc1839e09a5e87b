//! Keys that a peer sends in INFO bodies: `application/dtmf-relay` and `application/dtmf`.
//! Neither is an RFC; both are what PBXes without telephone-event send.

/// The content type of [`relay`]'s bodies: `Signal=5` and `Duration=160` lines.
pub(crate) const DTMF_RELAY: &str = "application/dtmf-relay";
/// The content type of a body that is the key alone.
pub(crate) const DTMF: &str = "application/dtmf";

/// The key of an INFO body, `None` when the content type carries no keys or the body none that
/// exists. The content type is compared without its parameters.
pub(crate) fn key(content_type: &str, body: &[u8]) -> Option<char> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(body.get(..body.len().min(MAX_BODY))?).ok()?;
    if media.eq_ignore_ascii_case(DTMF_RELAY) {
        relay(text)
    } else if media.eq_ignore_ascii_case(DTMF) {
        // Some write the bare key, some the same lines as dtmf-relay.
        relay(text).or_else(|| named(text.trim()))
    } else {
        None
    }
}

/// The body of an INFO that sends this key.
pub(crate) fn body(digit: char, duration_ms: u16) -> String {
    format!("Signal={digit}\r\nDuration={duration_ms}\r\n")
}

fn relay(text: &str) -> Option<char> {
    // The line `Duration=` is not needed: keys are told when they were pressed.
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let signal = name.trim().eq_ignore_ascii_case("signal");
        signal.then(|| named(value.trim())).flatten()
    })
}

fn named(value: &str) -> Option<char> {
    let mut chars = value.chars();
    match (chars.next(), chars.next()) {
        (Some(c @ ('0'..='9' | '*' | '#')), None) => Some(c),
        (Some(c @ ('A'..='D' | 'a'..='d')), None) => Some(c.to_ascii_uppercase()),
        // RFC 4733's numbers for the keys that are not digits.
        (Some('1'), Some(second)) if value.len() == 2 => match second {
            '0' => Some('*'),
            '1' => Some('#'),
            _ => None,
        },
        _ => None,
    }
}

const MAX_BODY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_info_carry_a_key() {
        let relayed = |body: &[u8]| key("application/dtmf-relay", body);
        assert_eq!(relayed(b"Signal=5\r\nDuration=250\r\n"), Some('5'));
        assert_eq!(relayed(b"Duration=100\r\nSignal= *"), Some('*'));
        assert_eq!(relayed(b"Signal=11"), Some('#'));
        assert_eq!(key("Application/DTMF ; x=y", b"#\r\n"), Some('#'));
        assert_eq!(key("application/dtmf", b"signal=b\nduration=x"), Some('B'));
    }

    #[test]
    fn what_is_no_key_is_none() {
        assert_eq!(key("application/dtmf-relay", b"Duration=250"), None);
        assert_eq!(key("application/dtmf-relay", b"Signal=55"), None);
        assert_eq!(key("application/dtmf", b"hello"), None);
        assert_eq!(key("application/media_control+xml", b"5"), None);
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read(index in 0usize..16, duration in any::<u16>()) {
            let digit = "0123456789*#ABCD".chars().nth(index).unwrap();
            prop_assert_eq!(key(DTMF_RELAY, body(digit, duration).as_bytes()), Some(digit));
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = key(DTMF, &body);
            let _ = key(DTMF_RELAY, &body);
        }
    }
}

//! Takes the secrets out of a SIP message before it is kept or shown.
//! Every masked byte becomes `*`, so lengths, and with them Content-Length, stay right.

use std::borrow::Cow;
use std::ops::Range;

/// `bytes` with each secret masked, borrowed when there is none.
///
/// Masked are: the digest of `Authorization` and `Proxy-Authorization` (`response`; user, realm,
/// nonce, `cnonce` and the nonce count `nc` stay, they are what one looks for when credentials
/// fail), everything but the scheme of other authorization schemes, passwords in `sip:` and
/// `sips:` URIs, and SRTP keys in SDP (`a=crypto`, `a=key-mgmt`, `k=`). Works line by line, on
/// malformed messages and on messages inside bodies as well.
pub fn redact(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut secrets = Vec::new();
    // An authorization header with the lines folded into it (RFC 3261 7.3.1), while it lasts.
    let mut authorization: Option<Range<usize>> = None;
    for line in lines(bytes) {
        let text = bytes.get(line.clone()).unwrap_or_default();
        let folded = matches!(text.first(), Some(b' ' | b'\t'));
        match &mut authorization {
            Some(header) if folded => header.end = line.end,
            header => {
                if let Some(header) = header.take() {
                    authorization_secrets(bytes, header, &mut secrets);
                }
                *header = names_authorization(text).then(|| line.clone());
            }
        }
        media_key(text, line.start, &mut secrets);
        uri_passwords(text, line.start, &mut secrets);
    }
    if let Some(header) = authorization {
        authorization_secrets(bytes, header, &mut secrets);
    }
    if secrets.iter().all(Range::is_empty) {
        return Cow::Borrowed(bytes);
    }
    let mut masked = bytes.to_vec();
    for secret in secrets {
        for byte in masked.get_mut(secret).unwrap_or_default() {
            if !matches!(byte, b'\r' | b'\n') {
                *byte = b'*';
            }
        }
    }
    Cow::Owned(masked)
}

/// The value of the first Call-ID header line, in either form, without parsing the message.
pub fn call_id(bytes: &[u8]) -> Option<&str> {
    for line in lines(bytes) {
        let text = bytes.get(line)?;
        if text.is_empty() {
            return None;
        }
        let Some(colon) = text.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = text.split_at(colon);
        let name = name.trim_ascii_end();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            return std::str::from_utf8(value).ok();
        }
    }
    None
}

/// The first line, for a log or a timeline; at most 120 bytes, never with a URI password.
pub fn first_line(bytes: &[u8]) -> String {
    let line = lines(bytes).next().unwrap_or(0..0);
    let line = bytes.get(line).unwrap_or_default();
    let line = redact(line.get(..120).unwrap_or(line));
    String::from_utf8_lossy(&line).into_owned()
}

/// Spans of the lines, without their CRLF or lone LF.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        let length = rest.iter().position(|byte| *byte == b'\n');
        let end = start + length.unwrap_or(rest.len());
        at = end + 1;
        let line = bytes.get(start..end)?;
        Some(start..end - usize::from(line.ends_with(b"\r")))
    })
}

fn names_authorization(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.trim_ascii_end();
    name.eq_ignore_ascii_case(b"authorization") || name.eq_ignore_ascii_case(b"proxy-authorization")
}

/// Secrets of one authorization header, which spans `header` in `bytes`.
fn authorization_secrets(bytes: &[u8], header: Range<usize>, out: &mut Vec<Range<usize>>) {
    let text = bytes.get(header.clone()).unwrap_or_default();
    let colon = text.iter().position(|byte| *byte == b':');
    let after = text
        .get(colon.map_or(0, |colon| colon + 1)..)
        .unwrap_or_default();
    let value = after.trim_ascii_start();
    let start = header.end - value.len();
    let scheme = value
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme);
    if scheme.eq_ignore_ascii_case(b"digest") {
        digest_responses(value, start, out);
    } else {
        out.push(header.end - rest.len()..header.end);
    }
}

/// The value of everything that looks like a `response` parameter. A quoted user name that looks
/// like one as well is masked too: rather that than a digest shown because a quote was missing.
fn digest_responses(value: &[u8], start: usize, out: &mut Vec<Range<usize>>) {
    const NAME: &[u8] = b"response";
    for (at, window) in value.windows(NAME.len()).enumerate() {
        if !window.eq_ignore_ascii_case(NAME) {
            continue;
        }
        let after = value.get(at + NAME.len()..).unwrap_or_default();
        let Some(secret) = after.trim_ascii_start().strip_prefix(b"=") else {
            continue;
        };
        let secret = secret.trim_ascii_start();
        // Inside the quotes, or up to the next parameter.
        let (secret, end) = match secret.strip_prefix(b"\"") {
            Some(quoted) => (quoted, b'"'),
            None => (secret, b','),
        };
        let length = secret.iter().position(|byte| *byte == end);
        let from = start + value.len() - secret.len();
        out.push(from..from + length.unwrap_or(secret.len()));
    }
}

/// Key material in a line of SDP: RFC 4568 `a=crypto`, RFC 4567 `a=key-mgmt`, RFC 4566 `k=`.
fn media_key(line: &[u8], offset: usize, out: &mut Vec<Range<usize>>) {
    if line.starts_with(b"a=crypto:") {
        let mut from = 0;
        while let Some(found) = find(line.get(from..).unwrap_or_default(), b"inline:") {
            let key = from + found + b"inline:".len();
            let rest = line.get(key..).unwrap_or_default();
            // The key ends before its life time and MKI (`|2^20|1:4`), the next key or a blank.
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'|' | b';' | b' ' | b'\t'));
            let length = end.unwrap_or(rest.len());
            out.push(offset + key..offset + key + length);
            from = key + length;
        }
    } else if line.starts_with(b"a=key-mgmt:") {
        out.push(offset + b"a=key-mgmt:".len()..offset + line.len());
    } else if line.starts_with(b"k=") {
        out.push(offset + 2..offset + line.len());
    }
}

/// Passwords in `sip:user:password@host`.
fn uri_passwords(line: &[u8], offset: usize, out: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(rest) = line.get(from..) {
        let Some(scheme) = find_scheme(rest) else {
            return;
        };
        let user_at = from + scheme;
        let rest = line.get(user_at..).unwrap_or_default();
        // userinfo ends at `@`; without one before these, there is none.
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'@' | b'>' | b' ' | b'"' | b'<'));
        if let Some(at) = end.filter(|at| rest.get(*at) == Some(&b'@')) {
            let userinfo = rest.get(..at).unwrap_or_default();
            if let Some(colon) = userinfo.iter().position(|byte| *byte == b':') {
                out.push(offset + user_at + colon + 1..offset + user_at + at);
            }
        }
        from = user_at;
    }
}

/// Where the part after the next `sip:` or `sips:` begins.
fn find_scheme(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let before = rest.get(..colon).unwrap_or_default();
        at += colon + 1;
        let ends_with = |scheme: &[u8]| {
            before
                .len()
                .checked_sub(scheme.len())
                .and_then(|from| before.get(from..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(scheme))
        };
        if ends_with(b"sip") || ends_with(b"sips") {
            return Some(at);
        }
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        String::from_utf8(redact(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn the_digest_is_masked_and_what_one_debugs_with_stays() {
        let message = "REGISTER sip:a SIP/2.0\r\n\
            Authorization: Digest username=\"bob, response=\\\"no\\\"\", realm=\"r\", nonce=\"n\", \
            nc=00000001, cnonce=\"c\", qop=auth, uri=\"sip:a\", response=\"0123456789abcdef\", \
            algorithm=MD5\r\nContent-Length: 0\r\n\r\n";
        let shown = shown(message);
        assert_eq!(shown.len(), message.len());
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
        for kept in ["bob, ", "nonce=\"n\"", "nc=00000001", "cnonce=\"c\"", "MD5"] {
            assert!(shown.contains(kept), "{kept} lost in {shown}");
        }
    }

    #[test]
    fn case_order_folding_and_missing_quotes_do_not_hide_a_digest() {
        for message in [
            "PROXY-AUTHORIZATION : digest response=secret,realm=\"r\"\r\n\r\n",
            "Proxy-Authorization: Digest realm=\"r\",\r\n\tRESPONSE = \"secret\"\r\n\r\n",
            "authorization:Digest\n response=\"secret\"\n\n",
            "Authorization: Digest realm=x, response=\r\n \"secret\"\r\n\r\n",
            "Authorization:\r\n Basic secret\r\n\r\n",
            "Authorization: Digest response=\"sec\r\n ret, secret\"\r\n\r\n",
            "X: y\r\nAuthorization: Digest a=\"unterminated, response=\"secret\"",
        ] {
            assert!(!shown(message).contains("secret"), "{}", shown(message));
        }
    }

    #[test]
    fn other_schemes_are_masked_whole() {
        let shown = shown("Authorization: Basic c2VjcmV0\r\nX: Basic c2VjcmV0\r\n\r\n");
        assert_eq!(
            shown,
            "Authorization: Basic*********\r\nX: Basic c2VjcmV0\r\n\r\n"
        );
    }

    #[test]
    fn keys_of_srtp_and_passwords_in_uris_are_masked() {
        assert_eq!(
            shown("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc+/=|2^20|1:4;inline:def\r\n"),
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:******|2^20|1:4;inline:***\r\n"
        );
        assert_eq!(shown("k=clear:abc\r\n"), "k=*********\r\n");
        assert_eq!(
            shown("INVITE sip:bob:hush@a:5060 SIP/2.0\r\nTo: <SIPS:x:y@b>;tag=1, <sip:c:5060>\r\n"),
            "INVITE sip:bob:****@a:5060 SIP/2.0\r\nTo: <SIPS:x:*@b>;tag=1, <sip:c:5060>\r\n"
        );
    }

    #[test]
    fn a_message_without_secrets_is_not_copied() {
        let message = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: x@y\r\nContact: <sip:b@c:5060>\r\n\r\n";
        assert!(matches!(redact(message), Cow::Borrowed(_)));
    }

    #[test]
    fn the_call_id_is_found_in_both_forms_and_only_in_the_head() {
        assert_eq!(
            call_id(b"BYE sip:a SIP/2.0\r\nCALL-ID :  x@y \r\n\r\n"),
            Some("x@y")
        );
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\r\ni:z\r\n\r\n"), Some("z"));
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\r\n\r\nCall-ID: x\r\n"), None);
    }

    proptest! {
        #[test]
        fn redacting_never_panics_and_keeps_the_length(bytes: Vec<u8>) {
            prop_assert_eq!(redact(&bytes).len(), bytes.len());
            call_id(&bytes);
            first_line(&bytes);
        }

        #[test]
        fn redacting_twice_changes_nothing_more(
            text in "(Authorization: Digest |response=|[a-z\",\\\\= ]{0,9}|\r\n|sip:a:b@c){0,12}"
        ) {
            let once = redact(text.as_bytes()).into_owned();
            let twice = redact(&once).into_owned();
            prop_assert_eq!(once, twice);
        }
    }
}

//! What is not a session description, and what is too much of one.

use rtp_media::sdp::{
    MAX_ATTRIBUTES, MAX_BYTES, MAX_FORMATS, MAX_LINE, MAX_LINES, MAX_MEDIA, SdpError, SdpErrorKind,
    SessionDescription,
};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n";

fn error(text: &str) -> SdpError {
    SessionDescription::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn the_error_names_the_line_and_what_is_wrong_with_it() {
    for (text, line, words) in [
        ("", 1, "the body is empty"),
        ("\r\n\r\n", 1, "the body is empty"),
        ("hello", 1, "not of the form <letter>=<value>"),
        ("o=- 1 1 IN IP4 192.0.2.7", 1, "must begin with v=0"),
        ("v=1", 1, "must begin with v=0"),
        ("v=0\r\ns=-\r\n", 2, "the o= line is missing"),
        ("v=0\r\no=- 1 1 IN IP4", 2, "is missing"),
        ("v=0\r\no=- x 1 IN IP4 a", 2, "the session id is not valid"),
        (
            "v=0\r\no=- 1 1 XX IP4 a",
            2,
            "the network type is not valid",
        ),
        ("v=0\r\nv=0", 2, "a second 'v=' line"),
        ("v=0\r\ns=-\r\nq=1", 3, "unknown line type 'q='"),
        ("v=0\r\nm=audio 70000 RTP/AVP 0", 2, "the port is not valid"),
        ("v=0\r\nm=audio 4000 RTP/AVP", 2, "the format is missing"),
        (
            "v=0\r\nm=audio 4000/x RTP/AVP 0",
            2,
            "the number of ports is not valid",
        ),
        (
            "v=0\r\nm=audio 4000 RTP/AVP 0\r\no=- 1 1 IN IP4 a",
            3,
            "'o=' line is not allowed here",
        ),
        (
            "v=0\r\nc=IN IP4 ::1",
            2,
            "the connection address is not valid",
        ),
        (
            "v=0\r\nc=IN IP6 192.0.2.1",
            2,
            "the connection address is not valid",
        ),
        ("v=0\r\nc=IN IP5 1", 2, "the address type is not valid"),
        (
            "v=0\r\nc=IN IP4 a\"b",
            2,
            "the connection address is not valid",
        ),
        ("v=0\r\nt=0", 2, "the stop time is missing"),
        ("v=0\r\nt=0 -1", 2, "the stop time is not valid"),
        ("v=0\r\na=:x", 2, "the attribute name is missing"),
        ("v=0\r\na=b c:x", 2, "the attribute name is not valid"),
        ("v=0\r\ns=a\0b", 2, "a NUL or CR byte inside"),
        ("v=0\r\na=ptime:2\r0", 2, "a NUL or CR byte inside"),
        ("v=0\r\n\r\ns=-", 2, "not of the form <letter>=<value>"),
    ] {
        let error = error(text);
        assert_eq!(error.line(), line, "{text:?}: {error}");
        assert!(error.to_string().contains(words), "{text:?}: {error}");
    }
}

#[test]
fn what_peers_are_known_to_write_is_read() {
    for text in [
        "v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nt=0 0\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns= \r\nt=0 0\r\n\r\n\r\n",
        "v=0\r\no=John Doe 1 1 IN IP4 192.0.2.7\r\n",
        "v=0\r\ns=x\r\nt=0 0\r\no=- 1 1 IN IP4 192.0.2.7\r\n",
        "v=0\r\no=- 99999999999999999999999999 1 IN IP4 pbx.example.com\r\ns=\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\nz=0 0\r\nk=clear:x\r\nr=7d 1h 0\r\nu=http://x\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\nm=audio  4000  RTP/AVP  0 \r\na=ptime: 20\r\n",
    ] {
        SessionDescription::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    }
    let latin1 = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=caf\xe9\r\n";
    assert_eq!(
        SessionDescription::parse(latin1).unwrap().name,
        "caf\u{fffd}"
    );
}

#[test]
fn each_bound_is_named_when_it_is_passed() {
    let too_many = |text: String, bound: usize| {
        let error = error(&text);
        match error.kind() {
            SdpErrorKind::TooMany { limit, .. } => assert_eq!(*limit, bound, "{error}"),
            other => panic!("{other}"),
        }
        error.line()
    };
    too_many("v".repeat(MAX_BYTES + 1), MAX_BYTES);
    too_many(format!("{HEAD}s={}", "x".repeat(MAX_LINE)), MAX_LINE);
    too_many(
        format!("{HEAD}{}", "b=AS:1\r\n".repeat(MAX_LINES)),
        MAX_LINES,
    );
    let line = too_many(
        format!("{HEAD}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(MAX_MEDIA + 1)),
        MAX_MEDIA,
    );
    assert_eq!(line, 4 + MAX_MEDIA + 1);
    too_many(
        format!("{HEAD}{}", "a=x\r\n".repeat(MAX_ATTRIBUTES + 1)),
        MAX_ATTRIBUTES,
    );
    too_many(
        format!("{HEAD}m=audio 1 RTP/AVP{}", " 0".repeat(MAX_FORMATS + 1)),
        MAX_FORMATS,
    );

    let most = format!(
        "{HEAD}{}{}m=audio 1 RTP/AVP{}",
        "a=x\r\n".repeat(MAX_ATTRIBUTES),
        "m=audio 1 RTP/AVP 0\r\n".repeat(MAX_MEDIA - 1),
        " 0".repeat(MAX_FORMATS),
    );
    SessionDescription::parse(most.as_bytes()).unwrap();
}

#[test]
fn a_value_cannot_smuggle_in_a_line() {
    let mut description = SessionDescription::parse(HEAD.as_bytes()).unwrap();
    description.name = "x\r\na=evil\0".to_owned();
    let text = description.to_string();
    assert!(text.contains("s=x  a=evil \r\n"), "{text:?}");
    assert_eq!(
        SessionDescription::parse(text.as_bytes())
            .unwrap()
            .attributes,
        []
    );
}

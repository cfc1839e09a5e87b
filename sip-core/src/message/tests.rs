//! Messages: what parsing vouches for, what it refuses, and what survives.

use super::*;
use crate::header::{Allow, CSeq, Contact, ContentType, Expires, MaxForwards, Route, Supported};

const INVITE: &str = concat!(
    "INVITE sip:bob@biloxi.com SIP/2.0\r\n",
    "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bKnashds8;rport\r\n",
    "Max-Forwards: 70\r\n",
    "To: Bob <sip:bob@biloxi.com>\r\n",
    "From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n",
    "Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n",
    "CSeq: 314159 INVITE\r\n",
    "Contact: <sip:alice@pc33.atlanta.com>\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 4\r\n",
    "\r\n",
    "v=0\n",
);

fn parse(text: impl AsRef<[u8]>) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(text.as_ref()), &Limits::default())
}

fn request(text: impl AsRef<[u8]>) -> Request {
    match parse(text).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

/// INVITE with one line in place of another.
fn with(line: &str, instead: &str) -> String {
    assert!(INVITE.contains(line), "{line}");
    INVITE.replacen(line, instead, 1)
}

fn kind(text: impl AsRef<[u8]>) -> ParseErrorKind {
    parse(text).unwrap_err().kind().clone()
}

#[test]
fn a_request_is_read_without_copying_its_octets() {
    let bytes = Bytes::from_static(INVITE.as_bytes());
    let Ok(Message::Request(invite)) = Message::parse(bytes.clone(), &Limits::default()) else {
        panic!("no request")
    };
    assert_eq!(*invite.method(), Method::Invite);
    assert_eq!(invite.uri().as_str(), "sip:bob@biloxi.com");
    assert_eq!(invite.call_id(), "a84b4c76e66710@pc33.atlanta.com");
    assert_eq!(
        (invite.from().tag(), invite.to().tag()),
        (Some("1928301774"), None)
    );
    assert_eq!(invite.via().branch(), Some("z9hG4bKnashds8"));
    assert_eq!(invite.via().rport(), Some(None));
    assert_eq!(*invite.cseq(), CSeq::new(314_159, Method::Invite));
    assert_eq!(invite.body(), "v=0\n");
    let inside = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    assert!(inside(invite.call_id().as_bytes()) && inside(invite.uri().as_str().as_bytes()));
    assert!(inside(invite.from().as_str().as_bytes()) && inside(&invite.body()));
    assert!(!inside(invite.from().detached().as_str().as_bytes()));
}

#[test]
fn absent_is_not_malformed() {
    let invite = request(with("Max-Forwards: 70\r\n", "Max-Forwards: many\r\n"));
    assert!(invite.typed::<Expires>().is_none());
    assert!(invite.typed::<MaxForwards>().unwrap().is_err());
    assert_eq!(
        invite.typed::<ContentType>().unwrap().unwrap().media(),
        "application/sdp"
    );
    assert!(invite.all::<Route>().unwrap().is_empty());
}

#[test]
fn lists_go_over_commas_and_lines_in_order() {
    let invite = request(with(
        "Max-Forwards: 70\r\n",
        "Route: <sip:a;lr>, \"x, y\" <sip:b,c@h;lr>\r\nAllow: INVITE, ACK\r\nROUTE: <sip:d>\r\nAllow:BYE\r\nk: a\r\nSupported:\r\n",
    ));
    let routes = invite.all::<Route>().unwrap();
    let uris: Vec<_> = routes.iter().map(|route| route.uri().as_str()).collect();
    assert_eq!(uris, ["sip:a;lr", "sip:b,c@h;lr", "sip:d"]);
    assert_eq!(routes[1].display().unwrap(), "x, y");
    assert_eq!(
        invite.typed::<Route>().unwrap().unwrap().uri().as_str(),
        "sip:a;lr"
    );
    let allow = invite.typed::<Allow>().unwrap().unwrap();
    assert_eq!(allow.0, [Method::Invite, Method::Ack, Method::Bye]);
    assert_eq!(invite.typed::<Supported>().unwrap().unwrap().0, ["a"]);
    assert_eq!(
        invite.header_values(&Name::Allow).collect::<Vec<_>>(),
        ["INVITE, ACK", "BYE"]
    );
}

#[test]
fn folded_lines_are_one_line_and_stay_as_they_were() {
    let invite = request(with(
        "Max-Forwards: 70\r\n",
        "X-Folded: one\r\n \t two \r\n\tthree\r\nContact :\r\n <sip:x@y>\r\n ;expires=5\r\n",
    ));
    let folded: Name = "x-folded".parse().unwrap();
    assert_eq!(invite.header(&folded).unwrap(), "one two three");
    let raw = invite.headers().find(|line| line.name() == folded).unwrap();
    assert_eq!(raw.raw_value(), b"one\r\n \t two \r\n\tthree");
    assert_eq!(invite.all::<Contact>().unwrap()[0].expires(), Some(5));
}

#[test]
fn octets_that_are_not_utf8_survive_raw_and_show_as_replacements() {
    let mut octets = with("Max-Forwards: 70\r\n", "X-Odd: a?b\r\n").into_bytes();
    let at = octets.iter().position(|b| *b == b'?').unwrap();
    octets[at] = 0xff;
    let from = octets.windows(5).position(|w| w == b"Alice").unwrap();
    octets[from] = 0xe9;
    let invite = request(&octets);
    let odd: Name = "X-Odd".parse().unwrap();
    assert_eq!(invite.header(&odd).unwrap(), "a\u{fffd}b");
    assert_eq!(
        invite
            .headers()
            .find(|line| line.name() == odd)
            .unwrap()
            .raw_value(),
        b"a\xffb"
    );
    assert_eq!(invite.from().display().unwrap(), "\u{fffd}lice");
    let reply = ResponseBuilder::to(&invite, Status::OK).finish();
    assert!(
        reply.windows(5).any(|w| w == b"\xe9lice"),
        "From goes back as it came"
    );
}

#[test]
fn display_names_in_utf8_need_no_quotes() {
    let invite = request(with("From: Alice <", "From: Zoë Müller-Łuczak <"));
    assert_eq!(invite.from().display().unwrap(), "Zoë Müller-Łuczak");
    let quoted = request(with("To: Bob <", r#"To: "Bob \"B\" \\ 松" <"#));
    assert_eq!(quoted.to().display().unwrap(), r#"Bob "B" \ 松"#);
}

#[test]
fn a_body_is_as_long_as_announced() {
    assert_eq!(request(with("Length: 4", "Length: 0002")).body(), "v=");
    assert_eq!(request(with("Content-Length: 4\r\n", "")).body(), "v=0\n");
    assert_eq!(
        request(with("Content-Length: 4\r\n", "Content-Length:   4  \r\n")).body(),
        "v=0\n"
    );
    let short = kind(with("Length: 4", "Length: 5"));
    assert_eq!(
        short,
        ParseErrorKind::Truncated {
            announced: 5,
            present: 4
        }
    );
    for wrong in ["-4", "+4", "4 4", "", "0x4", "99999999999999999999"] {
        let kind = kind(with("Length: 4", &format!("Length: {wrong}")));
        assert!(
            matches!(kind, ParseErrorKind::Header(e) if *e.name() == Name::ContentLength),
            "{wrong}"
        );
    }
}

#[test]
fn each_of_the_five_fields_is_needed_and_named() {
    for (line, name) in [
        (
            "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bKnashds8;rport\r\n",
            Name::Via,
        ),
        ("To: Bob <sip:bob@biloxi.com>\r\n", Name::To),
        (
            "From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n",
            Name::From,
        ),
        ("Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n", Name::CallId),
        ("CSeq: 314159 INVITE\r\n", Name::CSeq),
    ] {
        assert_eq!(kind(with(line, "")), ParseErrorKind::Missing(name));
    }
}

#[test]
fn fields_of_one_value_may_not_be_repeated_unless_they_decide_nothing() {
    for (more, name) in [
        ("i: other\r\n", Name::CallId),
        ("f: <sip:x@y>\r\n", Name::From),
        ("CSeq: 314159 INVITE\r\n", Name::CSeq),
        ("l: 4\r\n", Name::ContentLength),
        ("Max-Forwards: 70\r\n", Name::MaxForwards),
        ("c: application/sdp\r\n", Name::ContentType),
    ] {
        let text = with("Contact: ", &format!("{more}Contact: "));
        assert_eq!(kind(text), ParseErrorKind::Repeated(name));
    }
    assert!(
        parse(with(
            "Contact: ",
            "User-Agent: a\r\nUser-Agent: b\r\nContact: "
        ))
        .is_ok()
    );
}

#[test]
fn start_lines_are_strict() {
    for wrong in [
        "INVITE sip:bob@biloxi.com",
        "INVITE  sip:bob@biloxi.com SIP/2.0",
        "INVITE sip:bob@biloxi.com SIP/2.0 ",
        " INVITE sip:bob@biloxi.com SIP/2.0",
        "INVITE sip:bob@biloxi.com;x=\ty SIP/2.0",
        "IN\"VITE sip:bob@biloxi.com SIP/2.0",
        "INVITE sip:bob@biloxi.com HTTP/1.1",
        "INVITE sip:bob@biloxi.com SIP/2.0.1",
        "SIP/2.0",
        "SIP/2.0 20 OK",
        "SIP/2.0 +20 OK",
        "SIP/2.0 099 OK",
        "SIP/2.0 700 OK",
        "SIP/2.0 2000 OK",
    ] {
        let kind = kind(with("INVITE sip:bob@biloxi.com SIP/2.0", wrong));
        assert!(
            matches!(kind, ParseErrorKind::StartLine { .. }),
            "{wrong}: {kind:?}"
        );
    }
    let other = kind(with(
        "INVITE sip:bob@biloxi.com SIP/2.0",
        "INVITE sip:bob@biloxi.com SIP/3.0",
    ));
    assert_eq!(other, ParseErrorKind::Version);
    assert_eq!(other.status(), Status::VERSION_NOT_SUPPORTED);
    let uri = kind(with(
        "INVITE sip:bob@biloxi.com SIP/2.0",
        "INVITE sip:bob@ SIP/2.0",
    ));
    assert!(matches!(uri, ParseErrorKind::Uri(_)));
    let headers = kind(with(
        "sip:bob@biloxi.com SIP",
        "sip:bob@biloxi.com?Subject=x SIP",
    ));
    assert_eq!(headers, ParseErrorKind::UriHeaders);
    assert!(
        parse(with("SIP/2.0\r\nVia", "sip/2.0\r\nVia")).is_ok(),
        "the version has no case"
    );
    assert_eq!(
        kind(with("CSeq: 314159 INVITE", "CSeq: 314159 BYE")),
        ParseErrorKind::CSeqMethod
    );
}

#[test]
fn cr_and_lf_end_lines_only_together() {
    for wrong in ["X: a\rb\r\n", "X: a\nb\r\n", "X: a\n", "X: a\r\r\n"] {
        let text = with("Max-Forwards: 70\r\n", wrong);
        assert!(
            matches!(kind(&text), ParseErrorKind::LoneCrOrLf { .. }),
            "{wrong:?}"
        );
    }
    assert!(matches!(
        kind(with("Contact: ", "Contact ")),
        ParseErrorKind::HeaderLine { .. }
    ));
    assert!(matches!(
        kind(with("Contact: ", "Con tact: ")),
        ParseErrorKind::HeaderLine { .. }
    ));
    assert!(matches!(
        kind(with("Contact: ", ": ")),
        ParseErrorKind::HeaderLine { .. }
    ));
}

#[test]
fn what_ends_too_early_is_no_message() {
    assert_eq!(kind(""), ParseErrorKind::Empty);
    assert_eq!(kind("\r\n\r\n"), ParseErrorKind::Empty);
    let head = INVITE.find("\r\n\r\n").unwrap();
    assert_eq!(kind(&INVITE[..head + 2]), ParseErrorKind::Unterminated);
    assert_eq!(kind("INVITE"), ParseErrorKind::Unterminated);
    assert!(
        parse(format!("\r\n\r\n{INVITE}")).is_ok(),
        "empty lines in front are passed over"
    );
}

#[test]
fn every_limit_holds_and_is_named() {
    let tight = |limits: Limits| {
        Message::parse(Bytes::from_static(INVITE.as_bytes()), &limits)
            .unwrap_err()
            .kind()
            .clone()
    };
    let limits = Limits::default();
    let exact = Limits {
        message: INVITE.len(),
        headers: 9,
        body: 4,
        ..limits
    };
    assert!(Message::parse(Bytes::from_static(INVITE.as_bytes()), &exact).is_ok());
    let message = INVITE.len() - 1;
    assert_eq!(
        tight(Limits { message, ..limits }),
        ParseErrorKind::TooLarge { limit: message }
    );
    assert_eq!(
        tight(Limits {
            headers: 8,
            ..limits
        }),
        ParseErrorKind::TooManyHeaders { limit: 8 }
    );
    assert_eq!(
        tight(Limits { line: 60, ..limits }),
        ParseErrorKind::LineTooLong { limit: 60 }
    );
    assert_eq!(
        tight(Limits { body: 3, ..limits }),
        ParseErrorKind::BodyTooLarge { limit: 3 }
    );
    assert_eq!(
        tight(Limits { body: 3, ..limits }).status(),
        Status::REQUEST_ENTITY_TOO_LARGE
    );
    assert_eq!(
        tight(Limits {
            headers: 8,
            ..limits
        })
        .status(),
        Status::MESSAGE_TOO_LARGE
    );
    let many = with(
        "Max-Forwards: 70\r\n",
        &format!("Route: {}<sip:a>\r\n", "<sip:a>, ".repeat(128)),
    );
    assert!(request(&many).all::<Route>().is_err());
    let many = with(
        "Max-Forwards: 70\r\n",
        &format!("k: {}a\r\n", "a, ".repeat(128)),
    );
    assert!(request(&many).typed::<Supported>().unwrap().is_err());
}

#[test]
fn a_refused_request_is_answered_from_what_is_left() {
    let text = with(
        "Contact: <sip:alice@pc33.atlanta.com>\r\n",
        "Contact\r\nVia: SIP/2.0/UDP second\r\n",
    );
    let error = parse(&text).unwrap_err();
    let reply = String::from_utf8(error.reply("smartalex/1").unwrap().to_vec()).unwrap();
    assert!(reply.starts_with("SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bKnashds8;rport\r\nVia: SIP/2.0/UDP second\r\n"));
    assert!(
        reply.contains("Warning: 399 smartalex \"malformed header line at octet "),
        "{reply}"
    );
    assert!(reply.contains("To: Bob <sip:bob@biloxi.com>;tag="));
    assert_eq!(
        error.reply("smartalex/1"),
        parse(&text).unwrap_err().reply("smartalex/1"),
        "same tag"
    );
    assert_eq!(error.call_id().unwrap(), "a84b4c76e66710@pc33.atlanta.com");
    assert_eq!(error.method().unwrap(), "INVITE");
    // The answer is itself a message.
    assert!(matches!(parse(&reply), Ok(Message::Response(r)) if r.status() == Status::BAD_REQUEST));
    let ack = text.replace("INVITE", "ACK");
    assert_eq!(parse(ack).unwrap_err().reply("x"), None);
    let evil = error.reply("x\r\nEvil: yes").unwrap();
    assert!(!evil.windows(6).any(|w| w == b"\nEvil:"));
}

#[test]
fn clones_share_everything() {
    let invite = request(INVITE);
    assert_eq!(invite.clone().bytes().as_ptr(), invite.bytes().as_ptr());
    assert!(size_of::<Request>() == size_of::<usize>());
}

mod properties;

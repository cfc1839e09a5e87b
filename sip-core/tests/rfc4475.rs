//! The torture messages of RFC 4475, each held to the verdict of the list beside them, and to what
//! the RFC says beyond it. They lie outside the repository: see `SMARTALEX_VECTORS`.

// Helpers of a test may panic: that is how a test fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

use std::path::PathBuf;

use bytes::Bytes;
use sip_core::error::{Fault, ParseErrorKind};
use sip_core::header::{
    Accept, Allow, Authorization, Contact, ContentType, Date, Expires, MaxForwards, ProxyRequire,
    RecordRoute, Require, RetryAfter, Route, Via, Warning,
};
use sip_core::uri::Scheme;
use sip_core::{Limits, Message, Method, Name, ParseError, Request, Response, Status};

/// Where the third-party data lies; `None`, said aloud, when it is not there.
fn vectors(test: &str) -> Option<PathBuf> {
    let root = std::env::var("SMARTALEX_VECTORS").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").to_owned()
    });
    let folder = PathBuf::from(root).join("rfc4475");
    if folder.is_dir() {
        return Some(folder);
    }
    if std::env::var("SMARTALEX_NO_SKIP").is_ok_and(|value| value == "1") {
        panic!(
            "{} is not there and SMARTALEX_NO_SKIP is set",
            folder.display()
        );
    }
    eprintln!("SKIPPED {test}: {} is not there", folder.display());
    None
}

fn parse(folder: &std::path::Path, file: &str) -> Result<Message, ParseError> {
    let octets = std::fs::read(folder.join(file)).unwrap();
    Message::parse(Bytes::from(octets), &Limits::default())
}

fn request(folder: &std::path::Path, file: &str) -> Request {
    match parse(folder, file) {
        Ok(Message::Request(request)) => request,
        other => panic!("{file}: {other:?}"),
    }
}

fn response(folder: &std::path::Path, file: &str) -> Response {
    match parse(folder, file) {
        Ok(Message::Response(response)) => response,
        other => panic!("{file}: {other:?}"),
    }
}

fn refused(folder: &std::path::Path, file: &str) -> ParseError {
    match parse(folder, file) {
        Err(error) => error,
        Ok(message) => panic!("{file}: taken as {message:?}"),
    }
}

#[test]
fn every_message_gets_the_verdict_of_the_list() {
    let Some(folder) = vectors("every_message_gets_the_verdict_of_the_list") else {
        return;
    };
    let list = std::fs::read_to_string(folder.join("VERDICTS.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in list.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (file, verdict) = (columns[0], columns[3]);
        let outcome = parse(&folder, file);
        let right = match (verdict, &outcome) {
            ("ParseOk", outcome) => outcome.is_ok(),
            ("ParseErr(StartLine)", Err(e)) => {
                matches!(
                    e.kind(),
                    ParseErrorKind::StartLine { .. } | ParseErrorKind::Uri(_)
                )
            }
            // The list has it end for want of an empty line. So do we: see below.
            ("ParseErr(Framing)", Err(e)) => match e.kind() {
                ParseErrorKind::Truncated { .. } | ParseErrorKind::Unterminated => true,
                ParseErrorKind::Header(e) => *e.name() == Name::ContentLength,
                ParseErrorKind::Repeated(name) => *name == Name::ContentLength,
                _ => false,
            },
            // Not a field that a message stands or falls with: it is taken, and the field is
            // malformed for whoever reads it.
            (r#"HeaderErr("Date")"#, Ok(message)) => message.typed::<Date>().unwrap().is_err(),
            (r#"HeaderErr("Contact")"#, Ok(message)) => message.all::<Contact>().is_err(),
            (header, Err(e)) if header.starts_with("HeaderErr") => match e.kind() {
                ParseErrorKind::Header(e) => {
                    header == format!("HeaderErr({:?})", e.name().as_str())
                }
                _ => false,
            },
            (invalid, Err(e)) if invalid.starts_with("ValidateErr") => matches!(
                e.kind(),
                ParseErrorKind::UriHeaders
                    | ParseErrorKind::Version
                    | ParseErrorKind::CSeqMethod
                    | ParseErrorKind::Missing(_)
                    | ParseErrorKind::Repeated(_)
            ),
            _ => false,
        };
        count += 1;
        if !right {
            wrong.push(format!("{file}: {verdict}, but {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count, 49);
}

#[test]
fn a_tortuous_invite_is_understood_to_the_last_field() {
    let Some(folder) = vectors("a_tortuous_invite_is_understood_to_the_last_field") else {
        return;
    };
    let invite = request(&folder, "wsinv.dat");
    assert_eq!(*invite.method(), Method::Invite);
    assert!(invite.uri().has_param("unknownparam"));
    assert_eq!(invite.to().tag(), Some("1918181833n"));
    assert_eq!(invite.from().tag(), Some("98asjd8"));
    assert_eq!(invite.from().display().unwrap(), r#"J Rosenberg \""#);
    assert_eq!(
        invite.typed::<MaxForwards>().unwrap().unwrap(),
        MaxForwards(68)
    );
    assert_eq!(
        (invite.cseq().seq, &invite.cseq().method),
        (9, &Method::Invite)
    );
    assert_eq!(invite.header(&Name::Subject).unwrap(), "");
    let new: Name = "newfangledheader".parse().unwrap();
    assert_eq!(
        invite.header(&new).unwrap(),
        "newfangled value continued newfangled value"
    );
    let vias = invite.all::<Via>().unwrap();
    let seen: Vec<_> = vias
        .iter()
        .map(|via| (via.transport(), via.host(), via.branch().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("UDP", "192.0.2.2", "390skdjuw"),
            ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
    );
    let route = invite.typed::<Route>().unwrap().unwrap();
    assert!(route.uri().is_loose_router());
    let contacts = invite.all::<Contact>().unwrap();
    assert_eq!(
        contacts[0].addr().unwrap().display().unwrap(),
        r#"Quoted string """#
    );
    assert_eq!(contacts[0].q(), Some(330));
    assert_eq!(
        contacts[0].addr().unwrap().param("newparam").unwrap(),
        "newvalue"
    );
    assert_eq!(invite.body().len(), 150);
}

#[test]
fn the_widest_range_of_characters_survives() {
    let Some(folder) = vectors("the_widest_range_of_characters_survives") else {
        return;
    };
    let odd = request(&folder, "intmeth.dat");
    assert_eq!(
        odd.method().as_str(),
        "!interesting-Method0123456789_*+`.%indeed'~"
    );
    assert_eq!(
        odd.uri().password().unwrap(),
        "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    );
    assert!(!format!("{:?}", odd.uri()).contains("weird"));
    assert_eq!(odd.to().display().unwrap(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    assert_eq!(
        odd.from().display().unwrap(),
        "token1~` token2'+_ token3*%!.-"
    );
    assert_eq!(odd.from().tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        odd.from().param("fromParam''~+*_!.-%").unwrap(),
        "работающий"
    );
    let unknown = odd
        .headers()
        .find(|line| line.raw_name().starts_with(b"extension"))
        .unwrap();
    assert_eq!(unknown.raw_name(), b"extensionHeader-!.%*+_`'~");
    assert_eq!(unknown.value(), "\u{feff}大停電");
}

#[test]
fn escapes_compare_by_what_they_mean() {
    let Some(folder) = vectors("escapes_compare_by_what_they_mean") else {
        return;
    };
    let invite = request(&folder, "esc01.dat");
    assert_eq!(invite.uri().user().unwrap(), "sips:user@example.com");
    assert_eq!(*invite.to().uri(), "sip:user@example.com".parse().unwrap());
    let contact = invite.typed::<Contact>().unwrap().unwrap();
    assert!(contact.uri().unwrap().is_loose_router());
    assert_eq!(contact.uri().unwrap().param("name").unwrap(), "value%41");

    let register = request(&folder, "escnull.dat");
    let contacts = register.all::<Contact>().unwrap();
    assert_eq!(contacts[0].uri().unwrap().user().unwrap(), "\0");
    assert_eq!(contacts[1].uri().unwrap().user().unwrap(), "\0\0");
    assert_ne!(contacts[0].uri(), contacts[1].uri());

    let odd = request(&folder, "esc02.dat");
    assert_ne!(*odd.method(), Method::Register);
    assert_eq!(odd.to().display().unwrap(), "%Z%45");
    // "C%6Fntact" is no Contact.
    assert_eq!(odd.all::<Contact>().unwrap().len(), 2);
}

#[test]
fn long_and_compact_forms_are_the_same_field() {
    let Some(folder) = vectors("long_and_compact_forms_are_the_same_field") else {
        return;
    };
    let invite = request(&folder, "longreq.dat");
    assert_eq!(invite.all::<Via>().unwrap().len(), 34);
    assert_eq!(invite.via().host(), "sip33.example.com");
    assert_eq!(invite.to().uri().port(), Some(6000));
    assert_eq!(invite.body().len(), 150);
}

#[test]
fn octets_behind_the_body_are_not_the_message() {
    let Some(folder) = vectors("octets_behind_the_body_are_not_the_message") else {
        return;
    };
    let register = request(&folder, "dblreq.dat");
    assert_eq!(*register.method(), Method::Register);
    assert!(register.body().is_empty());
    assert_eq!(register.headers().count(), 8);
}

#[test]
fn user_parts_and_hosts_stay_apart() {
    let Some(folder) = vectors("user_parts_and_hosts_stay_apart") else {
        return;
    };
    let options = request(&folder, "semiuri.dat");
    assert_eq!(options.uri().user().unwrap(), "user;par=u@example.net");
    assert_eq!(options.uri().host(), "example.com");
    assert!(
        options
            .typed::<Accept>()
            .unwrap()
            .unwrap()
            .takes("message/sipfrag")
    );
    let options = request(&folder, "lwsdisp.dat");
    assert_eq!(options.from().display().unwrap(), "caller");
}

#[test]
fn unknown_transports_are_only_words() {
    let Some(folder) = vectors("unknown_transports_are_only_words") else {
        return;
    };
    let vias = request(&folder, "transports.dat").all::<Via>().unwrap();
    let transports: Vec<_> = vias.iter().map(Via::transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn a_binary_body_is_not_touched() {
    let Some(folder) = vectors("a_binary_body_is_not_touched") else {
        return;
    };
    let message = request(&folder, "mpart01.dat");
    let kind = message.typed::<ContentType>().unwrap().unwrap();
    assert_eq!(kind.param("boundary").unwrap(), "7a9cbec02ceef655");
    assert_eq!(message.body().len(), 553);
    assert!(std::str::from_utf8(&message.body()).is_err());
}

#[test]
fn reason_phrases_may_be_anything_or_nothing() {
    let Some(folder) = vectors("reason_phrases_may_be_anything_or_nothing") else {
        return;
    };
    let ok = response(&folder, "unreason.dat");
    assert!(
        ok.reason()
            .starts_with("= 2**3 * 5**2 но сто девяносто девять")
    );
    assert_eq!(ok.status(), Status::OK);
    let trying = response(&folder, "noreason.dat");
    assert_eq!((trying.status(), trying.reason()), (Status::TRYING, ""));
}

#[test]
fn refused_requests_are_answered_and_responses_are_not() {
    let Some(folder) = vectors("refused_requests_are_answered_and_responses_are_not") else {
        return;
    };
    for (file, status) in [
        ("badinv01.dat", 400),
        ("clerr.dat", 400),
        ("ncl.dat", 400),
        ("scalar02.dat", 400),
        ("quotbal.dat", 400),
        ("ltgtruri.dat", 400),
        ("lwsruri.dat", 400),
        ("lwsstart.dat", 400),
        ("trws.dat", 400),
        ("escruri.dat", 400),
        ("badaspec.dat", 400),
        ("baddn.dat", 400),
        ("badvers.dat", 505),
        ("mismatch01.dat", 400),
        ("mismatch02.dat", 400),
        ("multi01.dat", 400),
        ("mcl01.dat", 400),
    ] {
        let error = refused(&folder, file);
        assert_eq!(error.status().code(), status, "{file}");
        let reply = error
            .reply("test")
            .unwrap_or_else(|| panic!("{file}: no answer"));
        let text = String::from_utf8_lossy(&reply).into_owned();
        assert!(
            text.starts_with(&format!("SIP/2.0 {status} ")),
            "{file}: {text}"
        );
        assert!(text.contains("\r\nVia: SIP/"), "{file}: {text}");
        assert!(text.contains("\r\nWarning: 399 test \""), "{file}: {text}");
        assert!(text.to_ascii_lowercase().contains("tag="), "{file}: {text}");
    }
    // Without From, To and Call-ID there is nobody to answer.
    let error = refused(&folder, "insuf.dat");
    assert_eq!(
        (error.reply("test"), error.method().as_deref()),
        (None, Some("INVITE"))
    );
    // Responses are dropped.
    for file in ["bigcode.dat", "scalarlg.dat"] {
        assert_eq!(refused(&folder, file).reply("test"), None, "{file}");
    }
}

#[test]
fn a_comma_in_an_unquoted_display_name_is_refused() {
    let Some(folder) = vectors("a_comma_in_an_unquoted_display_name_is_refused") else {
        return;
    };
    // The file lacks its empty line too, which is what the list names; with the line added it is
    // the display name.
    let mut octets = std::fs::read(folder.join("baddn.dat")).unwrap();
    octets.extend_from_slice(b"\r\n");
    let error = Message::parse(Bytes::from(octets), &Limits::default()).unwrap_err();
    match error.kind() {
        ParseErrorKind::Header(e) => assert_eq!(*e.name(), Name::From),
        kind => panic!("{kind}"),
    }
}

#[test]
fn what_parses_but_cannot_be_served_is_left_to_the_endpoint() {
    let Some(folder) = vectors("what_parses_but_cannot_be_served_is_left_to_the_endpoint") else {
        return;
    };
    // 416
    assert_eq!(request(&folder, "unkscm.dat").uri().scheme(), Scheme::Other);
    assert_eq!(
        request(&folder, "novelsc.dat").uri().as_str(),
        "soap.beep://192.0.2.103:3002"
    );
    let strange = request(&folder, "unksm2.dat");
    assert_eq!(strange.to().uri().as_str(), "isbn:2983792873");
    assert_eq!(strange.from().uri().as_str(), "http://www.example.com");
    // 420
    let extended = request(&folder, "bext01.dat");
    let required = extended.typed::<Require>().unwrap().unwrap();
    assert_eq!(
        required.0,
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(
        extended.typed::<ProxyRequire>().unwrap().unwrap().0.len(),
        2
    );
    // 415
    let body = request(&folder, "invut.dat")
        .typed::<ContentType>()
        .unwrap()
        .unwrap();
    assert!(body.is("application/unknownformat"));
    // 401
    let scheme = request(&folder, "regaut01.dat")
        .typed::<Authorization>()
        .unwrap()
        .unwrap_err();
    assert_eq!(*scheme.fault(), Fault::Scheme);
    // 483, for a proxy
    let last = request(&folder, "zeromf.dat");
    assert_eq!(
        last.typed::<MaxForwards>().unwrap().unwrap(),
        MaxForwards(0)
    );
    // 406
    let picky = request(&folder, "sdp01.dat");
    assert!(
        !picky
            .typed::<Accept>()
            .unwrap()
            .unwrap()
            .takes("application/sdp")
    );
    assert!(picky.typed::<Allow>().is_none());
}

#[test]
fn old_and_odd_peers_are_understood() {
    let Some(folder) = vectors("old_and_odd_peers_are_understood") else {
        return;
    };
    let options = request(&folder, "badbranch.dat");
    assert_eq!(options.via().branch(), Some(Via::MAGIC_COOKIE));
    let old = request(&folder, "inv2543.dat");
    assert_eq!((old.via().branch(), old.from().tag()), (None, None));
    // Without brackets the parameter belongs to To, not to the URI.
    assert_eq!(old.to().param("user").unwrap(), "phone");
    assert!(!old.to().uri().has_param("user"));
    let route = old.typed::<RecordRoute>().unwrap().unwrap();
    assert_eq!(route.uri().maddr().unwrap(), "ss1.example.com");
    assert_eq!(
        old.body().len(),
        old.bytes().len()
            - old
                .bytes()
                .windows(4)
                .position(|w| w == b"\r\n\r\n")
                .unwrap()
            - 4
    );
    let ok = response(&folder, "bcast.dat");
    assert_eq!(ok.all::<Via>().unwrap().len(), 2);
}

#[test]
fn contact_parameters_belong_where_the_brackets_say() {
    let Some(folder) = vectors("contact_parameters_belong_where_the_brackets_say") else {
        return;
    };
    let outside = request(&folder, "cparam01.dat")
        .typed::<Contact>()
        .unwrap()
        .unwrap();
    assert!(outside.addr().unwrap().param("unknownparam").is_some());
    assert!(!outside.uri().unwrap().has_param("unknownparam"));
    let inside = request(&folder, "cparam02.dat")
        .typed::<Contact>()
        .unwrap()
        .unwrap();
    assert!(inside.addr().unwrap().param("unknownparam").is_none());
    assert!(inside.uri().unwrap().has_param("unknownparam"));
    let headers = request(&folder, "regescrt.dat")
        .typed::<Contact>()
        .unwrap()
        .unwrap();
    assert_eq!(
        headers.uri().unwrap().header("route").unwrap(),
        "<sip:sip.example.com>"
    );
}

#[test]
fn overlarge_numbers_are_malformed_in_their_fields() {
    let Some(folder) = vectors("overlarge_numbers_are_malformed_in_their_fields") else {
        return;
    };
    let swap = |file: &str, from: &str, to: &str| {
        let text = String::from_utf8(std::fs::read(folder.join(file)).unwrap()).unwrap();
        assert!(text.contains(from));
        Message::parse(Bytes::from(text.replace(from, to)), &Limits::default()).unwrap()
    };
    // With a CSeq that fits, what else is too large shows.
    let register = swap("scalar02.dat", "36893488147419103232", "1");
    assert!(register.typed::<MaxForwards>().unwrap().is_err());
    assert!(register.typed::<Expires>().unwrap().is_err());
    assert_eq!(
        register.typed::<Contact>().unwrap().unwrap().expires(),
        Some(3600)
    );
    let unavailable = swap("scalarlg.dat", "9292394834772304023312", "1");
    assert!(unavailable.typed::<RetryAfter>().unwrap().is_err());
    assert!(unavailable.typed::<Warning>().unwrap().is_err());
}

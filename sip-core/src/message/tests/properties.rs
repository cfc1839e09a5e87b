//! Properties over made-up messages: nothing panics, and what was built is what is read.

use proptest::prelude::*;

use super::super::stream::{Framed, Framer};
use super::*;
use crate::header::{From, NameAddr, RecordRoute, Via};

/// Asks a message for everything it can be asked for.
fn exercise(octets: &[u8]) {
    match parse(octets) {
        Ok(message) => {
            _ = (
                message.all::<Via>(),
                message.all::<Route>(),
                message.all::<RecordRoute>(),
            );
            _ = (
                message.all::<Contact>(),
                message.typed::<Allow>(),
                message.typed::<From>(),
            );
            for line in message.headers() {
                _ = (line.name(), line.value(), line.raw_value());
            }
            if let Message::Request(request) = message {
                let source = ([192, 0, 2, 1], 5060).into();
                let reply = ResponseBuilder::to(&request, Status::OK)
                    .source(source)
                    .finish();
                assert!(parse(&reply).is_ok(), "{}", String::from_utf8_lossy(&reply));
            }
        }
        Err(error) => {
            _ = (
                error.to_string(),
                error.reply("x"),
                error.from(),
                error.to(),
            )
        }
    }
}

fn mutation() -> impl Strategy<Value = (prop::sample::Index, Vec<u8>, usize)> {
    let pieces = prop::sample::select(vec![
        b"\r\n".to_vec(),
        b"\r\n ".to_vec(),
        b"\"".to_vec(),
        b"\\".to_vec(),
        b"<".to_vec(),
        b">".to_vec(),
        b";".to_vec(),
        b",".to_vec(),
        b"%".to_vec(),
        b"@".to_vec(),
        b"[".to_vec(),
        b"\0".to_vec(),
        b"\xff".to_vec(),
        b"\xc3\xa9".to_vec(),
        b"99999999999".to_vec(),
        b"".to_vec(),
    ]);
    (any::<prop::sample::Index>(), pieces, 0usize..4)
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..2048)) {
        exercise(&octets);
    }

    #[test]
    fn arbitrary_lines_never_panic(lines in prop::collection::vec("[ -~\u{e9}\\t]{0,60}", 0..20)) {
        exercise(format!("INVITE sip:a SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n")).as_bytes());
    }

    #[test]
    fn mutated_messages_never_panic(mutations in prop::collection::vec(mutation(), 1..8)) {
        let mut octets = INVITE.as_bytes().to_vec();
        for (at, piece, drop) in mutations {
            let at = at.index(octets.len());
            let end = (at + drop).min(octets.len());
            octets.splice(at..end, piece);
        }
        exercise(&octets);
    }

    #[test]
    fn what_was_built_is_what_is_read(
        user in "[^\u{0}\r\n]{1,20}",
        display in "[^\u{0}\r\n]{0,20}",
        tag in "[a-zA-Z0-9.!%*_+`'~-]{1,20}",
        call_id in "[!-~]{1,40}",
        seq in any::<u32>(),
        value in "[^\u{0}\r\n]{0,60}",
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let uri = Uri::sip(Some(&user), "example.com", Some(5070)).unwrap();
        let from = NameAddr::new(uri.clone()).with_display(&display).with_tag(&tag).unwrap();
        let via = Via::new("UDP", "192.0.2.1", None, "z9hG4bKx", true).unwrap();
        let other: Name = "X-Value".parse().unwrap();
        let octets = RequestBuilder::new(Method::Options, &uri)
            .via(&via)
            .header(Name::From, &from).unwrap()
            .header(Name::To, NameAddr::new(uri.clone())).unwrap()
            .header(Name::CallId, &call_id).unwrap()
            .header(Name::CSeq, CSeq::new(seq, Method::Options)).unwrap()
            .header(&other, &value).unwrap()
            .body("application/octet-stream", Bytes::from(body.clone())).unwrap()
            .finish();
        let read = request(&octets);
        prop_assert_eq!(read.uri(), &uri);
        prop_assert_eq!(read.uri().user().unwrap(), user.as_str());
        prop_assert_eq!(read.from().tag(), Some(tag.as_str()));
        let shown: String = display.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let given = read.from().display().unwrap_or_default().into_owned();
        prop_assert_eq!(given, shown);
        prop_assert_eq!(read.call_id(), call_id.as_str());
        prop_assert_eq!(read.cseq().seq, seq);
        let trimmed = value.trim_matches(|c: char| c.is_ascii_whitespace());
        prop_assert_eq!(read.header(&other).unwrap(), trimmed);
        prop_assert_eq!(read.body(), body);
        prop_assert_eq!(read.via(), &via);
    }

    #[test]
    fn a_stream_in_pieces_gives_what_went_in(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5),
        step in 1usize..100,
    ) {
        let uri: Uri = "sip:a@b".parse().unwrap();
        let messages: Vec<Bytes> = bodies.iter().map(|body| {
            RequestBuilder::new(Method::Info, &uri)
                .body("x/y", Bytes::from(body.clone())).unwrap()
                .finish()
        }).collect();
        let mut framer = Framer::new(Limits::default());
        let mut out = Vec::new();
        for piece in messages.concat().chunks(step) {
            framer.push(piece);
            while let Some(framed) = framer.next().unwrap() {
                out.push(framed);
            }
        }
        let expected: Vec<_> = messages.into_iter().map(Framed::Message).collect();
        prop_assert_eq!(out, expected);
        prop_assert_eq!(framer.buffered(), 0);
    }
}

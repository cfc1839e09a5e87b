//! Streams: messages, keepalives, and what ends the following.

use super::*;
use crate::message::Message;
use crate::status::Status;

const INFO: &str = concat!(
    "INFO sip:a@b SIP/2.0\r\n",
    "Via: SIP/2.0/TCP c;branch=z9hG4bK1\r\n",
    "From: <sip:a@b>;tag=1\r\n",
    "To: <sip:a@b>\r\n",
    "Call-ID: x\r\n",
    "CSeq: 1 INFO\r\n",
    "L: 5\r\n",
    "\r\n",
    "hello",
);

fn framer() -> Framer {
    Framer::new(Limits::default())
}

fn message(text: &str) -> Option<Framed> {
    Some(Framed::Message(Bytes::copy_from_slice(text.as_bytes())))
}

#[test]
fn messages_come_out_whole_however_they_came_in() {
    let mut framer = framer();
    for octet in INFO.bytes().chain(INFO.bytes()).take(INFO.len() * 2 - 1) {
        assert!(framer.buffered() <= INFO.len());
        framer.push(&[octet]);
        if framer.buffered() == INFO.len() {
            assert_eq!(framer.next().unwrap(), message(INFO));
            assert_eq!(framer.buffered(), 0);
        } else {
            assert_eq!(framer.next().unwrap(), None);
        }
    }
    framer.push(b"o");
    framer.push(INFO.as_bytes());
    assert_eq!(framer.next().unwrap(), message(INFO));
    assert_eq!(framer.next().unwrap(), message(INFO));
    assert_eq!(framer.next().unwrap(), None);
}

#[test]
fn keepalives_are_seen_between_messages_only() {
    let mut framer = framer();
    framer.push(format!("\r\n\r\n{INFO}\r\n{INFO}\r\n\r\n").as_bytes());
    assert_eq!(framer.next().unwrap(), Some(Framed::Ping));
    assert_eq!(framer.next().unwrap(), message(INFO));
    assert_eq!(framer.next().unwrap(), Some(Framed::Pong));
    assert_eq!(framer.next().unwrap(), message(INFO));
    assert_eq!(framer.next().unwrap(), Some(Framed::Ping));
    assert_eq!(framer.next().unwrap(), None);
}

#[test]
fn a_ping_in_two_halves_is_still_answered() {
    let mut framer = framer();
    framer.push(b"\r\n");
    assert_eq!(framer.next().unwrap(), Some(Framed::Pong));
    framer.push(b"\r");
    assert_eq!(framer.next().unwrap(), None);
    framer.push(b"\n");
    assert_eq!(framer.next().unwrap(), Some(Framed::Ping));
    assert_eq!(framer.next().unwrap(), None);
}

#[test]
fn without_a_length_nobody_knows_where_the_next_message_begins() {
    let mut framer = framer();
    framer.push(INFO.replace("L: 5\r\n", "").as_bytes());
    let error = framer.next().unwrap_err();
    assert_eq!(*error.cause().kind(), ParseErrorKind::NoContentLength);
    let reply = error.cause().reply("x").unwrap();
    let Ok(Message::Response(reply)) = Message::parse(reply, &Limits::default()) else {
        panic!("no response")
    };
    assert_eq!(reply.status(), Status::BAD_REQUEST);
    // Whatever comes later is not read.
    framer.push(INFO.as_bytes());
    assert!(framer.next().is_err());
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn lengths_that_differ_or_are_none_end_the_stream() {
    for wrong in [
        "L: 5\r\nContent-Length: 5\r\n",
        "L: -5\r\n",
        "L: 5, 5\r\n",
        "L: five\r\n",
    ] {
        let mut framer = framer();
        framer.push(INFO.replace("L: 5\r\n", wrong).as_bytes());
        assert!(framer.next().is_err(), "{wrong}");
    }
}

#[test]
fn limits_hold_before_the_octets_are_there() {
    let limits = Limits {
        message: 1000,
        body: 100,
        ..Limits::default()
    };
    let mut framer = Framer::new(limits);
    framer.push(INFO.replace("L: 5", "L: 101").as_bytes());
    let error = framer.next().unwrap_err();
    assert_eq!(
        *error.cause().kind(),
        ParseErrorKind::BodyTooLarge { limit: 100 }
    );
    assert_eq!(error.cause().status(), Status::REQUEST_ENTITY_TOO_LARGE);

    let mut framer = Framer::new(limits);
    for _ in 0..10 {
        framer.push(&[b'x'; 100]);
        assert_eq!(framer.next().unwrap(), None);
    }
    framer.push(b"x");
    let error = framer.next().unwrap_err();
    assert_eq!(
        *error.cause().kind(),
        ParseErrorKind::TooLarge { limit: 1000 }
    );
}

#[test]
fn a_malformed_line_is_for_the_parser_when_the_length_is_known() {
    let text = INFO.replace("CSeq: 1 INFO", "CSeq 1 INFO");
    let mut framer = framer();
    framer.push(text.as_bytes());
    assert_eq!(framer.next().unwrap(), message(&text));
}

//! The registrar's rules, one by one.
//! Requests are written as text, answers are looked at as replies.

use bytes::Bytes;

use super::*;
use crate::endpoint::Transport;
use crate::message::{Limits, Message};
use crate::testing::{Side, epoch};

const AOR: &str = "sip:trunk@example.com";

fn at(seconds: u64) -> Instant {
    epoch() + Duration::from_secs(seconds)
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: Side::B.addr(),
        remote: Side::A.addr(),
        connection: 0,
    }
}

fn request(call_id: &str, seq: u32, lines: &str) -> Request {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
         From: <sip:trunk@example.com>;tag=1\r\nTo: <sip:trunk@example.com>\r\n\
         Call-ID: {call_id}\r\nCSeq: {seq} REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    match Message::parse(Bytes::from(text), &Limits::default()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn registrar() -> Registrar {
    Registrar::new(RegistrarConfig::default())
}

/// Registers at a second; gives status, change and contacts of the answer.
fn register(
    registrar: &mut Registrar,
    second: u64,
    request: &Request,
) -> (u16, Change, Vec<String>) {
    let Outcome { reply, change } = registrar.register(at(second), request, flow(), AOR);
    let contacts = reply
        .headers
        .into_iter()
        .filter(|(name, _)| *name == Name::Contact);
    (
        reply.status.code(),
        change,
        contacts.map(|(_, value)| value).collect(),
    )
}

#[test]
fn a_binding_is_made_refreshed_asked_for_and_removed() {
    let mut registrar = registrar();
    let contact = "Contact: <sip:t@10.0.0.1:5060>\r\n";
    let made = register(&mut registrar, 0, &request("c", 1, contact));
    assert_eq!(
        made,
        (
            200,
            Change::Registered,
            vec!["<sip:t@10.0.0.1:5060>;expires=300".to_owned()]
        )
    );
    assert!(registrar.is_registered(at(299), AOR));
    let asked = register(&mut registrar, 100, &request("q", 1, ""));
    assert_eq!(
        asked,
        (
            200,
            Change::Nothing,
            vec!["<sip:t@10.0.0.1:5060>;expires=200".to_owned()]
        )
    );
    let again = register(&mut registrar, 200, &request("c", 2, contact));
    assert_eq!(again.1, Change::Refreshed);
    assert!(registrar.is_registered(at(499), AOR) && !registrar.is_registered(at(500), AOR));
    let removed = register(
        &mut registrar,
        300,
        &request("c", 3, "Contact: <sip:t@10.0.0.1:5060>;expires=0\r\n"),
    );
    assert_eq!(removed, (200, Change::Removed, vec![]));
    assert!(registrar.is_empty());
}

#[test]
fn the_contact_parameter_outweighs_the_header_and_wishes_are_bounded() {
    let mut registrar = registrar();
    let both = "Expires: 120\r\nContact: <sip:a@h1>;expires=90\r\nContact: <sip:a@h2>\r\n\
                Contact: <sip:a@h3>;expires=99999\r\n";
    let (_, _, contacts) = register(&mut registrar, 0, &request("c", 1, both));
    assert_eq!(
        contacts,
        [
            "<sip:a@h1>;expires=90",
            "<sip:a@h2>;expires=120",
            "<sip:a@h3>;expires=3600"
        ]
    );
    let brief = request("d", 1, "Contact: <sip:a@h4>;expires=59\r\n");
    let outcome = registrar.register(at(0), &brief, flow(), AOR);
    assert_eq!(outcome.reply.status.code(), 423);
    assert_eq!(outcome.reply.headers, [(Name::MinExpires, "60".to_owned())]);
    assert_eq!(registrar.len(), 3);
}

#[test]
fn a_restarted_asterisk_replaces_its_binding_by_host_and_port() {
    let mut registrar = registrar();
    for run in 0..50 {
        let contact = format!("Contact: <sip:s@10.0.0.1:5060;line={run}>\r\n");
        let done = register(
            &mut registrar,
            run,
            &request(&format!("run{run}"), 1, &contact),
        );
        assert_eq!(done.0, 200);
        assert_eq!(
            done.2,
            [format!("<sip:s@10.0.0.1:5060;line={run}>;expires=300")]
        );
    }
}

#[test]
fn an_old_request_of_the_same_call_id_changes_nothing() {
    let mut registrar = registrar();
    let contact = "Contact: <sip:t@10.0.0.1>\r\n";
    register(&mut registrar, 0, &request("c", 5, contact));
    for seq in [4, 5] {
        let late = register(
            &mut registrar,
            1,
            &request("c", seq, "Contact: *\r\nExpires: 0\r\n"),
        );
        assert_eq!((late.0, late.1), (500, Change::Refused));
        let late = register(
            &mut registrar,
            1,
            &request("c", seq, "Contact: <sip:t@10.0.0.1>;expires=0\r\n"),
        );
        assert_eq!((late.0, late.1), (500, Change::Refused));
    }
    assert!(registrar.is_registered(at(1), AOR));
}

#[test]
fn a_star_removes_all_and_must_stand_alone_with_expires_0() {
    let mut registrar = registrar();
    register(
        &mut registrar,
        0,
        &request("c", 1, "Contact: <sip:a@h1>, <sip:a@h2>\r\n"),
    );
    for lines in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 60\r\n",
        "Contact: *, <sip:a@h1>\r\nExpires: 0\r\n",
    ] {
        assert_eq!(register(&mut registrar, 1, &request("c", 2, lines)).0, 400);
    }
    assert_eq!(registrar.len(), 2);
    let done = register(
        &mut registrar,
        1,
        &request("c", 2, "Contact: *\r\nExpires: 0\r\n"),
    );
    assert_eq!((done.0, done.1, done.2.len()), (200, Change::Removed, 0));
}

#[test]
fn bindings_lapse_on_time_and_are_told() {
    let mut registrar = registrar();
    register(
        &mut registrar,
        0,
        &request("c", 1, "Contact: <sip:a@h1>;expires=60\r\n"),
    );
    assert_eq!(registrar.poll_timeout(), Some(at(60)));
    assert!(registrar.expire(at(59)).is_empty());
    assert_eq!(registrar.expire(at(60)), [AOR]);
    assert_eq!(registrar.poll_timeout(), None);
    assert!(registrar.is_empty());
}

#[test]
fn everything_is_bounded() {
    let config = RegistrarConfig {
        max_bindings_per_aor: 2,
        max_aors: 1,
        ..RegistrarConfig::default()
    };
    let mut registrar = Registrar::new(config);
    let three = "Contact: <sip:a@h1>, <sip:a@h2>, <sip:a@h3>\r\n";
    assert_eq!(register(&mut registrar, 0, &request("c", 1, three)).0, 403);
    assert!(registrar.is_empty(), "all or nothing");
    assert_eq!(
        register(
            &mut registrar,
            0,
            &request("c", 2, "Contact: <sip:a@h1>\r\n")
        )
        .0,
        200
    );
    let other = registrar.register(
        at(0),
        &request("d", 1, "Contact: <sip:a@h1>\r\n"),
        flow(),
        "x",
    );
    assert_eq!(other.reply.status.code(), 503);
}

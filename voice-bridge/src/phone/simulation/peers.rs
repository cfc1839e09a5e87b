//! What a phone answers to the requests that other people's phones send inside a call.
//! None of them may break the call.

use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;

use super::world::{A, B, CLEAN, World};
use crate::call::action::Notice;
use crate::call::{CallState, EndCause};

/// A request, its header fields, its body, and the status that it deserves.
type Asked<'a> = (
    Method,
    Vec<(Name, &'a str)>,
    Option<(&'a str, &'a str)>,
    u16,
);

/// An offer of A with this codec line and direction.
fn offer(formats: &str, direction: &str) -> String {
    format!(
        "v=0\r\no=- 7 8 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP {formats}\r\na={direction}\r\n"
    )
}

#[test]
fn every_request_inside_a_call_is_answered_as_it_deserves() {
    let mut world = World::new(1, CLEAN);
    let (a, b) = world.call();
    let relay = "application/dtmf-relay";
    let table: [Asked<'_>; 12] = [
        (Method::Options, vec![], None, 200),
        (Method::Update, vec![], None, 200),
        (Method::Info, vec![], None, 200),
        (
            Method::Info,
            vec![],
            Some((relay, "Signal=4\r\nDuration=100\r\n")),
            200,
        ),
        (Method::Info, vec![], Some(("application/dtmf", "4")), 200),
        (
            Method::Info,
            vec![],
            Some(("application/media_control+xml", "<x/>")),
            415,
        ),
        (
            Method::Notify,
            vec![(Name::Event, "refer"), (Name::SubscriptionState, "active")],
            None,
            200,
        ),
        (
            Method::Notify,
            vec![(Name::Event, "message-summary")],
            None,
            200,
        ),
        (Method::Refer, vec![], None, 400),
        (Method::Message, vec![], Some(("text/plain", "hello")), 405),
        (
            Method::Update,
            vec![],
            Some(("application/sdp", "v=1\r\n")),
            400,
        ),
        (Method::Update, vec![], Some(("text/plain", "hello")), 415),
    ];
    for (method, headers, body, status) in table {
        let what = format!("{method} {body:?}");
        let response = world.ask(method, &headers, body);
        assert_eq!(response.status().code(), status, "{what}");
        if status == 405 {
            assert!(response.header(&Name::Allow).unwrap().contains("REFER"));
        }
        if status == 415 {
            assert!(
                response
                    .header(&Name::Accept)
                    .unwrap()
                    .contains("application/")
            );
        }
    }
    assert_eq!(world.nodes[B].core.state(b), Some(CallState::Established));
    let now = world.now;
    world.with(A, a, |machine| {
        machine.hang_up(now, EndCause::HungUp("bye".into()))
    });
    world.wind_up();
}

#[test]
fn a_new_offer_is_answered_and_the_leg_follows_it() {
    let mut world = World::new(2, CLEAN);
    let (a, _) = world.call();
    let held = world.ask(
        Method::Update,
        &[],
        Some(("application/sdp", &offer("0", "sendonly"))),
    );
    assert_eq!(held.status(), Status::OK);
    let answer = String::from_utf8(held.body().to_vec()).unwrap();
    assert!(answer.contains("a=recvonly"), "{answer}");
    assert!(world.nodes[B].told(|notice| matches!(notice, Notice::Held(true))));
    let moved = world.ask(
        Method::Invite,
        &[],
        Some(("application/sdp", &offer("8 0", "sendrecv"))),
    );
    assert_eq!(moved.status(), Status::OK);
    world.until("the resumption", |world| {
        world.nodes[B].told(|notice| matches!(notice, Notice::Held(false)))
    });
    let terms = world.nodes[B].scribe.terms.lock().unwrap().clone();
    assert_eq!(
        terms.len(),
        3,
        "the call, the hold, the resumption: {terms:?}"
    );
    assert_eq!(terms[2].remote.port(), 4_000);
    let now = world.now;
    world.with(A, a, |machine| {
        machine.hang_up(now, EndCause::HungUp("bye".into()))
    });
    world.wind_up();
}

#[test]
fn an_offer_that_cannot_be_taken_changes_nothing() {
    let mut world = World::new(3, CLEAN);
    let (a, b) = world.call();
    let refused = world.ask(
        Method::Invite,
        &[],
        Some(("application/sdp", &offer("18", "sendrecv"))),
    );
    assert_eq!(refused.status(), Status::NOT_ACCEPTABLE_HERE);
    let warning = refused.header(&Name::Warning).unwrap();
    assert!(warning.starts_with("305 test "), "{warning}");
    assert_eq!(world.nodes[B].scribe.terms.lock().unwrap().len(), 1);
    assert_eq!(world.nodes[B].core.state(b), Some(CallState::Established));
    let now = world.now;
    world.with(A, a, |machine| {
        machine.hang_up(now, EndCause::HungUp("bye".into()))
    });
    world.wind_up();
}

const INVITE: &str = "INVITE sip:b@192.0.2.2:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:a@192.0.2.1>;tag=from\r\n\
    To: <sip:b@192.0.2.2>\r\n\
    Call-ID: delayed\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:a@192.0.2.1:5060>\r\n\
    Content-Length: 0\r\n\r\n";

/// A call by hand, whose INVITE has no offer; the tag of B, which has answered.
fn delayed(world: &mut World) -> String {
    world.deliver(B, INVITE);
    let b = world.nodes[B].arrivals.lock().unwrap()[0];
    world.answer(b);
    let answer = world.on_the_wire(A).pop().unwrap();
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    assert!(
        answer.contains("m=audio 10000 RTP/AVP 0 8 101"),
        "our offer: {answer}"
    );
    let to = answer.lines().find(|line| line.starts_with("To:")).unwrap();
    to.split(";tag=").nth(1).unwrap().to_owned()
}

fn ack(tag: &str, body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "ACK sip:b@192.0.2.2:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtwo\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:a@192.0.2.1>;tag=from\r\n\
         To: <sip:b@192.0.2.2>;tag={tag}\r\n\
         Call-ID: delayed\r\n\
         CSeq: 1 ACK\r\n\
         {kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_the_ack_brings_the_answer() {
    let mut world = World::new(4, CLEAN);
    let tag = delayed(&mut world);
    assert!(
        world.nodes[B].scribe.terms.lock().unwrap().is_empty(),
        "nothing agreed yet"
    );
    world.deliver(B, &ack(&tag, &offer("8", "sendrecv")));
    let terms = world.nodes[B].scribe.terms.lock().unwrap().clone();
    assert_eq!(terms.len(), 1);
    assert_eq!(terms[0].payload_type, 8);
    let b = world.nodes[B].arrivals.lock().unwrap()[0];
    assert_eq!(world.nodes[B].core.state(b), Some(CallState::Established));
}

#[test]
fn an_ack_that_owes_an_answer_ends_the_call() {
    let mut world = World::new(5, CLEAN);
    let tag = delayed(&mut world);
    world.deliver(B, &ack(&tag, ""));
    let bye = world.on_the_wire(A).pop().unwrap();
    assert!(bye.starts_with("BYE "), "{bye}");
    assert!(bye.contains("Reason: Q.850;cause=111"), "{bye}");
}

#[test]
fn a_body_that_is_no_description_is_refused_before_the_call_begins() {
    for (kind, body, status) in [
        (
            "application/sdp",
            "v=0\r\nnonsense\r\n",
            "SIP/2.0 400 Bad Session Description",
        ),
        ("text/plain", "hello", "SIP/2.0 415 "),
    ] {
        let mut world = World::new(6, CLEAN);
        let invite = INVITE.replace(
            "Content-Length: 0\r\n\r\n",
            &format!(
                "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        world.deliver(B, &invite);
        let b = world.nodes[B].arrivals.lock().unwrap()[0];
        world.refuse_to_answer(b);
        let answer = world.on_the_wire(A).pop().unwrap();
        assert!(answer.starts_with(status), "{answer}");
    }
}

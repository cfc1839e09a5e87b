//! Dialogs (RFC 3261 12 to 14): tags, order, targets, routes, glare, forks.
//! Between two endpoints where both are ours, by hand where the peer misbehaves.

use super::*;
use crate::endpoint::{Config, EndpointError};
use crate::name::Name;

/// A lone callee in a call whose caller is played by hand; gives our tag.
fn answered(more: &str) -> (Lone, DialogId, String) {
    let mut lone = Lone::new(Config::default());
    let (_, told) = lone.feed(&raw("INVITE", "z9hG4bK-1", 1, "", more));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    let dialog = lone
        .endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap()
        .unwrap();
    let (sent, _) = lone.drain();
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    lone.feed(&raw("ACK", "z9hG4bK-ack", 1, &tag, ""));
    (lone, dialog, tag)
}

const CONTACT: &str = "Contact: <sip:alice@192.0.2.1:5060>\r\n";

fn in_call(
    lone: &mut Lone,
    method: &str,
    seq: u32,
    tag: &str,
    more: &str,
) -> (Vec<u16>, Vec<String>) {
    let branch = format!("z9hG4bK-{method}{seq}");
    let (sent, told) = lone.feed(&raw(method, &branch, seq, tag, more));
    let codes = sent.iter().filter(|b| b.starts_with(b"SIP")).map(status_of);
    (codes.collect(), told.iter().map(word).collect())
}

/// What a lone endpoint sends inside a dialog, and where to.
fn request_in(lone: &mut Lone, dialog: DialogId, method: Method) -> (Flow, Request) {
    lone.endpoint
        .in_dialog(lone.now, dialog, method, Vec::new(), None)
        .unwrap();
    while let Some(output) = lone.endpoint.poll_output() {
        if let Output::Transmit { flow, bytes } = output {
            return (flow, parse_request(std::str::from_utf8(&bytes).unwrap()));
        }
    }
    panic!("nothing was sent")
}

#[test]
fn a_lower_cseq_is_refused_with_500_and_gaps_are_fine() {
    let (mut lone, _, tag) = answered(CONTACT);
    assert_eq!(
        in_call(&mut lone, "INFO", 7, &tag, "").1,
        ["in-dialog INFO"]
    );
    assert_eq!(
        in_call(&mut lone, "INFO", 6, &tag, ""),
        (vec![500], vec!["refused 500".to_owned()])
    );
}

#[test]
fn swapped_notifies_are_both_delivered() {
    let (mut lone, _, tag) = answered(CONTACT);
    let event = "Event: refer\r\nSubscription-State: active\r\n";
    assert_eq!(
        in_call(&mut lone, "NOTIFY", 9, &tag, event).1,
        ["in-dialog NOTIFY"]
    );
    assert_eq!(
        in_call(&mut lone, "NOTIFY", 8, &tag, event).1,
        ["in-dialog NOTIFY"]
    );
    let again = raw("NOTIFY", "z9hG4bK-again", 8, &tag, event);
    assert_eq!(status_of(&lone.feed(&again).0[0]), 500);
}

#[test]
fn a_wrong_tag_or_call_id_is_another_dialog() {
    let (mut lone, _, tag) = answered(CONTACT);
    assert_eq!(in_call(&mut lone, "INFO", 2, "forged", "").0, [481]);
    let other = raw("INFO", "z9hG4bK-a", 2, &tag, "").replace("tag=alice", "tag=mallory");
    assert_eq!(status_of(&lone.feed(&other).0[0]), 481);
    let other = raw("INFO", "z9hG4bK-b", 2, &tag, "").replace("Call-ID: raw", "Call-ID: RAW");
    assert_eq!(status_of(&lone.feed(&other).0[0]), 481);
}

#[test]
fn a_re_invite_is_delivered_and_refreshes_the_target_when_it_is_accepted() {
    let (mut lone, dialog, tag) = answered(CONTACT);
    let moved = "Contact: <sip:alice@192.0.2.77:5070>\r\n";
    let (_, told) = lone.feed(&raw("INVITE", "z9hG4bK-2", 2, &tag, moved));
    let Event::InDialog { tx, .. } = &told[0] else {
        panic!("{told:?}")
    };
    let before = lone
        .endpoint
        .dialog(dialog)
        .unwrap()
        .remote_target()
        .to_string();
    assert_eq!(before, "sip:alice@192.0.2.1:5060");
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap();
    let after = lone
        .endpoint
        .dialog(dialog)
        .unwrap()
        .remote_target()
        .to_string();
    assert_eq!(after, "sip:alice@192.0.2.77:5070");
    // Its 2xx is sent again until its own ACK.
    lone.drain();
    assert_eq!(lone.advance(ms(500)).0.len(), 1);
    let (_, told) = lone.feed(&raw("ACK", "z9hG4bK-ack2", 2, &tag, ""));
    assert_eq!(told.iter().map(word).collect::<Vec<_>>(), ["confirmed"]);
}

#[test]
fn a_refused_re_invite_leaves_the_dialog_and_its_target_alone() {
    let (mut lone, dialog, tag) = answered(CONTACT);
    let moved = "Contact: <sip:alice@192.0.2.77:5070>\r\n";
    let (_, told) = lone.feed(&raw("INVITE", "z9hG4bK-2", 2, &tag, moved));
    let Event::InDialog { tx, .. } = &told[0] else {
        panic!("{told:?}")
    };
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::NOT_ACCEPTABLE_HERE))
        .unwrap();
    let entry = lone.endpoint.dialog(dialog).unwrap();
    assert_eq!(entry.remote_target().as_str(), "sip:alice@192.0.2.1:5060");
    assert_eq!(entry.state(), crate::dialog::DialogState::Confirmed);
}

#[test]
fn two_re_invites_that_cross_are_both_refused_with_491() {
    //= RFC 3261 14.2
    let mut pair = Pair::new(1);
    let (caller, callee) = call(&mut pair);
    let now = pair.now;
    let body = || Some(Body::sdp("v=0\r\n"));
    pair.a
        .endpoint
        .in_dialog(now, caller, Method::Invite, vec![], body())
        .unwrap();
    pair.b
        .endpoint
        .in_dialog(now, callee, Method::Invite, vec![], body())
        .unwrap();
    pair.run_for(ms(100));
    for side in [Side::A, Side::B] {
        let told = words(&mut pair, side);
        assert_eq!(told, ["refused 491", "final 491"]);
    }
    // And a second try, alone, succeeds.
    let now = pair.now;
    pair.a
        .endpoint
        .in_dialog(now, caller, Method::Invite, vec![], body())
        .unwrap();
    pair.run_for(ms(10));
    let (tx, _) = in_dialog(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::OK);
    pair.run_for(ms(10));
    assert_eq!(words(&mut pair, Side::A), ["final 200"]);
    assert_eq!(words(&mut pair, Side::B), ["confirmed"]);
    hang_up(&mut pair, Side::A, caller);
    pair.drive();
    pair.assert_conserved();
}

#[test]
fn an_update_with_an_offer_meets_491_while_one_of_ours_is_pending_and_500_while_theirs_is() {
    let (mut lone, dialog, tag) = answered(CONTACT);
    let update = |branch: &str, seq| {
        let text = raw(
            "UPDATE",
            branch,
            seq,
            &tag,
            "Content-Type: application/sdp\r\n",
        );
        text.replace(
            "Content-Length: 0\r\n\r\n",
            "Content-Length: 5\r\n\r\nv=0\r\n",
        )
    };
    let (_, told) = lone.feed(&update("z9hG4bK-2", 2));
    let Event::InDialog { tx, .. } = &told[0] else {
        panic!("{told:?}")
    };
    let (sent, _) = lone.feed(&update("z9hG4bK-3", 3));
    assert_eq!(status_of(&sent[0]), 500);
    assert!(parse_response(&sent[0]).has(&Name::RetryAfter));
    let offer = Some(Body::sdp("v=0\r\n"));
    let ours = lone
        .endpoint
        .in_dialog(lone.now, dialog, Method::Invite, vec![], offer.clone());
    assert_eq!(ours, Err(EndpointError::InvitePending));
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap();
    lone.endpoint
        .in_dialog(lone.now, dialog, Method::Update, vec![], offer)
        .unwrap();
    lone.drain();
    assert_eq!(status_of(&lone.feed(&update("z9hG4bK-4", 4)).0[0]), 491);
    // Without a body it is a session refresh, which collides with nothing.
    assert_eq!(
        in_call(&mut lone, "UPDATE", 5, &tag, "").1,
        ["in-dialog UPDATE"]
    );
}

#[test]
fn a_re_invite_is_refused_while_the_first_answer_waits_for_its_ack() {
    let mut lone = Lone::new(Config::default());
    let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap();
    let (sent, _) = lone.drain();
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    assert_eq!(in_call(&mut lone, "INVITE", 2, &tag, CONTACT).0, [491]);
}

#[test]
fn requests_wait_for_the_application_in_bounded_number() {
    let (mut lone, _, tag) = answered(CONTACT);
    for seq in 2..10 {
        assert_eq!(
            in_call(&mut lone, "INFO", seq, &tag, "").1,
            ["in-dialog INFO"],
            "{seq}"
        );
    }
    assert_eq!(in_call(&mut lone, "INFO", 10, &tag, "").0, [500]);
    assert_eq!(
        in_call(&mut lone, "BYE", 11, &tag, "").0,
        [200],
        "never refused"
    );
}

#[test]
fn a_bye_answers_a_pending_re_invite_with_487() {
    //= RFC 3261 15.1.2
    let (mut lone, _, tag) = answered(CONTACT);
    in_call(&mut lone, "INVITE", 2, &tag, CONTACT);
    let (codes, told) = in_call(&mut lone, "BYE", 3, &tag, "");
    assert_eq!(codes, [200, 487]);
    assert_eq!(told, ["ended remote bye"]);
    assert_eq!(lone.endpoint.counts().dialogs, 0);
}

#[test]
fn a_caller_may_end_an_early_dialog_with_bye() {
    let mut lone = Lone::new(Config::default());
    let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::RINGING))
        .unwrap();
    let (sent, _) = lone.drain();
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    assert_eq!(
        in_call(&mut lone, "BYE", 2, &tag, ""),
        (vec![200, 487], vec!["ended remote bye".to_owned()])
    );
}

#[test]
fn recorded_routes_are_copied_into_the_answer_and_visited_by_our_requests() {
    let record = "Record-Route: <sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>\r\n";
    let mut lone = Lone::new(Config::default());
    let more = format!("{record}Contact: <sip:alice@192.0.2.99>\r\n");
    let (_, told) = lone.feed(&raw("INVITE", "z9hG4bK-1", 1, "", &more));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    let dialog = lone
        .endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap()
        .unwrap();
    let (sent, _) = lone.drain();
    let ok = parse_response(&sent[0]);
    let copied: Vec<_> = ok.header_values(&Name::RecordRoute).collect();
    assert_eq!(copied, ["<sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>"]);
    let tag = ok.to().tag().unwrap().to_owned();
    lone.feed(&raw("ACK", "z9hG4bK-a", 1, &tag, ""));
    let (flow, info) = request_in(&mut lone, dialog, Method::Info);
    assert_eq!(flow.remote, "192.0.2.50:5060".parse().unwrap());
    assert_eq!(info.uri().as_str(), "sip:alice@192.0.2.99");
    let routes: Vec<_> = info
        .header_values(&Name::Route)
        .map(|r| r.into_owned())
        .collect();
    assert_eq!(routes, ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"]);
}

#[test]
fn behind_a_nat_requests_go_back_where_the_invite_came_from() {
    let (mut lone, dialog, tag) = answered("Contact: <sip:alice@10.1.2.3:5060>\r\n");
    let (flow, info) = request_in(&mut lone, dialog, Method::Info);
    assert_eq!(flow.remote, Side::A.addr());
    assert_eq!(info.uri().as_str(), "sip:alice@10.1.2.3:5060");
    // The mapping moved: follow it.
    let moved = Flow {
        remote: "192.0.2.1:40000".parse().unwrap(),
        ..Lone::flow()
    };
    lone.feed_over(moved, &raw("INFO", "z9hG4bK-i", 2, &tag, ""));
    let (flow, _) = request_in(&mut lone, dialog, Method::Info);
    assert_eq!(flow.remote, moved.remote);
}

#[test]
fn without_a_nat_requests_go_to_the_contact() {
    let (mut lone, dialog, _) = answered("Contact: <sip:alice@192.0.2.1:5999>\r\n");
    let (flow, _) = request_in(&mut lone, dialog, Method::Info);
    assert_eq!(flow.remote, "192.0.2.1:5999".parse().unwrap());
}

#[test]
fn a_proxied_call_without_record_route_goes_to_the_contact_too() {
    let more =
        "Via: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bKproxied\r\nContact: <sip:alice@192.0.2.66>\r\n";
    let (mut lone, dialog, _) = answered(more);
    let (flow, _) = request_in(&mut lone, dialog, Method::Info);
    assert_eq!(flow.remote, "192.0.2.66:5060".parse().unwrap());
}

#[test]
fn a_forked_invite_makes_several_early_dialogs_and_one_call() {
    //= RFC 3261 13.2.2.4
    let mut pair = Pair::new(5);
    invite(&mut pair, Side::A);
    let invite = last_sent(&pair, Side::A, "INVITE");
    let invite = parse_request(std::str::from_utf8(&invite).unwrap());
    let branch_answers = |pair: &mut Pair, tag: &str, status| {
        let answer = crate::ResponseBuilder::to(&invite, status)
            .to_tag(tag)
            .unwrap()
            .header(Name::Contact, format!("<sip:{tag}@192.0.2.2:5060>"))
            .unwrap();
        pair.inject(Side::B, answer.finish());
        pair.run_for(ms(2));
    };
    branch_answers(&mut pair, "one", Status::RINGING);
    branch_answers(&mut pair, "two", Status::RINGING);
    assert_eq!(pair.a.endpoint.counts().dialogs, 2);
    branch_answers(&mut pair, "two", Status::OK);
    assert_eq!(
        words(&mut pair, Side::A),
        [
            "provisional 180",
            "provisional 180",
            "ended forked",
            "final 200"
        ]
    );
    assert_eq!(pair.a.endpoint.counts().dialogs, 1);
    // The other branch answers too, twice: an ACK each time, one BYE, no word to the application.
    branch_answers(&mut pair, "one", Status::OK);
    branch_answers(&mut pair, "one", Status::OK);
    assert!(words(&mut pair, Side::A).is_empty());
    let to_one = |kind: &str| {
        let of_kind = pair.sent.iter().filter(|sent| sent.kind() == kind);
        let texts = of_kind.map(|sent| String::from_utf8_lossy(&sent.bytes).into_owned());
        texts.filter(|text| text.contains("sip:one@")).count()
    };
    assert_eq!((to_one("ACK"), to_one("BYE")), (2, 1));
}

#[test]
fn in_an_early_dialog_only_some_requests_are_possible() {
    let mut pair = Pair::new(6);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    let early = respond(&mut pair, Side::B, tx, Status::SESSION_PROGRESS).unwrap();
    let now = pair.now;
    let mut attempt = |method| pair.b.endpoint.in_dialog(now, early, method, vec![], None);
    assert_eq!(attempt(Method::Refer), Err(EndpointError::WrongState));
    assert_eq!(attempt(Method::Invite), Err(EndpointError::WrongState));
    assert_eq!(
        attempt(Method::Bye),
        Err(EndpointError::MethodNotAllowed(Method::Bye))
    );
    assert!(attempt(Method::Info).is_ok());
}

#[test]
fn a_dialog_that_the_peer_does_not_know_ends_without_a_bye() {
    let mut pair = Pair::new(7);
    let (caller, _) = call(&mut pair);
    let now = pair.now;
    pair.a
        .endpoint
        .in_dialog(now, caller, Method::Info, vec![], None)
        .unwrap();
    pair.run_for(ms(10));
    let (tx, _) = in_dialog(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::CALL_DOES_NOT_EXIST);
    pair.run_for(ms(10));
    assert_eq!(
        words(&mut pair, Side::A),
        ["ended rejected(status(481))", "final 481"]
    );
    assert!(pair.times(Side::A, "BYE").is_empty());
}

#[test]
fn a_body_travels_with_requests_and_answers() {
    let mut pair = Pair::new(8);
    let request = outgoing(Method::Invite, Side::A).body(Body::sdp("offer"));
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let (tx, offer) = take(&mut pair, Side::B, |event| match event {
        Event::Incoming { tx, request, .. } => Some((*tx, request.body())),
        _ => None,
    });
    assert_eq!(offer, "offer");
    let now = pair.now;
    let reply = Reply::new(Status::OK)
        .reason("Fine")
        .body(Body::sdp("answer"));
    pair.b.endpoint.respond(now, tx, reply).unwrap();
    pair.run_for(ms(10));
    let answer = take(&mut pair, Side::A, |event| match event {
        Event::Final { response, .. } => Some(response.clone()),
        _ => None,
    });
    assert_eq!(
        (answer.body(), answer.reason()),
        (Bytes::from("answer"), "Fine")
    );
    assert_eq!(
        answer.header(&Name::Contact).unwrap(),
        "<sip:bob@192.0.2.2:5060>"
    );
}

#[test]
fn what_would_break_a_message_is_refused_at_the_command() {
    let mut pair = Pair::new(9);
    let (caller, _) = call(&mut pair);
    let now = pair.now;
    let evil = vec![(Name::Subject, "a\r\nVia: x".to_owned())];
    let sent = pair
        .a
        .endpoint
        .in_dialog(now, caller, Method::Info, evil.clone(), None);
    assert!(matches!(sent, Err(EndpointError::Build(_))), "{sent:?}");
    let mut request = outgoing(Method::Options, Side::A);
    request.headers = evil;
    assert!(pair.a.endpoint.request(now, request).is_err());
    hang_up(&mut pair, Side::A, caller);
    pair.drive();
    pair.assert_conserved();
}

//! Whole calls between two endpoints: set up, refused, cancelled, hung up from either side.
//! Each ends with nothing left over.

use super::*;
use crate::endpoint::EndpointError;
use crate::header::Reason;
use crate::name::Name;

#[test]
fn a_call_is_set_up_and_hung_up_by_the_caller() {
    let mut pair = Pair::new(1);
    let (caller, _) = call(&mut pair);
    hang_up(&mut pair, Side::A, caller);
    pair.drive();
    assert_eq!(
        pair.ladder(),
        ["A>INVITE", "B>100", "B>200", "A>ACK", "A>BYE", "B>200"]
    );
    assert_eq!(words(&mut pair, Side::A), ["ended localbye", "final 200"]);
    assert_eq!(words(&mut pair, Side::B), ["ended remote bye"]);
    pair.assert_conserved();
}

#[test]
fn a_call_is_hung_up_by_the_callee() {
    let mut pair = Pair::new(2);
    let (_, callee) = call(&mut pair);
    hang_up(&mut pair, Side::B, callee);
    pair.drive();
    assert_eq!(pair.ladder().last().unwrap(), "A>200");
    assert_eq!(words(&mut pair, Side::B), ["ended localbye", "final 200"]);
    assert_eq!(words(&mut pair, Side::A), ["ended remote bye"]);
    pair.assert_conserved();
}

#[test]
fn both_hang_up_at_once_and_each_side_ends_once() {
    let mut pair = Pair::new(3);
    let (caller, callee) = call(&mut pair);
    hang_up(&mut pair, Side::A, caller);
    hang_up(&mut pair, Side::B, callee);
    pair.drive();
    for side in [Side::A, Side::B] {
        assert_eq!(words(&mut pair, side), ["ended remote bye", "final 200"]);
    }
    pair.assert_conserved();
}

#[test]
fn a_call_over_tcp_is_set_up_and_hung_up_on_its_connection() {
    let mut pair = Pair::new(4);
    let request = outgoing(Method::Invite, Side::A).target(Target::tcp(Side::B.addr()));
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    let callee = respond(&mut pair, Side::B, tx, Status::OK).unwrap();
    pair.run_for(ms(10));
    hang_up(&mut pair, Side::B, callee);
    pair.drive();
    assert!(
        pair.sent
            .iter()
            .all(|sent| sent.flow.transport == Transport::Tcp)
    );
    let bye = pair.sent.iter().find(|sent| sent.kind() == "BYE").unwrap();
    assert_eq!(bye.flow.connection, 1, "the caller's connection");
    pair.assert_conserved();
}

#[test]
fn early_and_confirmed_dialog_have_the_same_id_on_both_sides() {
    let mut pair = Pair::new(5);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    let ringing = respond(&mut pair, Side::B, tx, Status::RINGING);
    let progress = respond(&mut pair, Side::B, tx, Status::SESSION_PROGRESS);
    pair.run_for(ms(10));
    let early = take(&mut pair, Side::A, |event| match event {
        Event::Provisional { dialog, .. } => *dialog,
        _ => None,
    });
    let answered = respond(&mut pair, Side::B, tx, Status::OK);
    pair.run_for(ms(10));
    assert_eq!((ringing, progress), (answered, answered));
    assert_eq!(final_dialog(&mut pair, Side::A), early);
    let (a, b) = (&pair.a.endpoint, &pair.b.endpoint);
    let (caller, callee) = (
        a.dialog(early).unwrap(),
        b.dialog(answered.unwrap()).unwrap(),
    );
    assert_eq!(caller.call_id(), callee.call_id());
    assert_eq!(caller.local_tag(), callee.remote_tag());
    assert_eq!(caller.remote_tag(), callee.local_tag());
    assert_eq!(caller.remote_target().as_str(), "sip:bob@192.0.2.2:5060");
    assert_eq!(
        caller.replaces_header(),
        format!(
            "{};to-tag={};from-tag={}",
            callee.call_id(),
            callee.local_tag(),
            callee.remote_tag()
        )
    );
}

#[test]
fn a_refusal_ends_the_early_dialog_before_the_final_event() {
    let mut pair = Pair::new(6);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::RINGING);
    pair.run_for(ms(10));
    respond(&mut pair, Side::B, tx, Status::BUSY_HERE);
    pair.drive();
    assert_eq!(
        words(&mut pair, Side::A),
        [
            "provisional 180",
            "ended rejected(status(486))",
            "final 486"
        ]
    );
    assert_eq!(words(&mut pair, Side::B), ["ended rejected(status(486))"]);
    pair.assert_conserved();
}

#[test]
fn a_cancel_goes_out_with_the_first_provisional_response_not_before() {
    //= RFC 3261 9.1
    let mut pair = Pair::new(7);
    pair.a_to_b.delay = ms(100);
    let tx = invite(&mut pair, Side::A);
    let now = pair.now;
    pair.a.endpoint.cancel(now, tx).unwrap();
    pair.flush();
    assert_eq!(pair.ladder(), ["A>INVITE"]);
    pair.drive();
    assert_eq!(pair.times(Side::A, "CANCEL"), [101]);
    assert_eq!(words(&mut pair, Side::A), ["final 487"]);
    assert_eq!(words(&mut pair, Side::B), ["incoming INVITE", "cancelled"]);
    let cancel = last_sent(&pair, Side::A, "CANCEL");
    let cancel = parse_request(std::str::from_utf8(&cancel).unwrap());
    let invite = last_sent(&pair, Side::A, "INVITE");
    let invite = parse_request(std::str::from_utf8(&invite).unwrap());
    assert_eq!(cancel.via().as_str(), invite.via().as_str());
    assert_eq!(cancel.cseq().seq, invite.cseq().seq);
    pair.assert_conserved();
}

#[test]
fn an_early_dialog_is_hung_up_from_either_side() {
    for side in [Side::A, Side::B] {
        let mut pair = Pair::new(8);
        invite(&mut pair, Side::A);
        pair.run_for(ms(10));
        let tx = incoming(&mut pair, Side::B);
        let callee = respond(&mut pair, Side::B, tx, Status::RINGING).unwrap();
        pair.run_for(ms(10));
        let caller = take(&mut pair, Side::A, |event| match event {
            Event::Provisional { dialog, .. } => *dialog,
            _ => None,
        });
        let dialog = if side == Side::A { caller } else { callee };
        let sent = hang_up(&mut pair, side, dialog);
        assert_eq!(
            sent.is_some(),
            side == Side::A,
            "a CANCEL is a request, a 487 is none"
        );
        pair.drive();
        let rejected = "ended rejected(status(487))";
        assert_eq!(words(&mut pair, Side::A), [rejected, "final 487"]);
        let told = words(&mut pair, Side::B);
        match side {
            Side::A => assert_eq!(told, ["cancelled", rejected]),
            Side::B => assert_eq!(told, [rejected]),
        }
        pair.assert_conserved();
    }
}

#[test]
fn a_2xx_that_crosses_a_cancel_is_acknowledged_and_hung_up() {
    let mut pair = Pair::new(9);
    let tx = invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let server = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, server, Status::OK);
    let now = pair.now;
    pair.a.endpoint.cancel(now, tx).unwrap();
    pair.drive();
    assert_eq!(words(&mut pair, Side::A), ["failed cancelled"]);
    assert_eq!(words(&mut pair, Side::B), ["confirmed", "ended remote bye"]);
    assert_eq!(pair.times(Side::A, "BYE").len(), 1);
    pair.assert_conserved();
}

#[test]
fn a_cancelled_invite_that_nobody_answers_any_more_is_given_up_after_64_t1() {
    let mut pair = Pair::new(10);
    let tx = invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    pair.a_to_b.loss = 1.0;
    let now = pair.now;
    pair.a.endpoint.cancel(now, tx).unwrap();
    pair.run_for(Duration::from_secs(32));
    assert_eq!(words(&mut pair, Side::A), ["failed cancelled"]);
    assert!(pair.a.endpoint.counts().is_zero());
}

#[test]
fn a_callee_that_hangs_up_before_the_ack_sends_its_bye_after_it() {
    //= RFC 3261 15
    let mut pair = Pair::new(11);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    let callee = respond(&mut pair, Side::B, tx, Status::OK).unwrap();
    assert_eq!(hang_up(&mut pair, Side::B, callee), None);
    let now = pair.now;
    let again = pair.b.endpoint.hang_up(now, callee, Vec::new());
    assert_eq!(again, Err(EndpointError::Gone));
    pair.drive();
    assert_eq!(
        pair.ladder(),
        ["A>INVITE", "B>100", "B>200", "A>ACK", "B>BYE", "A>200"]
    );
    let told = words(&mut pair, Side::B);
    assert_eq!(told, ["ended localbye", "final 200"]);
    pair.assert_conserved();
}

#[test]
fn headers_given_to_hang_up_are_in_the_bye() {
    let mut pair = Pair::new(12);
    let (caller, _) = call(&mut pair);
    let now = pair.now;
    let reason = vec![(Name::Reason, "Q.850;cause=16;text=\"done\"".to_owned())];
    pair.a.endpoint.hang_up(now, caller, reason).unwrap();
    pair.drive();
    let bye = take(&mut pair, Side::B, |event| match event {
        Event::Ended {
            why: crate::endpoint::Ended::RemoteBye(bye),
            ..
        } => Some(bye.clone()),
        _ => None,
    });
    assert_eq!(bye.typed::<Reason>().unwrap().unwrap().cause, Some(16));
}

#[test]
fn a_bye_that_nobody_answers_still_ends_the_call() {
    let mut pair = Pair::new(13);
    let (caller, _) = call(&mut pair);
    pair.a_to_b.loss = 1.0;
    hang_up(&mut pair, Side::A, caller);
    pair.run_for(Duration::from_secs(32));
    assert_eq!(
        words(&mut pair, Side::A),
        ["ended localbye", "failed timed out"]
    );
    pair.run_for(ms(1));
    assert!(pair.a.endpoint.counts().is_zero());
}

#[test]
fn a_request_that_nobody_answers_ends_the_dialog_with_a_bye() {
    //= RFC 3261 12.2.1.2
    let mut pair = Pair::new(14);
    let (caller, _) = call(&mut pair);
    let now = pair.now;
    pair.a
        .endpoint
        .in_dialog(now, caller, Method::Info, Vec::new(), None)
        .unwrap();
    pair.a_to_b.loss = 1.0;
    pair.run_for(Duration::from_secs(33));
    assert_eq!(
        words(&mut pair, Side::A),
        ["ended timeout", "failed timed out"]
    );
    assert!(!pair.times(Side::A, "BYE").is_empty());
    pair.a_to_b.loss = 0.0;
    pair.drive();
    assert_eq!(words(&mut pair, Side::B), ["ended remote bye"]);
    pair.assert_conserved();
}

//! Figures 5 and 6 of RFC 3261 17.1, arrow by arrow, in virtual time.
//! What the machines say in their own tests, the shell does here.

use super::*;

/// A pair whose A cannot be heard by B.
fn unheard() -> Pair {
    let mut pair = Pair::new(11);
    pair.a_to_b.loss = 1.0;
    pair
}

#[test]
fn an_invite_is_sent_seven_times_with_doubling_intervals_and_fails_after_64_t1() {
    let mut pair = unheard();
    invite(&mut pair, Side::A);
    pair.drive();
    let sent = [0, 1, 3, 7, 15, 31, 63].map(|n| n * T1);
    assert_eq!(pair.times(Side::A, "INVITE"), sent);
    assert_eq!(words(&mut pair, Side::A), ["failed timed out"]);
    assert_eq!(pair.elapsed(), Duration::from_secs(32));
    pair.assert_conserved();
}

#[test]
fn over_tcp_an_invite_is_sent_once_and_fails_after_64_t1() {
    let mut pair = Pair::new(12);
    let now = pair.now;
    let mut request = outgoing(Method::Invite, Side::A);
    // Nobody there: the datagram goes to another host.
    request.target = Some(Target::tcp(([192, 0, 2, 9], 5060).into()));
    pair.a.endpoint.request(now, request).unwrap();
    pair.drive();
    assert_eq!(pair.ladder(), ["A>INVITE"]);
    assert_eq!(words(&mut pair, Side::A), ["failed timed out"]);
    assert_eq!(pair.elapsed(), Duration::from_secs(32));
    pair.assert_conserved();
}

#[test]
fn a_provisional_response_ends_retransmission_of_the_invite() {
    let mut pair = Pair::new(13);
    invite(&mut pair, Side::A);
    pair.run_for(Duration::from_secs(31));
    assert_eq!(pair.ladder(), ["A>INVITE", "B>100"]);
    assert!(words(&mut pair, Side::A).is_empty(), "a 100 is not told");
}

#[test]
fn an_invite_without_final_answer_is_cancelled_after_the_configured_time() {
    let mut pair = Pair::new(14);
    invite(&mut pair, Side::A);
    pair.drive();
    assert_eq!(pair.times(Side::A, "CANCEL"), [185_002]);
    assert_eq!(words(&mut pair, Side::A), ["failed timed out"]);
    assert_eq!(words(&mut pair, Side::B), ["incoming INVITE", "cancelled"]);
    pair.assert_conserved();
}

#[test]
fn a_refusal_is_acknowledged_each_time_it_comes_and_told_once() {
    let mut pair = Pair::new(15);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    // The ACKs are lost for a while, so that the 486 is sent again.
    pair.a_to_b.loss = 1.0;
    respond(&mut pair, Side::B, tx, Status::BUSY_HERE);
    pair.run_for(ms(4_000));
    assert_eq!(pair.times(Side::B, "486"), [10, 510, 1510, 3510]);
    assert_eq!(pair.times(Side::A, "ACK"), [11, 511, 1511, 3511]);
    assert_eq!(words(&mut pair, Side::A), ["final 486"]);
    pair.a_to_b.loss = 0.0;
    pair.drive();
    assert_eq!(pair.times(Side::B, "486").len(), 5);
    assert!(words(&mut pair, Side::A).is_empty());
    pair.assert_conserved();
}

#[test]
fn a_refused_invite_lingers_32_seconds_over_udp_for_timer_d() {
    let mut pair = Pair::new(16);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::BUSY_HERE);
    pair.run_for(ms(31_990));
    assert_eq!(pair.a.endpoint.counts().client_transactions, 1);
    pair.run_for(ms(20));
    assert!(pair.a.endpoint.counts().is_zero());
}

#[test]
fn the_ack_to_a_refusal_has_the_branch_route_and_to_tag_that_it_must() {
    //= RFC 3261 17.1.1.3
    let mut pair = Pair::new(17);
    let request = outgoing(Method::Invite, Side::A)
        .header(crate::name::Name::Route, "<sip:192.0.2.2:5060;lr>");
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::DECLINE);
    pair.drive();
    let text = |kind, side| String::from_utf8(last_sent(&pair, side, kind).to_vec()).unwrap();
    let invite = parse_request(&text("INVITE", Side::A));
    let ack = parse_request(&text("ACK", Side::A));
    let refusal = parse_response(&last_sent(&pair, Side::B, "603"));
    assert_eq!(ack.via().as_str(), invite.via().as_str());
    assert_eq!(ack.uri().as_str(), invite.uri().as_str());
    assert_eq!(ack.to().tag(), refusal.to().tag());
    assert_eq!(ack.from().as_str(), invite.from().as_str());
    assert_eq!(ack.cseq().seq, invite.cseq().seq);
    let route = |request: &Request| {
        request
            .header(&crate::name::Name::Route)
            .unwrap()
            .into_owned()
    };
    assert_eq!(route(&ack), route(&invite));
}

#[test]
fn each_2xx_is_acknowledged_with_the_same_bytes() {
    let mut pair = Pair::new(18);
    invite(&mut pair, Side::A);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    pair.a_to_b.loss = 1.0;
    respond(&mut pair, Side::B, tx, Status::OK);
    pair.run_for(ms(3_000));
    let acks: Vec<_> = pair
        .sent
        .iter()
        .filter(|sent| sent.kind() == "ACK")
        .collect();
    assert_eq!(acks.len(), 3);
    assert!(acks.iter().all(|ack| ack.bytes == acks[0].bytes));
    assert_eq!(words(&mut pair, Side::A), ["final 200"]);
}

#[test]
fn another_request_is_sent_with_intervals_up_to_t2_and_fails_after_64_t1() {
    let mut pair = unheard();
    let request = outgoing(Method::Options, Side::A);
    send(&mut pair, Side::A, request);
    pair.drive();
    let sent = [
        0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500,
    ];
    assert_eq!(pair.times(Side::A, "OPTIONS"), sent);
    assert_eq!(words(&mut pair, Side::A), ["failed timed out"]);
    assert_eq!(pair.elapsed(), Duration::from_secs(32));
    pair.assert_conserved();
}

#[test]
fn a_provisional_response_to_another_request_slows_it_down_to_t2() {
    let mut pair = unheard();
    let request = outgoing(Method::Options, Side::A);
    send(&mut pair, Side::A, request);
    let options = last_sent(&pair, Side::A, "OPTIONS");
    let options = parse_request(std::str::from_utf8(&options).unwrap());
    let trying = crate::ResponseBuilder::to(&options, Status::TRYING).finish();
    pair.inject(Side::B, trying);
    pair.run_for(ms(13_000));
    assert_eq!(pair.times(Side::A, "OPTIONS"), [0, 500, 4500, 8500, 12500]);
}

#[test]
fn a_final_response_is_told_once_and_its_transaction_waits_timer_k() {
    let mut pair = Pair::new(19);
    let request = outgoing(Method::Options, Side::A);
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::OK);
    let ok = last_sent(&pair, Side::B, "200");
    pair.inject(Side::B, ok);
    pair.run_for(ms(4_900));
    assert_eq!(words(&mut pair, Side::A), ["final 200"]);
    assert_eq!(pair.a.endpoint.counts().client_transactions, 1);
    pair.run_for(ms(200));
    assert!(pair.a.endpoint.counts().is_zero());
    pair.drive();
    pair.assert_conserved();
}

#[test]
fn a_transport_failure_is_told_with_its_cause() {
    for method in [Method::Invite, Method::Options] {
        let mut pair = unheard();
        let request = outgoing(method, Side::A);
        send(&mut pair, Side::A, request);
        let flow = pair.sent[0].flow;
        let input = Input::FlowFailed {
            flow,
            cause: "network is unreachable".to_owned(),
        };
        let now = pair.now;
        pair.a.endpoint.handle_input(now, input);
        pair.drive();
        let told = words(&mut pair, Side::A);
        assert_eq!(told, ["failed transport failed: network is unreachable"]);
        pair.assert_conserved();
    }
}

#[test]
fn a_register_keeps_its_call_id_and_cseq_when_told_to() {
    let mut pair = Pair::new(20);
    let mut request = outgoing(Method::Register, Side::A);
    request.call_id = Some("kept".to_owned());
    request.cseq = Some(4712);
    send(&mut pair, Side::A, request);
    let sent = last_sent(&pair, Side::A, "REGISTER");
    let sent = parse_request(std::str::from_utf8(&sent).unwrap());
    assert_eq!((sent.call_id(), sent.cseq().seq), ("kept", 4712));
    let contact = sent.header(&crate::name::Name::Contact).unwrap();
    assert_eq!(contact, "<sip:alice@192.0.2.1:5060>");
}

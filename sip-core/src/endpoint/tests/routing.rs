//! Where messages go: targets, names, routes, fail-over, connections, NAT (RFC 3261 18, 3263, 3581).
//! The resolver is an output here, so fail-over needs no DNS.

use super::*;
use crate::endpoint::{Config, EndpointError, Query};
use crate::name::Name;

fn to(uri: &str, method: Method) -> OutgoingRequest {
    let mut request = outgoing(method, Side::A);
    request.uri = uri.parse().unwrap();
    request
}

/// Sends from a lone endpoint; gives flows used and questions asked.
fn start(lone: &mut Lone, request: OutgoingRequest) -> (Vec<Flow>, Vec<Query>) {
    lone.endpoint.request(lone.now, request).unwrap();
    flows(lone)
}

fn flows(lone: &mut Lone) -> (Vec<Flow>, Vec<Query>) {
    let (mut flows, mut queries) = (Vec::new(), Vec::new());
    while let Some(output) = lone.endpoint.poll_output() {
        match output {
            Output::Transmit { flow, .. } => flows.push(flow),
            Output::Resolve(query) => queries.push(query),
            Output::Event(_) => {}
        }
    }
    (flows, queries)
}

#[test]
fn literal_addresses_need_no_resolver() {
    for (uri, transport, remote) in [
        ("sip:192.0.2.9", Transport::Udp, "192.0.2.9:5060"),
        ("sip:bob@192.0.2.9:5080", Transport::Udp, "192.0.2.9:5080"),
        (
            "sip:192.0.2.9;transport=tcp",
            Transport::Tcp,
            "192.0.2.9:5060",
        ),
        (
            "sip:192.0.2.9;transport=TLS",
            Transport::Tls,
            "192.0.2.9:5061",
        ),
        ("sips:192.0.2.9", Transport::Tls, "192.0.2.9:5061"),
        (
            "sip:[2001:db8::9]:5070",
            Transport::Udp,
            "[2001:db8::9]:5070",
        ),
        (
            "sip:example.com;maddr=192.0.2.10",
            Transport::Udp,
            "192.0.2.10:5060",
        ),
    ] {
        let mut lone = Lone::new(Config::default());
        let (flows, queries) = start(&mut lone, to(uri, Method::Options));
        assert!(queries.is_empty(), "{uri}");
        assert_eq!(flows.len(), 1);
        assert_eq!(
            (flows[0].transport, flows[0].remote),
            (transport, remote.parse().unwrap())
        );
        assert_eq!(flows[0].connection, 0);
    }
}

#[test]
fn a_name_is_asked_for_with_what_the_uri_says() {
    let mut lone = Lone::new(Config::default());
    let (flows, queries) = start(&mut lone, to("sips:bob@example.com:5099", Method::Options));
    assert!(flows.is_empty());
    let [query] = queries.as_slice() else {
        panic!("{queries:?}")
    };
    assert_eq!(
        (query.host.as_str(), query.port, query.secure),
        ("example.com", Some(5099), true)
    );
    assert_eq!(query.transport, Some(Transport::Tls));
}

#[test]
fn a_route_outweighs_the_uri_and_a_target_outweighs_both() {
    let mut lone = Lone::new(Config::default());
    let routed =
        || to("sip:bob@example.com", Method::Options).header(Name::Route, "<sip:192.0.2.30;lr>");
    let (flows, _) = start(&mut lone, routed());
    assert_eq!(flows[0].remote, "192.0.2.30:5060".parse().unwrap());
    let target = Target::tcp("192.0.2.40:5062".parse().unwrap());
    let (flows, _) = start(&mut lone, routed().target(target));
    assert_eq!(
        (flows[0].transport, flows[0].remote),
        (Transport::Tcp, target.addr)
    );
}

#[test]
fn what_cannot_be_routed_is_refused_at_the_command() {
    let mut lone = Lone::new(Config::default());
    for uri in [
        "tel:+123",
        "sip:192.0.2.9;transport=sctp",
        "sips:192.0.2.9;transport=udp",
    ] {
        let sent = lone.endpoint.request(lone.now, to(uri, Method::Options));
        assert!(matches!(sent, Err(EndpointError::Unroutable(_))), "{uri}");
    }
    assert!(lone.endpoint.counts().is_zero());
}

#[test]
fn a_name_without_address_fails_unresolved_and_so_does_a_silent_resolver() {
    let mut pair = Pair::new(1);
    send(
        &mut pair,
        Side::A,
        to("sip:bob@nowhere.example.com", Method::Invite),
    );
    pair.flush();
    assert_eq!(
        words(&mut pair, Side::A),
        ["failed host could not be resolved"]
    );
    let mut lone = Lone::new(Config::default());
    start(&mut lone, to("sip:bob@example.com", Method::Invite));
    assert_eq!(lone.endpoint.counts().queries, 1);
    let (_, told) = lone.advance(Duration::from_secs(32));
    assert_eq!(
        told.iter().map(word).collect::<Vec<_>>(),
        ["failed host could not be resolved"]
    );
    assert!(lone.endpoint.counts().is_zero());
}

#[test]
fn the_next_target_is_tried_after_a_timeout_a_failure_or_a_503() {
    //= RFC 3263 4.3
    let mut pair = Pair::new(2);
    let dead = Target::udp("192.0.2.200:5060".parse().unwrap());
    let broken = Target::tcp("192.0.2.201:5060".parse().unwrap());
    pair.names.insert(
        "pbx".to_owned(),
        vec![dead, broken, target(Side::B), target(Side::B)],
    );
    send(&mut pair, Side::A, to("sip:bob@pbx", Method::Invite));
    pair.run_for(Duration::from_secs(33));
    assert!(words(&mut pair, Side::A).is_empty());
    let flow = pair.sent.last().unwrap().flow;
    assert_eq!(flow.remote, broken.addr);
    let now = pair.now;
    let input = Input::FlowFailed {
        flow,
        cause: "connection refused".to_owned(),
    };
    pair.a.endpoint.handle_input(now, input);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::SERVICE_UNAVAILABLE);
    pair.run_for(ms(1_000));
    // The fourth is the third once more: to B it is the same request over another path.
    assert_eq!(pair.times(Side::B, "482").len(), 1);
    assert_eq!(words(&mut pair, Side::A), ["final 482"]);
}

#[test]
fn a_request_too_large_for_a_datagram_goes_over_tcp_and_back_to_udp_if_that_fails() {
    //= RFC 3261 18.1.1
    let mut pair = Pair::new(3);
    let large = outgoing(Method::Message, Side::A).body(Body::new("text/plain", vec![b'x'; 1400]));
    send(&mut pair, Side::A, large);
    let flow = pair.sent[0].flow;
    assert_eq!(flow.transport, Transport::Tcp);
    let now = pair.now;
    pair.a.endpoint.handle_input(
        now,
        Input::FlowFailed {
            flow,
            cause: "refused".to_owned(),
        },
    );
    pair.flush();
    assert_eq!(pair.sent[1].flow.transport, Transport::Udp);
    // Who names the transport gets it.
    let mut named = outgoing(Method::Message, Side::A);
    named.body = Some(Body::new("text/plain", vec![b'x'; 1400]));
    named.uri = "sip:bob@192.0.2.2:5060;transport=udp".parse().unwrap();
    send(&mut pair, Side::A, named);
    assert_eq!(pair.sent[2].flow.transport, Transport::Udp);
}

#[test]
fn responses_go_where_rfc_3581_and_rfc_3261_18_2_2_say() {
    let source = "192.0.2.1:40000".parse().unwrap();
    for (via, expected) in [
        // rport: back to the source.
        ("192.0.2.1:5060;rport", "192.0.2.1:40000"),
        // No rport, the host is the source: to the port in sent-by.
        ("192.0.2.1:5070", "192.0.2.1:5070"),
        ("192.0.2.1", "192.0.2.1:5060"),
        // A name is no reason to doubt the port.
        ("alice.example.com:5090", "192.0.2.1:5090"),
        // Another literal address: a NAT, which only the source port leads through.
        ("10.0.0.1:5060", "192.0.2.1:40000"),
    ] {
        let mut lone = Lone::new(Config::default());
        let text = raw_invite("z9hG4bK-1", 1).replace("192.0.2.1:5060;rport", via);
        let flow = Flow {
            remote: source,
            ..Lone::flow()
        };
        let bytes = Bytes::from(text);
        lone.endpoint
            .handle_input(lone.now, Input::Received { flow, bytes });
        assert_eq!(
            flows(&mut lone).0[0].remote,
            expected.parse().unwrap(),
            "{via}"
        );
    }
}

#[test]
fn received_and_rport_are_filled_in() {
    let mut lone = Lone::new(Config::default());
    let flow = Flow {
        remote: "192.0.2.1:40000".parse().unwrap(),
        ..Lone::flow()
    };
    let (sent, _) = lone.feed_over(flow, &raw_invite("z9hG4bK-1", 1));
    let via = parse_response(&sent[0]).via().clone();
    assert_eq!(via.rport(), Some(Some(40000)));
    assert_eq!(via.received(), Some("192.0.2.1".parse().unwrap()));
}

#[test]
fn the_public_address_stands_in_via_and_contact() {
    for (public, expected) in [
        ("203.0.113.5", "203.0.113.5:5060"),
        ("203.0.113.5:6060", "203.0.113.5:6060"),
        ("sip.example.com", "sip.example.com:5060"),
        ("[2001:db8::1]", "[2001:db8::1]:5060"),
    ] {
        let config = Config {
            public_address: Some(public.to_owned()),
            ..Config::default()
        };
        let mut pair = Pair::with(4, config, Config::default());
        invite(&mut pair, Side::A);
        let invite = last_sent(&pair, Side::A, "INVITE");
        let invite = parse_request(std::str::from_utf8(&invite).unwrap());
        let contact = invite.header(&Name::Contact).unwrap().into_owned();
        assert_eq!(contact, format!("<sip:alice@{expected}>"));
        assert!(
            invite
                .via()
                .as_str()
                .starts_with(&format!("SIP/2.0/UDP {expected};"))
        );
    }
}

#[test]
fn a_contact_with_a_name_is_resolved_for_the_ack_and_kept_for_the_dialog() {
    let config = Config {
        public_address: Some("pbx.example.com".to_owned()),
        ..Config::default()
    };
    let mut pair = Pair::with(5, Config::default(), config);
    pair.names
        .insert("pbx.example.com".to_owned(), vec![target(Side::B)]);
    let (caller, _) = call(&mut pair);
    assert_eq!(
        pair.a
            .endpoint
            .dialog(caller)
            .unwrap()
            .remote_target()
            .as_str(),
        "sip:bob@pbx.example.com:5060"
    );
    // The name vanishes; the call goes on.
    pair.names.clear();
    hang_up(&mut pair, Side::A, caller);
    pair.drive();
    assert_eq!(words(&mut pair, Side::B), ["ended remote bye"]);
    pair.assert_conserved();
}

#[test]
fn an_unresolvable_contact_falls_back_to_where_the_answer_came_from() {
    let config = Config {
        public_address: Some("pbx.invalid".to_owned()),
        ..Config::default()
    };
    let mut pair = Pair::with(6, Config::default(), config);
    let (caller, _) = call(&mut pair);
    hang_up(&mut pair, Side::A, caller);
    pair.drive();
    assert_eq!(words(&mut pair, Side::B), ["ended remote bye"]);
    pair.assert_conserved();
}

#[test]
fn an_answer_follows_its_caller_to_a_new_connection() {
    //= RFC 3261 18.2.2
    let flow = Flow {
        transport: Transport::Tcp,
        remote: "192.0.2.1:40000".parse().unwrap(),
        connection: 7,
        ..Lone::flow()
    };
    let mut lone = Lone::new(Config::default());
    let text = raw_invite("z9hG4bK-1", 1).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let (_, told) = lone.feed_over(flow, &text);
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    let broken = Input::FlowFailed {
        flow,
        cause: "reset".to_owned(),
    };
    lone.endpoint.handle_input(lone.now, broken);
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::BUSY_HERE))
        .unwrap();
    let (flows, _) = flows(&mut lone);
    assert_eq!((flows[0].remote, flows[0].connection), (Side::A.addr(), 0));
}

#[test]
fn a_dialog_outlives_its_connection() {
    let mut pair = Pair::new(7);
    let request = outgoing(Method::Invite, Side::A).target(Target::tcp(Side::B.addr()));
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    let callee = respond(&mut pair, Side::B, tx, Status::OK).unwrap();
    pair.run_for(ms(10));
    let flow = *pair.b.endpoint.dialog(callee).unwrap().flow();
    assert_eq!(flow.connection, 1);
    let now = pair.now;
    let input = Input::FlowFailed {
        flow,
        cause: "reset".to_owned(),
    };
    pair.b.endpoint.handle_input(now, input);
    hang_up(&mut pair, Side::B, callee);
    let bye = pair.sent.iter().find(|sent| sent.kind() == "BYE").unwrap();
    assert_eq!((bye.flow.remote, bye.flow.connection), (Side::A.addr(), 0));
}

//! Whole calls between two drivers over loopback sockets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::sync::Arc;

use sip_core::endpoint::{Body, Ended, Event, Failure, Flow, OutgoingRequest, Target, Transport};
use sip_core::header::NameAddr;
use sip_core::method::Method;
use sip_core::uri::Uri;
use sip_transport::observer::Direction;
use sip_transport::trace::{Trace, TraceConfig};
use support::{Node, builder, loopback};

#[tokio::test]
async fn a_call_over_udp_is_set_up_and_hung_up() {
    let (mut caller, mut callee) = (udp_node(), udp_node());
    let target = Target::udp(callee.addr(Transport::Udp));
    call(&mut caller, &mut callee, target).await;
    let counts = callee.running.handle().counts();
    assert_eq!(counts.received_udp, 3, "INVITE, ACK, BYE");
    assert_eq!(
        counts.sent_udp, 2,
        "200, 200: answered before a 100 was due"
    );
    assert_eq!(counts.dropped_total(), 0);
}

#[tokio::test]
async fn a_call_over_tcp_is_set_up_and_hung_up_over_one_connection() {
    let (mut caller, mut callee) = (tcp_node(), tcp_node());
    let target = Target::tcp(callee.addr(Transport::Tcp));
    call(&mut caller, &mut callee, target).await;
    let counts = callee.running.handle().counts();
    assert_eq!((counts.accepted, counts.connected), (1, 0));
    assert_eq!((counts.received_stream, counts.sent_stream), (3, 2));
    assert_eq!(caller.running.handle().counts().connected, 1);
}

#[tokio::test]
async fn a_second_call_to_the_same_address_reuses_the_connection() {
    let (mut caller, mut callee) = (tcp_node(), tcp_node());
    let target = Target::tcp(callee.addr(Transport::Tcp));
    for _ in 0..3 {
        call(&mut caller, &mut callee, target).await;
    }
    assert_eq!(callee.running.handle().counts().accepted, 1);
}

#[tokio::test]
async fn a_call_to_where_nobody_listens_fails_with_the_cause() {
    let mut caller = tcp_node();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = nobody.local_addr().unwrap();
    drop(nobody);
    invite(&caller, Target::tcp(addr)).await;
    let cause = caller.event(failed).await;
    assert!(cause.contains("refused"), "{cause}");
    assert!(cause.contains(&addr.to_string()), "{cause}");
}

#[tokio::test]
async fn a_request_to_a_family_without_socket_fails_at_once() {
    let mut caller = udp_node();
    invite(&caller, Target::udp("[::1]:5060".parse().unwrap())).await;
    let cause = caller.event(failed).await;
    assert_eq!(cause, "no udp socket for IPv6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_fails_the_request_that_went_over_it() {
    let mut caller = tcp_node();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    invite(&caller, Target::tcp(listener.local_addr().unwrap())).await;
    let (mut peer, _) = listener.accept().unwrap();
    let got = support::read_message(&mut peer);
    assert!(got.starts_with("INVITE "), "{got}");
    drop(peer);
    let cause = caller.event(failed).await;
    assert!(cause.contains("peer"), "{cause}");
}

#[tokio::test]
async fn a_name_is_resolved_and_a_name_that_does_not_exist_fails() {
    let (mut caller, mut callee) = (udp_node(), udp_node());
    let port = callee.addr(Transport::Udp).port();
    request(
        &caller,
        Method::Options,
        &format!("sip:localhost:{port}"),
        None,
    )
    .await;
    callee
        .event(|event| matches!(event, Event::Incoming { .. }).then_some(()))
        .await;
    request(&caller, Method::Options, "sip:no-such-host.invalid", None).await;
    let failure = caller.event(|event| match event {
        Event::Failed { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    assert_eq!(failure.await, Failure::Unresolved);
}

#[tokio::test]
async fn the_trace_has_the_messages_of_the_call_and_no_others() {
    let trace = Arc::new(Trace::new(TraceConfig::default()));
    let mut caller = Node::start(builder().udp(loopback()).observer(trace.clone()));
    let mut callee = udp_node();
    let target = Target::udp(callee.addr(Transport::Udp));
    let call_id = call(&mut caller, &mut callee, target).await;
    call(&mut caller, &mut callee, target).await;
    let seen: Vec<_> = trace
        .messages(&call_id)
        .iter()
        .map(|entry| (entry.direction, entry.first_line()[..7].to_owned()))
        .collect();
    let (sent, received) = (Direction::Sent, Direction::Received);
    let expected = [
        (sent, "INVITE "),
        (received, "SIP/2.0"),
        (sent, "ACK sip"),
        (sent, "BYE sip"),
        (received, "SIP/2.0"),
    ];
    assert_eq!(
        seen,
        expected.map(|(direction, line)| (direction, line.to_owned()))
    );
}

/// A whole call; returns its Call-ID.
async fn call(caller: &mut Node, callee: &mut Node, target: Target) -> String {
    invite(caller, target).await;
    let (call_id, flow) = callee
        .event(|event| match event {
            Event::Incoming { request, flow, .. } => Some((request.call_id().to_owned(), *flow)),
            _ => None,
        })
        .await;
    assert_flow(flow, target);
    let dialog = caller.answered().await;
    callee
        .event(|event| matches!(event, Event::Confirmed { .. }).then_some(()))
        .await;
    let handle = caller.running.handle().clone();
    let hung_up = handle.call(move |endpoint, _, now| endpoint.hang_up(now, dialog, Vec::new()));
    hung_up.await.unwrap().unwrap();
    callee
        .event(|event| match event {
            Event::Ended {
                why: Ended::RemoteBye(_),
                ..
            } => Some(()),
            _ => None,
        })
        .await;
    caller
        .event(|event| match event {
            Event::Ended {
                why: Ended::LocalBye,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
    call_id
}

fn assert_flow(flow: Flow, target: Target) {
    assert_eq!(
        (flow.transport, flow.local),
        (target.transport, target.addr)
    );
    assert_eq!(flow.connection == 0, flow.transport == Transport::Udp);
}

async fn invite(caller: &Node, target: Target) {
    request(
        caller,
        Method::Invite,
        "sip:callee@example.com",
        Some(target),
    )
    .await;
}

async fn request(caller: &Node, method: Method, uri: &str, target: Option<Target>) {
    let uri: Uri = uri.parse().unwrap();
    let from = NameAddr::new("sip:caller@example.com".parse().unwrap());
    let mut request = OutgoingRequest::new(method.clone(), uri.clone(), from, NameAddr::new(uri));
    request.target = target;
    if method == Method::Invite {
        request = request.body(Body::sdp("v=0\r\n"));
    }
    let handle = caller.running.handle();
    let sent = handle.call(move |endpoint, _, now| endpoint.request(now, request));
    sent.await.unwrap().unwrap();
}

fn failed(event: &Event) -> Option<String> {
    match event {
        Event::Failed {
            cause: Failure::Transport(cause),
            ..
        } => Some(cause.clone()),
        _ => None,
    }
}

fn udp_node() -> Node {
    Node::start(builder().udp(loopback()))
}

fn tcp_node() -> Node {
    Node::start(builder().tcp(loopback()))
}

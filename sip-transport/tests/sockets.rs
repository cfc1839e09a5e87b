//! What raw peers see: where answers come from, what is dropped, who is shown out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::io::Read;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use sip_core::Status;
use sip_core::endpoint::{Event, Transport};
use sip_transport::error::StartError;
use sip_transport::guard::GuardConfig;
use sip_transport::observer::DropReason;
use sip_transport::stream::StreamConfig;
use support::{Node, builder, loopback, options, read_message, receive, tcp_peer, udp_peer, write};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_from_the_address_that_was_called() {
    let node = Node::start(builder().udp("0.0.0.0:0".parse().unwrap()));
    let port = node.addr(Transport::Udp).port();
    let peer = udp_peer();
    for called in ["127.0.0.1", "127.0.0.2", "127.0.0.77"] {
        let called = SocketAddr::new(called.parse().unwrap(), port);
        let via = format!("UDP {};rport", peer.local_addr().unwrap());
        let request = options(&via, &called.ip().to_string());
        peer.send_to(request.as_bytes(), called).unwrap();
        let (answer, from) = receive(&peer);
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        assert_eq!(from, called);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_rport_the_answer_goes_to_the_port_the_request_came_from() {
    let node = Node::start(builder().udp(loopback()));
    let peer = udp_peer();
    let request = options("UDP 127.0.0.1:9;rport", "rport");
    peer.send_to(request.as_bytes(), node.addr(Transport::Udp))
        .unwrap();
    let (answer, _) = receive(&peer);
    let port = peer.local_addr().unwrap().port();
    assert!(answer.contains(&format!("rport={port}")), "{answer}");
    assert!(answer.contains("received=127.0.0.1"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rport_the_answer_goes_to_the_port_in_via() {
    let node = Node::start(builder().udp(loopback()));
    let (sender, named) = (udp_peer(), udp_peer());
    let request = options(&format!("UDP {}", named.local_addr().unwrap()), "no-rport");
    sender
        .send_to(request.as_bytes(), node.addr(Transport::Udp))
        .unwrap();
    assert!(receive(&named).0.starts_with("SIP/2.0 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_pieces_of_one_byte_is_answered_on_the_same_connection() {
    let node = Node::start(builder().tcp(loopback()));
    let mut peer = tcp_peer(node.addr(Transport::Tcp));
    peer.set_nodelay(true).unwrap();
    for byte in options("TCP 127.0.0.1:9", "bytes").chars() {
        write(&mut peer, &byte.to_string());
        tokio::task::yield_now().await;
    }
    assert!(read_message(&mut peer).starts_with("SIP/2.0 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_on_a_stream_gets_its_pong() {
    let node = Node::start(builder().tcp(loopback()));
    let mut peer = tcp_peer(node.addr(Transport::Tcp));
    write(&mut peer, "\r\n\r\n");
    let mut pong = [0; 2];
    peer.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    write(&mut peer, &options("TCP 127.0.0.1:9", "after"));
    assert!(read_message(&mut peer).starts_with("SIP/2.0 200 "));
    assert_eq!(node.running.handle().counts().keepalives, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keepalive_datagrams_are_no_messages() {
    let node = Node::start(builder().udp(loopback()));
    let peer = udp_peer();
    let addr = node.addr(Transport::Udp);
    for keepalive in ["\r\n\r\n", "\r\n", "\0", ""] {
        peer.send_to(keepalive.as_bytes(), addr).unwrap();
    }
    let via = format!("UDP {};rport", peer.local_addr().unwrap());
    peer.send_to(options(&via, "k").as_bytes(), addr).unwrap();
    assert!(receive(&peer).0.starts_with("SIP/2.0 200 "));
    let counts = node.running.handle().counts();
    assert_eq!(
        (counts.keepalives, counts.received_udp),
        (3, 1),
        "an empty one is nothing at all"
    );
    assert_eq!(counts.dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_quick_requests_are_all_answered() {
    let node = Node::start(builder().udp(loopback()));
    let addr = node.addr(Transport::Udp);
    let peer = udp_peer();
    let via = format!("UDP {};rport", peer.local_addr().unwrap());
    let sender = peer.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        for n in 0..2_000 {
            sender
                .send_to(options(&via, &format!("q{n}")).as_bytes(), addr)
                .unwrap();
            if n % 100 == 99 {
                // A peer's kernel buffer is what would overflow here, not ours.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    let mut answered = std::collections::HashSet::new();
    while answered.len() < 2_000 {
        let (answer, _) = receive(&peer);
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        let call_id = answer
            .lines()
            .find(|line| line.starts_with("Call-ID"))
            .unwrap();
        answered.insert(call_id.to_owned());
    }
    sending.join().unwrap();
    assert_eq!(node.running.handle().counts().dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_garbage_is_dropped_before_it_is_parsed_and_counted() {
    let guard = GuardConfig {
        rate: 100,
        burst: 200,
        garbage_cost: 10,
        ..GuardConfig::default()
    };
    let mut node = Node::start(builder().udp(loopback()).guard(guard));
    let addr = node.addr(Transport::Udp);
    let flooder = UdpSocket::bind("127.0.0.9:0").unwrap();
    let large = vec![b'x'; 60_000];
    for n in 0..2_000 {
        let garbage = if n % 2 == 0 {
            &large[..]
        } else {
            &b"\xff\xfe\x00garbage"[..]
        };
        flooder.send_to(garbage, addr).unwrap();
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // An honest peer is heard in the middle of it.
    let peer = udp_peer();
    let via = format!("UDP {};rport", peer.local_addr().unwrap());
    peer.send_to(options(&via, "honest").as_bytes(), addr)
        .unwrap();
    assert!(receive(&peer).0.starts_with("SIP/2.0 200 "));
    let counts = node.running.handle().counts();
    assert_eq!(
        counts.received_udp, 1,
        "only the honest one reached the parser"
    );
    let junk = counts.dropped(DropReason::NotSip);
    let over = counts.dropped(DropReason::OverBudget);
    assert!(
        junk < 200,
        "each costs eleven of a budget of 200 plus 100/s: {junk}"
    );
    assert!(over > 500, "{over} over budget, {junk} junk");
    let source = node.event(|event| match event {
        Event::Incoming { flow, .. } => Some(flow.remote.ip()),
        _ => None,
    });
    assert_eq!(source.await, "127.0.0.1".parse::<IpAddr>().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_answered_on_both_transports_and_leaves_a_record() {
    let mut node = Node::start(builder().udp(loopback()).tcp(loopback()));
    let bad = |via: &str| options(via, "bad").replace("CSeq: 1 OPTIONS", "CSeq: one OPTIONS");
    let peer = udp_peer();
    let via = format!("UDP {};rport", peer.local_addr().unwrap());
    peer.send_to(bad(&via).as_bytes(), node.addr(Transport::Udp))
        .unwrap();
    assert!(receive(&peer).0.starts_with("SIP/2.0 400 "));
    assert_eq!(refused(&mut node).await, (Some("bad".to_owned()), true));
    let mut stream = tcp_peer(node.addr(Transport::Tcp));
    let unframable = options("TCP 127.0.0.1:9", "lost").replace("Length: 0", "Length: none");
    write(&mut stream, &unframable);
    assert!(read_message(&mut stream).starts_with("SIP/2.0 400 "));
    assert_eq!(refused(&mut node).await, (Some("lost".to_owned()), true));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed after the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = builder().udp(addr).start(|_: &mut _, _, _| {}).unwrap_err();
    let expected = format!(
        "address already in use: another program listens on udp {addr}; stop it or set [sip] udp \
         to another port"
    );
    assert_eq!(error.to_string(), expected);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = builder()
        .udp(free)
        .tcp(addr)
        .start(|_: &mut _, _, _| {})
        .unwrap_err();
    assert!(matches!(
        error,
        StartError::AddrInUse {
            transport: Transport::Tcp,
            ..
        }
    ));
    UdpSocket::bind(free).expect("nothing stays open after a failed start");
    let error = builder().udp("192.0.2.1:5060".parse().unwrap());
    let error = error.start(|_: &mut _, _, _| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no interface of this machine has 192.0.2.1"),
        "{error}"
    );
    let error = builder().start(|_: &mut _, _, _| {}).unwrap_err();
    assert!(matches!(error, StartError::NoAddress));
}

#[test]
fn starting_outside_a_runtime_is_an_error_not_a_panic() {
    let error = builder()
        .udp(loopback())
        .start(|_: &mut _, _, _| {})
        .unwrap_err();
    assert!(matches!(error, StartError::NoRuntime));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_may_not_hold_all_connections() {
    let streams = StreamConfig {
        connections: 5,
        per_source: 3,
        ..StreamConfig::default()
    };
    let node = Node::start(builder().tcp("0.0.0.0:0".parse().unwrap()).streams(streams));
    let addr = SocketAddr::new(
        "127.0.0.1".parse().unwrap(),
        node.addr(Transport::Tcp).port(),
    );
    let mut kept: Vec<_> = (0..3).map(|_| tcp_peer(addr)).collect();
    for (n, peer) in kept.iter_mut().enumerate() {
        write(peer, &options("TCP 127.0.0.1:9", &format!("c{n}")));
        assert!(read_message(peer).starts_with("SIP/2.0 200 "));
    }
    let mut fourth = tcp_peer(addr);
    assert!(is_closed(&mut fourth));
    let counts = node.running.handle().counts();
    assert_eq!(counts.dropped(DropReason::TooManyFromSource), 1);
    assert_eq!(counts.connections, 3);
    // When one goes, there is room again.
    kept.pop();
    until(|| node.running.handle().counts().connections == 2).await;
    let mut again = tcp_peer(addr);
    write(&mut again, &options("TCP 127.0.0.1:9", "again"));
    assert!(read_message(&mut again).starts_with("SIP/2.0 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_close_in_mid_message_leave_nothing_behind() {
    let node = Node::start(builder().tcp(loopback()));
    for n in 0..20 {
        let mut peer = tcp_peer(node.addr(Transport::Tcp));
        let message = options("TCP 127.0.0.1:9", "cut");
        write(&mut peer, &message[..n * 10 + 1]);
    }
    until(|| {
        let counts = node.running.handle().counts();
        counts.dropped(DropReason::Unfinished) == 20 && counts.connections == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_first_message_is_not_waited_for() {
    let streams = StreamConfig {
        first_message: Duration::from_millis(200),
        message_deadline: Duration::from_millis(100),
        ..StreamConfig::default()
    };
    let node = Node::start(builder().tcp(loopback()).streams(streams));
    let mut silent = tcp_peer(node.addr(Transport::Tcp));
    let mut slow = tcp_peer(node.addr(Transport::Tcp));
    write(&mut slow, "OPTIONS sip:a SIP/2.0\r\n");
    assert!(is_closed(&mut silent));
    assert!(is_closed(&mut slow));
    until(|| node.running.handle().counts().dropped(DropReason::TooSlow) == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_frees_the_ports_and_closes_connections() {
    let node = Node::start(builder().udp(loopback()).tcp(loopback()));
    let (udp, tcp) = (node.addr(Transport::Udp), node.addr(Transport::Tcp));
    let mut peer = tcp_peer(tcp);
    write(&mut peer, &options("TCP 127.0.0.1:9", "last"));
    assert!(read_message(&mut peer).starts_with("SIP/2.0 200 "));
    let handle = node.running.handle().clone();
    node.running.shutdown().await;
    assert!(handle.is_closed());
    assert!(!handle.post(|_, _, _| {}));
    assert!(handle.call(|_, _, _| ()).await.is_err());
    assert!(is_closed(&mut peer));
    UdpSocket::bind(udp).unwrap();
    Node::start(builder().tcp(tcp));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_posted_before_a_shutdown_still_run() {
    let node = Node::start(builder().udp(loopback()));
    let (sender, ran) = std::sync::mpsc::channel();
    for n in 0..100 {
        let sender = sender.clone();
        assert!(
            node.running
                .handle()
                .post(move |_, _, _| sender.send(n).unwrap())
        );
    }
    node.running.shutdown().await;
    assert_eq!(
        ran.try_iter().collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_owner_ends_the_driver() {
    let node = Node::start(builder().udp(loopback()));
    let handle = node.running.handle().clone();
    drop(node);
    tokio::time::timeout(support::PATIENCE, handle.closed())
        .await
        .unwrap();
}

async fn refused(node: &mut Node) -> (Option<String>, bool) {
    node.event(|event| match event {
        Event::Refused {
            call_id, status, ..
        } => Some((call_id.clone(), *status == Some(Status::BAD_REQUEST))),
        _ => None,
    })
    .await
}

fn is_closed(peer: &mut std::net::TcpStream) -> bool {
    matches!(peer.read(&mut [0]), Ok(0))
        || matches!(peer.read(&mut [0]), Err(error)
            if error.kind() == std::io::ErrorKind::ConnectionReset)
}

async fn until(mut done: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while !done() {
        assert!(tokio::time::Instant::now() < deadline, "it did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! The messages of RFC 4475 thrown at real sockets: whatever they are, the next caller is served.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::fs;
use std::net::Shutdown;
use std::path::PathBuf;
use std::time::Duration;

use sip_core::endpoint::Transport;
use sip_core::{Limits, Message};
use sip_transport::observer::DropReason;
use support::{Node, builder, loopback, options, read_message, receive, tcp_peer, udp_peer};

#[tokio::test(flavor = "multi_thread")]
async fn no_message_of_rfc_4475_keeps_the_next_caller_from_being_served() {
    let Some(vectors) = vectors("no_message_of_rfc_4475_keeps_the_next_caller_from_being_served")
    else {
        return;
    };
    let node = Node::start(builder().udp(loopback()).tcp(loopback()));
    let (udp, tcp) = (node.addr(Transport::Udp), node.addr(Transport::Tcp));
    let peer = udp_peer();
    let via = format!("UDP {};rport", peer.local_addr().unwrap());
    for (n, (name, message)) in vectors.iter().enumerate() {
        let thrower = udp_peer();
        thrower.send_to(message, udp).unwrap();
        peer.send_to(options(&via, &format!("u{n}")).as_bytes(), udp)
            .unwrap();
        let (answer, _) = receive(&peer);
        assert!(
            answer.contains(&format!("Call-ID: u{n}\r\n")),
            "after {name}: {answer}"
        );

        let mut stream = tcp_peer(tcp);
        // A peer that is shown out in mid-message may not be able to write its last octets.
        let _ = std::io::Write::write_all(&mut stream, message);
        let _ = stream.shutdown(Shutdown::Write);
        let mut other = tcp_peer(tcp);
        support::write(&mut other, &options("TCP 127.0.0.1:9", &format!("t{n}")));
        let answer = read_message(&mut other);
        assert!(
            answer.contains(&format!("Call-ID: t{n}\r\n")),
            "after {name}: {answer}"
        );
    }
    let counts = node.running.handle().counts();
    assert_eq!(
        counts.received_udp,
        2 * vectors.len() as u64,
        "all looked like SIP"
    );
    assert_eq!(counts.dropped(DropReason::NotSip), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_a_message_of_rfc_4475_is_well_formed() {
    let Some(vectors) = vectors("every_answer_to_a_message_of_rfc_4475_is_well_formed") else {
        return;
    };
    let node = Node::start(builder().udp(loopback()));
    let mut answers = 0;
    for (name, message) in &vectors {
        let thrower = udp_peer();
        thrower
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        // Answers go where Via says unless it asks for rport; ask, so that they come back here.
        let text = String::from_utf8_lossy(message);
        if !text.contains("SIP/2.0/UDP ") {
            continue;
        }
        let asked = text.replacen("SIP/2.0/UDP ", "SIP/2.0/UDP 127.0.0.1:9;rport;x=", 1);
        thrower
            .send_to(asked.as_bytes(), node.addr(Transport::Udp))
            .unwrap();
        let mut buffer = [0; 65_536];
        while let Ok(length) = thrower.recv(&mut buffer) {
            let answer = bytes::Bytes::copy_from_slice(buffer.get(..length).unwrap());
            assert!(answer.starts_with(b"SIP/2.0 "), "{name} got {answer:?}");
            assert!(
                answer.ends_with(b"\r\n") || text.starts_with("INVITE"),
                "{name}"
            );
            answers += 1;
            // The answer to a broken request repeats what is broken in it, as it must.
            if Message::parse(asked.clone().into(), &Limits::default()).is_ok() {
                let parsed = Message::parse(answer, &Limits::default());
                assert!(
                    matches!(parsed, Ok(Message::Response(_))),
                    "{name} got {parsed:?}"
                );
            }
            // 200 and 100 to an INVITE are repeated for ever: one is enough.
            if answers > 0 && text.starts_with("INVITE") {
                break;
            }
        }
    }
    assert!(answers > 10, "{answers} answers");
}

/// Name and content of each message, or `None` where the vectors are not installed.
fn vectors(test: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var_os("SMARTALEX_VECTORS").map_or_else(|| default.into(), PathBuf::from);
    let Ok(entries) = fs::read_dir(root.join("rfc4475")) else {
        let why = format!("no rfc4475 in {}", root.display());
        let must_not = std::env::var_os("SMARTALEX_NO_SKIP").is_some_and(|value| value == "1");
        assert!(!must_not, "{test} must not be skipped: {why}");
        #[allow(clippy::print_stderr, reason = "says by name what is skipped")]
        {
            eprintln!("SKIPPED {test}: {why}");
        }
        return None;
    };
    let mut vectors = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "dat") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            vectors.push((name, fs::read(&path).unwrap()));
        }
    }
    vectors.sort();
    assert!(!vectors.is_empty(), "rfc4475 is empty");
    Some(vectors)
}

//! What the network may send: anything. The endpoint neither panics nor keeps what it should not.
//! Arbitrary bytes, mutated calls, and the torture messages of RFC 4475.

use proptest::prelude::*;

use super::*;
use crate::endpoint::Config;

/// Messages of a call, as a caller would send them, for mutation.
fn script(tag: &str) -> Vec<String> {
    let contact = "Contact: <sip:alice@192.0.2.1:5060>\r\n";
    let refer = "Contact: <sip:alice@192.0.2.1>\r\nRefer-To: <sip:101@192.0.2.1>\r\n";
    let notify = "Event: refer\r\nSubscription-State: terminated\r\n";
    vec![
        raw("INVITE", "z9hG4bK-1", 1, "", contact),
        raw("ACK", "z9hG4bK-a", 1, tag, ""),
        raw("INFO", "z9hG4bK-2", 2, tag, ""),
        raw("INVITE", "z9hG4bK-3", 3, tag, contact),
        raw("CANCEL", "z9hG4bK-3", 3, tag, ""),
        raw("REFER", "z9hG4bK-4", 4, tag, refer),
        raw("NOTIFY", "z9hG4bK-5", 5, tag, notify),
        raw("UPDATE", "z9hG4bK-6", 6, tag, contact),
        raw("OPTIONS", "z9hG4bK-7", 7, "", ""),
        raw("REGISTER", "z9hG4bK-8", 8, "", contact),
        raw("BYE", "z9hG4bK-9", 9, tag, ""),
    ]
}

/// Feeds bytes and acts on whatever comes of it, in a way that the numbers decide.
fn feed_and_act(lone: &mut Lone, bytes: Bytes, choice: u8) {
    let stream = choice & 1 == 1;
    let flow = Flow {
        transport: if stream {
            Transport::Tcp
        } else {
            Transport::Udp
        },
        connection: u64::from(stream),
        ..Lone::flow()
    };
    lone.endpoint
        .handle_input(lone.now, Input::Received { flow, bytes });
    let statuses = [180, 200, 202, 302, 404, 486, 487, 491, 503, 603];
    while let Some(output) = lone.endpoint.poll_output() {
        let Output::Event(event) = output else {
            continue;
        };
        let status = Status::new(statuses[usize::from(choice) % statuses.len()]).unwrap();
        match event {
            Event::Incoming { tx, .. } | Event::InDialog { tx, .. } => {
                // Some of these are not possible, and say so.
                drop(lone.endpoint.respond(lone.now, tx, Reply::new(status)));
                if choice & 2 == 2 {
                    drop(
                        lone.endpoint
                            .refuse_stateless(lone.now, tx, Reply::new(status)),
                    );
                }
            }
            Event::Confirmed { dialog, .. } if choice & 4 == 4 => {
                let method = if choice & 8 == 8 {
                    Method::Refer
                } else {
                    Method::Invite
                };
                drop(
                    lone.endpoint
                        .in_dialog(lone.now, dialog, method, vec![], None),
                );
            }
            Event::Confirmed { dialog, .. } if choice & 16 == 16 => {
                drop(lone.endpoint.hang_up(lone.now, dialog, vec![]));
            }
            _ => {}
        }
    }
}

/// Whatever was held goes away with time.
fn assert_forgets(lone: &mut Lone) {
    for _ in 0..20_000 {
        let Some(at) = lone.endpoint.poll_timeout() else {
            break;
        };
        let (_, told) = lone.advance(at.saturating_duration_since(lone.now));
        for event in told {
            if let Event::Incoming { tx, .. } | Event::InDialog { tx, .. } = event {
                lone.endpoint.forget(lone.now, tx);
            }
        }
    }
    assert_eq!(lone.endpoint.counts().timers, 0);
    assert_eq!(lone.endpoint.counts().client_transactions, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..8)) {
        let mut lone = Lone::new(Config::default());
        for datagram in datagrams {
            feed_and_act(&mut lone, Bytes::from(datagram), 0);
        }
        prop_assert!(lone.endpoint.counts().is_zero());
    }

    #[test]
    fn mutated_calls_never_panic_and_are_forgotten_in_the_end(
        steps in prop::collection::vec((0_usize..11, any::<u8>(), any::<u16>(), any::<u8>(), 0_u8..4), 1..40),
    ) {
        let mut lone = Lone::new(Config::default());
        let first = script("x");
        feed_and_act(&mut lone, Bytes::from(first[0].clone()), 1);
        // The tag that our answers to the script's INVITE have.
        let request = parse_request(&first[0]);
        let tag = lone.endpoint.tag_for(&request);
        let script = script(&tag);
        for (message, choice, position, byte, kind) in steps {
            let mut bytes = script[message % script.len()].clone().into_bytes();
            let at = usize::from(position) % bytes.len();
            match kind {
                0 => {}
                1 => bytes[at] = byte,
                2 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
            feed_and_act(&mut lone, Bytes::from(bytes), choice);
            lone.advance(ms(u64::from(byte) * 10));
        }
        assert_forgets(&mut lone);
    }

    #[test]
    fn mutated_responses_never_panic(
        mutations in prop::collection::vec((any::<u16>(), any::<u8>(), 0_u8..4, 0_usize..6), 1..30),
    ) {
        let mut pair = Pair::new(1);
        let tx = invite(&mut pair, Side::A);
        pair.run_for(ms(5));
        let server = incoming(&mut pair, Side::B);
        let invite = pair.b.endpoint.request_of(server).unwrap().clone();
        pair.b.endpoint.forget(pair.now, server);
        let statuses = [100, 183, 200, 302, 401, 486];
        for (position, byte, kind, status) in mutations {
            let answer = crate::ResponseBuilder::to(&invite, Status::new(statuses[status]).unwrap())
                .to_tag(&format!("t{}", byte & 3)).unwrap()
                .header(crate::Name::Contact, "<sip:bob@192.0.2.2>").unwrap()
                .header(crate::Name::RecordRoute, "<sip:192.0.2.2;lr>").unwrap()
                .header(crate::Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"").unwrap();
            let mut bytes = answer.finish().to_vec();
            let at = usize::from(position) % bytes.len();
            match kind {
                0 => {}
                1 => bytes[at] = byte,
                2 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
            let flow = Flow { local: Side::A.addr(), remote: Side::B.addr(), ..Lone::flow() };
            let bytes = Bytes::from(bytes);
            pair.a.endpoint.handle_input(pair.now, Input::Received { flow, bytes });
            while pair.a.endpoint.poll_output().is_some() {}
        }
        drop(pair.a.endpoint.cancel(pair.now, tx));
        // Dialogs that were made stay until they are hung up; nothing else does.
        for _ in 0..20_000 {
            let Some(at) = pair.a.endpoint.poll_timeout() else { break };
            pair.now = at;
            pair.a.endpoint.handle_input(at, Input::Timeout);
            while pair.a.endpoint.poll_output().is_some() {}
        }
        let counts = pair.a.endpoint.counts();
        prop_assert_eq!((counts.timers, counts.client_transactions, counts.requests), (0, 0, 0));
        prop_assert!(counts.dialogs <= 1);
    }
}

#[test]
fn the_torture_messages_of_rfc_4475_are_survived() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var("SMARTALEX_VECTORS").unwrap_or_else(|_| default.to_owned());
    let Ok(folder) = std::fs::read_dir(format!("{root}/rfc4475")) else {
        let name = "the_torture_messages_of_rfc_4475_are_survived";
        assert!(
            std::env::var("SMARTALEX_NO_SKIP").is_err(),
            "{name}: no vectors at {root}"
        );
        eprintln!("SKIPPED {name}: no vectors at {root}/rfc4475");
        return;
    };
    let mut lone = Lone::new(Config::default());
    let mut fed = 0;
    for file in folder
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|e| e == "dat"))
    {
        let bytes = Bytes::from(std::fs::read(file.path()).unwrap());
        for choice in [0, 1, 6, 255] {
            feed_and_act(&mut lone, bytes.clone(), choice);
            fed += 1;
        }
    }
    assert!(fed >= 4 * 45, "{fed}");
    assert_forgets(&mut lone);
}

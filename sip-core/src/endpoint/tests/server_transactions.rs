//! Figures 7 and 8 of RFC 3261 17.2, arrow by arrow, in virtual time.
//! And the 2xx, which is sent again by the core (13.3.1.4).

use super::*;
use crate::endpoint::{Config, Ended, EndpointError};

fn lone_invite() -> (Lone, ServerTx) {
    let mut lone = Lone::new(Config::default());
    let (sent, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    assert_eq!(sent.iter().map(status_of).collect::<Vec<_>>(), [100]);
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    (lone, *tx)
}

fn answer(lone: &mut Lone, tx: ServerTx, status: Status) -> (Vec<Bytes>, Option<DialogId>) {
    let dialog = lone
        .endpoint
        .respond(lone.now, tx, Reply::new(status))
        .unwrap();
    (lone.drain().0, dialog)
}

/// The times at which something is sent from now on, in milliseconds, and what is told.
fn sendings(lone: &mut Lone) -> (Vec<(u128, String)>, Vec<String>) {
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    let start = lone.now;
    while let Some(at) = lone.endpoint.poll_timeout() {
        let (bytes, events) = lone.advance(at - lone.now);
        for bytes in bytes {
            let line = String::from_utf8_lossy(&bytes)
                .lines()
                .next()
                .unwrap()
                .to_owned();
            sent.push(((lone.now - start).as_millis(), line[..11].trim().to_owned()));
        }
        told.extend(events.iter().map(word));
    }
    assert!(lone.endpoint.counts().is_zero());
    (sent, told)
}

#[test]
fn a_retransmitted_invite_is_answered_from_the_transaction_never_twice_to_the_application() {
    let (mut lone, tx) = lone_invite();
    let again = |lone: &mut Lone| {
        let (sent, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
        assert!(told.is_empty(), "{told:?}");
        sent.iter().map(status_of).collect::<Vec<_>>()
    };
    assert_eq!(again(&mut lone), [100]);
    answer(&mut lone, tx, Status::RINGING);
    assert_eq!(again(&mut lone), [180]);
    answer(&mut lone, tx, Status::OK);
    assert_eq!(
        again(&mut lone),
        [] as [u16; 0],
        "absorbed: the core sends the 2xx again"
    );
}

#[test]
fn a_refusal_is_sent_again_until_its_ack_and_then_the_transaction_waits_timer_i() {
    let (mut lone, tx) = lone_invite();
    let (sent, _) = answer(&mut lone, tx, Status::BUSY_HERE);
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    assert_eq!(lone.advance(ms(500)).0, sent);
    assert_eq!(lone.feed(&raw_invite("z9hG4bK-1", 1)).0, sent);
    let (sent, told) = lone.feed(&raw("ACK", "z9hG4bK-1", 1, &tag, ""));
    assert!(sent.is_empty() && told.is_empty());
    assert!(
        lone.feed(&raw_invite("z9hG4bK-1", 1)).0.is_empty(),
        "absorbed in Confirmed"
    );
    let (sent, _) = lone.advance(ms(4_999));
    assert!(sent.is_empty());
    assert_eq!(lone.endpoint.counts().server_transactions, 1);
    lone.advance(ms(1));
    assert!(lone.endpoint.counts().is_zero());
}

#[test]
fn a_refusal_without_ack_is_sent_with_intervals_up_to_t2_until_timer_h() {
    let (mut lone, tx) = lone_invite();
    answer(&mut lone, tx, Status::BUSY_HERE);
    let (sent, told) = sendings(&mut lone);
    let at: Vec<_> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(
        at,
        [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
        ]
    );
    assert!(told.is_empty());
}

#[test]
fn a_2xx_without_ack_is_sent_for_64_t1_and_then_the_call_is_hung_up() {
    let (mut lone, tx) = lone_invite();
    let (_, dialog) = answer(&mut lone, tx, Status::OK);
    let mut sent = Vec::new();
    let start = lone.now;
    let mut told = Vec::new();
    while (lone.now - start) < ms(32_000) {
        let at = lone.endpoint.poll_timeout().unwrap();
        let (bytes, events) = lone.advance(at - lone.now);
        sent.extend(
            bytes
                .into_iter()
                .map(|bytes| ((lone.now - start).as_millis(), bytes)),
        );
        told.extend(events);
    }
    let oks = sent
        .iter()
        .filter(|(_, bytes)| bytes.starts_with(b"SIP/2.0 200"));
    let at: Vec<_> = oks.map(|(at, _)| *at).collect();
    assert_eq!(
        at,
        [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
        ]
    );
    assert!(
        sent.iter()
            .any(|(at, bytes)| *at == 32_000 && bytes.starts_with(b"BYE "))
    );
    let [
        Event::Ended {
            dialog: ended,
            why: Ended::NoAck,
        },
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!(Some(*ended), dialog);
    sendings(&mut lone);
}

#[test]
fn a_late_ack_ends_retransmission() {
    let (mut lone, tx) = lone_invite();
    let (sent, dialog) = answer(&mut lone, tx, Status::OK);
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    lone.advance(ms(500));
    // The ACK to a 2xx has a branch of its own and is matched by dialog.
    let (_, told) = lone.feed(&raw("ACK", "z9hG4bK-ack", 1, &tag, ""));
    assert!(matches!(told.as_slice(), [Event::Confirmed { dialog: d, .. }] if Some(*d) == dialog));
    let (_, told) = lone.feed(&raw("ACK", "z9hG4bK-ack", 1, &tag, ""));
    assert!(told.is_empty(), "told once");
    assert!(lone.advance(ms(31_000)).0.is_empty());
}

#[test]
fn an_ack_with_another_cseq_or_tag_confirms_nothing() {
    let (mut lone, tx) = lone_invite();
    let (sent, _) = answer(&mut lone, tx, Status::OK);
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    for ack in [
        raw("ACK", "z9hG4bK-a", 2, &tag, ""),
        raw("ACK", "z9hG4bK-b", 1, "forged", ""),
    ] {
        let (sent, told) = lone.feed(&ack);
        assert!(sent.is_empty() && told.is_empty());
    }
    assert_eq!(lone.advance(ms(500)).0.len(), 1, "still sent again");
}

#[test]
fn over_tcp_a_2xx_is_sent_again_too_but_a_refusal_is_not() {
    let flow = Flow {
        transport: Transport::Tcp,
        connection: 9,
        ..Lone::flow()
    };
    let invite = raw_invite("z9hG4bK-1", 1).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    for (status, sendings) in [(Status::OK, 1), (Status::BUSY_HERE, 0)] {
        let mut lone = Lone::new(Config::default());
        let (_, told) = lone.feed_over(flow, &invite);
        let Some(Event::Incoming { tx, .. }) = told.first() else {
            panic!("{told:?}")
        };
        answer(&mut lone, *tx, status);
        assert_eq!(lone.advance(ms(500)).0.len(), sendings, "{status}");
    }
}

#[test]
fn another_request_is_absorbed_until_answered_and_then_answered_again_until_timer_j() {
    let mut lone = Lone::new(Config::default());
    let options = raw("OPTIONS", "z9hG4bK-1", 1, "", "");
    let (sent, told) = lone.feed(&options);
    assert!(sent.is_empty(), "no 100 to OPTIONS");
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    let (sent, told) = lone.feed(&options);
    assert!(sent.is_empty() && told.is_empty());
    let (ok, _) = answer(&mut lone, *tx, Status::OK);
    lone.advance(ms(31_999));
    assert_eq!(lone.feed(&options).0, ok);
    lone.advance(ms(1));
    assert!(lone.endpoint.counts().is_zero());
    let again = lone.endpoint.respond(lone.now, *tx, Reply::new(Status::OK));
    assert_eq!(again, Err(EndpointError::Gone));
}

#[test]
fn what_the_application_never_answers_ends_without_a_408() {
    //= RFC 4320 4.2
    let mut lone = Lone::new(Config::default());
    lone.feed(&raw("OPTIONS", "z9hG4bK-1", 1, "", ""));
    let (sent, told) = sendings(&mut lone);
    assert!(sent.is_empty() && told.is_empty());
    let (_, told) = lone.feed(&raw("OPTIONS", "z9hG4bK-2", 2, "", ""));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    let (sent, _) = answer(&mut lone, *tx, Status::REQUEST_TIMEOUT);
    assert!(sent.is_empty());
    assert!(lone.endpoint.counts().is_zero());
}

#[test]
fn other_requests_than_invite_get_no_provisional_answer_and_no_second_final_one() {
    //= RFC 4320 4.1
    let mut lone = Lone::new(Config::default());
    let (_, told) = lone.feed(&raw("OPTIONS", "z9hG4bK-1", 1, "", ""));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    let ringing = lone
        .endpoint
        .respond(lone.now, *tx, Reply::new(Status::RINGING));
    assert_eq!(
        ringing,
        Err(EndpointError::StatusNotAllowed(Status::RINGING))
    );
    answer(&mut lone, *tx, Status::OK);
    let second = lone.endpoint.respond(lone.now, *tx, Reply::new(Status::OK));
    assert_eq!(second, Err(EndpointError::Gone));
}

#[test]
fn a_100_is_sent_only_if_the_application_has_not_answered_at_once() {
    let mut lone = Lone::new(Config::default());
    let bytes = Bytes::from(raw_invite("z9hG4bK-1", 1));
    lone.endpoint.handle_input(
        lone.now,
        Input::Received {
            flow: Lone::flow(),
            bytes,
        },
    );
    let Some(Output::Event(Event::Incoming { tx, .. })) = lone.endpoint.poll_output() else {
        panic!("no event")
    };
    let (sent, _) = answer(&mut lone, tx, Status::NOT_FOUND);
    assert_eq!(sent.iter().map(status_of).collect::<Vec<_>>(), [404]);
}

#[test]
fn a_100_can_be_put_off() {
    let config = Config {
        trying_after: ms(200),
        ..Config::default()
    };
    let mut lone = Lone::new(config);
    assert!(lone.feed(&raw_invite("z9hG4bK-1", 1)).0.is_empty());
    assert_eq!(
        lone.advance(ms(200))
            .0
            .iter()
            .map(status_of)
            .collect::<Vec<_>>(),
        [100]
    );
    let (_, told) = lone.feed(&raw(
        "INVITE",
        "z9hG4bK-2",
        2,
        "",
        "Contact: <sip:a@192.0.2.1>\r\n",
    ));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    answer(&mut lone, *tx, Status::RINGING);
    assert!(lone.advance(ms(300)).0.is_empty(), "the 180 stands for it");
}

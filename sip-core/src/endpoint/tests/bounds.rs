//! Nothing grows without bound: transactions, dialogs, outputs, and what strangers cost.
//! Full means 503 for new calls, never trouble for those that were let in.

use super::*;
use crate::endpoint::{Config, EndpointError};
use crate::name::Name;

fn small(max_transactions: usize) -> Config {
    Config {
        max_transactions,
        ..Config::default()
    }
}

#[test]
fn a_full_endpoint_answers_503_with_retry_after_and_holds_no_more() {
    let mut lone = Lone::new(small(3));
    for n in 0..3 {
        let request = raw_invite(&format!("z9hG4bK-{n}"), n);
        assert_eq!(word(&lone.feed(&request).1[0]), "incoming INVITE");
    }
    let held = lone.endpoint.counts();
    for (n, method) in [(3, "INVITE"), (4, "OPTIONS"), (5, "REGISTER")] {
        let more = "Contact: <sip:a@192.0.2.1>\r\n";
        let (sent, told) = lone.feed(&raw(method, &format!("z9hG4bK-{n}"), n, "", more));
        assert_eq!(status_of(&sent[0]), 503);
        assert_eq!(
            parse_response(&sent[0]).header(&Name::RetryAfter).unwrap(),
            "5"
        );
        assert_eq!(word(&told[0]), "refused 503");
    }
    assert_eq!(lone.endpoint.counts(), held);
    let ours = lone
        .endpoint
        .request(lone.now, outgoing(Method::Options, Side::B));
    assert_eq!(ours, Err(EndpointError::Full));
}

#[test]
fn a_full_endpoint_carries_its_calls_through() {
    let mut lone = Lone::new(small(2));
    let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap();
    let (sent, _) = lone.drain();
    let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
    lone.feed(&raw("OPTIONS", "z9hG4bK-2", 2, "", ""));
    assert_eq!(
        status_of(&lone.feed(&raw("OPTIONS", "z9hG4bK-3", 3, "", "")).0[0]),
        503
    );
    assert_eq!(
        word(&lone.feed(&raw("ACK", "z9hG4bK-a", 1, &tag, "")).1[0]),
        "confirmed"
    );
    assert_eq!(
        word(&lone.feed(&raw("INFO", "z9hG4bK-i", 4, &tag, "")).1[0]),
        "in-dialog INFO"
    );
    lone.feed(&raw("INFO", "z9hG4bK-j", 5, &tag, ""));
    // Even twice as full: a BYE is never refused.
    assert_eq!(
        status_of(&lone.feed(&raw("INFO", "z9hG4bK-k", 6, &tag, "")).0[0]),
        503
    );
    let (sent, told) = lone.feed(&raw("BYE", "z9hG4bK-b", 7, &tag, ""));
    assert_eq!(status_of(&sent[0]), 200);
    assert_eq!(word(&told[0]), "ended remote bye");
}

#[test]
fn a_cancel_is_heard_when_full() {
    let mut lone = Lone::new(small(1));
    lone.feed(&raw_invite("z9hG4bK-1", 1));
    let (sent, _) = lone.feed(&raw("CANCEL", "z9hG4bK-1", 1, "", ""));
    assert_eq!(sent.iter().map(status_of).collect::<Vec<_>>(), [200, 487]);
}

#[test]
fn dialogs_are_bounded() {
    let config = Config {
        max_dialogs: 1,
        ..Config::default()
    };
    let mut lone = Lone::new(config);
    let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    lone.endpoint
        .respond(lone.now, *tx, Reply::new(Status::RINGING))
        .unwrap();
    lone.drain();
    assert_eq!(status_of(&lone.feed(&raw_invite("z9hG4bK-2", 2)).0[0]), 503);
    let ours = lone
        .endpoint
        .request(lone.now, outgoing(Method::Invite, Side::B));
    assert_eq!(ours, Err(EndpointError::Full));
}

#[test]
fn a_refusal_without_memory_is_the_same_for_each_retransmission() {
    let mut lone = Lone::new(Config::default());
    let mut answers = Vec::new();
    for _ in 0..2 {
        let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
        let Some(Event::Incoming { tx, .. }) = told.first() else {
            panic!("{told:?}")
        };
        let reply = Reply::new(Status::NOT_FOUND).header(Name::Warning, "399 x \"no such DID\"");
        lone.endpoint
            .refuse_stateless(lone.now, *tx, reply)
            .unwrap();
        answers.extend(lone.drain().0);
        assert!(lone.endpoint.counts().is_zero());
        let gone = lone.endpoint.respond(lone.now, *tx, Reply::new(Status::OK));
        assert_eq!(gone, Err(EndpointError::Gone));
    }
    assert_eq!(answers[0], answers[1]);
    // Its ACK finds nothing and is dropped without a word.
    let tag = parse_response(&answers[0]).to().tag().unwrap().to_owned();
    let (sent, told) = lone.feed(&raw("ACK", "z9hG4bK-1", 1, &tag, ""));
    assert!(sent.is_empty() && told.is_empty());
}

#[test]
fn a_forgotten_request_is_not_answered_and_costs_nothing() {
    let mut lone = Lone::new(Config::default());
    let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    let Some(Event::Incoming { tx, .. }) = told.first() else {
        panic!("{told:?}")
    };
    lone.endpoint.forget(lone.now, *tx);
    assert!(lone.endpoint.counts().is_zero());
    assert!(lone.drain().0.is_empty());
}

#[test]
fn while_outputs_are_not_polled_messages_are_dropped_and_timers_wait() {
    let config = Config {
        max_outputs: 4,
        ..Config::default()
    };
    let mut lone = Lone::new(config);
    for n in 0..100 {
        let bytes = Bytes::from(raw_invite(&format!("z9hG4bK-{n}"), n));
        lone.endpoint.handle_input(
            lone.now,
            Input::Received {
                flow: Lone::flow(),
                bytes,
            },
        );
    }
    assert_eq!(
        lone.endpoint.counts().server_transactions,
        2,
        "an event and a 100 each"
    );
    let (_, told) = lone.drain();
    for event in &told {
        let Event::Incoming { tx, .. } = event else {
            panic!("{event:?}")
        };
        lone.endpoint
            .respond(lone.now, *tx, Reply::new(Status::BUSY_HERE))
            .unwrap();
    }
    lone.endpoint
        .respond(lone.now, incoming_tx(&told[0]), Reply::new(Status::OK))
        .unwrap_err();
    // Two answers wait to be polled already, so that only two of them are sent again at once.
    lone.now += ms(500);
    lone.endpoint.handle_input(lone.now, Input::Timeout);
    assert_eq!(lone.drain().0.len(), 4);
}

fn incoming_tx(event: &Event) -> ServerTx {
    match event {
        Event::Incoming { tx, .. } => *tx,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strangers_who_never_acknowledge_cost_memory_for_64_t1_at_most() {
    let mut lone = Lone::new(Config::default());
    for n in 0..500 {
        let (_, told) = lone.feed(&raw_invite(&format!("z9hG4bK-{n}"), n));
        let tx = incoming_tx(&told[0]);
        lone.endpoint
            .respond(lone.now, tx, Reply::new(Status::BUSY_HERE))
            .unwrap();
        lone.drain();
    }
    assert_eq!(lone.endpoint.counts().server_transactions, 500);
    lone.advance(Duration::from_secs(32));
    assert!(lone.endpoint.counts().is_zero());
}

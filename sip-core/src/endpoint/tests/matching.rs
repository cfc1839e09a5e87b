//! Which transaction, dialog or neither a message belongs to (RFC 3261 8.2.2.2, 9.2, 12.2.2, 17.2.3).
//! Fed by hand, message by message.

use super::*;
use crate::endpoint::Config;

fn codes(sent: &[Bytes]) -> Vec<u16> {
    sent.iter().map(status_of).collect()
}

#[test]
fn the_same_request_over_another_path_is_a_loop() {
    let mut lone = Lone::new(Config::default());
    lone.feed(&raw_invite("z9hG4bK-1", 1));
    let (sent, told) = lone.feed(&raw_invite("z9hG4bK-other", 1));
    assert_eq!(codes(&sent), [482]);
    assert_eq!(told.iter().map(word).collect::<Vec<_>>(), ["refused 482"]);
    // A new CSeq is a new request.
    let (sent, _) = lone.feed(&raw_invite("z9hG4bK-2", 2));
    assert_eq!(codes(&sent), [100]);
}

#[test]
fn the_same_branch_from_another_sent_by_or_with_another_method_is_another_transaction() {
    let mut lone = Lone::new(Config::default());
    lone.feed(&raw("OPTIONS", "z9hG4bK-1", 1, "", ""));
    let elsewhere = raw("OPTIONS", "z9hG4bK-1", 2, "", "").replace("1:5060;rport", "7:5060;rport");
    let (_, told) = lone.feed(&elsewhere);
    assert_eq!(
        told.iter().map(word).collect::<Vec<_>>(),
        ["incoming OPTIONS"]
    );
    let (_, told) = lone.feed(&raw("MESSAGE", "z9hG4bK-1", 3, "", ""));
    assert_eq!(
        told.iter().map(word).collect::<Vec<_>>(),
        ["incoming MESSAGE"]
    );
}

#[test]
fn a_request_for_an_unknown_dialog_is_answered_481_and_its_ack_dropped() {
    let mut lone = Lone::new(Config::default());
    for method in ["BYE", "INFO", "INVITE", "NOTIFY"] {
        let more = "Contact: <sip:alice@192.0.2.1>\r\n";
        let (sent, told) = lone.feed(&raw(method, &format!("z9hG4bK-{method}"), 1, "gone", more));
        assert_eq!(codes(&sent), [481], "{method}");
        assert_eq!(told.iter().map(word).collect::<Vec<_>>(), ["refused 481"]);
    }
    let (sent, told) = lone.feed(&raw("ACK", "z9hG4bK-x", 1, "gone", ""));
    assert!(sent.is_empty() && told.is_empty());
    assert!(lone.endpoint.counts().is_zero(), "strangers cost no memory");
}

#[test]
fn a_bye_without_to_tag_and_a_cancel_of_nothing_are_answered_481() {
    let mut lone = Lone::new(Config::default());
    for method in ["BYE", "CANCEL"] {
        let (sent, _) = lone.feed(&raw(method, "z9hG4bK-1", 1, "", ""));
        assert_eq!(codes(&sent), [481], "{method}");
    }
    assert!(lone.endpoint.counts().is_zero());
}

#[test]
fn requests_outside_dialogs_of_any_method_come_in() {
    let mut lone = Lone::new(Config::default());
    for (n, method) in ["NOTIFY", "REFER", "SUBSCRIBE", "PUBLISH", "WHATEVER"]
        .iter()
        .enumerate()
    {
        let branch = format!("z9hG4bK-{n}");
        let (_, told) = lone.feed(&raw(method, &branch, n as u32, "", ""));
        assert_eq!(word(&told[0]), format!("incoming {method}"));
    }
}

#[test]
fn a_cancel_is_answered_200_and_its_invite_487_once() {
    let mut lone = Lone::new(Config::default());
    lone.feed(&raw_invite("z9hG4bK-1", 1));
    let cancel = raw("CANCEL", "z9hG4bK-1", 1, "", "");
    let (sent, told) = lone.feed(&cancel);
    assert_eq!(codes(&sent), [200, 487]);
    assert_eq!(told.iter().map(word).collect::<Vec<_>>(), ["cancelled"]);
    let tags: Vec<_> = sent
        .iter()
        .map(|b| parse_response(b).to().tag().unwrap().to_owned())
        .collect();
    assert_eq!(tags[0], tags[1]);
    let (sent, told) = lone.feed(&cancel);
    assert_eq!(codes(&sent), [200], "a retransmission, or too late");
    assert!(told.is_empty());
}

#[test]
fn a_cancel_after_the_final_answer_changes_nothing() {
    let mut lone = Lone::new(Config::default());
    let (_, told) = lone.feed(&raw_invite("z9hG4bK-1", 1));
    let Event::Incoming { tx, .. } = &told[0] else {
        panic!("{told:?}")
    };
    let dialog = lone
        .endpoint
        .respond(lone.now, *tx, Reply::new(Status::OK))
        .unwrap()
        .unwrap();
    let (ok, _) = lone.drain();
    let (sent, told) = lone.feed(&raw("CANCEL", "z9hG4bK-1", 1, "", ""));
    assert_eq!(codes(&sent), [200]);
    assert!(told.is_empty());
    assert!(lone.endpoint.dialog(dialog).is_some());
    let tag = |bytes: &Bytes| parse_response(bytes).to().tag().unwrap().to_owned();
    assert_eq!(
        tag(&sent[0]),
        tag(&ok[0]),
        "one tag for the INVITE and its CANCEL"
    );
}

#[test]
fn requests_of_rfc_2543_are_matched_without_a_magic_cookie() {
    //= RFC 3261 17.2.3
    for branch in [";branch=1", ""] {
        let old = |text: String| text.replace(";branch=X", branch);
        let mut lone = Lone::new(Config::default());
        let (sent, told) = lone.feed(&old(raw_invite("X", 1)));
        assert_eq!(codes(&sent), [100]);
        let Event::Incoming { tx, .. } = &told[0] else {
            panic!("{told:?}")
        };
        let (sent, told) = lone.feed(&old(raw_invite("X", 1)));
        assert_eq!(codes(&sent), [100], "a retransmission");
        assert!(told.is_empty());
        lone.endpoint
            .respond(lone.now, *tx, Reply::new(Status::BUSY_HERE))
            .unwrap();
        let (sent, _) = lone.drain();
        let tag = parse_response(&sent[0]).to().tag().unwrap().to_owned();
        lone.feed(&old(raw("ACK", "X", 1, &tag, "")));
        assert!(lone.advance(ms(600)).0.is_empty(), "the ACK was matched");
    }
}

#[test]
fn a_cancel_of_rfc_2543_finds_its_invite() {
    let mut lone = Lone::new(Config::default());
    lone.feed(&raw_invite("1", 1));
    let (sent, _) = lone.feed(&raw("CANCEL", "1", 1, "", ""));
    assert_eq!(codes(&sent), [200, 487]);
}

#[test]
fn a_response_that_lost_its_branch_is_matched_by_its_fields() {
    let mut pair = Pair::new(1);
    let request = outgoing(Method::Options, Side::A);
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    pair.b_to_a.loss = 1.0;
    respond(&mut pair, Side::B, tx, Status::OK);
    let ok = String::from_utf8(last_sent(&pair, Side::B, "200").to_vec()).unwrap();
    let from = ok.find(";branch=").unwrap();
    let end = ok[from + 1..].find([';', '\r']).unwrap() + from + 1;
    pair.inject(Side::B, [&ok[..from], &ok[end..]].concat());
    pair.run_for(ms(10));
    assert_eq!(words(&mut pair, Side::A), ["final 200"]);
}

#[test]
fn a_response_with_a_second_via_a_foreign_branch_or_another_method_is_dropped() {
    let mut pair = Pair::new(2);
    let request = outgoing(Method::Options, Side::A);
    send(&mut pair, Side::A, request);
    pair.run_for(ms(10));
    let tx = incoming(&mut pair, Side::B);
    pair.b_to_a.loss = 1.0;
    respond(&mut pair, Side::B, tx, Status::OK);
    let ok = String::from_utf8(last_sent(&pair, Side::B, "200").to_vec()).unwrap();
    let second = ok.replacen(
        "\r\nFrom:",
        "\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK9\r\nFrom:",
        1,
    );
    let forged = ok.replacen("branch=z9hG4bK0.0", "branch=z9hG4bK0.1", 1);
    let guessed = ok.replacen("branch=z9hG4bK0.0.1.", "branch=z9hG4bK0.0.1.0", 1);
    // The right transaction, but not the secret that only its request had.
    let digit = ok.find(";branch=").unwrap() + 8 + "z9hG4bK0.0.1.".len();
    let flipped = if &ok[digit..=digit] == "0" { "1" } else { "0" };
    let secret = [&ok[..digit], flipped, &ok[digit + 1..]].concat();
    let other = ok.replace("OPTIONS", "INVITE");
    for wrong in [second, forged, guessed, secret, other] {
        assert_ne!(wrong, ok);
        pair.inject(Side::B, wrong);
        pair.run_for(ms(10));
        assert!(words(&mut pair, Side::A).is_empty());
    }
    pair.inject(Side::B, ok);
    pair.run_for(ms(10));
    assert_eq!(words(&mut pair, Side::A), ["final 200"]);
}

#[test]
fn max_forwards_0_is_no_concern_of_a_user_agent_but_nonsense_is() {
    let mut lone = Lone::new(Config::default());
    let request = raw("OPTIONS", "z9hG4bK-1", 1, "", "").replace("Forwards: 70", "Forwards: 0");
    assert_eq!(word(&lone.feed(&request).1[0]), "incoming OPTIONS");
    let request = raw("OPTIONS", "z9hG4bK-2", 2, "", "").replace("Forwards: 70", "Forwards: 256");
    assert_eq!(word(&lone.feed(&request).1[0]), "refused 400");
}

#[test]
fn an_unknown_required_extension_is_refused_and_named() {
    let supported = vec!["replaces".to_owned()];
    let mut lone = Lone::new(Config {
        supported,
        ..Config::default()
    });
    let more = "Contact: <sip:a@192.0.2.1>\r\nRequire: replaces, 100rel\r\nRequire: nothing\r\n";
    let (sent, told) = lone.feed(&raw("INVITE", "z9hG4bK-1", 1, "", more));
    assert_eq!(codes(&sent), [420]);
    let refusal = parse_response(&sent[0]);
    assert_eq!(
        refusal.header(&crate::name::Name::Unsupported).unwrap(),
        "100rel, nothing"
    );
    let [Event::Refused { cause, .. }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(cause, "unsupported extension 100rel, nothing");
    let more = "Contact: <sip:a@192.0.2.1>\r\nRequire: replaces\r\n";
    let (_, told) = lone.feed(&raw("INVITE", "z9hG4bK-2", 2, "", more));
    assert_eq!(word(&told[0]), "incoming INVITE");
}

#[test]
fn an_invite_needs_exactly_one_sip_contact() {
    let mut lone = Lone::new(Config::default());
    let contacts = [
        "",
        "Contact: *\r\n",
        "Contact: <tel:+123>\r\n",
        "Contact: <sip:a@h>, <sip:b@h>\r\n",
        "Contact: <sip:a@\r\n",
    ];
    for (n, contact) in contacts.iter().enumerate() {
        let branch = format!("z9hG4bK-{n}");
        let (sent, told) = lone.feed(&raw("INVITE", &branch, n as u32, "", contact));
        assert_eq!(codes(&sent), [400], "{contact}");
        assert_eq!(word(&told[0]), "refused 400");
    }
}

#[test]
fn an_unknown_uri_scheme_is_refused_with_416() {
    let mut lone = Lone::new(Config::default());
    let request = raw_invite("z9hG4bK-1", 1).replace("INVITE sip:bob@192.0.2.2", "INVITE nobody:x");
    assert_eq!(codes(&lone.feed(&request).0), [416]);
}

#[test]
fn a_malformed_request_is_answered_and_recorded() {
    let mut lone = Lone::new(Config::default());
    let bad = raw_invite("z9hG4bK-1", 1).replace("CSeq: 1 INVITE", "CSeq: x INVITE");
    let (sent, told) = lone.feed(&bad);
    assert_eq!(codes_raw(&sent), ["SIP/2.0 400"]);
    let [
        Event::Refused {
            status,
            method,
            call_id,
            from,
            ..
        },
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!(*status, Some(Status::BAD_REQUEST));
    assert_eq!(method.as_deref(), Some("INVITE"));
    assert_eq!(call_id.as_deref(), Some("raw"));
    assert_eq!(from.as_deref(), Some("<sip:alice@192.0.2.1>;tag=alice"));
    let (sent, _) = lone
        .feed(&raw_invite("z9hG4bK-1", 1).replace("sip:bob@192.0.2.2 SIP/2.0", "sip:b SIP/3.0"));
    assert_eq!(codes_raw(&sent), ["SIP/2.0 505"]);
    let (sent, told) = lone.feed("hello\r\n\r\n");
    assert!(sent.is_empty() && told.is_empty());
}

fn codes_raw(sent: &[Bytes]) -> Vec<String> {
    sent.iter()
        .map(|bytes| String::from_utf8_lossy(&bytes[..11]).into_owned())
        .collect()
}

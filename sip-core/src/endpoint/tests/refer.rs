//! Transfers (RFC 3515, RFC 5057): NOTIFYs that come early, back to back, late, or never.
//! B is a PBX that A, the callee of a call, sends its caller away with.

use super::*;
use crate::dialog::DialogState;
use crate::endpoint::{Config, EndpointError};
use crate::name::Name;

fn refer(pair: &mut Pair, side: Side, dialog: DialogId) -> ClientTx {
    let now = pair.now;
    let to = vec![(Name::ReferTo, "<sip:101@pbx.example.com>".to_owned())];
    let tx = pair
        .node(side)
        .endpoint
        .in_dialog(now, dialog, Method::Refer, to, None)
        .unwrap();
    pair.flush();
    tx
}

fn notify(
    pair: &mut Pair,
    side: Side,
    dialog: DialogId,
    state: &str,
) -> Result<ClientTx, EndpointError> {
    let now = pair.now;
    let headers = vec![
        (Name::Event, "refer".to_owned()),
        (Name::SubscriptionState, state.to_owned()),
    ];
    let body = Some(Body::new(
        "message/sipfrag;version=2.0",
        "SIP/2.0 100 Trying\r\n",
    ));
    let sent = pair
        .node(side)
        .endpoint
        .in_dialog(now, dialog, Method::Notify, headers, body);
    pair.flush();
    sent
}

const ACTIVE: &str = "active;expires=60";
const OVER: &str = "terminated;reason=noresource";

/// Answers everything in dialogs with 200 as it comes.
fn agreeable(pair: &mut Pair, side: Side, time: u64) -> Vec<String> {
    let until = pair.now + ms(time);
    let mut told = Vec::new();
    while pair.next().is_some_and(|next| next <= until) {
        pair.step();
        while let Some(event) = pair.node(side).events.pop_front() {
            told.push(word(&event));
            if let Event::InDialog { tx, .. } = event {
                respond(pair, side, tx, Status::OK);
            }
        }
    }
    pair.now = until;
    told
}

#[test]
fn two_notifies_back_to_back_before_the_202_are_both_delivered() {
    let mut pair = Pair::new(1);
    let (caller, callee) = call(&mut pair);
    refer(&mut pair, Side::B, callee);
    pair.run_for(ms(5));
    let (tx, _) = in_dialog(&mut pair, Side::A);
    notify(&mut pair, Side::A, caller, ACTIVE).unwrap();
    notify(&mut pair, Side::A, caller, OVER).unwrap();
    respond(&mut pair, Side::A, tx, Status::ACCEPTED);
    let told = agreeable(&mut pair, Side::B, 100);
    assert_eq!(told, ["in-dialog NOTIFY", "in-dialog NOTIFY", "final 202"]);
}

#[test]
fn after_our_bye_the_dialog_lingers_until_the_last_notify() {
    let mut pair = Pair::new(2);
    let (caller, callee) = call(&mut pair);
    refer(&mut pair, Side::B, callee);
    pair.run_for(ms(5));
    let (tx, _) = in_dialog(&mut pair, Side::A);
    respond(&mut pair, Side::A, tx, Status::ACCEPTED);
    notify(&mut pair, Side::A, caller, ACTIVE).unwrap();
    agreeable(&mut pair, Side::B, 10);
    hang_up(&mut pair, Side::B, callee);
    assert_eq!(
        agreeable(&mut pair, Side::B, 10),
        ["ended localbye", "final 200"]
    );
    assert_eq!(words(&mut pair, Side::A), ["final 200", "ended remote bye"]);
    let entry = pair.b.endpoint.dialog(callee).unwrap();
    assert_eq!(entry.state(), DialogState::Lingering);
    // Seconds later the transfer is over: answered 200, and the dialog is gone on both sides.
    pair.run_for(ms(5_000));
    notify(&mut pair, Side::A, caller, ACTIVE).unwrap();
    notify(&mut pair, Side::A, caller, OVER).unwrap();
    let told = agreeable(&mut pair, Side::B, 100);
    assert_eq!(told, ["in-dialog NOTIFY", "in-dialog NOTIFY"]);
    assert_eq!(words(&mut pair, Side::A), ["final 200", "final 200"]);
    assert!(pair.a.endpoint.dialog(caller).is_none());
    assert!(pair.b.endpoint.dialog(callee).is_none());
    assert_eq!(
        notify(&mut pair, Side::A, caller, OVER),
        Err(EndpointError::Gone)
    );
    pair.drive();
    pair.assert_conserved();
}

#[test]
fn a_dialog_lingers_no_longer_than_configured() {
    let config = Config {
        refer_linger: Duration::from_secs(120),
        ..Config::default()
    };
    let mut pair = Pair::with(3, config.clone(), config);
    let (_, callee) = call(&mut pair);
    refer(&mut pair, Side::B, callee);
    pair.run_for(ms(5));
    let (tx, _) = in_dialog(&mut pair, Side::A);
    respond(&mut pair, Side::A, tx, Status::ACCEPTED);
    pair.run_for(ms(5));
    hang_up(&mut pair, Side::B, callee);
    pair.run_for(Duration::from_secs(119));
    assert!(pair.b.endpoint.dialog(callee).is_some());
    pair.run_for(Duration::from_secs(2));
    assert!(pair.b.endpoint.dialog(callee).is_none());
    pair.drive();
    pair.assert_conserved();
}

#[test]
fn a_refused_refer_or_one_without_subscription_keeps_nothing() {
    for (status, headers) in [
        (Status::DECLINE, vec![]),
        (Status::OK, vec![(Name::ReferSub, "false".to_owned())]),
    ] {
        let mut pair = Pair::new(4);
        let (_, callee) = call(&mut pair);
        refer(&mut pair, Side::B, callee);
        pair.run_for(ms(5));
        let (tx, _) = in_dialog(&mut pair, Side::A);
        let now = pair.now;
        let mut reply = Reply::new(status);
        reply.headers = headers;
        pair.a.endpoint.respond(now, tx, reply).unwrap();
        pair.run_for(ms(5));
        hang_up(&mut pair, Side::B, callee);
        pair.run_for(ms(10));
        assert_eq!(pair.a.endpoint.counts().dialogs, 0, "{status}");
        assert_eq!(pair.b.endpoint.counts().dialogs, 0, "{status}");
        pair.drive();
        pair.assert_conserved();
    }
}

#[test]
fn after_the_call_only_notify_is_possible() {
    let mut pair = Pair::new(5);
    let (caller, callee) = call(&mut pair);
    refer(&mut pair, Side::B, callee);
    pair.run_for(ms(5));
    let (tx, _) = in_dialog(&mut pair, Side::A);
    respond(&mut pair, Side::A, tx, Status::ACCEPTED);
    pair.run_for(ms(5));
    hang_up(&mut pair, Side::B, callee);
    pair.run_for(ms(5));
    let now = pair.now;
    let info = pair
        .a
        .endpoint
        .in_dialog(now, caller, Method::Info, vec![], None);
    assert_eq!(info, Err(EndpointError::WrongState));
    assert_eq!(
        pair.a.endpoint.hang_up(now, caller, vec![]),
        Err(EndpointError::Gone)
    );
    assert!(notify(&mut pair, Side::A, caller, OVER).is_ok());
}

#[test]
fn a_notify_names_its_refer_by_id_when_there_are_two() {
    let mut pair = Pair::new(6);
    let (caller, callee) = call(&mut pair);
    let mut seqs = Vec::new();
    for _ in 0..2 {
        refer(&mut pair, Side::B, callee);
        pair.run_for(ms(5));
        let (tx, request) = in_dialog(&mut pair, Side::A);
        seqs.push(request.cseq().seq);
        respond(&mut pair, Side::A, tx, Status::ACCEPTED);
        pair.run_for(ms(5));
    }
    hang_up(&mut pair, Side::B, callee);
    pair.run_for(ms(5));
    for seq in seqs.into_iter().rev() {
        assert!(pair.b.endpoint.dialog(callee).is_some());
        let now = pair.now;
        let headers = vec![
            (Name::Event, format!("refer;id={seq}")),
            (Name::SubscriptionState, OVER.to_owned()),
        ];
        pair.a
            .endpoint
            .in_dialog(now, caller, Method::Notify, headers, None)
            .unwrap();
        pair.flush();
        agreeable(&mut pair, Side::B, 10);
    }
    assert!(pair.b.endpoint.dialog(callee).is_none());
    assert!(pair.a.endpoint.dialog(caller).is_none());
}

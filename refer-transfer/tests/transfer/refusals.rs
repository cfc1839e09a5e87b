//! REFER refused, unanswered or overtaken by the end of the call.

use refer_transfer::ConfirmedBy::{self, Pbx};
use refer_transfer::Output::{Done, HangUp};
use refer_transfer::TransferResult::{
    Busy, CallerLeft, Declined, Offline, Rejected, Timeout, Unknown,
};
use refer_transfer::{Input, Output, Target, Transfer, TransferConfig};

use sip_core::header::NameAddr;

use crate::scene::{blind, outcome, progress, seconds, start};

#[test]
fn a_carrier_that_does_not_take_refer_leaves_the_caller_with_the_agent() {
    for (code, phrase) in [
        (403, "Forbidden"),
        (405, "Method Not Allowed"),
        (501, "Not Implemented"),
        (603, "Decline"),
    ] {
        let mut scene = blind();
        scene.answers(code);
        let reason = format!(
            "the PBX refused REFER with {code} {phrase}; allow transfers by REFER for this \
             trunk, or choose another way to transfer"
        );
        let done = Done(outcome(Rejected, Pbx, Some(code), true, &reason));
        assert_eq!(scene.outputs(), [done], "at once");
        scene.is_over();
    }
}

#[test]
fn a_refusal_may_speak_of_the_target() {
    for (code, result) in [
        (486, Busy),
        (600, Busy),
        (480, Offline),
        (404, Rejected),
        (408, Timeout),
    ] {
        let mut scene = blind();
        scene.answers(100).answers(code);
        let outputs = scene.outputs();
        let [Done(done)] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!((done.result, done.sip_code), (result, Some(code)));
        assert!(done.caller_still_here);
    }
}

#[test]
fn a_refer_to_a_dialog_that_is_gone_lost_the_caller() {
    let mut scene = blind();
    scene.answers(481);
    let outputs = scene.outputs();
    let [HangUp, Done(done)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(done.result, CallerLeft);
    assert!(!done.caller_still_here);
}

#[test]
fn a_refer_that_nobody_answers_is_a_timeout_with_its_cause() {
    let mut scene = blind();
    scene.input(Input::Unanswered("timed out"));
    let reason = "the PBX did not answer REFER: timed out";
    let done = Done(outcome(Timeout, ConfirmedBy::None, None, true, reason));
    assert_eq!(scene.outputs(), [done]);
    scene.is_over();
}

#[test]
fn a_caller_who_hangs_up_before_the_202_has_left() {
    let mut scene = blind();
    scene.says_bye();
    let reason = "the call ended before the PBX answered REFER; the caller is gone";
    let done = Done(outcome(CallerLeft, ConfirmedBy::None, None, false, reason));
    assert_eq!(scene.outputs(), [done]);
    scene.answers(202);
    scene.is_over();
}

#[test]
fn a_caller_who_hangs_up_while_the_target_rings_has_left() {
    let mut scene = blind();
    scene.answers(202).notifies(180).says_bye().notifies(487);
    let reason = "the caller hung up before the target answered; the caller is gone";
    let done = Done(outcome(CallerLeft, Pbx, Some(487), false, reason));
    assert_eq!(scene.outputs(), [progress(180), done]);
    scene.is_over();
}

#[test]
fn a_caller_who_hangs_up_after_the_failure_is_gone_without_a_wait() {
    let mut scene = blind();
    scene.answers(202).notifies(603).says_bye();
    let outputs = scene.outputs();
    let [Done(done)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((done.result, done.caller_still_here), (Declined, false));
}

#[test]
fn packets_still_on_their_way_do_not_prove_a_caller() {
    let mut scene = blind();
    scene.answers(202).notifies(486);
    scene.input(Input::CallerHeard(true));
    assert_eq!(scene.outputs(), []);
    scene.silence(seconds(3));
    assert_eq!(scene.outputs().first(), Some(&HangUp));
}

#[test]
fn a_transfer_cancelled_before_it_was_asked_for_sends_nothing() {
    let now = start();
    let target = Target::blind("sip:101@pbx".parse().unwrap());
    let mut transfer = Transfer::new(now, TransferConfig::default(), target, None);
    transfer.handle_input(now, Input::Cancel);
    let outputs: Vec<Output> = std::iter::from_fn(|| transfer.poll_output()).collect();
    let [Done(done)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(done.result, Unknown);
    assert!(done.caller_still_here);
    assert_eq!(transfer.poll_timeout(), None);
}

#[test]
fn a_transfer_given_up_on_the_way_is_unknown_until_the_pbx_tells() {
    let mut scene = blind();
    scene
        .answers(202)
        .notifies(180)
        .is_heard_for(seconds(1))
        .input(Input::Cancel);
    let reason = "the transfer was given up here before the PBX told its outcome";
    let done = Done(outcome(Unknown, ConfirmedBy::None, None, true, reason));
    assert_eq!(scene.outputs(), [progress(180), done]);
    scene.notifies(486);
    let reason = "the target is busy: the PBX reported 486 Busy Here; it was told late";
    let amended = Output::Amended(outcome(Busy, Pbx, Some(486), true, reason));
    assert_eq!(scene.outputs(), [amended]);
    scene.notifies(200);
    scene.is_over();
}

#[test]
fn a_transfer_given_up_while_the_caller_is_looked_for_keeps_the_pbxs_word() {
    let mut scene = blind();
    scene
        .answers(202)
        .is_heard_for(seconds(1))
        .notifies(486)
        .input(Input::Cancel);
    let outputs = scene.outputs();
    let [Done(done)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((done.result, done.caller_still_here), (Busy, true));
}

#[test]
fn the_refer_carries_target_and_identities() {
    let now = start();
    let config = TransferConfig {
        referred_by: Some(NameAddr::new("sip:agent@us.example".parse().unwrap())),
        subscribe: false,
        ..TransferConfig::default()
    };
    let uri = "sip:101@pbx.example.com".parse().unwrap();
    let target = Target::consulted(&uri, "a@b;to-tag=1;from-tag=2", true).unwrap();
    let asserted =
        NameAddr::new("sip:+4930123@pbx.example.com".parse().unwrap()).with_display("Ann");
    let mut transfer = Transfer::new(now, config, target, Some(asserted));
    let Some(Output::SendRefer { headers }) = transfer.poll_output() else {
        panic!()
    };
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "Refer-To: <sip:101@pbx.example.com?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            "Referred-By: <sip:agent@us.example>",
            "P-Asserted-Identity: \"Ann\" <sip:+4930123@pbx.example.com>",
            "Refer-Sub: false",
        ]
    );
}

//! Every state has a deadline, and what comes after it changes the record only.

use refer_transfer::ConfirmedBy::{self, Pbx};
use refer_transfer::Input;
use refer_transfer::Output::{Amended, Done, HangUp};
use refer_transfer::TransferResult::{NoAnswer, Timeout, Transferred, Unknown};

use crate::scene::{blind, outcome, progress, seconds};

#[test]
fn no_answer_to_refer_gives_the_caller_back_after_32_s() {
    let mut scene = blind();
    scene.is_heard_for(seconds(31));
    assert_eq!(scene.outputs(), []);
    scene.is_heard_for(seconds(2));
    let reason = "the PBX did not answer REFER within 32 s";
    let done = Done(outcome(Timeout, ConfirmedBy::None, None, true, reason));
    assert_eq!(scene.outputs(), [done]);
    scene.is_over();
}

#[test]
fn a_202_and_then_nothing_for_30_s_gives_the_caller_back() {
    let mut scene = blind();
    scene.answers(202).is_heard_for(seconds(29));
    assert_eq!(scene.outputs(), []);
    scene.is_heard_for(seconds(2));
    let reason = "the PBX accepted REFER and told nothing of its outcome for 30 s";
    let done = Done(outcome(Timeout, ConfirmedBy::None, None, true, reason));
    assert_eq!(scene.outputs(), [done], "the agent speaks, nobody hangs up");
    scene.is_over();
}

#[test]
fn a_202_and_then_nothing_without_a_caller_ends_the_call() {
    let mut scene = blind();
    scene.answers(202).silence(seconds(31));
    let reason = "the PBX accepted REFER and told nothing of its outcome for 30 s; the caller is \
                  gone";
    let done = Done(outcome(Timeout, ConfirmedBy::None, None, false, reason));
    assert_eq!(scene.outputs(), [HangUp, done]);
}

#[test]
fn a_phone_that_rings_gets_its_30_s_from_the_first_ringing_on() {
    let mut scene = blind();
    scene
        .answers(202)
        .notifies(100)
        .is_heard_for(seconds(20))
        .notifies(180);
    scene
        .is_heard_for(seconds(20))
        .notifies(180)
        .is_heard_for(seconds(9));
    assert_eq!(
        scene.outputs(),
        [progress(100), progress(180), progress(180)]
    );
    scene.is_heard_for(seconds(2));
    let reason = "the target rang for 30 s and was not answered";
    let done = Done(outcome(NoAnswer, ConfirmedBy::None, None, true, reason));
    assert_eq!(scene.outputs(), [done], "once more and not twice");
}

#[test]
fn a_late_success_changes_the_record_and_does_not_hang_up() {
    let mut scene = blind();
    scene.answers(202).is_heard_for(seconds(31));
    scene.outputs();
    scene.notifies(200);
    let reason = "the PBX reported 200 OK for the target; it was told late";
    let amended = Amended(outcome(Transferred, Pbx, Some(200), false, reason));
    assert_eq!(scene.outputs(), [amended]);
    assert_eq!(scene.transfer.outcome().unwrap().result, Transferred);
    scene.notifies(486);
    scene.is_over();
}

#[test]
fn a_refer_that_timed_out_may_still_have_worked() {
    let mut scene = blind();
    scene
        .input(Input::Unanswered("timed out"))
        .notifies(100)
        .notifies(200);
    let outputs = scene.outputs();
    let [Done(done), Amended(amended)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((done.result, amended.result), (Timeout, Transferred));
}

#[test]
fn a_report_after_a_lost_dialog_amends_the_unknown() {
    let mut scene = blind();
    scene.answers(202).says_bye().silence(seconds(6));
    let outputs = scene.outputs();
    let [Done(done)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(done.result, Unknown);
    scene.notifies(200);
    let outputs = scene.outputs();
    let [Amended(amended)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((amended.result, amended.confirmed_by), (Transferred, Pbx));
    scene.is_over();
}

#[test]
fn a_timeout_that_comes_too_early_is_not_one() {
    let mut scene = blind();
    scene
        .input(Input::Timeout)
        .answers(202)
        .input(Input::Timeout);
    assert_eq!(scene.outputs(), []);
    assert_eq!(scene.transfer.poll_timeout(), Some(scene.now + seconds(30)));
}

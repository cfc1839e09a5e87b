//! What was seen on the wire with real peers, one test for each, with everything that comes out.

use refer_transfer::ConfirmedBy::{self, Answered, Pbx};
use refer_transfer::Output::{Done, HangUp};
use refer_transfer::TransferResult::{
    self, Busy, NoAnswer, Offline, Rejected, Transferred, Unknown,
};
use refer_transfer::{Input, Outcome, Target, TransferConfig};

use crate::scene::{Scene, blind, consulted, outcome, progress, seconds, with};

/// The caller was handed over, as far as this party tells.
fn handed_over(confirmed_by: ConfirmedBy) -> Outcome {
    let reason = "the PBX reported 200 OK for the target";
    outcome(Transferred, confirmed_by, Some(200), false, reason)
}

fn lost(result: TransferResult, code: u16, reason: &str) -> Outcome {
    outcome(
        result,
        Pbx,
        Some(code),
        false,
        &format!("{reason}; the caller is gone"),
    )
}

#[test]
fn the_target_answers_at_once_and_the_bye_is_ours() {
    let mut scene = blind();
    scene.answers(202).notifies(100).notifies(200);
    assert_eq!(
        scene.outputs(),
        [progress(100), HangUp, Done(handed_over(Pbx))]
    );
    scene.is_over();
}

#[test]
fn the_target_is_busy_in_the_dialplan_and_the_caller_is_gone() {
    let mut scene = blind();
    scene.answers(202).notifies(100).notifies(486);
    assert_eq!(
        scene.outputs(),
        [progress(100)],
        "whether the caller is here is not known yet"
    );
    scene.silence(seconds(3));
    let reason = "the target is busy: the PBX reported 486 Busy Here";
    assert_eq!(scene.outputs(), [HangUp, Done(lost(Busy, 486, reason))]);
    scene.is_over();
}

#[test]
fn the_target_declines_before_it_rings_which_shows_as_503() {
    let mut scene = blind();
    scene
        .answers(202)
        .notifies(100)
        .notifies(503)
        .silence(seconds(3));
    let reason = "the target cannot be reached: the PBX reported 503 Service Unavailable";
    let done = Done(lost(Offline, 503, reason));
    assert_eq!(scene.outputs(), [progress(100), HangUp, done]);
}

/// Asterisk reports 200 as soon as it plays ringback to the caller, who is long answered.
fn rings_and_is_called_a_success(scene: &mut Scene) {
    scene.answers(202).notifies(100).notifies(180).notifies(200);
    let expected = [progress(100), progress(180), HangUp, Done(handed_over(Pbx))];
    assert_eq!(scene.outputs(), expected);
    scene.is_over();
}

#[test]
fn the_target_rings_and_answers_and_only_the_pbx_says_so() {
    rings_and_is_called_a_success(&mut blind());
}

#[test]
fn the_target_rings_and_declines_and_we_are_told_200() {
    // Nothing on the wire tells this from an answer; the record says whose word it is.
    rings_and_is_called_a_success(&mut blind());
}

#[test]
fn the_target_rings_for_ever_and_we_are_told_200() {
    let mut scene = blind();
    rings_and_is_called_a_success(&mut scene);
    scene.silence(seconds(60));
    scene.is_over();
}

#[test]
fn the_target_has_early_media_and_we_are_told_200() {
    let mut scene = blind();
    scene.answers(202).notifies(100).notifies(183).notifies(200);
    let expected = [progress(100), progress(183), HangUp, Done(handed_over(Pbx))];
    assert_eq!(scene.outputs(), expected);
}

#[test]
fn there_is_no_such_extension_and_the_caller_is_still_here() {
    let mut scene = blind();
    scene.answers(202).notifies(100).notifies(404);
    assert_eq!(scene.outputs(), [progress(100)]);
    scene.is_heard_for(seconds(1));
    let reason = "the PBX knows no such target: it reported 404 Not Found; check the extension";
    let done = Done(outcome(Rejected, Pbx, Some(404), true, reason));
    assert_eq!(scene.outputs(), [done], "the agent goes on");
    scene.is_over();
}

#[test]
fn without_a_subscription_nobody_ever_knows() {
    let config = TransferConfig {
        subscribe: false,
        ..TransferConfig::default()
    };
    let mut scene = with(config, Target::blind("sip:101@pbx".parse().unwrap()));
    scene.input(Input::Response {
        status: crate::scene::status(200),
        reason: "OK",
        refer_sub: Some(false),
    });
    assert_eq!(scene.outputs(), []);
    scene.is_heard_for(seconds(1)).silence(seconds(3));
    let reason = "the PBX took REFER without reporting what becomes of it (Refer-Sub: false); \
                  the caller is gone";
    let done = Done(outcome(Unknown, ConfirmedBy::None, None, false, reason));
    assert_eq!(
        scene.outputs(),
        [HangUp, done],
        "no guess is called success"
    );
    scene.is_over();
}

#[test]
fn without_a_subscription_a_caller_who_stays_is_given_back() {
    let mut scene = blind();
    scene.input(Input::Response {
        status: crate::scene::status(200),
        reason: "OK",
        refer_sub: Some(false),
    });
    scene.is_heard_for(seconds(29));
    assert_eq!(scene.outputs(), []);
    scene.is_heard_for(seconds(2));
    let reason = "the PBX took REFER without reporting what becomes of it (Refer-Sub: false)";
    let done = Done(outcome(Unknown, ConfirmedBy::None, None, true, reason));
    assert_eq!(scene.outputs(), [done]);
}

#[test]
fn a_200_to_refer_without_refer_sub_is_as_good_as_a_202() {
    let mut scene = blind();
    scene.answers(200).notifies(100).notifies(200);
    assert_eq!(
        scene.outputs(),
        [progress(100), HangUp, Done(handed_over(Pbx))]
    );
}

#[test]
fn a_pbx_that_does_not_report_progress_says_200_at_once() {
    // refer_blind_progress=no: 100 and 200 before the target is even called.
    let mut scene = blind();
    scene.answers(202).notifies(100).notifies(200);
    assert_eq!(
        scene.outputs(),
        [progress(100), HangUp, Done(handed_over(Pbx))]
    );
}

#[test]
fn a_consulted_target_that_answered_is_the_truth() {
    let mut scene = consulted(true);
    scene.answers(202).notifies(100).notifies(200);
    let expected = [progress(100), HangUp, Done(handed_over(Answered))];
    assert_eq!(scene.outputs(), expected);
    scene.is_over();
}

#[test]
fn a_consulted_target_that_still_rings_is_the_pbxs_word() {
    // Our ringing INVITE is answered 603, and still the PBX calls it a success.
    let mut scene = consulted(false);
    scene.answers(202).notifies(100).notifies(200);
    let expected = [progress(100), HangUp, Done(handed_over(Pbx))];
    assert_eq!(scene.outputs(), expected);
}

#[test]
fn notifies_before_the_202_count() {
    let mut scene = blind();
    scene.notifies(100).notifies(200).answers(202);
    assert_eq!(
        scene.outputs(),
        [progress(100), HangUp, Done(handed_over(Pbx))]
    );
    scene.is_over();
}

#[test]
fn notifies_go_on_after_our_bye_and_change_nothing() {
    let mut scene = blind();
    scene.answers(202).notifies(200);
    assert_eq!(scene.outputs(), [HangUp, Done(handed_over(Pbx))]);
    scene.notifies(100).notifies(200).notifies(486).says_bye();
    scene.is_over();
}

#[test]
fn a_phone_as_transferee_reports_the_real_answer() {
    // pjsua: active;expires=600 for as long as it rings, terminated 200 at the answer.
    let mut scene = blind();
    scene
        .answers(202)
        .notifies(100)
        .silence(seconds(3))
        .notifies(180);
    scene.silence(seconds(25)).notifies(200);
    let expected = [progress(100), progress(180), HangUp, Done(handed_over(Pbx))];
    assert_eq!(scene.outputs(), expected);
}

#[test]
fn a_pbx_that_waits_ten_seconds_and_kills_the_call_has_told_nothing() {
    let mut scene = blind();
    scene.answers(202).silence(seconds(10)).says_bye();
    assert_eq!(scene.outputs(), [], "a NOTIFY may still come");
    scene.silence(seconds(6));
    let reason = "the PBX accepted REFER and ended our leg without telling what became of the \
                  transfer; the caller is gone";
    let done = Done(outcome(Unknown, ConfirmedBy::None, None, false, reason));
    assert_eq!(scene.outputs(), [done], "there is nothing left to hang up");
    scene.is_over();
}

#[test]
fn a_pbx_that_takes_down_our_leg_before_it_reports_success_is_believed() {
    let mut scene = blind();
    scene
        .answers(202)
        .notifies(100)
        .says_bye()
        .silence(seconds(1))
        .notifies(200);
    assert_eq!(scene.outputs(), [progress(100), Done(handed_over(Pbx))]);
    scene.is_over();
}

#[test]
fn a_target_that_does_not_answer_in_the_pbxs_time_did_not_answer() {
    for code in [408, 487] {
        let mut scene = blind();
        scene
            .answers(202)
            .notifies(100)
            .notifies(180)
            .silence(seconds(20))
            .notifies(code);
        scene.is_heard_for(seconds(1));
        let outputs = scene.outputs();
        let Some(Done(done)) = outputs.last() else {
            panic!("{outputs:?}")
        };
        assert_eq!((done.result, done.confirmed_by), (NoAnswer, Pbx));
        assert!(done.caller_still_here);
    }
}

//! Two phones without sockets on a bad line: many seeds, virtual time, nothing left over.
//! Each run is a pure function of its seed; a failing one is named in the panic.

mod peers;
mod world;

use std::time::Duration;

use refer_transfer::{ConfirmedBy, Target, TransferResult};
use sip_core::status::Status;

use self::world::{A, B, BAD, CLEAN, Line, Node, World, is_end};
use crate::call::action::Notice;
use crate::call::{CallState, EndCause, TransferOrder};

fn digits(node: &Node) -> String {
    let news = node.news.lock().unwrap();
    news.iter()
        .filter_map(|notice| match notice {
            Notice::Digit(digit) => Some(*digit),
            _ => None,
        })
        .collect()
}

/// Runs a story for many seeds. A loss of one in five can outlast every retransmission of
/// 32 seconds, so a story may be allowed to end otherwise; never may anything be left over.
fn seeds(count: u64, story: impl Fn(u64)) {
    for seed in 0..count {
        story(seed);
    }
}

#[test]
fn a_call_with_keys_ends_by_the_caller_on_a_bad_line() {
    seeds(300, |seed| {
        let mut world = World::new(seed, BAD);
        let (a, b) = world.call();
        for key in "12#".chars() {
            world.with(A, a, |machine| machine.send_key(key, 100).unwrap());
            let count = digits(&world.nodes[B]).len() + 1;
            world.until("the key", |w| digits(&w.nodes[B]).len() == count);
        }
        world.with(B, b, |machine| machine.send_key('9', 100).unwrap());
        world.until("the key back", |w| digits(&w.nodes[A]) == "9");
        assert_eq!(
            digits(&world.nodes[B]),
            "12#",
            "seed {seed}: once each, in order"
        );
        let now = world.now;
        world.with(A, a, |machine| {
            machine.hang_up(now, EndCause::HungUp("bye".into()))
        });
        world.until("the end", |w| w.nodes[B].told(is_end));
        world.wind_up();
        assert_eq!(world.ending(A), EndCause::HungUp("bye".into()));
        assert_eq!(world.ending(B), EndCause::PeerHungUp, "seed {seed}");
        for node in &world.nodes {
            assert_eq!(
                node.scribe.terms.lock().unwrap().len(),
                1,
                "media began once"
            );
        }
    });
}

#[test]
fn a_transfer_succeeds_on_a_bad_line_and_our_leg_ends() {
    seeds(300, |seed| {
        let mut world = World::new(seed, BAD);
        let (a, b) = world.call();
        world.transfer(a, b, &[Status::RINGING, Status::OK]);
        world.until("the outcome", |w| {
            w.nodes[B].told(|n| matches!(n, Notice::TransferDone(_)))
        });
        world.wind_up();
        let outcome = world.outcome(B);
        assert_eq!(
            outcome.result,
            TransferResult::Transferred,
            "seed {seed}: {outcome:?}"
        );
        assert_eq!(outcome.confirmed_by, ConfirmedBy::Pbx);
        assert_eq!(world.ending(B), EndCause::Transferred, "seed {seed}");
        assert_eq!(world.ending(A), EndCause::PeerHungUp, "seed {seed}");
    });
}

#[test]
fn a_transfer_that_fails_leaves_the_caller_with_the_agent() {
    seeds(300, |seed| {
        let mut world = World::new(seed, BAD);
        let (a, b) = world.call();
        world.transfer(a, b, &[Status::BUSY_HERE]);
        world.until("the outcome", |w| {
            w.nodes[B].told(|n| matches!(n, Notice::TransferDone(_)))
        });
        let outcome = world.outcome(B);
        assert_eq!(
            outcome.result,
            TransferResult::Busy,
            "seed {seed}: {outcome:?}"
        );
        assert!(outcome.caller_still_here, "seed {seed}: {outcome:?}");
        let state = world.nodes[B].core.state(b);
        assert_eq!(state, Some(CallState::Established), "seed {seed}");
        let now = world.now;
        world.with(B, b, |machine| {
            machine.hang_up(now, EndCause::HungUp("sorry".into()))
        });
        world.until("the end", |w| w.nodes[A].told(is_end));
        world.wind_up();
    });
}

#[test]
fn a_caller_who_is_gone_after_a_failed_transfer_is_hung_up_on() {
    let mut world = World::new(7, CLEAN);
    let (a, b) = world.call();
    *world.nodes[B].scribe.silent.lock().unwrap() = true;
    world.transfer(a, b, &[Status::RINGING, Status::DECLINE]);
    world.wind_up();
    let outcome = world.outcome(B);
    assert_eq!(outcome.result, TransferResult::Declined);
    assert!(!outcome.caller_still_here);
    assert!(
        matches!(world.ending(B), EndCause::HungUp(_)),
        "{:?}",
        world.ending(B)
    );
}

#[test]
fn a_bye_in_the_middle_of_a_transfer_waits_for_the_last_notify() {
    let mut world = World::new(8, CLEAN);
    let (a, b) = world.call();
    world.transfer(a, b, &[Status::RINGING]);
    let now = world.now;
    let refer = world.refer_id(A);
    world.with(A, a, |machine| {
        machine.hang_up(now, EndCause::HungUp("moved".into()))
    });
    world.until("the end", |w| w.nodes[B].told(is_end));
    assert!(
        !world.nodes[B].told(|n| matches!(n, Notice::TransferDone(_))),
        "not yet"
    );
    world.with(A, a, |machine| {
        assert!(machine.notify_refer(refer, Status::OK, "OK"))
    });
    world.wind_up();
    let outcome = world.outcome(B);
    assert_eq!(outcome.result, TransferResult::Transferred, "{outcome:?}");
}

#[test]
fn a_last_word_that_comes_late_changes_the_record_and_nothing_else() {
    let mut world = World::new(9, CLEAN);
    let (a, b) = world.call();
    world.transfer(a, b, &[Status::RINGING]);
    world.until("patience ends", |w| {
        w.nodes[B].told(|n| matches!(n, Notice::TransferDone(_)))
    });
    assert_eq!(world.outcome(B).result, TransferResult::NoAnswer);
    assert_eq!(world.nodes[B].core.state(b), Some(CallState::Established));
    let refer = world.refer_id(A);
    world.with(A, a, |machine| {
        assert!(machine.notify_refer(refer, Status::OK, "OK"))
    });
    world.until("the late word", |w| {
        w.nodes[B].told(|n| matches!(n, Notice::TransferAmended(_)))
    });
    assert_eq!(world.nodes[B].core.state(b), Some(CallState::Established));
    let now = world.now;
    world.with(A, a, |machine| {
        machine.hang_up(now, EndCause::HungUp("bye".into()))
    });
    world.wind_up();
}

#[test]
fn a_peer_that_takes_no_refer_is_a_rejected_transfer() {
    let mut world = World::new(10, CLEAN);
    let (_, b) = world.call();
    let now = world.now;
    let target = Target::blind("sip:101@pbx.example.com".parse().unwrap());
    world.with(B, b, |machine| {
        machine
            .transfer(now, now, TransferOrder::to(target))
            .unwrap();
    });
    // A's application never decides: the machine declines with 603.
    world.until("the outcome", |w| {
        w.nodes[B].told(|n| matches!(n, Notice::TransferDone(_)))
    });
    let outcome = world.outcome(B);
    assert_eq!(outcome.result, TransferResult::Rejected, "{outcome:?}");
    assert_eq!(outcome.sip_code, Some(603));
    assert!(outcome.caller_still_here);
    let now = world.now;
    world.with(B, b, |machine| {
        machine.hang_up(now, EndCause::HungUp("sorry".into()))
    });
    world.wind_up();
}

#[test]
fn both_sides_may_hold_at_once() {
    seeds(50, |seed| {
        let mut world = World::new(seed, CLEAN);
        let (a, b) = world.call();
        world.with(A, a, |machine| machine.hold(true).unwrap());
        world.with(B, b, |machine| machine.hold(true).unwrap());
        for at in [A, B] {
            world.until("the hold", |w| {
                w.nodes[at].told(|n| matches!(n, Notice::HoldAnswered(Ok(()))))
            });
        }
        for node in &world.nodes {
            let terms = *node.scribe.terms.lock().unwrap().last().unwrap();
            assert!(
                !terms.direction.receives(),
                "seed {seed}: both hold, nobody listens"
            );
        }
        let now = world.now;
        world.with(A, a, |machine| {
            machine.hang_up(now, EndCause::HungUp("bye".into()))
        });
        world.wind_up();
    });
}

#[test]
fn a_caller_who_gives_up_and_a_callee_who_answers_may_cross() {
    seeds(200, |seed| {
        let mut world = World::new(seed, BAD);
        let a = world.dial();
        world.until("the INVITE", |w| {
            !w.nodes[B].arrivals.lock().unwrap().is_empty()
        });
        let b = world.nodes[B].arrivals.lock().unwrap()[0];
        let now = world.now;
        world.with(A, a, |machine| {
            machine.hang_up(now, EndCause::HungUp("changed".into()))
        });
        let crossing = world.random.below(4) * 40;
        world.pass(Duration::from_millis(crossing));
        if world.nodes[B].core.state(b) == Some(CallState::Incoming) {
            world.answer(b);
        } else {
            *world.nodes[B].scribe.stopped.lock().unwrap() += 1;
        }
        world.wind_up();
        assert_eq!(
            world.ending(A),
            EndCause::HungUp("changed".into()),
            "seed {seed}"
        );
    });
}

#[test]
fn a_call_that_nobody_decides_is_refused_after_its_time() {
    let mut world = World::new(3, CLEAN);
    world.dial();
    *world.nodes[B].scribe.stopped.lock().unwrap() += 1;
    world.wind_up();
    // The caller's own patience is shorter than ours.
    assert_eq!(world.ending(A), EndCause::NoAnswer);
    assert_eq!(world.ending(B), EndCause::PeerCancelled);
}

#[test]
fn a_peer_that_vanishes_leaves_nothing_behind() {
    seeds(50, |seed| {
        let mut world = World::new(seed, CLEAN);
        let (a, _) = world.call();
        world.line = Line { loss: 1.0, ..CLEAN };
        let now = world.now;
        world.with(A, a, |machine| {
            machine.hang_up(now, EndCause::HungUp("bye".into()))
        });
        world.until("our end", |w| w.nodes[A].told(is_end));
        // The other side notices by its own limits; here its owner hangs up.
        let b = world.nodes[B].arrivals.lock().unwrap()[0];
        let now = world.now;
        world.with(B, b, |machine| machine.hang_up(now, EndCause::Dropped));
        world.wind_up();
    });
}

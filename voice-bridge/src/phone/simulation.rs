//! Two phones without sockets on a bad line: many seeds, virtual time, nothing left over.
//! Each run is a pure function of its seed; a failing one is named in the panic.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use refer_transfer::{ConfirmedBy, Target, TransferResult};
use rtp_media::sdp::{LocalMedia, Negotiated};
use sip_core::auth::{AuthConfig, Authenticator};
use sip_core::endpoint::{Endpoint, Flow, Input, OutgoingRequest, Output, Transport};
use sip_core::header::NameAddr;
use sip_core::method::Method;
use sip_core::status::Status;
use sip_core::testing::{Random, SeededEntropy, epoch};
use sip_core::uri::Uri;
use sip_transport::driver::Handler;

use super::builder::endpoint_config;
use super::core::{Arrival, CallId, PhoneCore};
use super::gate::OpenGate;
use crate::call::action::Notice;
use crate::call::machine::CallSettings;
use crate::call::referred::ReferId;
use crate::call::voice::Voice;
use crate::call::{CallState, CallTimers, EndCause, TransferOrder};

type Shared<T> = Arc<Mutex<T>>;

/// A leg that writes down what it is told, and counts packets while its peer is there.
#[derive(Clone, Debug, Default)]
struct Scribe {
    terms: Shared<Vec<Negotiated>>,
    packets: Arc<AtomicU64>,
    silent: Arc<Mutex<bool>>,
    stopped: Arc<Mutex<u32>>,
}

impl Voice for Scribe {
    fn apply(&mut self, terms: Negotiated) {
        self.terms.lock().unwrap().push(terms);
    }

    fn packets(&self) -> u64 {
        if *self.silent.lock().unwrap() {
            return self.packets.load(Ordering::Relaxed);
        }
        self.packets.fetch_add(5, Ordering::Relaxed)
    }

    fn stop(&mut self) {
        *self.stopped.lock().unwrap() += 1;
    }
}

struct Node {
    addr: SocketAddr,
    endpoint: Endpoint,
    core: PhoneCore,
    arrivals: Shared<Vec<CallId>>,
    news: Shared<Vec<Notice>>,
    scribe: Scribe,
}

impl Node {
    fn new(seed: u64, last: u8) -> Self {
        let arrivals: Shared<Vec<CallId>> = Shared::default();
        let news: Shared<Vec<Notice>> = Shared::default();
        let (into, from) = (Arc::clone(&arrivals), Arc::clone(&news));
        let door = Box::new(move |arrival: Arrival| {
            into.lock().unwrap().push(arrival.id);
            let news = Arc::clone(&from);
            let link = move |notice| news.lock().unwrap().push(notice);
            Some(Box::new(link) as super::core::Link)
        });
        let settings = CallSettings {
            timers: CallTimers::default(),
            agent: "test".to_owned(),
        };
        let entropy = SeededEntropy::new(seed.wrapping_mul(2).wrapping_add(u64::from(last)));
        let addr: SocketAddr = ([192, 0, 2, last], 5060).into();
        let mut endpoint = Endpoint::new(Arc::new(endpoint_config()), Box::new(entropy));
        endpoint.listening(&[(Transport::Udp, addr)]);
        Self {
            addr,
            endpoint,
            core: PhoneCore::new(
                Arc::new(settings),
                Arc::new(OpenGate),
                Authenticator::new([last; 32], epoch(), AuthConfig::default()),
                door,
            ),
            arrivals,
            news,
            scribe: Scribe::default(),
        }
    }

    fn local(&self) -> LocalMedia {
        LocalMedia::new(self.addr.ip(), 10_000, 1)
    }

    fn due(&self) -> Option<Instant> {
        [self.endpoint.poll_timeout(), self.core.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn told(&self, what: impl Fn(&Notice) -> bool) -> bool {
        self.news.lock().unwrap().iter().any(what)
    }
}

/// What the line does to a datagram.
#[derive(Copy, Clone)]
struct Line {
    loss: f64,
    twice: f64,
    jitter_ms: u64,
}

const CLEAN: Line = Line {
    loss: 0.0,
    twice: 0.0,
    jitter_ms: 0,
};
const BAD: Line = Line {
    loss: 0.2,
    twice: 0.05,
    jitter_ms: 120,
};

struct World {
    now: Instant,
    random: Random,
    line: Line,
    nodes: [Node; 2],
    wire: BTreeMap<(Instant, u64), (usize, Bytes)>,
    sent: u64,
    seed: u64,
    trace: bool,
}

const A: usize = 0;
const B: usize = 1;

impl World {
    fn new(seed: u64, line: Line) -> Self {
        Self {
            now: epoch(),
            random: Random::new(seed),
            line,
            nodes: [Node::new(seed, 1), Node::new(seed, 2)],
            wire: BTreeMap::new(),
            sent: 0,
            seed,
            trace: false,
        }
    }

    /// Sends what a node has to say, and tells its phone what its endpoint has.
    fn drain(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].endpoint.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => self.transmit(1 - at, bytes),
                Output::Event(event) => {
                    let Node { endpoint, core, .. } = &mut self.nodes[at];
                    core.event(endpoint, self.now, event);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn transmit(&mut self, to: usize, bytes: Bytes) {
        let copies = if self.random.chance(self.line.loss) {
            0
        } else {
            1 + u64::from(self.random.chance(self.line.twice))
        };
        if self.trace {
            let text = String::from_utf8_lossy(&bytes);
            let cseq = text.lines().find(|l| l.starts_with("CSeq")).unwrap_or("");
            println!(
                "{:>8} ms -> {to} x{copies} {} [{cseq}]",
                (self.now - epoch()).as_millis(),
                text.lines().next().unwrap_or("")
            );
        }
        for _ in 0..copies {
            let delay = 10 + self.random.below(self.line.jitter_ms + 1);
            self.sent += 1;
            let at = self.now + Duration::from_millis(delay);
            self.wire.insert((at, self.sent), (to, bytes.clone()));
        }
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Instant> {
        let next = self.wire.first_key_value().map(|((at, _), _)| *at);
        let due = [next, self.nodes[A].due(), self.nodes[B].due()];
        due.into_iter().flatten().min()
    }

    /// Lets so much time pass.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// The next thing that happens; false when nothing can.
    fn step(&mut self) -> bool {
        let Some(at) = self.next() else {
            return false;
        };
        self.now = self.now.max(at);
        if self
            .wire
            .first_key_value()
            .is_some_and(|((next, _), _)| *next <= at)
        {
            let (_, (to, bytes)) = self.wire.pop_first().unwrap();
            let flow = Flow {
                transport: Transport::Udp,
                local: self.nodes[to].addr,
                remote: self.nodes[1 - to].addr,
                connection: 0,
            };
            let input = Input::Received { flow, bytes };
            self.nodes[to].endpoint.handle_input(self.now, input);
        }
        for at in [A, B] {
            let now = self.now;
            let Node { endpoint, core, .. } = &mut self.nodes[at];
            if endpoint.poll_timeout().is_some_and(|due| due <= now) {
                endpoint.handle_input(now, Input::Timeout);
            }
            if core.poll_timeout().is_some_and(|due| due <= now) {
                core.timeout(endpoint, now);
                assert!(
                    core.poll_timeout().is_none_or(|due| due > now),
                    "the clock stands"
                );
            }
            self.drain(at);
        }
        true
    }

    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let limit = self.now + Duration::from_secs(400);
        while !done(self) {
            assert!(
                self.now < limit && self.step(),
                "seed {}: {what} never came; a: {:?} b: {:?}",
                self.seed,
                self.nodes[A].news.lock().unwrap(),
                self.nodes[B].news.lock().unwrap(),
            );
        }
    }

    fn with<R>(
        &mut self,
        at: usize,
        id: CallId,
        act: impl FnOnce(&mut crate::call::machine::Machine) -> R,
    ) -> R {
        let now = self.now;
        let Node { endpoint, core, .. } = &mut self.nodes[at];
        let result = core
            .with(endpoint, now, id, act)
            .expect("the call is there");
        self.drain(at);
        result
    }

    fn dial(&mut self) -> CallId {
        let now = self.now;
        let to = Uri::sip_at(Some("b"), self.nodes[B].addr);
        let from = NameAddr::new(Uri::sip_at(Some("a"), self.nodes[A].addr));
        let mut request = OutgoingRequest::new(Method::Invite, to.clone(), from, NameAddr::new(to));
        request.call_id = Some(format!("call-{}", self.seed));
        let local = self.nodes[A].local();
        let Node {
            endpoint,
            core,
            news,
            scribe,
            ..
        } = &mut self.nodes[A];
        let news = Arc::clone(news);
        let link = Box::new(move |notice| news.lock().unwrap().push(notice));
        let voice = Box::new(scribe.clone());
        let id = core
            .dial(endpoint, now, request, local, voice, link)
            .unwrap();
        self.drain(A);
        id
    }

    fn answer(&mut self, id: CallId) {
        let now = self.now;
        let local = self.nodes[B].local();
        let Node {
            endpoint,
            core,
            scribe,
            ..
        } = &mut self.nodes[B];
        core.answer(endpoint, now, id, local, Box::new(scribe.clone()))
            .unwrap();
        self.drain(B);
    }

    /// A calls B, B rings and answers, both talk.
    fn call(&mut self) -> (CallId, CallId) {
        let a = self.dial();
        self.until("the INVITE", |w| {
            !w.nodes[B].arrivals.lock().unwrap().is_empty()
        });
        let b = self.nodes[B].arrivals.lock().unwrap()[0];
        self.with(B, b, |machine| machine.ring(epoch()).unwrap());
        self.pass(Duration::from_secs(2));
        self.answer(b);
        self.until("the answer", |w| {
            w.nodes[A].told(|n| matches!(n, Notice::Answered))
        });
        self.until("the ACK", |w| {
            w.nodes[B].told(|n| matches!(n, Notice::Established))
        });
        (a, b)
    }

    /// Lets everything run out and checks that nothing is left.
    fn wind_up(&mut self) {
        let limit = self.now + Duration::from_secs(600);
        while self.step() {
            assert!(self.now < limit, "seed {}: it never ends", self.seed);
        }
        for node in &self.nodes {
            let counts = node.endpoint.counts();
            assert!(counts.is_zero(), "seed {}: {counts:?}", self.seed);
            assert!(node.core.is_idle(), "seed {}: {:?}", self.seed, node.core);
            let stopped = *node.scribe.stopped.lock().unwrap();
            assert_eq!(stopped, 1, "seed {}: each leg is stopped once", self.seed);
            let ends = node
                .news
                .lock()
                .unwrap()
                .iter()
                .filter(|n| is_end(n))
                .count();
            assert_eq!(ends, 1, "seed {}: one end each", self.seed);
        }
    }

    fn ending(&self, at: usize) -> EndCause {
        let news = self.nodes[at].news.lock().unwrap();
        let ending = news.iter().find_map(|notice| match notice {
            Notice::Ended(ending) => Some(ending.cause.clone()),
            _ => None,
        });
        ending.expect("the call has ended")
    }

    fn outcome(&self, at: usize) -> refer_transfer::Outcome {
        let news = self.nodes[at].news.lock().unwrap();
        let outcome = news.iter().find_map(|notice| match notice {
            Notice::TransferDone(outcome) => Some(outcome.clone()),
            _ => None,
        });
        outcome.expect("the transfer is over")
    }

    /// B hands A over; A takes the REFER and says so, and then this.
    fn transfer(&mut self, a: CallId, b: CallId, words: &[Status]) {
        let now = self.now;
        let target = Target::blind("sip:101@pbx.example.com".parse().unwrap());
        self.with(B, b, |machine| {
            machine
                .transfer(now, now, TransferOrder::to(target))
                .unwrap();
        });
        self.until("the REFER", |w| {
            w.nodes[A].told(|n| matches!(n, Notice::Refer { .. }))
        });
        let refer = self.refer_id(A);
        self.with(A, a, |machine| assert!(machine.accept_refer(now, refer)));
        for &word in words {
            self.with(A, a, |machine| {
                machine.notify_refer(refer, word, word.reason())
            });
        }
    }

    fn refer_id(&self, at: usize) -> ReferId {
        let news = self.nodes[at].news.lock().unwrap();
        let id = news.iter().find_map(|notice| match notice {
            Notice::Refer { id, .. } => Some(*id),
            _ => None,
        });
        id.expect("a REFER has come")
    }
}

fn is_end(notice: &Notice) -> bool {
    matches!(notice, Notice::Ended(_))
}

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

//! Two phone cores, a line between them that loses, doubles and reorders, and a clock of their own.
//! Everything happens in the order of time and of one seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use refer_transfer::Target;
use rtp_media::sdp::{LocalMedia, Negotiated};
use sip_core::auth::{AuthConfig, Authenticator};
use sip_core::endpoint::{Body, Endpoint, Event, Flow, Input, OutgoingRequest, Output, Transport};
use sip_core::header::NameAddr;
use sip_core::message::Response;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;
use sip_core::testing::{Random, SeededEntropy, epoch};
use sip_core::uri::Uri;
use sip_transport::driver::Handler;

use super::super::builder::endpoint_config;
use super::super::core::{Arrival, CallId, Link, PhoneCore};
use super::super::gate::OpenGate;
use crate::call::action::Notice;
use crate::call::machine::CallSettings;
use crate::call::referred::ReferId;
use crate::call::voice::Voice;
use crate::call::{CallTimers, EndCause, TransferOrder};

type Shared<T> = Arc<Mutex<T>>;

/// A leg that writes down what it is told, and counts packets while its peer is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Scribe {
    pub(super) terms: Shared<Vec<Negotiated>>,
    packets: Arc<AtomicU64>,
    pub(super) silent: Arc<Mutex<bool>>,
    pub(super) stopped: Arc<Mutex<u32>>,
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

pub(super) struct Node {
    addr: SocketAddr,
    endpoint: Endpoint,
    pub(super) core: PhoneCore,
    pub(super) arrivals: Shared<Vec<CallId>>,
    pub(super) news: Shared<Vec<Notice>>,
    pub(super) scribe: Scribe,
    /// Everything that its endpoint has reported.
    pub(super) seen: Vec<Event>,
}

impl Node {
    pub(super) fn new(seed: u64, last: u8) -> Self {
        let arrivals: Shared<Vec<CallId>> = Shared::default();
        let news: Shared<Vec<Notice>> = Shared::default();
        let (into, from) = (Arc::clone(&arrivals), Arc::clone(&news));
        let door = Box::new(move |arrival: Arrival| {
            into.lock().unwrap().push(arrival.id);
            let news = Arc::clone(&from);
            let link = move |notice| news.lock().unwrap().push(notice);
            Some(Box::new(link) as Link)
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
            seen: Vec::new(),
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

    pub(super) fn told(&self, what: impl Fn(&Notice) -> bool) -> bool {
        self.news.lock().unwrap().iter().any(what)
    }
}

/// What the line does to a datagram.
#[derive(Copy, Clone)]
pub(super) struct Line {
    pub(super) loss: f64,
    pub(super) twice: f64,
    pub(super) jitter_ms: u64,
}

pub(super) const CLEAN: Line = Line {
    loss: 0.0,
    twice: 0.0,
    jitter_ms: 0,
};
pub(super) const BAD: Line = Line {
    loss: 0.2,
    twice: 0.05,
    jitter_ms: 120,
};

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) random: Random,
    pub(super) line: Line,
    pub(super) nodes: [Node; 2],
    wire: BTreeMap<(Instant, u64), (usize, Bytes)>,
    sent: u64,
    seed: u64,
    trace: bool,
}

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

impl World {
    pub(super) fn new(seed: u64, line: Line) -> Self {
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
                    let Node {
                        endpoint,
                        core,
                        seen,
                        ..
                    } = &mut self.nodes[at];
                    seen.push(event.clone());
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
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// The next thing that happens; false when nothing can.
    pub(super) fn step(&mut self) -> bool {
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

    pub(super) fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
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

    pub(super) fn with<R>(
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

    pub(super) fn dial(&mut self) -> CallId {
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

    pub(super) fn answer(&mut self, id: CallId) {
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

    /// B wants to answer and cannot, because of what the INVITE brought.
    pub(super) fn refuse_to_answer(&mut self, id: CallId) {
        let now = self.now;
        let local = self.nodes[B].local();
        let Node {
            endpoint,
            core,
            scribe,
            ..
        } = &mut self.nodes[B];
        let refused = core.answer(endpoint, now, id, local, Box::new(scribe.clone()));
        assert!(refused.is_err());
        self.drain(B);
    }

    /// A calls B, B rings and answers, both talk.
    pub(super) fn call(&mut self) -> (CallId, CallId) {
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

    /// Hands a datagram to a node, as if the other had sent it.
    pub(super) fn deliver(&mut self, to: usize, text: &str) {
        let flow = Flow {
            transport: Transport::Udp,
            local: self.nodes[to].addr,
            remote: self.nodes[1 - to].addr,
            connection: 0,
        };
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let input = Input::Received { flow, bytes };
        self.nodes[to].endpoint.handle_input(self.now, input);
        self.drain(to);
    }

    /// What is on the wire to a node and not delivered yet, the newest last.
    pub(super) fn on_the_wire(&self, to: usize) -> Vec<String> {
        let mine = self.wire.values().filter(|(at, _)| *at == to);
        mine.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    /// A request of A's endpoint inside its dialog, behind the back of A's phone: what B's phone
    /// answers.
    pub(super) fn ask(
        &mut self,
        method: Method,
        headers: &[(Name, &str)],
        body: Option<(&str, &str)>,
    ) -> Response {
        let dialog = self.nodes[A].seen.iter().find_map(|event| match event {
            Event::Final { dialog, .. } => *dialog,
            _ => None,
        });
        let dialog = dialog.expect("A has called");
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), (*value).to_owned()))
            .collect();
        let body = body.map(|(kind, text)| Body::new(kind, text.to_owned()));
        let tx = self.nodes[A]
            .endpoint
            .in_dialog(self.now, dialog, method, headers, body)
            .unwrap();
        self.drain(A);
        let answer = |world: &World| {
            world.nodes[A].seen.iter().find_map(|event| match event {
                Event::Final {
                    tx: of, response, ..
                } if *of == tx => Some(response.clone()),
                _ => None,
            })
        };
        self.until("the answer", |world| answer(world).is_some());
        answer(self).unwrap()
    }

    /// Lets everything run out and checks that nothing is left.
    pub(super) fn wind_up(&mut self) {
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

    pub(super) fn ending(&self, at: usize) -> EndCause {
        let news = self.nodes[at].news.lock().unwrap();
        let ending = news.iter().find_map(|notice| match notice {
            Notice::Ended(ending) => Some(ending.cause.clone()),
            _ => None,
        });
        ending.expect("the call has ended")
    }

    pub(super) fn outcome(&self, at: usize) -> refer_transfer::Outcome {
        let news = self.nodes[at].news.lock().unwrap();
        let outcome = news.iter().find_map(|notice| match notice {
            Notice::TransferDone(outcome) => Some(outcome.clone()),
            _ => None,
        });
        outcome.expect("the transfer is over")
    }

    /// B hands A over; A takes the REFER and says so, and then this.
    pub(super) fn transfer(&mut self, a: CallId, b: CallId, words: &[Status]) {
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

    pub(super) fn refer_id(&self, at: usize) -> ReferId {
        let news = self.nodes[at].news.lock().unwrap();
        let id = news.iter().find_map(|notice| match notice {
            Notice::Refer { id, .. } => Some(*id),
            _ => None,
        });
        id.expect("a REFER has come")
    }
}

pub(super) fn is_end(notice: &Notice) -> bool {
    matches!(notice, Notice::Ended(_))
}

//! Two endpoints and the links between them: pop the earliest of delivery and timeout, feed, drain.
//! The same seed gives the same bytes at the same times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Link, Random, SeededEntropy, WireRules, epoch};
use crate::endpoint::{Config, Endpoint, Event, Flow, Input, Output, Target, Transport};

/// One of the two nodes of a [`Pair`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// `pair.a`, at 192.0.2.1:5060.
    A,
    /// `pair.b`, at 192.0.2.2:5060.
    B,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The node's address.
    pub fn addr(self) -> SocketAddr {
        let last = match self {
            Self::A => 1,
            Self::B => 2,
        };
        SocketAddr::from(([192, 0, 2, last], 5060))
    }
}

/// An endpoint in a simulation.
#[derive(Debug)]
pub struct Node {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Events that nobody has taken yet.
    pub events: VecDeque<Event>,
}

/// One message that was sent, whether it arrived or not.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When, since the simulation began.
    pub at: Duration,
    /// By whom.
    pub from: Side,
    /// Over which flow, as the sender named it.
    pub flow: Flow,
    /// The message.
    pub bytes: Bytes,
    /// How many copies will arrive.
    pub copies: usize,
}

impl Sent {
    /// The first line.
    pub fn start_line(&self) -> String {
        let end = self
            .bytes
            .iter()
            .position(|byte| *byte == b'\r')
            .unwrap_or(self.bytes.len());
        String::from_utf8_lossy(self.bytes.get(..end).unwrap_or_default()).into_owned()
    }

    /// The method of a request, or the code of a response.
    pub fn kind(&self) -> String {
        let line = self.start_line();
        let mut words = line.split(' ');
        match words.next() {
            Some("SIP/2.0") => words.next().unwrap_or_default().to_owned(),
            Some(method) => method.to_owned(),
            None => String::new(),
        }
    }
}

/// Two endpoints that talk to each other through simulated links.
#[derive(Debug)]
pub struct Pair {
    /// The node at 192.0.2.1.
    pub a: Node,
    /// The node at 192.0.2.2.
    pub b: Node,
    /// The time.
    pub now: Instant,
    /// From A to B.
    pub a_to_b: Link,
    /// From B to A.
    pub b_to_a: Link,
    /// Every message sent so far.
    pub sent: Vec<Sent>,
    /// Checks each message as it is sent.
    pub rules: WireRules,
    /// What the resolver knows; other names have no address.
    pub names: BTreeMap<String, Vec<Target>>,
    random: Random,
    in_flight: BinaryHeap<Reverse<Delivery>>,
    serial: u64,
}

impl Pair {
    /// Two endpoints with default configuration on a local network.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Config::default(), Config::default())
    }

    /// Two endpoints with these configurations on a local network.
    pub fn with(seed: u64, a: Config, b: Config) -> Self {
        let mut random = Random::new(seed);
        let mut node = |config: Config, side: Side| {
            let entropy = SeededEntropy::new(random.next_u64());
            let mut endpoint = Endpoint::new(Arc::new(config), Box::new(entropy));
            endpoint.listening(&[(Transport::Udp, side.addr()), (Transport::Tcp, side.addr())]);
            Node {
                endpoint,
                events: VecDeque::new(),
            }
        };
        Self {
            a: node(a, Side::A),
            b: node(b, Side::B),
            now: epoch(),
            a_to_b: Link::lan(),
            b_to_a: Link::lan(),
            sent: Vec::new(),
            rules: WireRules::default(),
            names: BTreeMap::new(),
            random,
            in_flight: BinaryHeap::new(),
            serial: 0,
        }
    }

    /// The same pair with this link in both directions.
    pub fn link(mut self, link: Link) -> Self {
        self.a_to_b = link;
        self.b_to_a = link;
        self
    }

    /// The node of one side.
    pub fn node(&mut self, side: Side) -> &mut Node {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// How long the simulation has run.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(epoch())
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Instant> {
        let delivery = self.in_flight.peek().map(|Reverse(delivery)| delivery.at);
        let timeouts = [
            self.a.endpoint.poll_timeout(),
            self.b.endpoint.poll_timeout(),
        ];
        timeouts.into_iter().chain([delivery]).flatten().min()
    }

    /// Lets one thing happen, and gives the events that it causes to `application` as they come.
    /// False when nothing is left to happen.
    pub fn step_with(&mut self, application: &mut Application<'_>) -> bool {
        self.flush_with(application);
        let Some(next) = self.next() else {
            return false;
        };
        self.now = self.now.max(next);
        let due = self
            .in_flight
            .peek()
            .is_some_and(|Reverse(first)| first.at <= self.now);
        if let Some(Reverse(delivery)) = due.then(|| self.in_flight.pop()).flatten() {
            let now = self.now;
            let input = Input::Received {
                flow: delivery.flow,
                bytes: delivery.bytes,
            };
            self.node(delivery.to).endpoint.handle_input(now, input);
        } else {
            let now = self.now;
            self.a.endpoint.handle_input(now, Input::Timeout);
            self.b.endpoint.handle_input(now, Input::Timeout);
        }
        self.flush_with(application);
        true
    }

    /// Lets one thing happen; events are kept at their nodes.
    pub fn step(&mut self) -> bool {
        let mut kept = Vec::new();
        let more = self.step_with(&mut |side, _, _, event| kept.push((side, event)));
        self.keep(kept);
        more
    }

    /// Lets everything happen that is due within `time`; events are kept at their nodes.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.flush();
        while self.next().is_some_and(|next| next <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Lets everything happen until nothing is left; events go to `application` as they come.
    ///
    /// # Panics
    /// After a million steps: something keeps itself alive.
    pub fn drive_with(&mut self, application: &mut Application<'_>) {
        let settled = (0..1_000_000).any(|_| !self.step_with(application));
        assert!(
            settled,
            "the simulation does not settle: {:?}",
            self.a.endpoint.counts()
        );
    }

    /// Lets everything happen until nothing is left; events are kept at their nodes.
    pub fn drive(&mut self) {
        let mut kept = Vec::new();
        self.drive_with(&mut |side, _, _, event| kept.push((side, event)));
        self.keep(kept);
    }

    /// Sends what both endpoints want sent; events are kept at their nodes.
    pub fn flush(&mut self) {
        let mut kept = Vec::new();
        self.flush_with(&mut |side, _, _, event| kept.push((side, event)));
        self.keep(kept);
    }

    /// Sends what both endpoints want sent; events go to `application` as they come.
    pub fn flush_with(&mut self, application: &mut Application<'_>) {
        for side in [Side::A, Side::B] {
            while let Some(output) = self.node(side).endpoint.poll_output() {
                match output {
                    Output::Transmit { flow, bytes } => self.send(side, flow, bytes),
                    Output::Event(event) => {
                        let now = self.now;
                        application(side, &mut self.node(side).endpoint, now, event);
                    }
                    Output::Resolve(query) => {
                        let now = self.now;
                        let targets = self.names.get(&query.host).cloned().unwrap_or_default();
                        let input = Input::Resolved {
                            query: query.id,
                            targets,
                        };
                        self.node(side).endpoint.handle_input(now, input);
                    }
                }
            }
        }
    }

    /// Puts a message on the wire as if `from` had sent it.
    pub fn inject(&mut self, from: Side, bytes: impl Into<Bytes>) {
        let flow = Flow {
            transport: Transport::Udp,
            local: from.addr(),
            remote: from.other().addr(),
            connection: 0,
        };
        self.deliver(from, flow, bytes.into(), Duration::ZERO);
    }

    /// What was sent so far, one `A>INVITE` or `B>200` each.
    pub fn ladder(&self) -> Vec<String> {
        self.sent
            .iter()
            .map(|sent| format!("{:?}>{}", sent.from, sent.kind()))
            .collect()
    }

    /// What one side sent of one kind, and when.
    pub fn times(&self, from: Side, kind: &str) -> Vec<u128> {
        let of_kind = self
            .sent
            .iter()
            .filter(|sent| sent.from == from && sent.kind() == kind);
        of_kind.map(|sent| sent.at.as_millis()).collect()
    }

    /// Nothing is left, and the wire obeyed the rules.
    ///
    /// # Panics
    /// With what is left or was broken.
    pub fn assert_conserved(&self) {
        for (side, node) in [(Side::A, &self.a), (Side::B, &self.b)] {
            let counts = node.endpoint.counts();
            assert!(counts.is_zero(), "{side:?} still holds {counts:?}");
        }
        self.rules.assert_obeyed();
    }

    fn send(&mut self, from: Side, flow: Flow, bytes: Bytes) {
        let link = match from {
            Side::A => self.a_to_b,
            Side::B => self.b_to_a,
        };
        let times = match flow.transport {
            Transport::Udp => link.travel(&mut self.random),
            // A stream neither loses nor reorders.
            Transport::Tcp | Transport::Tls => vec![link.delay],
        };
        let arrives = !times.is_empty();
        self.rules.observe(from, &bytes, arrives);
        let at = self.elapsed();
        let copies = times.len();
        self.sent.push(Sent {
            at,
            from,
            flow,
            bytes: bytes.clone(),
            copies,
        });
        for time in times {
            self.deliver(from, flow, bytes.clone(), time);
        }
    }

    fn deliver(&mut self, from: Side, flow: Flow, bytes: Bytes, after: Duration) {
        // What is sent elsewhere than to the other node is lost.
        if flow.remote.ip() != from.other().addr().ip() {
            return;
        }
        let connection = u64::from(flow.transport.is_reliable());
        let arriving = Flow {
            transport: flow.transport,
            local: from.other().addr(),
            remote: from.addr(),
            connection,
        };
        self.serial += 1;
        self.in_flight.push(Reverse(Delivery {
            at: self.now + after,
            serial: self.serial,
            to: from.other(),
            flow: arriving,
            bytes,
        }));
    }

    fn keep(&mut self, events: Vec<(Side, Event)>) {
        for (side, event) in events {
            self.node(side).events.push_back(event);
        }
    }
}

/// What acts on events: which side, its endpoint, the time, the event.
pub type Application<'a> = dyn FnMut(Side, &mut Endpoint, Instant, Event) + 'a;

#[derive(Debug)]
struct Delivery {
    at: Instant,
    serial: u64,
    to: Side,
    flow: Flow,
    bytes: Bytes,
}

impl PartialEq for Delivery {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.serial) == (other.at, other.serial)
    }
}

impl Eq for Delivery {}

impl PartialOrd for Delivery {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delivery {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

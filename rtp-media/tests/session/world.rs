//! Two sessions and the network between them, in virtual time, from one seed.
//! The same seed gives the same bytes, so a failing run can be run again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp_media::codec::Codec;
use rtp_media::session::{Agreed, Channel, Session, SessionConfig, SessionEvent};

/// What a link does to packets.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub delay_ms: f64,
    /// Mean of an exponential delay on top; packets overtake each other by it.
    pub jitter_ms: f64,
    pub loss: f64,
    pub duplicate: f64,
}

pub const PERFECT: Link = Link {
    delay_ms: 20.0,
    jitter_ms: 0.0,
    loss: 0.0,
    duplicate: 0.0,
};

pub struct Node {
    pub session: Session,
    /// Where its RTP comes from as the other side sees it; RTCP comes from the next port.
    pub source: SocketAddr,
    pub events: Vec<(Duration, SessionEvent)>,
    /// RTP datagrams that it sent.
    pub sent: Vec<(Duration, Vec<u8>)>,
    /// Its clock: real time between two of its ticks.
    pub tick: Duration,
    next_tick: Instant,
    pub link: Link,
}

/// A packet on its way: to which node's which port, and from where as that node sees it.
type Flight = (usize, Channel, SocketAddr, Vec<u8>);

pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub nodes: [Node; 2],
    random: u64,
    /// By the time of arrival, then in the order of sending.
    flying: BTreeMap<(Instant, u64), Flight>,
    count: u64,
    /// Everything that was sent and heard, folded.
    pub digest: u64,
}

pub const A: usize = 0;
pub const B: usize = 1;

pub fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + node as u8], 4000))
}

pub fn config(peer: usize) -> SessionConfig {
    let agreed = Agreed::new(address(peer), Codec::Pcmu);
    let own = 1 - peer as u32;
    // Sequence numbers and timestamps soon wrap.
    SessionConfig::new(agreed, 0x1000 + own, 65_500, u32::MAX - 20_000)
}

impl World {
    pub fn new(seed: u64, link: Link) -> World {
        World::with(seed, link, config(B), config(A))
    }

    pub fn with(seed: u64, link: Link, a: SessionConfig, b: SessionConfig) -> World {
        let start = Instant::now();
        let node = |config, index: u64| Node {
            session: Session::new(start, config),
            source: address(index as usize),
            events: Vec::new(),
            sent: Vec::new(),
            tick: Duration::from_millis(20),
            next_tick: start + Duration::from_millis(7 * index),
            link,
        };
        World {
            start,
            now: start,
            nodes: [node(a, 0), node(b, 1)],
            random: seed,
            flying: BTreeMap::new(),
            count: 0,
            digest: seed,
        }
    }

    pub fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn run(&mut self, time: Duration) {
        self.run_with(time, |_| {});
    }

    /// Runs for `time`; `before_tick` is called before each tick of node A.
    pub fn run_with(&mut self, time: Duration, mut before_tick: impl FnMut(&mut World)) {
        let end = self.now + time;
        loop {
            let tick = if self.nodes[A].next_tick <= self.nodes[B].next_tick {
                A
            } else {
                B
            };
            let at = self.nodes[tick].next_tick;
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            if arrival.is_some_and(|arrival| arrival <= at && arrival < end) {
                let ((at, _), (to, channel, from, bytes)) = self.flying.pop_first().unwrap();
                self.now = at;
                let session = &mut self.nodes[to].session;
                match channel {
                    Channel::Rtp => session.receive(at, from, &bytes),
                    Channel::Rtcp => session.receive_rtcp(at, from, &bytes),
                }
                self.poll(to);
            } else if at < end {
                self.now = at;
                if tick == A {
                    before_tick(self);
                }
                self.tick(tick);
            } else {
                self.now = end;
                return;
            }
        }
    }

    fn tick(&mut self, index: usize) {
        let (now, since) = (self.now, self.now - self.start);
        let mut out = Vec::new();
        let node = &mut self.nodes[index];
        node.next_tick += node.tick;
        node.session.tick(now, &mut |datagram| {
            out.push((datagram.channel, datagram.to, datagram.bytes.to_vec()));
        });
        for (channel, to, bytes) in out {
            if channel == Channel::Rtp {
                self.nodes[index].sent.push((since, bytes.clone()));
            }
            self.fold(&bytes);
            self.send(index, channel, to, bytes);
        }
        self.poll(index);
    }

    /// Puts a packet of `from` on the way, if it goes to where the other node is.
    pub fn send(&mut self, from: usize, channel: Channel, to: SocketAddr, bytes: Vec<u8>) {
        let target = self.nodes[1 - from].source;
        let port = target.port() + u16::from(channel == Channel::Rtcp);
        if to != SocketAddr::new(target.ip(), port) {
            return;
        }
        let mut source = self.nodes[from].source;
        source.set_port(source.port() + u16::from(channel == Channel::Rtcp));
        let link = self.nodes[from].link;
        if self.random() < link.loss {
            return;
        }
        let copies = if self.random() < link.duplicate { 2 } else { 1 };
        for _ in 0..copies {
            let extra = -link.jitter_ms * (1.0 - self.random()).ln();
            let delay = Duration::from_secs_f64((link.delay_ms + extra) / 1000.0);
            self.count += 1;
            let place = (self.now + delay, self.count);
            self.flying
                .insert(place, (1 - from, channel, source, bytes.clone()));
        }
    }

    fn poll(&mut self, index: usize) {
        let since = self.now - self.start;
        while let Some(event) = self.nodes[index].session.poll_event() {
            if let SessionEvent::Heard(frame) = &event {
                let bytes: Vec<u8> = frame.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
                self.fold(&bytes);
            }
            self.nodes[index].events.push((since, event));
        }
    }

    fn fold(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Node {
    pub fn heard(&self) -> Vec<i16> {
        let frames = self.events.iter().filter_map(|(_, event)| match event {
            SessionEvent::Heard(frame) => Some(frame.samples.clone()),
            _ => None,
        });
        frames.flatten().collect()
    }

    pub fn digits(&self) -> String {
        let digits = self.events.iter().filter_map(|(_, event)| match event {
            SessionEvent::Digit { digit, .. } => Some(*digit),
            _ => None,
        });
        digits.collect()
    }

    /// All events but what was heard.
    pub fn news(&self) -> Vec<SessionEvent> {
        let events = self.events.iter().map(|(_, event)| event.clone());
        events
            .filter(|event| !matches!(event, SessionEvent::Heard(_)))
            .collect()
    }
}

/// A wandering voice-like tone, `count` samples long.
pub fn voice(count: usize) -> Vec<i16> {
    (0..count)
        .map(|n| {
            let t = n as f64 / 8000.0;
            let swell = (0.55 + 0.45 * (t * 9.0).sin()) * if t % 3.0 < 2.2 { 1.0 } else { 0.005 };
            let phase = t * 130.0 + (t * 2.0).sin();
            let sum: f64 = (1..7)
                .map(|k| (phase * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k))
                .sum();
            (sum * swell * 5000.0) as i16
        })
        .collect()
}

//! A shard: one thread that reads, ticks and writes all its legs. Nothing outside this folder
//! knows how packets are read and written.
//!
//! The thread sleeps in `poll` until a packet, a wake-up or the next tick. Ticks stand on an
//! absolute schedule of 20 ms, so a late one does not delay those after it. Each leg may read a
//! bounded number of packets between two ticks; what is beyond stays in the socket and is read
//! after the next one, or is dropped there by the system. A leg that panics takes down itself
//! only, a shard that panics closes its legs and starts anew.

mod leg;
mod socket;

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::sdp::Negotiated;
use crate::session::{Channel, Frame};
use leg::ServedLeg;
pub(super) use leg::{Lease, NewLeg};
pub(super) use socket::Sockets;

/// Which leg of the node: never given twice.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(pub usize);

/// What a shard is told.
#[derive(Debug)]
pub(super) enum Order {
    Open(Box<NewLeg>),
    Leg(Key, Command),
    Stop,
}

/// What one leg is told.
#[derive(Debug)]
pub(super) enum Command {
    Agree(Negotiated),
    Say(Frame),
    Mark(u64),
    Clear,
    Digits(String),
    Close,
}

/// The plane's end of a shard.
#[derive(Debug)]
pub(super) struct ShardHandle {
    pub orders: mpsc::Sender<Order>,
    pub waker: Arc<Waker>,
    /// How many legs it serves.
    pub load: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ShardHandle {
    pub fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "media shard cannot be woken");
        }
    }

    /// Asks the thread to close its legs and end.
    pub fn stop(&self) {
        if self.orders.send(Order::Stop).is_ok() {
            self.wake();
        }
    }

    /// Waits until it has.
    pub fn join(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("media shard ended in a panic");
        }
    }
}

/// Starts the thread of a shard.
pub(super) fn start(number: usize) -> io::Result<ShardHandle> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (sender, orders) = mpsc::channel();
    let shard = Shard {
        poll,
        orders,
        legs: HashMap::new(),
        next_tick: Instant::now(),
        buffer: vec![0; MAX_PACKET],
    };
    let thread = std::thread::Builder::new()
        .name(format!("media-{number}"))
        .spawn(move || shard.survive(number))?;
    Ok(ShardHandle {
        orders: sender,
        waker,
        load: Arc::new(AtomicUsize::new(0)),
        thread: Mutex::new(Some(thread)),
    })
}

struct Shard {
    poll: Poll,
    orders: mpsc::Receiver<Order>,
    legs: HashMap<usize, ServedLeg>,
    next_tick: Instant,
    buffer: Vec<u8>,
}

impl Shard {
    /// Runs until told to stop, through panics.
    fn survive(mut self, number: usize) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.run())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::error!(shard = number, %error, "media shard ended: poll failed");
                    return;
                }
                Err(panic) => {
                    let legs = self.legs.len();
                    let cause = panic_text(&*panic);
                    tracing::error!(
                        shard = number,
                        legs,
                        cause,
                        "media shard panicked: legs closed"
                    );
                    self.legs.clear();
                }
            }
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(MAX_EVENTS);
        loop {
            // Without legs there is nothing to be on time for.
            let until_tick = self.next_tick.saturating_duration_since(Instant::now());
            let timeout = (!self.legs.is_empty()).then_some(until_tick);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = Instant::now();
            let mut woken = false;
            for event in &events {
                match event.token() {
                    WAKE => woken = true,
                    token => self.readable(now, token),
                }
            }
            let due = !self.legs.is_empty() && now >= self.next_tick;
            if (woken || due) && self.obey(now).is_break() {
                self.stop(now);
                return Ok(());
            }
            if due {
                self.ticks(now);
            }
        }
    }

    /// Carries out what was ordered since the last time.
    fn obey(&mut self, now: Instant) -> ControlFlow<()> {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Open(new) => self.open(now, *new),
                Order::Leg(key, Command::Close) => {
                    self.guarded(key.0, |leg, _| leg.close(now));
                    self.legs.remove(&key.0);
                }
                Order::Leg(key, command) => self.guarded(key.0, |leg, _| leg.command(now, command)),
                Order::Stop => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    fn open(&mut self, now: Instant, new: NewLeg) {
        if self.legs.is_empty() {
            self.next_tick = now + TICK;
        }
        let key = new.key;
        let mut leg = ServedLeg::new(new);
        match leg.register(self.poll.registry(), key) {
            Ok(()) => drop(self.legs.insert(key.0, leg)),
            // Its lease tells the owner.
            Err(error) => tracing::error!(leg = key.0, %error, "leg cannot be polled: closed"),
        }
    }

    fn readable(&mut self, now: Instant, token: Token) {
        let channel = if token.0.is_multiple_of(2) {
            Channel::Rtp
        } else {
            Channel::Rtcp
        };
        self.guarded(token.0 / 2, |leg, buffer| leg.read(now, channel, buffer));
    }

    /// All ticks that are due. After a pause of the whole machine the missed ones are skipped.
    fn ticks(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.next_tick);
        if late > MAX_LATE {
            tracing::warn!(
                late_ms = late.as_millis(),
                legs = self.legs.len(),
                "media ticks skipped"
            );
            self.next_tick = now;
        }
        while self.next_tick <= now {
            self.next_tick += TICK;
            let buffer = &mut self.buffer;
            self.legs
                .retain(|key, leg| survives(*key, || leg.tick(now, buffer)));
        }
    }

    fn stop(&mut self, now: Instant) {
        for (key, mut leg) in self.legs.drain() {
            survives(key, || leg.close(now));
        }
    }

    /// Does something with a leg, if it is there; a panic ends this leg and no other.
    fn guarded(&mut self, key: usize, work: impl FnOnce(&mut ServedLeg, &mut [u8])) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let buffer = &mut self.buffer;
        if !survives(key, || work(leg, buffer)) {
            self.legs.remove(&key);
        }
    }
}

/// Whether work on a leg comes to its end; if not, the leg is beyond use.
fn survives(key: usize, work: impl FnOnce()) -> bool {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else {
        return true;
    };
    let cause = panic_text(&*panic);
    tracing::error!(leg = key, cause, "media leg panicked: closed");
    false
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
}

/// One frame of audio.
const TICK: Duration = Duration::from_millis(20);
/// A tick later than this was held up by the machine; catching up would only make noise.
const MAX_LATE: Duration = Duration::from_millis(200);
/// The largest datagram that is read whole.
const MAX_PACKET: usize = 2048;
/// Readiness events fetched at a time.
const MAX_EVENTS: usize = 1024;
/// The token of wake-ups; legs have twice their key, and one more for RTCP.
const WAKE: Token = Token(usize::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{IpAddr, Ipv4Addr};

    use crate::net::events::{LegEvent, LegEvents};
    use crate::net::leg::Shared;
    use crate::net::ports::Ports;

    /// A shard without its thread, with legs on free ports.
    fn shard() -> (Shard, Arc<Mutex<Ports>>) {
        let (_, orders) = mpsc::channel();
        let shard = Shard {
            poll: Poll::new().unwrap(),
            orders,
            legs: HashMap::new(),
            next_tick: Instant::now(),
            buffer: vec![0; MAX_PACKET],
        };
        let ports = Ports::new(20_000..=29_999, Duration::ZERO, 1).unwrap();
        (shard, Arc::new(Mutex::new(ports)))
    }

    fn open(shard: &mut Shard, ports: &Arc<Mutex<Ports>>, key: usize) -> LegEvents {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let free = |port| Sockets::bind(ip, port).ok().map(|sockets| (port, sockets));
        let port = || ports.lock().unwrap().take(Instant::now());
        let (port, sockets) = std::iter::from_fn(port).find_map(free).unwrap();
        let shared = Arc::new(Shared::default());
        let events = LegEvents::new(Arc::clone(&shared.queue));
        let lease = Lease {
            ports: Arc::clone(ports),
            port,
            load: Arc::new(AtomicUsize::new(1)),
            shared,
        };
        let new = NewLeg {
            key: Key(key),
            sockets,
            lease,
            entropy: [0; 18],
        };
        shard.open(Instant::now(), new);
        events
    }

    #[test]
    fn a_leg_that_panics_is_closed_alone() {
        let (mut shard, ports) = shard();
        let mut fallen = open(&mut shard, &ports, 1);
        let mut other = open(&mut shard, &ports, 2);
        shard.guarded(1, |_, _| panic!("a fault of this leg"));
        assert!(matches!(fallen.try_recv(), Some(LegEvent::Closed(_))));
        assert_eq!(other.try_recv(), None);
        shard.ticks(shard.next_tick);
        assert_eq!(shard.legs.len(), 1);
    }

    #[test]
    fn ticks_stand_on_their_schedule_and_a_long_pause_is_skipped() {
        let (mut shard, ports) = shard();
        let _events = open(&mut shard, &ports, 1);
        let first = shard.next_tick;
        let ticks = |shard: &Shard| shard.legs[&1].ticks();
        shard.ticks(first + TICK / 2);
        assert_eq!(
            (ticks(&shard), shard.next_tick),
            (1, first + TICK),
            "late and not moved"
        );
        shard.ticks(first + TICK * 3);
        assert_eq!(
            (ticks(&shard), shard.next_tick),
            (4, first + TICK * 4),
            "caught up"
        );
        let later = first + Duration::from_secs(5);
        shard.ticks(later);
        assert_eq!(
            (ticks(&shard), shard.next_tick),
            (5, later + TICK),
            "skipped"
        );
    }
}

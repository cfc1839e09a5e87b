//! A shard: one thread that reads, ticks and writes all its legs. The only file that knows how
//! packets are read and written.
//!
//! The thread sleeps in `poll` until a packet, a wake-up or the next tick. Ticks stand on an
//! absolute schedule of 20 ms, so a late one does not delay those after it. Each leg may read a
//! bounded number of packets between two ticks; what is beyond stays in the socket and is read
//! after the next one, or is dropped there by the system. A leg that panics takes down itself
//! only, a shard that panics closes its legs and starts anew.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::events::LegEvent;
use super::leg::Shared;
use super::ports::Ports;
use crate::sdp::Negotiated;
use crate::session::{Channel, Datagram, Frame, Session, SessionConfig};

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

/// A leg on its way to its shard.
#[derive(Debug)]
pub(super) struct NewLeg {
    pub key: Key,
    // The sockets stand before the lease: they are closed before the ports are given back.
    pub sockets: Sockets,
    pub lease: Lease,
    /// For the stream's identifiers: SSRC, first timestamp, first sequence number, CNAME.
    pub entropy: [u8; 18],
    pub playout_limit: Duration,
}

/// A leg's claim on its ports and on its place in a shard. Dropping it, wherever that happens,
/// puts the ports to rest and tells the owner that the leg is closed.
#[derive(Debug)]
pub(super) struct Lease {
    pub ports: Arc<Mutex<Ports>>,
    pub port: u16,
    pub load: Arc<AtomicUsize>,
    pub shared: Arc<Shared>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.release(self.port, Instant::now());
        drop(ports);
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.shared.queue.close();
    }
}

/// The two sockets of a leg.
#[derive(Debug)]
pub(super) struct Sockets {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Sockets {
    /// Binds `port` and the one after it.
    pub fn bind(ip: IpAddr, port: u16) -> io::Result<Sockets> {
        Ok(Sockets {
            rtp: bind(SocketAddr::new(ip, port))?,
            rtcp: bind(SocketAddr::new(ip, port.saturating_add(1)))?,
        })
    }

    fn of(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    // Marked for routers as voice; where the system forbids it, calls work all the same.
    let marked = if addr.is_ipv4() {
        socket.set_tos_v4(EXPEDITED)
    } else {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(EXPEDITED)
    };
    if let Err(error) = marked {
        tracing::debug!(%error, "rtp packets go unmarked");
    }
    socket.bind(&addr.into())?;
    Ok(UdpSocket::from_std(socket.into()))
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
    fn obey(&mut self, now: Instant) -> std::ops::ControlFlow<()> {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Open(new) => self.open(now, *new),
                Order::Leg(key, Command::Close) => {
                    self.guarded(key.0, |leg, _| leg.close(now));
                    self.legs.remove(&key.0);
                }
                Order::Leg(key, command) => self.guarded(key.0, |leg, _| leg.command(now, command)),
                Order::Stop => return std::ops::ControlFlow::Break(()),
            }
        }
        std::ops::ControlFlow::Continue(())
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
        let channel = if token.0 % 2 == 0 {
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
            let keys: Vec<usize> = self.legs.keys().copied().collect();
            for key in keys {
                self.guarded(key, |leg, buffer| leg.tick(now, buffer));
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        for leg in self.legs.values_mut() {
            leg.close(now);
        }
        self.legs.clear();
    }

    /// Does something with a leg, if it is there; a panic ends this leg and no other.
    fn guarded(&mut self, key: usize, work: impl FnOnce(&mut ServedLeg, &mut [u8])) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let buffer = &mut self.buffer;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(leg, buffer))) {
            let cause = panic_text(&*panic);
            tracing::error!(leg = key, cause, "media leg panicked: closed");
            self.legs.remove(&key);
        }
    }
}

/// A leg as its shard sees it.
struct ServedLeg {
    sockets: Sockets,
    lease: Lease,
    session: Option<Session>,
    /// What was asked for before anything was negotiated.
    early: Vec<Command>,
    entropy: [u8; 18],
    playout_limit: Duration,
    /// Audio taken from the owner since the start.
    taken: Duration,
    /// Packets that may still be read before the next tick.
    budget: u32,
    /// Sockets that had more than the budget allowed.
    unread: [bool; 2],
    ticks: u32,
    unsent: u64,
}

impl ServedLeg {
    fn new(new: NewLeg) -> Self {
        Self {
            sockets: new.sockets,
            lease: new.lease,
            session: None,
            early: Vec::new(),
            entropy: new.entropy,
            playout_limit: new.playout_limit,
            taken: Duration::ZERO,
            budget: READ_BUDGET,
            unread: [false; 2],
            ticks: 0,
            unsent: 0,
        }
    }

    fn register(&mut self, registry: &mio::Registry, key: Key) -> io::Result<()> {
        let token = |channel| Token(key.0 * 2 + channel);
        registry.register(&mut self.sockets.rtp, token(0), Interest::READABLE)?;
        registry.register(&mut self.sockets.rtcp, token(1), Interest::READABLE)
    }

    fn command(&mut self, now: Instant, command: Command) {
        let Some(session) = &mut self.session else {
            return self.before_start(now, command);
        };
        match command {
            Command::Agree(negotiated) => session.update(now, negotiated.into()),
            Command::Say(frame) => {
                self.taken += frame.duration();
                if let Err(error) = session.say(frame) {
                    tracing::warn!(port = self.lease.port, %error, "audio refused");
                }
            }
            Command::Mark(id) => {
                if let Err(error) = session.mark(id) {
                    tracing::warn!(port = self.lease.port, %error, "mark refused");
                    let cleared = std::iter::once(LegEvent::MarkCleared(id));
                    self.lease.shared.queue.push(cleared, None);
                }
            }
            Command::Clear => session.clear(),
            Command::Digits(digits) => {
                if let Err(error) = session.send_digits(&digits) {
                    tracing::warn!(port = self.lease.port, %error, "digits refused");
                }
            }
            Command::Close => {}
        }
    }

    fn before_start(&mut self, now: Instant, command: Command) {
        let Command::Agree(negotiated) = command else {
            if self.early.len() < MAX_EARLY {
                self.early.push(command);
            }
            return;
        };
        let [a, b, c, d, e, f, g, h, i, j, cname @ ..] = self.entropy;
        let mut config = SessionConfig::new(
            negotiated.into(),
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([e, f]),
            u32::from_be_bytes([g, h, i, j]),
        );
        // A name for this call alone and random (RFC 7022 section 4.2): it tells nothing of us.
        config.cname = format!("{:016x}", u64::from_be_bytes(cname));
        // The leg has the say; the session's own bound must never be met first.
        config.playout_limit = self.playout_limit + TICK;
        self.session = Some(Session::new(now, config));
        for command in std::mem::take(&mut self.early) {
            self.command(now, command);
        }
    }

    fn read(&mut self, now: Instant, channel: Channel, buffer: &mut [u8]) {
        loop {
            if self.budget == 0 {
                self.unread[usize::from(channel == Channel::Rtcp)] = true;
                return;
            }
            self.budget -= 1;
            let (length, from) = match self.sockets.of(channel).recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An error of an earlier packet; it says nothing about the next one.
                Err(error) => {
                    tracing::debug!(port = self.lease.port, %error, "rtp read");
                    continue;
                }
            };
            // Before the start packets are read all the same: stale ones must not pile up.
            if let (Some(session), Some(packet)) = (&mut self.session, buffer.get(..length)) {
                match channel {
                    Channel::Rtp => session.receive(now, from, packet),
                    Channel::Rtcp => session.receive_rtcp(now, from, packet),
                }
            }
        }
    }

    fn tick(&mut self, now: Instant, buffer: &mut [u8]) {
        self.budget = READ_BUDGET;
        for channel in [Channel::Rtp, Channel::Rtcp] {
            let unread = &mut self.unread[usize::from(channel == Channel::Rtcp)];
            if std::mem::take(unread) {
                self.read(now, channel, buffer);
            }
        }
        let Some(session) = &mut self.session else {
            return;
        };
        session.tick(now, &mut sender(&self.sockets, &mut self.unsent));
        let shared = &self.lease.shared;
        shared.progress(self.taken, session.queued());
        self.ticks = self.ticks.wrapping_add(1);
        let fresh = (self.ticks % STATS_TICKS == 0).then(|| session.stats());
        let events = std::iter::from_fn(|| session.poll_event()).map(LegEvent::of);
        shared.queue.push(events, fresh);
    }

    /// Says goodbye and leaves the last word. What remains is done by dropping it.
    fn close(&mut self, now: Instant) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.close(now, &mut sender(&self.sockets, &mut self.unsent));
        if self.unsent > 0 {
            tracing::warn!(
                port = self.lease.port,
                unsent = self.unsent,
                "rtp packets not sent"
            );
        }
        let stats = session.stats();
        let events = std::iter::from_fn(|| session.poll_event()).map(LegEvent::of);
        self.lease.shared.queue.push(events, Some(stats));
    }
}

/// Writes packets of a session; what the system does not take is lost, as on any network.
fn sender<'a>(sockets: &'a Sockets, unsent: &'a mut u64) -> impl FnMut(Datagram<'_>) + 'a {
    |datagram| {
        let socket = sockets.of(datagram.channel);
        if let Err(error) = socket.send_to(datagram.bytes, datagram.to) {
            if *unsent == 0 {
                tracing::warn!(to = %datagram.to, %error, "rtp packet not sent");
            }
            *unsent += 1;
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
}

/// One frame of audio.
const TICK: Duration = Duration::from_millis(20);
/// A tick later than this was held up by the machine; catching up would only make noise.
const MAX_LATE: Duration = Duration::from_millis(200);
/// Packets that one leg may read in one tick: one each of RTP and RTCP is usual.
const READ_BUDGET: u32 = 64;
/// Ticks between two snapshots of a leg's counts: 100 ms.
const STATS_TICKS: u32 = 5;
/// Commands that may wait for the start.
const MAX_EARLY: usize = 4096;
/// The largest datagram that is read whole.
const MAX_PACKET: usize = 2048;
/// Readiness events fetched at a time.
const MAX_EVENTS: usize = 1024;
/// Expedited forwarding, DSCP 46 (RFC 3246), in the place of the former type of service.
const EXPEDITED: u32 = 46 << 2;
/// The token of wake-ups; legs have twice their key, and one more for RTCP.
const WAKE: Token = Token(usize::MAX);

//! One call's media without I/O: RTP and RTCP of one stream in each direction.
//! Time comes in as an argument, packets and events go out.

mod config;
mod digits_in;
mod digits_out;
mod event;
mod hearing;
mod latch;
mod playout;
mod reports;
mod speaking;
mod stats;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use config::{Agreed, SessionConfig};
pub use event::{Channel, Datagram, DigitError, Frame, SayError, SessionEvent};
pub use stats::Stats;

use crate::codec::Codec;
use crate::packet::{RtpPacket, TelephoneEvent, is_rtcp};
use digits_in::{DigitsIn, Report};
use hearing::Hearing;
use latch::{Latch, Source};
use reports::Reports;
use speaking::{Progress, Speaking};

/// One call's media.
///
/// Its owner hands in what the two ports receive ([`receive`], [`receive_rtcp`]), calls [`tick`]
/// every 20 ms and sends the datagrams that come out of it, and fetches events with
/// [`poll_event`] after each of these until there are none. All calls take the time; it must not
/// go back. Nothing here waits, and nothing that a peer sends makes it grow without bound.
///
/// ```
/// use std::time::{Duration, Instant};
/// use rtp_media::codec::Codec;
/// use rtp_media::session::{Agreed, Frame, Session, SessionConfig, SessionEvent};
///
/// let mut now = Instant::now();
/// let agreed = Agreed::new("192.0.2.1:4000".parse().unwrap(), Codec::Pcmu);
/// let mut session = Session::new(now, SessionConfig::new(agreed, 0x1234_5678, 1, 0));
/// session.say(Frame::silence(Duration::from_millis(40), 8000)).unwrap();
/// session.mark(7).unwrap();
/// let mut sent = 0;
/// for _ in 0..3 {
///     session.tick(now, &mut |datagram| sent += datagram.bytes.len());
///     now += Duration::from_millis(20);
/// }
/// assert_eq!(sent, 3 * 172);
/// assert_eq!(session.poll_event(), Some(SessionEvent::MarkReached(7)));
/// assert_eq!(session.poll_event(), Some(SessionEvent::PlayedOut));
/// ```
///
/// [`receive`]: Session::receive
/// [`receive_rtcp`]: Session::receive_rtcp
/// [`tick`]: Session::tick
/// [`poll_event`]: Session::poll_event
#[derive(Debug)]
pub struct Session {
    agreed: Agreed,
    no_audio_after: Duration,
    latch: Latch,
    /// Where the peer's RTCP was last seen to come from.
    rtcp_from: Option<SocketAddr>,
    hearing: Hearing,
    speaking: Speaking,
    digits_in: DigitsIn,
    reports: Reports,
    events: VecDeque<SessionEvent>,
    /// When RTP last came, or was first expected.
    last_rtp: Instant,
    last_tick: Instant,
    told_no_audio: bool,
    closed: bool,
    malformed: u64,
    foreign: u64,
    digits_heard: u64,
    dropped_frames: u64,
}

impl Session {
    /// A session that starts at `now`. Nothing is sent before the first tick.
    pub fn new(now: Instant, config: SessionConfig) -> Session {
        Session {
            no_audio_after: config.no_audio_after,
            latch: Latch::new(config.agreed.remote),
            rtcp_from: None,
            hearing: Hearing::new(now, config.agreed.codec, config.jitter),
            speaking: Speaking::new(&config),
            digits_in: DigitsIn::default(),
            reports: Reports::new(now, config.ssrc, config.cname, config.rtcp_interval),
            agreed: config.agreed,
            events: VecDeque::new(),
            last_rtp: now,
            last_tick: now,
            told_no_audio: false,
            closed: false,
            malformed: 0,
            foreign: 0,
            digits_heard: 0,
            dropped_frames: 0,
        }
    }

    /// Takes a new agreement (re-INVITE, UPDATE): its address counts at once, and the source may
    /// latch anew. What is queued stays queued.
    pub fn update(&mut self, now: Instant, agreed: Agreed) {
        self.latch.update(self.agreed.remote, agreed.remote);
        if self.agreed.remote != agreed.remote || self.agreed.remote_rtcp != agreed.remote_rtcp {
            self.rtcp_from = None;
        }
        if agreed.receive && !self.agreed.receive {
            self.last_rtp = now;
        }
        self.agreed = agreed;
    }

    /// A datagram from the RTP port. RTCP that comes here (RFC 5761) is told apart.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            return self.receive_rtcp(now, from, bytes);
        }
        let Ok(packet) = RtpPacket::parse(bytes) else {
            self.malformed += 1;
            return;
        };
        let Some(content) = self.content(&packet) else {
            self.malformed += 1;
            return;
        };
        match self.latch.judge(from, packet.ssrc, packet.sequence) {
            Source::Foreign => {
                self.foreign += 1;
                return;
            }
            Source::Latched => self.push(SessionEvent::LatchedTo(from)),
            Source::Peer => {}
        }
        self.last_rtp = now;
        if std::mem::take(&mut self.told_no_audio) {
            self.push(SessionEvent::AudioBack);
        }
        match content {
            Content::Audio(codec) => self.hearing.audio(now, &packet, codec),
            Content::ComfortNoise => self.hearing.no_audio(now, &packet),
            Content::Event(event) => {
                self.hearing.no_audio(now, &packet);
                let RtpPacket {
                    ssrc,
                    timestamp,
                    marker,
                    ..
                } = packet;
                let report = Report {
                    ssrc,
                    timestamp,
                    marker,
                    event,
                };
                let mut told = Told::default();
                self.digits_in
                    .receive(now, report, &mut |digit, length| told.add(digit, length));
                self.tell_digits(told);
            }
        }
    }

    /// What a packet carries, by its payload type.
    fn content(&self, packet: &RtpPacket<'_>) -> Option<Content> {
        let kind = packet.payload_type;
        if Some(kind) == self.agreed.telephone_event_in || Some(kind) == self.agreed.telephone_event
        {
            return TelephoneEvent::parse(packet.payload).map(Content::Event);
        }
        if kind == COMFORT_NOISE {
            return Some(Content::ComfortNoise);
        }
        if packet.payload.is_empty() || packet.payload.len() > MAX_PAYLOAD {
            return None;
        }
        if kind == self.agreed.payload_type {
            return Some(Content::Audio(self.agreed.codec));
        }
        // A peer may change among static types without a word (RFC 3551 section 3).
        Codec::from_payload_type(kind).map(Content::Audio)
    }

    /// A datagram from the RTCP port.
    pub fn receive_rtcp(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        // Ports of RTCP are not latched one by one: the host must be the peer's.
        let host = from.ip();
        if host != self.latch.current().ip() && host != self.agreed.remote_rtcp.ip() {
            self.foreign += 1;
            return;
        }
        match self.reports.receive(now, bytes, self.hearing.ssrc()) {
            Some(left) => {
                self.rtcp_from = Some(from);
                if left {
                    self.hearing.leave();
                }
            }
            None => self.malformed += 1,
        }
    }

    /// To be called every 20 ms. Packets to send go to `send`.
    pub fn tick(&mut self, now: Instant, send: &mut impl FnMut(Datagram<'_>)) {
        if self.closed {
            return;
        }
        self.last_tick = now;
        self.hear(now);
        let to = self.latch.current();
        let events = &mut self.events;
        self.speaking.tick(
            &self.agreed,
            &mut |bytes| {
                send(Datagram {
                    channel: Channel::Rtp,
                    to,
                    bytes,
                })
            },
            &mut |progress| {
                events.push_back(match progress {
                    Progress::Reached(id) => SessionEvent::MarkReached(id),
                    Progress::PlayedOut => SessionEvent::PlayedOut,
                });
            },
        );
        let (channel, to) = self.rtcp_target();
        if let Some(bytes) = self.reports.due(now, &mut self.hearing, &self.speaking) {
            send(Datagram { channel, to, bytes });
        }
    }

    fn hear(&mut self, now: Instant) {
        let mut told = Told::default();
        self.digits_in
            .tick(now, &mut |digit, length| told.add(digit, length));
        self.tell_digits(told);
        if !self.agreed.receive {
            return;
        }
        if let Some((samples, timestamp)) = self.hearing.frame(now) {
            let rate = self.agreed.codec.sample_rate();
            if self.events.len() < MAX_FRAMES {
                self.events.push_back(SessionEvent::Heard(Frame {
                    samples,
                    rate,
                    timestamp,
                }));
            } else {
                self.dropped_frames += 1;
            }
        }
        let since = now.saturating_duration_since(self.last_rtp);
        if since >= self.no_audio_after && !self.told_no_audio {
            self.told_no_audio = true;
            self.push(SessionEvent::NoAudio { since });
        }
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Queues audio to be sent after what is queued already; other rates are converted.
    pub fn say(&mut self, frame: Frame) -> Result<(), SayError> {
        if self.closed {
            return Err(SayError::Closed);
        }
        self.speaking.playout.say(frame)
    }

    /// Queues a mark: it is reached when all audio that was queued before it has been sent.
    /// Each mark is told exactly once, as reached or as cleared.
    pub fn mark(&mut self, id: u64) -> Result<(), SayError> {
        if self.closed {
            return Err(SayError::Closed);
        }
        self.speaking.playout.mark(id)
    }

    /// Drops the audio that is queued; the marks in it are told as cleared.
    pub fn clear(&mut self) {
        let cleared = self.speaking.clear();
        self.events.extend(cleared.map(SessionEvent::MarkCleared));
    }

    /// How long what is queued will sound.
    pub fn queued(&self) -> Duration {
        self.speaking.playout.duration()
    }

    /// Presses keys (`0`–`9`, `*`, `#`, `A`–`D`; `w` waits half a second) one after the other.
    /// Meanwhile queued audio waits.
    pub fn send_digits(&mut self, digits: &str) -> Result<(), DigitError> {
        if self.closed {
            return Err(DigitError::Closed);
        }
        self.speaking.digits.queue(digits)
    }

    /// Time since RTP last came from the peer, or since it was first expected.
    pub fn silent_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_rtp)
    }

    /// Counts so far.
    pub fn stats(&self) -> Stats {
        let (heard, said) = (self.hearing.counts(), self.speaking.counts());
        let peer = self.reports.heard();
        let rate = self.agreed.codec.clock_rate();
        Stats {
            packets_in: heard.packets,
            packets_out: said.packets,
            bytes_in: heard.bytes,
            bytes_out: said.bytes,
            lost: heard.lost,
            late: heard.late,
            duplicates: heard.duplicates,
            reordered: heard.reordered,
            malformed: self.malformed,
            foreign: self.foreign,
            concealed_ms: heard.concealed * 1000 / u64::from(rate),
            dropped_frames: self.dropped_frames,
            jitter_ms: self.hearing.jitter_ms(),
            delay_ms: self.hearing.delay(self.last_tick).as_secs_f32() * 1000.0,
            remote: Some(self.latch.current()),
            latched: self.latch.is_locked(),
            rtt: peer.rtt,
            peer_loss: peer.loss,
            peer_lost: peer.lost,
            peer_jitter_ms: peer.jitter.map(|units| units as f32 * 1000.0 / rate as f32),
            digits_in: self.digits_heard,
            digits_out: said.digits,
            codec: Some(self.agreed.codec),
        }
    }

    /// Ends the session: what waits is dropped, its marks are told as cleared, and an RTCP BYE
    /// goes out if the peer ever heard of us. Ticks do nothing from now on.
    pub fn close(&mut self, now: Instant, send: &mut impl FnMut(Datagram<'_>)) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.clear();
        let (channel, to) = self.rtcp_target();
        if let Some(bytes) = self.reports.goodbye(now, &mut self.hearing, &self.speaking) {
            send(Datagram { channel, to, bytes });
        }
    }

    fn rtcp_target(&self) -> (Channel, SocketAddr) {
        let rtp = self.latch.current();
        if self.agreed.rtcp_mux {
            return (Channel::Rtp, rtp);
        }
        let told = self.agreed.remote_rtcp;
        let next_port = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        let latched = if rtp == self.agreed.remote {
            told
        } else {
            next_port
        };
        (Channel::Rtcp, self.rtcp_from.unwrap_or(latched))
    }

    fn tell_digits(&mut self, told: Told) {
        let rate = self.agreed.codec.clock_rate();
        for (digit, length) in told.0.into_iter().flatten() {
            self.digits_heard += 1;
            let duration_ms = u64::from(length) * 1000 / u64::from(rate);
            let duration_ms = u16::try_from(duration_ms).unwrap_or(u16::MAX);
            self.push(SessionEvent::Digit { digit, duration_ms });
        }
    }

    /// Adds an event that a peer caused; an owner that never polls does not make it pile up.
    fn push(&mut self, event: SessionEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }
}

enum Content {
    Audio(Codec),
    Event(TelephoneEvent),
    ComfortNoise,
}

/// Keys told at once: the one that is over by a packet of the next, and the next.
#[derive(Default)]
struct Told([Option<(char, u32)>; 2]);

impl Told {
    fn add(&mut self, digit: char, length: u32) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((digit, length));
        }
    }
}

/// RFC 3389; its static payload type in RFC 3551 table 4.
const COMFORT_NOISE: u8 = 13;
/// 160 ms of G.711: nobody sends longer packets, and a datagram could hold 60 kB.
const MAX_PAYLOAD: usize = 1280;
/// Events that may wait to be polled: frames stop being added far earlier than the rest.
const MAX_FRAMES: usize = 64;
const MAX_EVENTS: usize = 1024;

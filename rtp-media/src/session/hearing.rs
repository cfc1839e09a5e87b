//! The receiving half of a session: from RTP packets to an unbroken stream of 20 ms frames.
//! Packets wait in the jitter buffer, are decoded when due, concealed when lost, and stretched
//! unheard when the delay has to change.

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::conceal::{Concealer, Stretch, lengthen, shorten};
use crate::jitter::{Inserted, JitterBuffer, JitterConfig, Next};
use crate::packet::{ReportBlock, RtpPacket};
use crate::quality::{Placed, Reception};

/// What is heard of one peer, over all sources that it sends from.
#[derive(Debug)]
pub(super) struct Hearing {
    start: Instant,
    source: Option<Source>,
    /// A source that would replace the present one, and its next sequence number.
    challenger: Option<(u32, u16)>,
    jitter: JitterBuffer,
    concealer: Concealer,
    /// Decoded audio that is not heard yet.
    held: Vec<i16>,
    piece: Vec<i16>,
    rate: u32,
    /// Samples heard so far.
    position: u32,
    /// Ticks until the audio may be stretched again.
    rest: u32,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Source {
    ssrc: u32,
    reception: Reception,
}

/// Counts over all sources.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Counts {
    pub packets: u64,
    pub bytes: u64,
    pub lost: u64,
    pub late: u64,
    pub duplicates: u64,
    pub reordered: u64,
    /// In samples.
    pub concealed: u64,
}

impl Hearing {
    pub fn new(now: Instant, codec: Codec, config: JitterConfig) -> Hearing {
        let rate = codec.sample_rate();
        Hearing {
            start: now,
            source: None,
            challenger: None,
            jitter: JitterBuffer::new(now, codec.clock_rate(), config),
            concealer: Concealer::new(rate),
            held: Vec::with_capacity(rate as usize / 10),
            piece: Vec::with_capacity(rate as usize / 50),
            rate,
            position: 0,
            rest: 0,
            counts: Counts::default(),
        }
    }

    /// Takes an audio packet of the peer.
    pub fn audio(&mut self, now: Instant, packet: &RtpPacket<'_>, codec: Codec) {
        if !self.admit(packet) {
            return;
        }
        let Some(sequence) = self.place(packet.sequence) else {
            return;
        };
        let since = now.saturating_duration_since(self.start);
        let arrival = since.as_nanos() * u128::from(codec.clock_rate()) / 1_000_000_000;
        if let Some(source) = &mut self.source {
            source.reception.timed(arrival as u32, packet.timestamp);
        }
        let duration = codec.duration(packet.payload.len());
        let (kind, payload) = (packet.payload_type, packet.payload);
        match self
            .jitter
            .insert(now, sequence, packet.timestamp, duration, kind, payload)
        {
            Inserted::Late => self.counts.late += 1,
            Inserted::Queued | Inserted::Duplicate | Inserted::Suspect => {}
        }
    }

    /// Takes a packet of the peer that says that it sends no audio for a while: a
    /// telephone-event, or comfort noise (RFC 3389), whose level is not played.
    pub fn no_audio(&mut self, now: Instant, packet: &RtpPacket<'_>) {
        self.counts.packets += 1;
        self.counts.bytes += packet.payload.len() as u64;
        // Some gateways give events a source of their own: it says nothing about the audio.
        if self
            .source
            .as_ref()
            .is_none_or(|source| source.ssrc == packet.ssrc)
            && let Some(sequence) = self.place_of(packet)
            && self.jitter.has_started()
        {
            self.jitter
                .insert(now, sequence, packet.timestamp, 0, packet.payload_type, &[]);
        }
    }

    fn place_of(&mut self, packet: &RtpPacket<'_>) -> Option<u64> {
        self.source.get_or_insert_with(|| Source {
            ssrc: packet.ssrc,
            reception: Reception::new(packet.sequence),
        });
        self.place(packet.sequence)
    }

    /// Whether a packet belongs to the present source, or makes its source the present one.
    fn admit(&mut self, packet: &RtpPacket<'_>) -> bool {
        self.counts.packets += 1;
        self.counts.bytes += packet.payload.len() as u64;
        match &self.source {
            Some(source) if source.ssrc == packet.ssrc => {
                self.challenger = None;
                return true;
            }
            //= RFC 3550 A.1
            // A source is declared valid only after MIN_SEQUENTIAL packets have been received
            // in sequence. One stray packet changes nothing.
            Some(_) if self.challenger != Some((packet.ssrc, packet.sequence)) => {
                self.challenger = Some((packet.ssrc, packet.sequence.wrapping_add(1)));
                return false;
            }
            Some(_) | None => {}
        }
        self.leave();
        self.source = Some(Source {
            ssrc: packet.ssrc,
            reception: Reception::new(packet.sequence),
        });
        true
    }

    /// The present source is over; the next packet's is believed at once.
    pub fn leave(&mut self) {
        self.challenger = None;
        if let Some(Source { reception, .. }) = self.source.take() {
            self.counts.lost += reception.lost();
            self.counts.duplicates += reception.duplicates();
            self.counts.reordered += reception.reordered();
            self.jitter.reset();
        }
    }

    fn place(&mut self, sequence: u16) -> Option<u64> {
        match self.source.as_mut()?.reception.place(sequence) {
            Placed::New(extended) => Some(extended),
            Placed::Restarted(extended) => {
                self.jitter.reset();
                Some(extended)
            }
            Placed::Duplicate | Placed::Suspect => None,
        }
    }

    /// The frame for this tick: samples and the position of the first. `None` before anything
    /// came.
    pub fn frame(&mut self, now: Instant) -> Option<(Vec<i16>, u32)> {
        if self.position == 0 && !self.jitter.has_started() {
            return None;
        }
        let wanted = self.rate as usize / 50;
        while self.held.len() < wanted {
            self.fetch(now, wanted - self.held.len());
        }
        self.stretch(now, wanted);
        let frame = self.held.drain(..wanted.min(self.held.len())).collect();
        let position = self.position;
        self.position = position.wrapping_add(wanted as u32);
        Some((frame, position))
    }

    /// Moves the next piece of the stream to `held`: at least one sample.
    fn fetch(&mut self, now: Instant, wanted: usize) {
        self.piece.clear();
        match self.jitter.next(now, wanted as u32) {
            Next::Audio {
                payload_type,
                payload,
                skip,
                broken,
            } => {
                let codec = Codec::from_payload_type(payload_type).unwrap_or(Codec::Pcmu);
                codec.decode(payload.get(skip as usize..).unwrap_or(&[]), &mut self.piece);
                if broken {
                    self.concealer.cut();
                }
                self.concealer.good(&mut self.piece);
            }
            Next::Missing(count) => {
                self.counts.concealed += u64::from(count);
                self.piece.resize(count as usize, 0);
                self.concealer.lost(&mut self.piece);
            }
            // A pause is entered and left without a click in the same way.
            Next::Pause(count) => {
                self.piece.resize(count as usize, 0);
                self.concealer.lost(&mut self.piece);
            }
        }
        self.held.extend_from_slice(&self.piece);
    }

    /// Changes the delay by a pitch period when it is far from what the network asks for.
    fn stretch(&mut self, now: Instant, wanted: usize) {
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 || self.concealer.is_concealing() {
            return;
        }
        let ms = i64::from(self.rate / 1000);
        let excess = self.jitter.excess(now, self.held.len() as u32);
        // In quiet places the delay is corrected early, in speech only when it matters.
        let tolerated = if is_quiet(&self.held) {
            25 * ms
        } else {
            50 * ms
        };
        if excess > tolerated {
            self.hold(now, wanted + 15 * ms as usize);
            let most = self.held.len().saturating_sub(wanted).min(excess as usize);
            if let Stretch::By(_) = shorten(&mut self.held, self.rate, most) {
                self.rest = if excess > 100 * ms { 1 } else { 3 };
            }
        } else if excess < -10 * ms {
            self.hold(now, wanted + 10 * ms as usize);
            if let Stretch::By(_) = lengthen(&mut self.held, self.rate) {
                self.rest = 3;
            }
        }
    }

    /// Decodes ahead as far as packets are there.
    fn hold(&mut self, now: Instant, wanted: usize) {
        while self.held.len() < wanted && self.jitter.is_ready() {
            self.fetch(now, wanted - self.held.len());
        }
    }

    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// The report about the present source, without what only the owner of SRs knows.
    pub fn report(&mut self) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        Some(source.reception.report(source.ssrc))
    }

    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        if let Some(Source { reception, .. }) = &self.source {
            counts.lost += reception.lost();
            counts.duplicates += reception.duplicates();
            counts.reordered += reception.reordered();
        }
        counts
    }

    /// Interarrival jitter of the present source, in milliseconds.
    pub fn jitter_ms(&self) -> f32 {
        let units = self
            .source
            .as_ref()
            .map_or(0, |source| source.reception.jitter());
        units as f32 * 1000.0 / self.rate as f32
    }

    pub fn delay(&self, now: Instant) -> Duration {
        self.jitter.delay(now, self.held.len() as u32)
    }
}

fn is_quiet(samples: &[i16]) -> bool {
    let sum: u64 = samples
        .iter()
        .map(|sample| u64::from(sample.unsigned_abs()))
        .sum();
    sum < QUIET * samples.len() as u64
}

/// Mean magnitude below which audio counts as quiet (about -50 dBov).
const QUIET: u64 = 80;

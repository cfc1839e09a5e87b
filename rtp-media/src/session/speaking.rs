//! The sending half of a session: a packet each 20 ms (or what the peer wants), come what may.
//! Keys go before audio, audio before silence; silence is sent so that NATs stay open.

use super::digits_out::{DigitsOut, Press, tones};
use super::playout::Playout;
use super::{Agreed, SessionConfig};
use crate::packet::RtpPacket;

/// What is said to the peer.
#[derive(Debug)]
pub(super) struct Speaking {
    pub playout: Playout,
    pub digits: DigitsOut,
    ssrc: u32,
    sequence: u16,
    /// Timestamp of the first sample of `samples`, or of the next one.
    timestamp: u32,
    /// The next packet is the first after a time of sending nothing.
    marker: bool,
    /// Audio that does not fill a packet yet.
    samples: Vec<i16>,
    payload: Vec<u8>,
    packet: Vec<u8>,
    /// Something was played since the queue was last empty.
    playing: bool,
    counts: Counts,
}

/// What was sent.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Counts {
    pub packets: u64,
    pub bytes: u64,
    pub digits: u64,
}

/// What became of the queue in a tick.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Reached(u64),
    PlayedOut,
}

impl Speaking {
    pub fn new(config: &SessionConfig) -> Speaking {
        let rate = config.agreed.codec.sample_rate();
        Speaking {
            playout: Playout::new(rate, config.playout_limit),
            digits: DigitsOut::new(config.digit, config.digit_gap, rate),
            ssrc: config.ssrc,
            sequence: config.sequence,
            timestamp: config.timestamp,
            marker: true,
            samples: Vec::with_capacity(rate as usize / 10),
            payload: Vec::with_capacity(rate as usize / 50),
            packet: Vec::with_capacity(rate as usize / 40),
            playing: false,
            counts: Counts::default(),
        }
    }

    /// 20 ms pass.
    pub fn tick(
        &mut self,
        agreed: &Agreed,
        send: &mut impl FnMut(&[u8]),
        progress: &mut impl FnMut(Progress),
    ) {
        let rate = agreed.codec.sample_rate();
        let step = rate / 50;
        if !agreed.send {
            // On hold everything waits; only time goes on.
            self.samples.clear();
            self.timestamp = self.timestamp.wrapping_add(step);
            self.marker = true;
            return;
        }
        let tone = self.digits.tone();
        let begin = self.timestamp.wrapping_add(self.samples.len() as u32);
        match (self.digits.step(begin, step, rate), agreed.telephone_event) {
            (
                Some(Press::Event {
                    timestamp,
                    marker,
                    payload,
                }),
                Some(payload_type),
            ) => {
                self.flush(agreed, send);
                self.counts.digits += u64::from(marker);
                self.send(payload_type, marker, timestamp, &payload, send);
                self.timestamp = self.timestamp.wrapping_add(step);
                return;
            }
            (
                Some(Press::Event {
                    marker,
                    payload: [code, flags, ..],
                    ..
                }),
                None,
            ) => {
                self.counts.digits += u64::from(marker);
                let offset = tone.map_or(0, |(_, length)| length);
                let repeated = tone.is_none() && !marker && flags & 0x80 != 0;
                if repeated {
                    self.samples.resize(self.samples.len() + step as usize, 0);
                } else {
                    tones(code, offset, step as usize, rate, &mut self.samples);
                }
            }
            (Some(Press::Silence), _) => {
                self.samples.resize(self.samples.len() + step as usize, 0);
            }
            (None, _) => self.fill(step as usize),
        }
        let length = packet_length(agreed.ptime_ms, rate);
        while self.samples.len() >= length {
            self.send_audio(agreed, length, send);
        }
        if self.samples.is_empty() {
            self.tell(progress);
        }
    }

    fn fill(&mut self, count: usize) {
        let whole = self.samples.len() + count;
        if self.playout.take(count, &mut self.samples) > 0 {
            self.playing = true;
        }
        self.samples.resize(whole, 0);
    }

    fn tell(&mut self, progress: &mut impl FnMut(Progress)) {
        while let Some(id) = self.playout.reached() {
            progress(Progress::Reached(id));
        }
        if self.playing && self.playout.is_empty() {
            self.playing = false;
            progress(Progress::PlayedOut);
        }
    }

    /// Drops what waits; hands out the marks that were not reached.
    pub fn clear(&mut self) -> impl Iterator<Item = u64> {
        self.playing = false;
        self.playout.clear()
    }

    /// Sends what does not fill a packet: a telephone-event takes the place of the rest.
    fn flush(&mut self, agreed: &Agreed, send: &mut impl FnMut(&[u8])) {
        if !self.samples.is_empty() {
            self.send_audio(agreed, self.samples.len(), send);
        }
    }

    fn send_audio(&mut self, agreed: &Agreed, length: usize, send: &mut impl FnMut(&[u8])) {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        agreed.codec.encode(
            self.samples.get(..length).unwrap_or(&self.samples),
            &mut payload,
        );
        self.samples.drain(..length.min(self.samples.len()));
        let marker = std::mem::take(&mut self.marker);
        self.send(agreed.payload_type, marker, self.timestamp, &payload, send);
        self.timestamp = self.timestamp.wrapping_add(length as u32);
        self.payload = payload;
    }

    fn send(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
        send: &mut impl FnMut(&[u8]),
    ) {
        let packet = RtpPacket {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            payload,
            ..RtpPacket::default()
        };
        self.packet.clear();
        if packet.write(&mut self.packet).is_err() {
            // Only a payload type above 127 gets here: an agreement that cannot be kept.
            return;
        }
        send(&self.packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.counts.packets += 1;
        self.counts.bytes += payload.len() as u64;
    }

    /// The RTP timestamp of this moment.
    pub fn timestamp(&self) -> u32 {
        self.timestamp.wrapping_add(self.samples.len() as u32)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }
}

fn packet_length(ptime_ms: u8, rate: u32) -> usize {
    let ptime = if (10..=60).contains(&ptime_ms) {
        ptime_ms
    } else {
        20
    };
    rate as usize / 1000 * usize::from(ptime)
}

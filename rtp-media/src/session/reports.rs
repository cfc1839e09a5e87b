//! RTCP of a session (RFC 3550 section 6): reports each few seconds, round trip, goodbye.
//! NTP times count from the session's start, which the standard allows to those without a clock.

use std::time::{Duration, Instant};

use super::hearing::Hearing;
use super::speaking::Speaking;
use crate::packet::rtcp::{middle, write_cname, write_goodbye, write_report};
use crate::packet::{Compound, ReportBlock, RtcpPacket, SenderInfo};

/// When to report, and what the peer reported.
#[derive(Debug)]
pub(super) struct Reports {
    start: Instant,
    interval: Duration,
    next: Instant,
    ssrc: u32,
    cname: String,
    /// State of the numbers that spread the intervals.
    random: u64,
    /// Packets sent at the time of the last report.
    sent_before: u64,
    /// Of the peer's last SR: the middle of its time, and when it came.
    last_sr: Option<(u32, Instant)>,
    heard: Heard,
    bytes: Vec<u8>,
}

/// What the peer's reports say about our stream.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Heard {
    pub rtt: Option<Duration>,
    pub loss: Option<f32>,
    pub lost: Option<i32>,
    /// In units of the RTP clock.
    pub jitter: Option<u32>,
}

impl Reports {
    pub fn new(now: Instant, ssrc: u32, cname: String, interval: Duration) -> Reports {
        let mut reports = Reports {
            start: now,
            interval,
            next: now,
            ssrc,
            cname,
            random: u64::from(ssrc),
            sent_before: 0,
            last_sr: None,
            heard: Heard::default(),
            bytes: Vec::with_capacity(128),
        };
        //= RFC 3550 6.2
        // The delay before the first compound packet is half of the minimum interval.
        reports.next = now + reports.spread(interval / 2);
        reports
    }

    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// The compound that is due, if one is.
    pub fn due(
        &mut self,
        now: Instant,
        hearing: &mut Hearing,
        speaking: &Speaking,
    ) -> Option<&[u8]> {
        if now < self.next {
            return None;
        }
        self.next = now + self.spread(self.interval);
        self.write(now, hearing, speaking);
        Some(&self.bytes)
    }

    /// The last compound, with a BYE. None when nothing was ever sent.
    pub fn goodbye(
        &mut self,
        now: Instant,
        hearing: &mut Hearing,
        speaking: &Speaking,
    ) -> Option<&[u8]> {
        //= RFC 3550 6.3.7
        // If the participant never sent an RTP or RTCP packet it MUST NOT send a BYE.
        if speaking.counts().packets == 0 && self.bytes.is_empty() {
            return None;
        }
        self.write(now, hearing, speaking);
        write_goodbye(&mut self.bytes, self.ssrc);
        Some(&self.bytes)
    }

    fn write(&mut self, now: Instant, hearing: &mut Hearing, speaking: &Speaking) {
        let sent = speaking.counts();
        let info = (sent.packets > self.sent_before).then(|| SenderInfo {
            ntp: self.ntp(now),
            rtp: speaking.timestamp(),
            packets: sent.packets as u32,
            octets: sent.bytes as u32,
        });
        self.sent_before = sent.packets;
        let block = hearing.report().map(|block| {
            let (last_sr, since) = match self.last_sr {
                Some((middle, at)) => (middle, units(now.saturating_duration_since(at)) as u32),
                None => (0, 0),
            };
            ReportBlock {
                last_sr,
                delay_since_last_sr: since,
                ..block
            }
        });
        self.bytes.clear();
        write_report(&mut self.bytes, self.ssrc, info, block.as_slice());
        write_cname(&mut self.bytes, self.ssrc, &self.cname);
    }

    /// Takes a compound of the peer. True when the source that is heard says goodbye.
    /// `None` when it is no RTCP; what was read before the fault counts.
    pub fn receive(&mut self, now: Instant, datagram: &[u8], source: Option<u32>) -> Option<bool> {
        let mut left = false;
        for packet in Compound::new(datagram) {
            match packet.ok()? {
                RtcpPacket::SenderReport {
                    ssrc,
                    info,
                    reports,
                } => {
                    if source.is_none_or(|source| source == ssrc) {
                        self.last_sr = Some((middle(info.ntp), now));
                    }
                    reports.iter().for_each(|block| self.note(now, block));
                }
                RtcpPacket::ReceiverReport { reports, .. } => {
                    reports.iter().for_each(|block| self.note(now, block));
                }
                RtcpPacket::Goodbye { sources, .. } => {
                    left |= sources.iter().any(|leaving| source == Some(leaving));
                }
                _ => {}
            }
        }
        Some(left)
    }

    fn note(&mut self, now: Instant, block: ReportBlock) {
        if block.ssrc != self.ssrc {
            return;
        }
        self.heard.loss = Some(f32::from(block.fraction_lost) / 256.0);
        self.heard.lost = Some(block.lost);
        self.heard.jitter = Some(block.jitter);
        if block.last_sr != 0 {
            //= RFC 3550 6.4.1
            // The round-trip propagation delay is A - LSR - DLSR.
            let delay = middle(self.ntp(now))
                .wrapping_sub(block.last_sr)
                .wrapping_sub(block.delay_since_last_sr);
            if delay < MAX_RTT {
                self.heard.rtt = Some(Duration::from_micros((u64::from(delay) * 1_000_000) >> 16));
            }
        }
    }

    fn ntp(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        since.as_secs() << 32 | fraction
    }

    /// Between half and one and a half of `interval`, so that peers do not report in step.
    fn spread(&mut self, interval: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let share = 0.5 + (mixed >> 40) as f64 / (1u64 << 24) as f64;
        interval.mul_f64(share)
    }
}

/// A time in 1/65536 s.
fn units(time: Duration) -> u64 {
    (time.as_micros() as u64).saturating_mul(1 << 16) / 1_000_000
}

/// Round trips beyond 10 s are nonsense, most often a negative one.
const MAX_RTT: u32 = 10 << 16;

//! The jitter buffer: packets wait here until their time, in order, 20 to 200 ms.
//! It hands out payloads and gaps; decoding, concealing and stretching are its user's.

mod delay;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use delay::DelayEstimator;

/// Bounds of the jitter buffer's delay.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct JitterConfig {
    /// Least delay to aim for.
    pub min: Duration,
    /// Delay to begin with, before anything is known of the network.
    pub start: Duration,
    /// Most delay: audio that would wait longer is left out.
    pub max: Duration,
}

impl Default for JitterConfig {
    fn default() -> JitterConfig {
        JitterConfig {
            min: Duration::from_millis(20),
            start: Duration::from_millis(40),
            max: Duration::from_millis(200),
        }
    }
}

/// An adaptive jitter buffer for one RTP stream.
///
/// Play-out follows timestamps, so lost packets, pauses without packets and packets of any
/// length need no special care. It pauses instead of skipping when the buffer runs dry: a packet
/// that comes late is then heard late, and the delay has grown by itself. [`excess`] tells the
/// user by how much play-out is too late or too early for what the network needs, and the user
/// shortens or lengthens the audio by and by.
///
/// [`excess`]: JitterBuffer::excess
#[derive(Debug)]
pub struct JitterBuffer {
    rate: u32,
    min: i64,
    start: i64,
    max: i64,
    /// Time zero of arrivals.
    epoch: Instant,
    /// Waiting packets by sequence number.
    waiting: VecDeque<Slot>,
    /// Payload buffers to use again.
    spare: Vec<Vec<u8>>,
    /// The last timestamp seen, extended.
    latest: Option<i64>,
    estimator: Option<DelayEstimator>,
    /// Transit of a packet whose timestamp was far off; a second one like it is believed.
    suspect: Option<i64>,
    /// Extended timestamp of the next audio to hand out; `None` while nothing plays.
    play: Option<i64>,
    /// The payload that was handed out last.
    current: Vec<u8>,
    last_sequence: Option<u64>,
    /// How much was handed out as missing since the buffer ran dry.
    starved: i64,
    /// The sender said that it pauses (comfort noise, telephone-event).
    quiet: bool,
    /// What is handed out next does not continue what was before.
    broken: bool,
}

#[derive(Debug)]
struct Slot {
    sequence: u64,
    timestamp: i64,
    /// Units of the RTP clock that the payload covers; 0 for a packet without audio.
    duration: i64,
    payload_type: u8,
    payload: Vec<u8>,
}

/// What became of a packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// It waits for its time.
    Queued,
    /// Its time is over.
    Late,
    /// Its place is taken.
    Duplicate,
    /// Its timestamp is far from all others: dropped, unless the next one agrees.
    Suspect,
}

/// What is to be heard next.
#[derive(PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// A packet's payload, of which the first `skip` units of the RTP clock are over already.
    Audio {
        /// The payload type that it came with.
        payload_type: u8,
        /// The payload.
        payload: &'a [u8],
        /// How much of its begin not to play.
        skip: u32,
        /// It does not continue what was handed out before.
        broken: bool,
    },
    /// So many units of the RTP clock are lost or late.
    Missing(u32),
    /// So many units of the RTP clock were never sent.
    Pause(u32),
}

impl JitterBuffer {
    /// A buffer for a stream whose timestamps count `rate` a second; arrivals count from `now`.
    pub fn new(now: Instant, rate: u32, config: JitterConfig) -> JitterBuffer {
        let rate = rate.max(1000);
        let max = to_units(config.max.min(Duration::from_secs(1)), rate);
        let min = to_units(config.min, rate).min(max);
        JitterBuffer {
            rate,
            min,
            start: to_units(config.start, rate).clamp(min, max),
            max,
            epoch: now,
            waiting: VecDeque::new(),
            spare: Vec::new(),
            latest: None,
            estimator: None,
            suspect: None,
            play: None,
            current: Vec::new(),
            last_sequence: None,
            starved: 0,
            quiet: false,
            broken: false,
        }
    }

    /// Whether any packet was taken yet.
    pub fn has_started(&self) -> bool {
        self.estimator.is_some()
    }

    /// Takes a packet. `sequence` is extended over wraps; `duration` is what the payload covers
    /// in units of the RTP clock, 0 for packets that carry no audio but a sequence number.
    pub fn insert(
        &mut self,
        now: Instant,
        sequence: u64,
        timestamp: u32,
        duration: u32,
        payload_type: u8,
        payload: &[u8],
    ) -> Inserted {
        let arrival = self.arrival(now);
        let mut timestamp = self.extend(timestamp);
        if duration > 0 {
            match self.judge(arrival, timestamp) {
                Some(extended) => timestamp = extended,
                None => return Inserted::Suspect,
            }
        }
        let duration = i64::from(duration);
        let is_over = |play| timestamp + duration <= play && duration > 0;
        if self.play.is_some_and(is_over) || self.last_sequence.is_some_and(|last| sequence <= last)
        {
            return Inserted::Late;
        }
        let place = self
            .waiting
            .partition_point(|slot| slot.sequence < sequence);
        if self
            .waiting
            .get(place)
            .is_some_and(|slot| slot.sequence == sequence)
        {
            return Inserted::Duplicate;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(payload);
        self.waiting.insert(
            place,
            Slot {
                sequence,
                timestamp,
                duration,
                payload_type,
                payload: buffer,
            },
        );
        if self.waiting.len() > MAX_PACKETS {
            self.drop_head();
        }
        Inserted::Queued
    }

    /// What follows in the stream, to be called until enough audio for the frame at `now` has
    /// come together; `wanted` is what is still wanted, in units of the RTP clock.
    pub fn next(&mut self, now: Instant, wanted: u32) -> Next<'_> {
        let now = self.arrival(now);
        let wanted = i64::from(wanted.max(1));
        self.skip_what_is_too_late(now);
        let Some(mut play) = self.play.or_else(|| self.begin(now)) else {
            return Next::Pause(wanted as u32);
        };
        self.drop_what_is_over(play);
        let Some(head) = self.waiting.front() else {
            return self.starve(play, wanted);
        };
        if head.timestamp > play && self.starved > 0 {
            // What the wait was filled with stood for what is lost before this packet.
            play += self.starved.min(head.timestamp - play);
        }
        self.starved = 0;
        let gap = head.timestamp - play;
        if gap > 0 {
            let paused = self.quiet
                || self
                    .last_sequence
                    .is_some_and(|last| last.wrapping_add(1) == head.sequence);
            let length = gap.min(wanted);
            self.play = Some(play + length);
            return if paused {
                Next::Pause(length as u32)
            } else {
                Next::Missing(length as u32)
            };
        }
        let Some(slot) = self.waiting.pop_front() else {
            return Next::Pause(wanted as u32);
        };
        self.play = Some(slot.timestamp + slot.duration);
        self.last_sequence = Some(slot.sequence);
        self.quiet = false;
        let mut used = std::mem::replace(&mut self.current, slot.payload);
        used.clear();
        self.spare.push(used);
        let broken = std::mem::take(&mut self.broken);
        Next::Audio {
            payload_type: slot.payload_type,
            payload: &self.current,
            skip: (play - slot.timestamp) as u32,
            broken,
        }
    }

    /// Whether the packet that continues what was handed out last is there.
    pub fn is_ready(&self) -> bool {
        let head = self.waiting.iter().find(|slot| slot.duration > 0);
        self.play
            .zip(head)
            .is_some_and(|(play, head)| head.timestamp <= play)
    }

    /// By how many units of the RTP clock play-out is later (or, if negative, earlier) than the
    /// network asks for. `held` is what was handed out but is not heard yet.
    pub fn excess(&self, now: Instant, held: u32) -> i64 {
        match (&self.estimator, self.play) {
            (Some(estimator), Some(play)) => {
                let transit = self.arrival(now) - (play - i64::from(held));
                transit - estimator.base() - self.target()
            }
            _ => 0,
        }
    }

    /// The delay that play-out has at present over the fastest packets.
    pub fn delay(&self, now: Instant, held: u32) -> Duration {
        let units = match self.play {
            Some(_) => self.excess(now, held) + self.target(),
            None => self.target(),
        };
        let units = u64::try_from(units).unwrap_or(0);
        Duration::from_micros(units.saturating_mul(1_000_000) / u64::from(self.rate))
    }

    /// The delay to aim for, in units of the RTP clock.
    fn target(&self) -> i64 {
        let lateness = self
            .estimator
            .as_ref()
            .map_or(self.start, DelayEstimator::lateness);
        lateness.clamp(self.min, self.max)
    }

    /// Forgets everything but the bounds: another stream begins.
    pub fn reset(&mut self) {
        while !self.waiting.is_empty() {
            self.drop_head();
        }
        self.estimator = None;
        self.latest = None;
        self.suspect = None;
        self.last_sequence = None;
        self.play = None;
        self.starved = 0;
        self.quiet = false;
        self.broken = true;
    }

    fn arrival(&self, now: Instant) -> i64 {
        to_units(now.saturating_duration_since(self.epoch), self.rate)
    }

    /// The 32-bit timestamp as the one of all its cycles that is nearest to the last.
    fn extend(&self, timestamp: u32) -> i64 {
        match self.latest {
            Some(latest) => latest + i64::from(timestamp.wrapping_sub(latest as u32) as i32),
            None => i64::from(timestamp),
        }
    }

    /// Learns from a packet's timing. `None` when it cannot be believed yet, else its timestamp.
    fn judge(&mut self, arrival: i64, timestamp: i64) -> Option<i64> {
        let rate = i64::from(self.rate);
        let transit = arrival - timestamp;
        let Some(estimator) = &mut self.estimator else {
            self.restart(arrival, timestamp);
            return Some(timestamp);
        };
        let lateness = transit - estimator.base();
        if lateness.abs() > rate {
            // The sender's clock has jumped, or this one packet is wrong.
            let agrees = self
                .suspect
                .is_some_and(|before| (before - transit).abs() < rate / 5);
            if !agrees {
                self.suspect = Some(transit);
                return None;
            }
            self.reset();
            self.restart(arrival, timestamp);
            return Some(timestamp);
        }
        self.suspect = None;
        self.latest = Some(timestamp);
        if self.play.is_none() && self.waiting.is_empty() && lateness > self.max {
            // The sender's clock stood still while it paused.
            self.restart(arrival, timestamp);
        } else {
            estimator.observe(arrival, transit);
        }
        Some(timestamp)
    }

    fn restart(&mut self, arrival: i64, timestamp: i64) {
        let transit = arrival - timestamp;
        let guess = self
            .estimator
            .as_ref()
            .map_or(self.start, DelayEstimator::lateness);
        self.estimator = Some(DelayEstimator::new(self.rate, arrival, transit, guess));
        self.latest = Some(timestamp);
        self.suspect = None;
    }

    /// Starts to play when the first packet has waited for its delay.
    fn begin(&mut self, now: i64) -> Option<i64> {
        while self.waiting.front().is_some_and(|slot| slot.duration == 0) {
            self.drop_head();
        }
        let head = self.waiting.front()?;
        let estimator = self.estimator.as_ref()?;
        if now - head.timestamp < estimator.base() + self.target() {
            return None;
        }
        self.play = Some(head.timestamp);
        self.starved = 0;
        self.play
    }

    /// Leaves out what would be heard later than the bound allows.
    fn skip_what_is_too_late(&mut self, now: i64) {
        let (Some(estimator), Some(play)) = (&self.estimator, self.play) else {
            return;
        };
        // While nothing waits there is nothing to leave out, only time passes.
        if self.waiting.iter().all(|slot| slot.duration == 0) {
            return;
        }
        let earliest = now - estimator.base() - self.max;
        if play + i64::from(self.rate) / 50 < earliest {
            self.play = Some(earliest);
            self.starved = 0;
            self.broken = true;
        }
    }

    fn drop_what_is_over(&mut self, play: i64) {
        while let Some(head) = self.waiting.front() {
            let silent = head.duration == 0;
            if !silent && head.timestamp + head.duration > play {
                break;
            }
            if silent {
                // Its timestamp may be of another clock: only its place in the order counts.
                self.quiet = true;
            }
            self.last_sequence = Some(head.sequence);
            self.drop_head();
        }
    }

    /// Nothing waits. The play-out position stands still: what comes late is played late.
    fn starve(&mut self, play: i64, wanted: i64) -> Next<'_> {
        self.starved += wanted;
        self.play = Some(play);
        if self.starved > i64::from(self.rate) * MAX_STARVED_MS / 1000 {
            // By now it is silence; whatever comes next begins anew at the right delay.
            self.play = None;
        }
        if self.quiet {
            Next::Pause(wanted as u32)
        } else {
            Next::Missing(wanted as u32)
        }
    }

    fn drop_head(&mut self) {
        if let Some(mut slot) = self.waiting.pop_front() {
            slot.payload.clear();
            self.spare.push(slot.payload);
        }
    }
}

fn to_units(time: Duration, rate: u32) -> i64 {
    let units = time.as_nanos() * u128::from(rate) / 1_000_000_000;
    i64::try_from(units).unwrap_or(i64::MAX / 4)
}

/// More than a second of 20 ms packets: far more than the largest delay.
const MAX_PACKETS: usize = 64;
/// Concealment is silent by then, so the position may be chosen anew.
const MAX_STARVED_MS: i64 = 100;

#[cfg(test)]
mod tests;

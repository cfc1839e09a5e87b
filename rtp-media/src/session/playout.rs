//! The play-out queue: audio that waits to be said, and marks between it.
//! Audio comes faster than it is spoken, minutes of it may wait; nothing of it is dropped unasked.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::samples_to_duration;
use super::{Frame, SayError};
use crate::resample::Resampler;

/// Audio at the codec's rate, in the order in which it was said.
#[derive(Debug)]
pub(super) struct Playout {
    rate: u32,
    limit: u64,
    pieces: VecDeque<Vec<i16>>,
    /// Samples of the first piece that are taken.
    used: usize,
    /// Samples queued and taken since the start; marks stand at such counts.
    queued: u64,
    taken: u64,
    marks: VecDeque<(u64, u64)>,
    resampler: Option<Resampler>,
}

impl Playout {
    pub fn new(rate: u32, limit: Duration) -> Playout {
        let limit = limit.as_millis().saturating_mul(u128::from(rate)) / 1000;
        Playout {
            rate,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
            pieces: VecDeque::new(),
            used: 0,
            queued: 0,
            taken: 0,
            marks: VecDeque::new(),
            resampler: None,
        }
    }

    /// Queues audio, unless that would exceed the limit.
    pub fn say(&mut self, frame: Frame) -> Result<(), SayError> {
        let Frame { samples, rate, .. } = frame;
        let known = self
            .resampler
            .as_ref()
            .is_some_and(|known| known.from_rate() == rate);
        if rate != self.rate && !known {
            let made = Resampler::new(rate, self.rate).map_err(|_| SayError::Rate(rate))?;
            self.resampler = Some(made);
        }
        let new =
            (samples.len() as u64).saturating_mul(u64::from(self.rate)) / u64::from(rate.max(1));
        if self.waiting() + new > self.limit {
            return Err(SayError::Full {
                queued: self.duration(),
            });
        }
        let samples = match &mut self.resampler {
            Some(resampler) if rate != self.rate => {
                let mut converted = Vec::with_capacity(new as usize + 1);
                resampler.process(&samples, &mut converted);
                converted
            }
            _ => samples,
        };
        self.queued += samples.len() as u64;
        // Small pieces are put together, so that their number is bounded like their length.
        match self.pieces.back_mut() {
            Some(last) if samples.len() < SMALL && last.len() < LARGE => last.extend(samples),
            _ if samples.is_empty() => {}
            _ => self.pieces.push_back(samples),
        }
        Ok(())
    }

    /// Sets a mark behind what is queued.
    pub fn mark(&mut self, id: u64) -> Result<(), SayError> {
        if self.marks.len() >= MAX_MARKS {
            return Err(SayError::TooManyMarks(self.marks.len()));
        }
        self.marks.push_back((self.queued, id));
        Ok(())
    }

    /// Drops all audio that is not taken, and hands out the marks behind it.
    pub fn clear(&mut self) -> impl Iterator<Item = u64> {
        self.pieces.clear();
        self.used = 0;
        self.queued = self.taken;
        let taken = self.taken;
        let kept = self
            .marks
            .iter()
            .take_while(|(place, _)| *place <= taken)
            .count();
        self.marks.split_off(kept).into_iter().map(|(_, id)| id)
    }

    /// Moves up to `count` samples to `out`; tells how many there were.
    pub fn take(&mut self, count: usize, out: &mut Vec<i16>) -> usize {
        let mut left = count;
        while left > 0
            && let Some(piece) = self.pieces.front()
        {
            let rest = piece.get(self.used..).unwrap_or(&[]);
            let part = rest.get(..left).unwrap_or(rest);
            out.extend_from_slice(part);
            left -= part.len();
            self.used += part.len();
            if self.used >= piece.len() {
                self.pieces.pop_front();
                self.used = 0;
            }
        }
        let taken = count - left;
        self.taken += taken as u64;
        taken
    }

    /// The next mark all of whose audio is taken.
    pub fn reached(&mut self) -> Option<u64> {
        let taken = self.taken;
        self.marks
            .pop_front_if(|(place, _)| *place <= taken)
            .map(|(_, id)| id)
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How long what waits will sound.
    pub fn duration(&self) -> Duration {
        samples_to_duration(self.waiting(), self.rate)
    }

    fn waiting(&self) -> u64 {
        self.queued - self.taken
    }
}

/// 20 ms at 8 kHz: smaller pieces are put together, up to half a second.
const SMALL: usize = 160;
const LARGE: usize = 4000;
const MAX_MARKS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn playout() -> Playout {
        Playout::new(8000, Duration::from_secs(1))
    }

    fn frame(samples: &[i16]) -> Frame {
        Frame::new(samples.to_vec(), 8000)
    }

    #[test]
    fn audio_leaves_in_order_however_it_was_cut() {
        let mut playout = playout();
        let samples: Vec<i16> = (0..1000).collect();
        for piece in samples.chunks(37).chain([&[][..]]) {
            playout.say(frame(piece)).unwrap();
        }
        assert!(playout.pieces.len() < 5);
        assert_eq!(playout.duration(), Duration::from_millis(125));
        let mut out = Vec::new();
        while playout.take(160, &mut out) == 160 {}
        assert_eq!(out, samples);
        assert!(playout.is_empty());
    }

    #[test]
    fn what_exceeds_the_limit_is_refused_whole() {
        let mut playout = playout();
        playout.say(frame(&[1; 8000])).unwrap();
        let queued = Duration::from_secs(1);
        assert_eq!(playout.say(frame(&[2])), Err(SayError::Full { queued }));
        playout.take(160, &mut Vec::new());
        assert_eq!(playout.say(frame(&[2; 160])), Ok(()));
        assert_eq!(
            playout.say(Frame::new(vec![0; 8], 11_025)),
            Err(SayError::Rate(11_025))
        );
    }

    #[test]
    fn a_mark_is_reached_with_the_last_sample_before_it() {
        let mut playout = playout();
        playout.mark(1).unwrap();
        playout.say(frame(&[1; 160])).unwrap();
        playout.mark(2).unwrap();
        playout.say(frame(&[1; 10])).unwrap();
        playout.mark(3).unwrap();
        assert_eq!((playout.reached(), playout.reached()), (Some(1), None));
        playout.take(160, &mut Vec::new());
        assert_eq!((playout.reached(), playout.reached()), (Some(2), None));
        assert_eq!(playout.clear().collect::<Vec<_>>(), [3]);
        assert!(playout.is_empty());
        playout.mark(4).unwrap();
        assert_eq!(playout.reached(), Some(4));
    }

    #[test]
    fn marks_are_bounded() {
        let mut playout = playout();
        for id in 0..MAX_MARKS as u64 {
            playout.mark(id).unwrap();
        }
        assert_eq!(playout.mark(0), Err(SayError::TooManyMarks(MAX_MARKS)));
    }

    #[test]
    fn audio_of_other_rates_is_resampled() {
        let mut playout = playout();
        for _ in 0..10 {
            playout.say(Frame::new(vec![1000; 480], 24_000)).unwrap();
        }
        assert_eq!(playout.duration(), Duration::from_millis(200));
        let mut out = Vec::new();
        playout.take(1600, &mut out);
        assert!(
            out[400..].iter().all(|s| (990..1010).contains(s)),
            "{:?}",
            &out[400..420]
        );
    }
}

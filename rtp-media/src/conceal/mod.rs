//! Packet loss concealment: what was lost is continued from what was heard before.
//! No delay, and what arrives after no loss leaves bit for bit as it came.

mod pitch;
mod predict;
mod stretch;

use pitch::Lags;
use predict::Predictor;
pub use stretch::{Stretch, lengthen, shorten};

/// Conceals losses in one stream of samples.
///
/// Its kind is that of ITU-T G.711 Appendix I: the last pitch period is repeated, after 10 ms
/// the last two, after 20 ms the last three, fading to silence at 60 ms, and the first audio
/// after a loss is crossfaded with the continuation. Where the Appendix delays all audio by
/// 3.75 ms to be able to smooth the begin of a loss, this begins with the ringing of a linear
/// predictor, which needs no delay.
///
/// Feed each stretch of samples in order, either [`good`](Concealer::good) or
/// [`lost`](Concealer::lost); stretches may have any length.
#[derive(Clone, Debug)]
pub struct Concealer {
    lags: Lags,
    /// The last samples that left, oldest first; as long as the synthesis ever looks back.
    history: Vec<f32>,
    /// The running loss, if the last stretch was one.
    loss: Option<Loss>,
}

/// What is known of a loss while it lasts.
#[derive(Clone, Debug)]
struct Loss {
    /// `history` as it was when the loss began.
    before: Vec<f32>,
    /// Pitch period at that moment, in samples.
    period: usize,
    /// The last one, two or three periods, made to join end to begin.
    cycle: Vec<f32>,
    /// Periods in `cycle`.
    periods: usize,
    /// Next place in `cycle`.
    position: usize,
    /// A dying signal that is faded out over the synthesis: the predictor's ringing at the
    /// begin of the loss, later the cycle that was used before.
    tail: Vec<f32>,
    /// Samples of `tail` used.
    tail_used: usize,
    /// Samples synthesized so far.
    length: usize,
}

impl Concealer {
    /// A concealer for a stream of `sample_rate` samples a second.
    pub fn new(sample_rate: u32) -> Concealer {
        let lags = Lags::of_speech(sample_rate);
        Concealer {
            history: vec![0.0; lags.max * 3 + lags.max / 4 + 2],
            lags,
            loss: None,
        }
    }

    /// Whether the last stretch was lost.
    pub fn is_concealing(&self) -> bool {
        self.loss.is_some()
    }

    /// Takes samples that arrived. After a loss their begin is crossfaded, else they are left
    /// as they are.
    pub fn good(&mut self, samples: &mut [i16]) {
        if let Some(mut loss) = self.loss.take() {
            // A quarter period, and more after a longer loss, for which the phase is less sure.
            let ms = self.lags.per_ms;
            let more = (loss.length / (10 * ms)).saturating_sub(1) * 4 * ms;
            let overlap = (loss.period / 4 + more).min(10 * ms).min(samples.len());
            let step = 1.0 / (overlap as f32 + 1.0);
            for (index, sample) in samples.iter_mut().take(overlap).enumerate() {
                let weight = (index as f32 + 1.0) * step;
                let synthetic = loss.next(ms);
                *sample = to_sample(f32::from(*sample) * weight + synthetic * (1.0 - weight));
            }
        }
        remember(&mut self.history, samples);
    }

    /// Fills `samples` in place of what did not arrive.
    pub fn lost(&mut self, samples: &mut [i16]) {
        let ms = self.lags.per_ms;
        let loss = self
            .loss
            .get_or_insert_with(|| Loss::begin(&self.history, &self.lags));
        for sample in samples.iter_mut() {
            *sample = to_sample(loss.next(ms));
        }
        remember(&mut self.history, samples);
    }

    /// Tells that the samples that follow do not continue the ones before, so that they are
    /// crossfaded as if after a loss.
    pub fn cut(&mut self) {
        if self.loss.is_none() {
            self.loss = Some(Loss::begin(&self.history, &self.lags));
        }
    }
}

impl Loss {
    fn begin(history: &[f32], lags: &Lags) -> Loss {
        let period = lags.find(history);
        let mut loss = Loss {
            before: history.to_vec(),
            period,
            cycle: Vec::with_capacity(period * 3),
            periods: 1,
            position: 0,
            tail: Predictor::of(history, lags.per_ms).ring(history, RING_MS * lags.per_ms),
            tail_used: 0,
            length: 0,
        };
        loss.fill_cycle();
        loss
    }

    /// The last `periods` periods before the loss; their last quarter period is blended into
    /// what stood before them, so that the cycle can follow itself without a step.
    fn fill_cycle(&mut self) {
        let length = self.period * self.periods;
        let quarter = self.period / 4;
        let start = self.before.len().saturating_sub(length);
        self.cycle.clear();
        self.cycle.extend(self.before.iter().skip(start));
        let earlier = self
            .before
            .iter()
            .skip(start.saturating_sub(quarter))
            .take(quarter);
        let end = self.cycle.iter_mut().skip(length.saturating_sub(quarter));
        let step = 1.0 / (quarter as f32 + 1.0);
        for (index, (end, earlier)) in end.zip(earlier).enumerate() {
            let weight = (index as f32 + 1.0) * step;
            *end = *end * (1.0 - weight) + earlier * weight;
        }
    }

    /// Goes over to one more period, which makes longer losses sound less like a buzzer.
    fn add_period(&mut self) {
        let quarter = self.period / 4;
        self.tail.clear();
        self.tail_used = 0;
        for _ in 0..quarter {
            let sample = self.cycle_on();
            self.tail.push(sample);
        }
        self.position += self.cycle.len() - quarter;
        self.position %= self.period;
        self.periods += 1;
        self.fill_cycle();
    }

    fn cycle_on(&mut self) -> f32 {
        let sample = self.cycle.get(self.position).copied().unwrap_or(0.0);
        self.position += 1;
        if self.position >= self.cycle.len() {
            self.position = 0;
        }
        sample
    }

    fn next(&mut self, per_ms: usize) -> f32 {
        let gain = gain(self.length, per_ms);
        self.length = self.length.saturating_add(1);
        if gain <= 0.0 {
            return 0.0;
        }
        if self.length > self.periods * 10 * per_ms && self.periods < 3 {
            self.add_period();
        }
        let mut sample = self.cycle_on();
        if let Some(dying) = self.tail.get(self.tail_used) {
            let weight = (self.tail_used as f32 + 1.0) / (self.tail.len() as f32 + 1.0);
            sample = sample * weight + dying * (1.0 - weight);
            self.tail_used += 1;
        }
        sample * gain
    }
}

/// Full for 10 ms, then falling by a fifth each 10 ms: silence from 60 ms on.
fn gain(length: usize, per_ms: usize) -> f32 {
    let over = length.saturating_sub(10 * per_ms) as f32;
    1.0 - over / (50 * per_ms) as f32
}

fn remember(history: &mut [f32], samples: &[i16]) {
    let kept = history.len().saturating_sub(samples.len());
    history.rotate_right(kept);
    let newest = samples
        .iter()
        .skip(samples.len().saturating_sub(history.len()));
    for (slot, sample) in history.iter_mut().skip(kept).zip(newest) {
        *slot = f32::from(*sample);
    }
}

fn to_sample(value: f32) -> i16 {
    // A cast from float to integer saturates.
    value.round() as i16
}

/// How long the predictor's ringing is faded out over the begin of the synthesis.
const RING_MS: usize = 4;

#[cfg(test)]
mod tests;

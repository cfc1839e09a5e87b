//! Time stretching by whole pitch periods (WSOLA), to change the play-out delay unheard.
//! A piece is left out or played twice where the signal resembles itself, with a crossfade.

use super::pitch::{Lags, dot};

/// What a stretch did.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Stretch {
    /// So many samples fewer or more.
    By(usize),
    /// Nothing: the signal resembles itself nowhere, or there is too little of it.
    Refused,
}

/// Leaves a piece of 5 to 15 ms out of `samples`, not longer than `most` samples.
///
/// The first sample and the last 5 ms stay as they are. Asks for at least 30 ms.
pub fn shorten(samples: &mut Vec<i16>, sample_rate: u32, most: usize) -> Stretch {
    let Some((lag, overlap)) = place(samples, sample_rate, most) else {
        return Stretch::Refused;
    };
    let step = 1.0 / (overlap as f32 + 1.0);
    for index in 0..overlap {
        let weight = (index as f32 + 1.0) * step;
        let later = samples.get(index + lag).copied().unwrap_or(0);
        if let Some(sample) = samples.get_mut(index) {
            *sample = blend(*sample, later, weight);
        }
    }
    // What was blended in above stood at overlap + lag and before: continue behind it.
    samples.drain(overlap..overlap + lag);
    Stretch::By(lag)
}

/// Plays a piece of 5 to 15 ms of `samples` twice.
///
/// The first sample and everything from 25 ms on stay as they are. Asks for at least 30 ms.
pub fn lengthen(samples: &mut Vec<i16>, sample_rate: u32) -> Stretch {
    let Some((lag, overlap)) = place(samples, sample_rate, usize::MAX) else {
        return Stretch::Refused;
    };
    // What stands at the lag fades into the begin, from which on everything is played again.
    let step = 1.0 / (overlap as f32 + 1.0);
    let again: Vec<i16> = (samples.iter().skip(lag).zip(samples.iter()).take(overlap))
        .enumerate()
        .map(|(index, (&old, &new))| blend(old, new, (index as f32 + 1.0) * step))
        .collect();
    let first: Vec<i16> = samples.iter().take(lag).copied().chain(again).collect();
    samples.splice(..overlap, first);
    Stretch::By(lag)
}

/// The lag at which the begin of `samples` resembles what follows, and how long to crossfade.
fn place(samples: &[i16], sample_rate: u32, most: usize) -> Option<(usize, usize)> {
    let lags = Lags::of_speech(sample_rate);
    let overlap = 10 * lags.per_ms;
    if samples.len() < overlap + lags.max + lags.min {
        return None;
    }
    let signal: Vec<f32> = samples
        .iter()
        .take(overlap + lags.max)
        .map(|&sample| f32::from(sample))
        .collect();
    let begin = signal.get(..overlap)?;
    let own = dot(begin, begin);
    let mut best = None;
    for lag in lags.min..=lags.max.min(most) {
        let later = signal.get(lag..lag + overlap)?;
        let power = dot(later, later);
        // In quiet places no seam is heard: the longest piece wins.
        let likeness = if own.max(power) < QUIET * QUIET * overlap as f32 {
            lag as f32
        } else {
            dot(begin, later) / (own.max(1.0) * power.max(1.0)).sqrt()
        };
        if best.is_none_or(|(_, known)| likeness > known) {
            best = Some((lag, likeness));
        }
    }
    best.filter(|(_, likeness)| *likeness > 0.6)
        .map(|(lag, _)| (lag, overlap))
}

fn blend(old: i16, new: i16, weight: f32) -> i16 {
    (f32::from(old) * (1.0 - weight) + f32::from(new) * weight).round() as i16
}

/// Root mean square below which a signal counts as quiet (about -50 dBov).
const QUIET: f32 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| ((n as f32 * hz / 8000.0 * std::f32::consts::TAU).sin() * 8000.0) as i16)
            .collect()
    }

    fn steepest(samples: &[i16]) -> i32 {
        samples
            .windows(2)
            .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
            .max()
            .unwrap()
    }

    #[test]
    fn a_tone_stays_a_tone_when_it_is_shortened_or_lengthened() {
        for hz in [100.0, 150.0, 220.0, 440.0] {
            let original = tone(hz, 480);
            let mut samples = original.clone();
            let Stretch::By(lag) = shorten(&mut samples, 8000, 120) else {
                panic!("{hz}")
            };
            assert_eq!(samples.len(), 480 - lag);
            assert!(steepest(&samples) <= steepest(&original) * 5 / 4, "{hz}");
            assert_eq!(
                samples[200..],
                original[200 + lag..],
                "the rest is untouched"
            );
            let mut samples = original.clone();
            let Stretch::By(lag) = lengthen(&mut samples, 8000) else {
                panic!("{hz}")
            };
            assert_eq!(samples.len(), 480 + lag);
            assert!(steepest(&samples) <= steepest(&original) * 5 / 4, "{hz}");
            assert_eq!(
                samples[200 + lag..],
                original[200..],
                "the rest is untouched"
            );
        }
    }

    #[test]
    fn noise_is_left_alone_and_silence_is_not() {
        let mut state = 1u32;
        let mut noise: Vec<i16> = (0..480)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 17) as i16 - 16384
            })
            .collect();
        assert_eq!(shorten(&mut noise, 8000, 120), Stretch::Refused);
        assert_eq!(shorten(&mut vec![3; 480], 8000, 120), Stretch::By(120));
        assert_eq!(shorten(&mut vec![3; 480], 8000, 50), Stretch::By(50));
        assert_eq!(
            lengthen(&mut vec![3; 100], 8000),
            Stretch::Refused,
            "too little"
        );
    }
}

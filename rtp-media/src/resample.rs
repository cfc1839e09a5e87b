//! Conversion between the sample rates of telephony and speech engines: 8, 16, 24 and 48 kHz.
//! A polyphase FIR filter with a Kaiser window; made for streams, so pieces may have any length.

use thiserror::Error;

/// Converts one stream of samples from one rate to another.
#[derive(Clone, Debug)]
pub struct Resampler {
    from: u32,
    to: u32,
    /// Output samples come at steps of `down` on a grid `up` times as fine as the input.
    up: usize,
    down: usize,
    /// One filter per place on the grid, newest input sample first.
    phases: Vec<Vec<f32>>,
    /// The last input samples, oldest first: as many as a filter has taps.
    history: Vec<f32>,
    /// Next output sample's place on the grid, counted from the input sample to come.
    phase: usize,
}

/// A pair of rates that cannot be converted.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
#[error("cannot resample {from} Hz to {to} Hz: 8000, 16000, 24000 and 48000 are known")]
pub struct UnknownRate {
    /// Rate of the input.
    pub from: u32,
    /// Rate of the output.
    pub to: u32,
}

impl Resampler {
    /// Rates that can be converted into each other, in Hz.
    pub const RATES: [u32; 4] = [8000, 16_000, 24_000, 48_000];

    /// A converter at the begin of a stream.
    pub fn new(from: u32, to: u32) -> Result<Resampler, UnknownRate> {
        if !Resampler::RATES.contains(&from) || !Resampler::RATES.contains(&to) {
            return Err(UnknownRate { from, to });
        }
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        let phases = if from == to {
            Vec::new()
        } else {
            design(up, down)
        };
        let taps = phases.first().map_or(0, Vec::len);
        Ok(Resampler {
            from,
            to,
            up,
            down,
            phases,
            history: vec![0.0; taps],
            phase: 0,
        })
    }

    /// Rate of the input, in Hz.
    pub fn from_rate(&self) -> u32 {
        self.from
    }

    /// Rate of the output, in Hz.
    pub fn to_rate(&self) -> u32 {
        self.to
    }

    /// By how many output samples the output is late.
    pub fn delay(&self) -> usize {
        self.history.len() / 2 * self.up / self.down
    }

    /// Converts the next piece of the stream and appends the result to `output`.
    ///
    /// Over a whole stream, `n` input samples give `n * to / from` output samples, rounded up.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        if self.phases.is_empty() {
            output.extend_from_slice(input);
            return;
        }
        let taps = self.history.len();
        self.history
            .extend(input.iter().map(|&sample| f32::from(sample)));
        for newest in taps..self.history.len() {
            let window = self.history.get(newest + 1 - taps..=newest).unwrap_or(&[]);
            while let Some(filter) = self.phases.get(self.phase) {
                output.push(convolve(window, filter).round() as i16);
                self.phase += self.down;
            }
            self.phase -= self.up;
        }
        self.history.drain(..input.len());
    }
}

/// The low-pass filter of both rates' common band, cut into one filter per phase.
fn design(up: usize, down: usize) -> Vec<Vec<f32>> {
    let widest = up.max(down);
    // Zero crossings on each side count at the lower of both rates.
    let taps = 2 * ZERO_CROSSINGS * widest.div_ceil(up);
    let length = taps * up;
    let centre = (length as f64 - 1.0) / 2.0;
    let cutoff = PASSBAND / widest as f64;
    let prototype = |index: usize| {
        let place = index as f64 - centre;
        let sinc = match place * cutoff {
            0.0 => 1.0,
            x => (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x),
        };
        let side = place / (centre + 0.5);
        sinc * bessel(BETA * (1.0 - side * side).max(0.0).sqrt()) / bessel(BETA)
    };
    let mut phases: Vec<Vec<f64>> = (0..up)
        .map(|phase| {
            (0..taps)
                .rev()
                .map(|tap| prototype(tap * up + phase))
                .collect()
        })
        .collect();
    // Each phase has gain one for a constant, so that silence and offsets do not hum.
    for phase in &mut phases {
        let sum: f64 = phase.iter().sum();
        phase.iter_mut().for_each(|tap| *tap /= sum);
    }
    phases
        .into_iter()
        .map(|phase| phase.into_iter().map(|tap| tap as f32).collect())
        .collect()
}

fn convolve(window: &[f32], filter: &[f32]) -> f32 {
    let (window, filter) = (window.as_chunks::<8>().0, filter.as_chunks::<8>().0);
    let mut lanes = [0.0f32; 8];
    for (window, filter) in window.iter().zip(filter) {
        for ((lane, sample), tap) in lanes.iter_mut().zip(window).zip(filter) {
            *lane += sample * tap;
        }
    }
    lanes.iter().sum()
}

/// The modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut term = 1.0;
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// On each side of the filter: 2 ms at 8 kHz. A multiple of 4 keeps the taps a multiple of 8.
const ZERO_CROSSINGS: usize = 20;
/// The filter's -6 dB point, as a share of the lower rate's band.
const PASSBAND: f64 = 0.93;
/// Kaiser window for 80 dB.
const BETA: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(hz: f64, rate: u32, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| {
                let turn = std::f64::consts::TAU * hz / f64::from(rate);
                ((n as f64 * turn).sin() * 10_000.0).round() as i16
            })
            .collect()
    }

    /// Amplitude at `hz`, and of all that is not `hz`.
    fn measure(samples: &[i16], hz: f64, rate: u32) -> (f64, f64) {
        let turn = std::f64::consts::TAU * hz / f64::from(rate);
        let count = samples.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, &sample) in samples.iter().enumerate() {
            re += f64::from(sample) * (turn * n as f64).cos() * 2.0 / count;
            im += f64::from(sample) * (turn * n as f64).sin() * 2.0 / count;
        }
        let rest: f64 = samples
            .iter()
            .enumerate()
            .map(|(n, &sample)| {
                let phase = turn * n as f64;
                (f64::from(sample) - re * phase.cos() - im * phase.sin()).powi(2)
            })
            .sum();
        (re.hypot(im), (rest * 2.0 / count).sqrt())
    }

    #[test]
    fn a_tone_in_the_common_band_passes_clean_between_all_rates() {
        for from in Resampler::RATES {
            for to in Resampler::RATES {
                for hz in [300.0, 1000.0, 3000.0] {
                    let mut out = Vec::new();
                    let mut resampler = Resampler::new(from, to).unwrap();
                    resampler.process(&tone(hz, from, from as usize / 2), &mut out);
                    assert_eq!(out.len(), to as usize / 2);
                    // Whole periods from the middle of it.
                    let part = &out[to as usize / 10..][..to as usize / 5];
                    let (level, rest) = measure(part, hz, to);
                    assert!(
                        (9950.0..10_050.0).contains(&level),
                        "{from} to {to}, {hz} Hz: {level}"
                    );
                    assert!(rest < 10.0, "{from} to {to}, {hz} Hz: {rest}");
                }
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_removed() {
        for (from, to, hz) in [
            (16_000, 8000, 5000.0),
            (24_000, 8000, 7000.0),
            (48_000, 16_000, 9500.0),
        ] {
            let mut out = Vec::new();
            Resampler::new(from, to)
                .unwrap()
                .process(&tone(hz, from, 24_000), &mut out);
            let worst = out[200..out.len() - 200]
                .iter()
                .map(|s| s.unsigned_abs())
                .max();
            assert!(worst < Some(12), "{from} to {to}: {worst:?}");
        }
    }

    #[test]
    fn other_rates_are_refused() {
        let error = Resampler::new(11_025, 8000).unwrap_err();
        assert_eq!(
            error,
            UnknownRate {
                from: 11_025,
                to: 8000
            }
        );
        assert!(Resampler::new(8000, 0).is_err());
    }

    #[test]
    fn the_delay_is_what_is_told() {
        for (from, to) in [
            (8000, 16_000),
            (48_000, 8000),
            (24_000, 16_000),
            (8000, 48_000),
        ] {
            let mut resampler = Resampler::new(from, to).unwrap();
            let mut pulse = vec![0; 2000];
            pulse[0] = 30_000;
            let mut out = Vec::new();
            resampler.process(&pulse, &mut out);
            let peak = (0..out.len()).max_by_key(|&n| out[n]).unwrap();
            assert!(
                peak.abs_diff(resampler.delay()) <= 1,
                "{from} to {to}: {peak}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_cut_of_a_stream_into_pieces_is_not_heard(
            samples in prop::collection::vec(any::<i16>(), 0..600), cut in 1usize..200,
            from in 0usize..4, to in 0usize..4,
        ) {
            let (from, to) = (Resampler::RATES[from], Resampler::RATES[to]);
            let mut whole = Vec::new();
            Resampler::new(from, to).unwrap().process(&samples, &mut whole);
            let mut pieces = Vec::new();
            let mut resampler = Resampler::new(from, to).unwrap();
            for piece in samples.chunks(cut) {
                resampler.process(piece, &mut pieces);
            }
            prop_assert_eq!(whole.len(), (samples.len() * to as usize).div_ceil(from as usize));
            prop_assert_eq!(whole, pieces);
        }
    }
}

//! Brings speech of any rate to the telephone's 8 kHz.
//! A windowed sinc, computed once per phase; quality before speed, as the result is cached.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side, at the lower of the two rates.
const CROSSINGS: f64 = 16.0;
/// The pass band's share of the lower rate's half: leaves room for the filter's slope.
const PASS: f64 = 0.93;

/// Converts samples from one rate to another. Rates of zero give nothing.
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return samples.to_vec();
    }
    if from == 0 || to == 0 {
        return Vec::new();
    }
    let common = gcd(from, to);
    let (step, phases) = (u64::from(from / common), u64::from(to / common));
    let filter = Filter::new(from, to);
    // Rates with no common divisor have thousands of phases: then each is computed as it comes.
    let table: Option<Vec<Vec<f32>>> = (phases <= 1024).then(|| {
        (0..phases)
            .map(|phase| filter.taps(phase, phases))
            .collect()
    });
    let count = (samples.len() as u64).saturating_mul(phases) / step;
    let mut out = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for n in 0..count {
        let position = n.saturating_mul(step);
        let (whole, phase) = (position / phases, position % phases);
        let first = (whole as i64).saturating_sub(filter.reach as i64);
        let computed;
        let taps = match table.as_ref().and_then(|t| t.get(phase as usize)) {
            Some(taps) => taps,
            None => {
                computed = filter.taps(phase, phases);
                &computed
            }
        };
        let skipped = usize::try_from(first.saturating_neg()).unwrap_or(0);
        let begin = usize::try_from(first).unwrap_or(0);
        let heard = samples.get(begin..).unwrap_or_default();
        let sum: f32 = taps
            .iter()
            .skip(skipped)
            .zip(heard)
            .map(|(tap, sample)| tap * f32::from(*sample))
            .sum();
        out.push(sum.round() as i16);
    }
    out
}

struct Filter {
    /// Input samples on each side of the wanted position.
    reach: usize,
    /// Cut-off as a share of the input rate's half.
    cutoff: f64,
}

impl Filter {
    fn new(from: u32, to: u32) -> Filter {
        let cutoff = PASS * (f64::from(to) / f64::from(from)).min(1.0);
        Filter {
            reach: (CROSSINGS / cutoff).ceil() as usize,
            cutoff,
        }
    }

    /// The weights of the input samples around a position between two of them.
    fn taps(&self, phase: u64, phases: u64) -> Vec<f32> {
        let offset = phase as f64 / phases as f64;
        let reach = self.reach as f64;
        let weights: Vec<f64> = (0..=self.reach.saturating_mul(2))
            .map(|tap| {
                let distance = tap as f64 - reach - offset;
                let window = if distance.abs() >= reach {
                    0.0
                } else {
                    0.5 + 0.5 * (PI * distance / reach).cos()
                };
                window * sinc(distance * self.cutoff)
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| (w / sum) as f32).collect()
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: u32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (10_000.0 * (2.0 * PI * hertz * n as f64 / f64::from(rate)).sin()) as i16)
            .collect()
    }

    /// Root mean square without the filter's run-in and run-out.
    fn level(samples: &[i16]) -> f64 {
        let inner = &samples[200..samples.len() - 200];
        let sum: f64 = inner.iter().map(|s| f64::from(*s).powi(2)).sum();
        (sum / inner.len() as f64).sqrt()
    }

    #[test]
    fn a_tone_in_the_band_keeps_its_pitch_and_level() {
        for rate in [
            22_050, 16_000, 24_000, 44_100, 48_000, 11_025, 6_000, 22_051,
        ] {
            let tone = sine(1000.0, rate, rate as usize);
            let out = resample(&tone, rate, 8000);
            assert!(out.len().abs_diff(8000) <= 1, "{rate}: {}", out.len());
            let wanted = sine(1000.0, 8000, out.len());
            let difference: Vec<i16> = out.iter().zip(&wanted).map(|(a, b)| a - b).collect();
            assert!(
                level(&difference) < level(&wanted) / 100.0,
                "{rate}: off by {}",
                level(&difference)
            );
        }
    }

    #[test]
    fn what_a_telephone_cannot_carry_is_taken_out_not_folded_back() {
        let out = resample(&sine(5000.0, 22_050, 22_050), 22_050, 8000);
        assert!(level(&out) < 20.0, "{}", level(&out));
    }

    #[test]
    fn odd_inputs_give_no_trouble() {
        assert!(resample(&[], 22_050, 8000).is_empty());
        assert!(resample(&[1, 2], 0, 8000).is_empty());
        assert_eq!(resample(&[i16::MAX; 4], 8000, 8000), [i16::MAX; 4]);
        assert_eq!(resample(&[5; 3], 192_000, 8000).len(), 0);
        let loud = resample(&vec![i16::MAX; 4000], 16_000, 8000);
        assert!(loud[100..1900].iter().all(|s| *s > 32_000));
    }
}

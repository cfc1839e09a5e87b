//! Short-term linear prediction: how a signal rings on when its excitation stops.
//! Smooths the first milliseconds of a concealed loss.

use super::pitch::dot;

/// Linear prediction coefficients of a signal's last 20 ms.
#[derive(Clone, Debug)]
pub(super) struct Predictor {
    coefficients: [f32; ORDER],
}

impl Predictor {
    /// Autocorrelation method: windowed signal, then the Levinson-Durbin recursion.
    pub fn of(signal: &[f32], per_ms: usize) -> Predictor {
        let length = (20 * per_ms).min(signal.len());
        // The window rises over all but the last eighth: the newest samples matter most.
        let rise = (length * 7 / 8).max(1) as f32;
        let fall = (length as f32 - rise).max(1.0);
        let windowed: Vec<f32> = signal
            .iter()
            .skip(signal.len() - length)
            .enumerate()
            .map(|(index, sample)| {
                let place = index as f32;
                let phase = if place < rise {
                    place / rise
                } else {
                    1.0 + (place - rise) / fall
                };
                sample * (phase * std::f32::consts::FRAC_PI_2).sin()
            })
            .collect();
        let mut correlation = [0.0f32; ORDER + 1];
        for (lag, value) in correlation.iter_mut().enumerate() {
            *value = dot(&windowed, windowed.get(lag..).unwrap_or(&[]));
        }
        Predictor {
            coefficients: levinson(&correlation),
        }
    }

    /// `count` samples that follow `signal` without any new excitation.
    pub fn ring(&self, signal: &[f32], count: usize) -> Vec<f32> {
        let mut ringing = Vec::with_capacity(ORDER + count);
        ringing.extend(signal.iter().skip(signal.len().saturating_sub(ORDER)));
        for _ in 0..count {
            let newest_first = ringing.iter().rev();
            let next: f32 = newest_first
                .zip(&self.coefficients)
                .map(|(s, c)| s * c)
                .sum();
            ringing.push(next.clamp(-32768.0, 32767.0));
        }
        ringing.drain(..ringing.len() - count);
        ringing
    }
}

fn levinson(correlation: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let mut coefficients = [0.0f32; ORDER];
    let [power, shifted @ ..] = correlation;
    // White noise correction keeps the recursion well conditioned, also for digital silence.
    let mut error = power * 1.0005 + 1.0;
    for order in 0..ORDER {
        let known = coefficients;
        let so_far = known.iter().take(order);
        let predicted: f32 = so_far
            .zip(shifted.iter().take(order).rev())
            .map(|(c, r)| c * r)
            .sum();
        let reflection = (shifted.get(order).copied().unwrap_or(0.0) - predicted) / error;
        let mirrored = known.iter().take(order).rev();
        for (coefficient, mirror) in coefficients.iter_mut().zip(mirrored) {
            *coefficient -= reflection * mirror;
        }
        if let Some(newest) = coefficients.get_mut(order) {
            *newest = reflection;
        }
        error *= 1.0 - reflection * reflection;
        if error <= 0.0 {
            break;
        }
    }
    coefficients
}

const ORDER: usize = 12;

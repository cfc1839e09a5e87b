//! Tells a voice from a quiet line, 20 ms at a time.
//! The line's own noise is learnt; what stands clearly above it is a sound.

/// Quieter than this is never a sound: −44 dB.
const QUIETEST: f32 = 200.0;
/// A sound stands this much above the line's noise: 9 dB.
const ABOVE: f32 = 2.8;
/// What a noisy line can be taken for at most, so that a loud caller is never learnt as noise.
const NOISIEST: f32 = 1500.0;

/// Listens to one call.
#[derive(Debug, Default)]
pub struct Ear {
    /// The line's noise as far as it is known; the first samples are taken for it.
    noise: Option<f32>,
}

impl Ear {
    /// Whether these samples hold a sound.
    pub fn hears(&mut self, samples: &[i16]) -> bool {
        let level = level(samples);
        // Noise sinks at once and rises slowly: over speech the pauses between words tell it.
        let known = self.noise.unwrap_or(level);
        let noise = known.mul_add(0.999, level * 0.001).min(NOISIEST).min(level);
        self.noise = Some(noise);
        level > QUIETEST.max(noise * ABOVE)
    }
}

/// Root mean square.
fn level(samples: &[i16]) -> f32 {
    let count = samples.len().max(1) as f32;
    let sum: f32 = samples.iter().map(|s| f32::from(*s).powi(2)).sum();
    (sum / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(amplitude: i16, seed: u32) -> Vec<i16> {
        let mut state = seed;
        (0..160)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let unit = (state >> 16) as f32 / 32768.0 - 1.0;
                (unit * f32::from(amplitude)) as i16
            })
            .collect()
    }

    #[test]
    fn a_voice_is_heard_over_a_noisy_line_and_the_noise_is_not() {
        let mut ear = Ear::default();
        let mut noise_heard = 0;
        for n in 0..500 {
            noise_heard += usize::from(ear.hears(&noise(900, n)));
        }
        assert_eq!(noise_heard, 0, "a steady noise is no message");
        let voice_heard = (0..50).filter(|n| ear.hears(&noise(8000, *n))).count();
        assert_eq!(voice_heard, 50);
    }

    #[test]
    fn silence_is_silent() {
        let mut ear = Ear::default();
        assert!(!ear.hears(&[0; 160]));
        assert!(!ear.hears(&[]));
        assert!(!ear.hears(&noise(100, 1)));
        assert!(ear.hears(&noise(4000, 1)));
        let mut ear = Ear::default();
        assert!(
            !ear.hears(&noise(4000, 1)),
            "the first sound cannot be told from noise"
        );
        assert!(!ear.hears(&noise(100, 2)));
        assert!(ear.hears(&noise(8000, 3)));
    }
}

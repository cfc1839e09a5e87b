//! Pitch search by normalized cross-correlation.
//! Concealment and time stretching both look for the lag at which a signal resembles itself.

/// The lags among which a pitch period is searched, in samples.
#[derive(Copy, Clone, Debug)]
pub(super) struct Lags {
    /// Least lag: 5 ms, a voice of 200 Hz. Higher voices are found at a multiple.
    pub min: usize,
    /// Largest lag: 15 ms, a voice of 66 Hz.
    pub max: usize,
    /// How much signal is compared: 20 ms.
    pub window: usize,
    /// Samples in a millisecond.
    pub per_ms: usize,
}

impl Lags {
    pub fn of_speech(sample_rate: u32) -> Lags {
        let per_ms = (sample_rate as usize / 1000).clamp(8, 48);
        Lags {
            min: 5 * per_ms,
            max: 15 * per_ms,
            window: 20 * per_ms,
            per_ms,
        }
    }

    /// The lag at which the end of `signal` resembles what came before it.
    pub fn find(&self, signal: &[f32]) -> usize {
        let Some((before, end)) = signal.split_at_checked(signal.len().saturating_sub(self.window))
        else {
            return self.max;
        };
        let _ = before;
        let likeness = |lag: usize| {
            let start = signal.len().checked_sub(self.window + lag)?;
            let earlier = signal.get(start..start + self.window)?;
            Some(dot(end, earlier) / (dot(earlier, earlier) + 1.0).sqrt())
        };
        // Every second lag first, then the neighbours of the best.
        let best = |lags: &mut dyn Iterator<Item = usize>| {
            lags.filter_map(|lag| Some((lag, likeness(lag)?)))
                .fold((self.max, f32::MIN), |best, found| {
                    if found.1 > best.1 { found } else { best }
                })
                .0
        };
        let coarse = best(&mut (self.min..=self.max).step_by(2));
        best(&mut (coarse.saturating_sub(1).max(self.min)..=(coarse + 1).min(self.max)))
    }
}

/// Sum of products over the shorter of both, in eight lanes so that it can be vectorized.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut lanes = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

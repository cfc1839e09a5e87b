//! What concealment promises: nothing changed without a loss, no step at its ends, an end to it.
//! Signals are made here; real speech is scored elsewhere.

use super::*;
use proptest::prelude::*;

/// A voice of sorts: a pitch with harmonics whose strength wanders.
fn voice(count: usize, hz: f32) -> Vec<i16> {
    (0..count)
        .map(|n| {
            let t = n as f32 / 8000.0;
            let swell = 0.7 + 0.3 * (t * 5.0).sin();
            let sum: f32 = (1..8)
                .map(|k| (t * hz * k as f32 * std::f32::consts::TAU).sin() / k as f32)
                .sum();
            (sum * swell * 5000.0) as i16
        })
        .collect()
}

fn energy(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// `lost` tells which of the 20 ms frames do not arrive.
fn run(input: &[i16], lost: &[usize]) -> Vec<i16> {
    let mut concealer = Concealer::new(8000);
    let mut out = Vec::new();
    for (index, frame) in input.chunks(160).enumerate() {
        let mut frame = frame.to_vec();
        if lost.contains(&index) {
            frame.fill(0x55);
            concealer.lost(&mut frame);
        } else {
            concealer.good(&mut frame);
        }
        out.extend(frame);
    }
    out
}

#[test]
fn a_lost_frame_of_a_voice_is_continued_with_its_energy_and_shape() {
    for hz in [80.0, 120.0, 180.0, 250.0, 333.0] {
        let input = voice(1600, hz);
        let out = run(&input, &[5]);
        let ratio = energy(&out[800..960]) / energy(&input[800..960]);
        assert!((0.7..1.25).contains(&ratio), "{hz} Hz: energy {ratio}");
        let noise: Vec<i16> = (800..960).map(|i| out[i].wrapping_sub(input[i])).collect();
        let snr = 20.0 * (energy(&input[800..960]) / energy(&noise)).log10();
        assert!(snr > 6.0, "{hz} Hz: {snr} dB");
    }
}

#[test]
fn neither_end_of_a_loss_has_a_step() {
    for hz in [80.0, 120.0, 180.0, 250.0] {
        for lost in [&[5][..], &[5, 6], &[5, 6, 7]] {
            let input = voice(2400, hz);
            let out = run(&input, lost);
            let steepest = |s: &[i16]| {
                s.windows(2)
                    .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
                    .max()
                    .unwrap()
            };
            let (natural, made) = (steepest(&input), steepest(&out[780..]));
            assert!(
                made <= natural * 3 / 2,
                "{hz} Hz, {lost:?}: {made} against {natural}"
            );
        }
    }
}

#[test]
fn a_loss_that_lasts_fades_to_silence_at_60_ms() {
    let input = voice(3200, 120.0);
    let out = run(&input, &(5..15).collect::<Vec<_>>());
    let levels: Vec<f64> = out[800..1600].chunks(80).map(energy).collect();
    assert!(levels[0] > energy(&input) * 0.6);
    assert!(
        levels
            .windows(2)
            .all(|pair| pair[1] <= pair[0] * 1.15 + 1.0),
        "{levels:?}"
    );
    assert_eq!(out[800 + 480..800 + 1600], [0; 1120]);
    assert_eq!(
        out[2480..],
        input[2480..],
        "10 ms after its end nothing is left of it"
    );
}

#[test]
fn a_loss_before_anything_was_heard_is_silence() {
    let input = voice(800, 120.0);
    let out = run(&input, &[0, 1]);
    assert_eq!(out[..320], [0; 320]);
    assert_eq!(out[400..], input[400..]);
}

#[test]
fn a_cut_is_smoothed_like_the_end_of_a_loss() {
    let mut concealer = Concealer::new(8000);
    let mut before = vec![8000i16; 480];
    concealer.good(&mut before);
    concealer.cut();
    let mut after = vec![-8000i16; 160];
    concealer.good(&mut after);
    let step = i32::from(after[0]) - i32::from(before[479]);
    assert!(step.abs() < 4000, "{step}");
    assert_eq!(after[80..], [-8000; 80]);
}

proptest! {
    #[test]
    fn without_a_loss_every_sample_leaves_as_it_came(
        samples in prop::collection::vec(any::<i16>(), 0..2000), cut in 1usize..400,
    ) {
        let mut concealer = Concealer::new(8000);
        for piece in samples.chunks(cut) {
            let mut out = piece.to_vec();
            concealer.good(&mut out);
            prop_assert_eq!(&out[..], piece);
        }
    }

    #[test]
    fn any_mixture_of_lengths_losses_and_rates_is_taken(
        pieces in prop::collection::vec((any::<bool>(), 0usize..700, any::<i16>()), 0..10), rate in 0u32..60_000,
    ) {
        let mut concealer = Concealer::new(rate);
        for (lost, length, level) in pieces {
            let mut piece = vec![level; length];
            if lost { concealer.lost(&mut piece) } else { concealer.good(&mut piece) }
            prop_assert_eq!(piece.len(), length);
        }
    }
}

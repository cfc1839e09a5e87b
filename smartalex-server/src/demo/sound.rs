//! What is said and heard on the lines of the demonstration: a tone to know a speaker by, and
//! ears that tell a tone, a voice and silence apart.

use std::f32::consts::TAU;
use std::time::Duration;

use rtp_media::net::Frame;
use voice_bridge::CallControl;

/// A tone that somebody is known by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tone(pub(super) f32);

impl Tone {
    /// Says the tone until the call is over.
    pub(super) async fn say(self, call: CallControl) {
        let mut sample = 0_usize;
        while call.ending().is_none() {
            while call.queued() < AHEAD {
                let turn = |i: usize| (i % RATE as usize) as f32 / RATE as f32 * self.0 * TAU;
                let samples = (sample..sample + FRAME)
                    .map(|i| (turn(i).sin() * LOUDNESS) as i16)
                    .collect();
                sample += FRAME;
                if call.say(Frame::new(samples, RATE)).is_err() {
                    return;
                }
            }
            tokio::time::sleep(AHEAD / 4).await;
        }
    }

    /// Whether a frame is this tone and little else.
    pub(super) fn is_in(self, frame: &Frame) -> bool {
        let total: f32 = frame.samples.iter().map(|&s| f32::from(s).powi(2)).sum();
        if !is_voice(frame) {
            return false;
        }
        let (mut re, mut im) = (0.0, 0.0);
        for (i, &sample) in frame.samples.iter().enumerate() {
            let angle = i as f32 / frame.rate.max(1) as f32 * self.0 * TAU;
            re += f32::from(sample) * angle.cos();
            im += f32::from(sample) * angle.sin();
        }
        // 1 for a pure tone (Parseval), near 0 for anything else.
        (re * re + im * im) * 2.0 / frame.samples.len() as f32 / total > 0.8
    }
}

/// Whether a frame is loud enough to be somebody: above −38 dB.
pub(super) fn is_voice(frame: &Frame) -> bool {
    let total: f32 = frame.samples.iter().map(|&s| f32::from(s).powi(2)).sum();
    !frame.samples.is_empty() && (total / frame.samples.len() as f32).sqrt() > 400.0
}

const RATE: u32 = 8_000;
/// Samples of 20 ms.
const FRAME: usize = 160;
/// Peak, a quarter of the scale.
const LOUDNESS: f32 = 8_000.0;
/// How much waits to be said: enough for a busy machine, little enough to stop soon.
const AHEAD: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(hertz: f32, loudness: f32) -> Frame {
        let sample = |i| ((i as f32 / 8_000.0 * hertz * TAU).sin() * loudness) as i16;
        Frame::new((0..160).map(sample).collect(), 8_000)
    }

    #[test]
    fn a_tone_is_told_from_another_and_from_silence() {
        assert!(Tone(440.0).is_in(&frame(440.0, 8_000.0)));
        assert!(!Tone(440.0).is_in(&frame(300.0, 8_000.0)));
        assert!(!Tone(440.0).is_in(&frame(440.0, 100.0)));
        assert!(is_voice(&frame(700.0, 2_000.0)));
        assert!(!is_voice(&Frame::new(Vec::new(), 8_000)));
    }
}

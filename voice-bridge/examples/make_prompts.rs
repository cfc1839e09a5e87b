//! Makes the bundled prompts of `src/speech/prompts` from their list of phrases.
//! Needs espeak-ng. `src/speech/prompts/PROVENANCE.md` tells the rest.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use rtp_media::codec::g711::ulaw_encode;
use voice_bridge::speech::{Engine, EspeakVoice, Voice, VoiceConfig};

/// Quieter than this, at the edges of a recording, is cut away.
const SILENT: u16 = 300;
/// What stays of the silence at the edges: 5 ms, so that no sound is cut into.
const EDGE: usize = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/speech/prompts");
    let mut config = VoiceConfig::default();
    config.engine = Engine::EspeakNg;
    config.espeak = EspeakVoice {
        voice: "en".to_owned(),
        speed: 185,
    };
    let voice = Voice::new(&config)?;
    let mut recordings = Vec::new();
    let mut index = String::new();
    for phrase in std::fs::read_to_string(folder.join("phrases.txt"))?.lines() {
        let speech = voice.speak(phrase).await;
        if &*speech.voice != "espeak-ng" {
            return Err(format!("{phrase:?} was spoken by {}", speech.voice).into());
        }
        let recording = trimmed(&speech.samples);
        writeln!(index, "{phrase}\t{}\t{}", recordings.len(), recording.len())?;
        recordings.extend(recording.iter().map(|sample| ulaw_encode(*sample)));
    }
    std::fs::write(folder.join("prompts.ulaw"), &recordings)?;
    std::fs::write(folder.join("index.tsv"), &index)?;
    Ok(())
}

/// The samples from the first to the last that can be heard.
fn trimmed(samples: &[i16]) -> &[i16] {
    let heard = |sample: &i16| sample.unsigned_abs() > SILENT;
    let begin = samples
        .iter()
        .position(heard)
        .unwrap_or(0)
        .saturating_sub(EDGE);
    let end = samples
        .iter()
        .rposition(heard)
        .map_or(0, |last| last.saturating_add(EDGE));
    samples
        .get(begin..end.min(samples.len()))
        .unwrap_or(samples)
}

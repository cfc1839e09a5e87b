//! Speech for agents that bring none of their own: text in, audio at 8 kHz out, always.
//! Voices stand in a chain; when the preferred one fails the next speaks, and says its name.

mod cache;
mod http;
mod process;
pub(crate) mod prompts;
mod resample;
mod text;
mod tones;
mod voice;
mod wav;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use resample::resample;
pub(crate) use text::cleaned;
pub use text::{MAX_TEXT, sentences};
pub(crate) use tones::beep;
pub use voice::Voice;
pub use wav::WavError;

/// Samples in a second of all speech made here.
pub const RATE: u32 = 8000;
/// The largest WAV file taken from a program or server: six minutes at 44.1 kHz.
pub const MAX_WAV: usize = 32 << 20;

/// A text spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// 16-bit samples at [`RATE`]. Never empty, never all silent.
    pub samples: Arc<[i16]>,
    /// The name of the voice that spoke it.
    pub voice: Arc<str>,
}

/// Which voice to speak with. What is set is tried in the order of the fields; the bundled
/// prompts and tones stand behind everything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct VoiceConfig {
    /// A speech server.
    pub http: Option<HttpVoice>,
    /// A program and its arguments: text on its standard input, a WAV file on its standard
    /// output.
    pub command: Vec<String>,
    /// The voice built in.
    pub engine: Engine,
    /// What espeak-ng is told.
    pub espeak: EspeakVoice,
    /// How long the voices above may take for one sentence, in seconds; 0 means 10.
    pub timeout_seconds: u32,
}

impl VoiceConfig {
    fn timeout(&self) -> Duration {
        match self.timeout_seconds {
            0 => Duration::from_secs(10),
            seconds => Duration::from_secs(u64::from(seconds)),
        }
    }
}

/// The voices that need nothing set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Engine {
    /// espeak-ng where it is installed, otherwise the bundled prompts.
    #[default]
    Auto,
    /// espeak-ng; it is an error when it is not installed.
    EspeakNg,
    /// The bundled prompts.
    Prompts,
    /// Tones only.
    Tones,
}

/// How espeak-ng speaks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EspeakVoice {
    /// Its voice, as `espeak-ng --voices` lists them: `en`, `en-gb`, `de`, `mb-us1`.
    pub voice: String,
    /// Words a minute, 80 to 450.
    pub speed: u16,
}

impl Default for EspeakVoice {
    fn default() -> Self {
        EspeakVoice {
            voice: "en".to_owned(),
            speed: 160,
        }
    }
}

/// A speech server.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpVoice {
    /// `http://…` or `https://…`; receives a POST for each sentence.
    pub url: String,
    /// Headers to send, such as `authorization`. Never logged.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as a JSON template in which `{text}` stands for the text as a JSON string.
    /// Without it the body is the plain text.
    #[serde(default)]
    pub body: Option<String>,
}

impl HttpVoice {
    /// A server that takes plain text.
    pub fn new(url: impl Into<String>) -> Self {
        HttpVoice {
            url: url.into(),
            headers: BTreeMap::new(),
            body: None,
        }
    }
}

impl fmt::Debug for HttpVoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // URL and headers may hold a key.
        let names: Vec<&String> = self.headers.keys().collect();
        f.debug_struct("HttpVoice")
            .field("headers", &names)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Why a voice did not speak. The next in the chain does then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoiceError {
    /// The settings cannot be used.
    #[error("{cause}")]
    Settings {
        /// Which one, and why.
        cause: String,
    },
    /// The program cannot be run or failed.
    #[error("speech program {program}: {cause}")]
    Program {
        /// The program.
        program: String,
        /// What happened.
        cause: String,
    },
    /// The server cannot be reached or failed.
    #[error("speech server {host}: {cause}")]
    Server {
        /// Its host.
        host: String,
        /// What happened.
        cause: String,
    },
    /// What came is not a WAV file that can be played.
    #[error("speech from {from}: {source}")]
    Wav {
        /// The program or host.
        from: String,
        /// What is wrong with it.
        source: WavError,
    },
    /// It took too long.
    #[error("speech was not ready within {} s", .0.as_secs())]
    Timeout(Duration),
    /// More audio came than is taken.
    #[error("speech is larger than {limit} bytes")]
    TooLong {
        /// The most bytes of a WAV file.
        limit: usize,
    },
    /// Audio came, but nothing in it can be heard.
    #[error("speech is silent")]
    Silent,
}

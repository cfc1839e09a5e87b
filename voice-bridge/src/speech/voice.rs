//! The chain of voices behind one handle, with their memory and their health.
//! A voice that fails again and again is left alone for a while, so that calls do not wait for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::cache::Cache;
use super::http::Speaker;
use super::wav::Audio;
use super::{
    Engine, EspeakVoice, RATE, Speech, VoiceConfig, VoiceError, cleaned, process, prompts,
    resample, tones,
};

/// Sentences rendered at the same time; further ones wait, within their timeout.
const AT_ONCE: usize = 4;
/// So many failures in a row, and a voice is left alone for a while.
const PATIENCE: u32 = 3;
const REST: Duration = Duration::from_secs(30);
/// Nothing louder than this, and it counts as silence: −50 dB.
const AUDIBLE: u16 = 100;

/// Speaks text. Cheap to clone; all clones share memory and limits.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use voice_bridge::speech::Voice;
///
/// let voice = Voice::bundled();
/// let speech = voice.speak("For extension 101, press 1.").await;
/// assert_eq!(&*speech.voice, "prompts");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Voice {
    inner: Arc<Inner>,
}

impl Voice {
    /// The chain that the settings describe. Nothing is run or connected to yet.
    ///
    /// # Errors
    /// A setting cannot be used; the text names it.
    pub fn new(config: &VoiceConfig) -> Result<Voice, VoiceError> {
        let mut chain = Vec::new();
        if let Some(http) = &config.http {
            let speaker = Speaker::new(http)?;
            let name = format!("http:{}", speaker.host());
            chain.push(Link::new(name, Source::Http(Box::new(speaker))));
        }
        if let Some((program, arguments)) = config.command.split_first() {
            let path = PathBuf::from(program);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.is_empty() {
                return Err(VoiceError::Settings {
                    cause: format!("speech command {program:?} names no program"),
                });
            }
            chain.push(Link::new(
                format!("command:{name}"),
                Source::Program(path.clone(), arguments.to_vec()),
            ));
        }
        match config.engine {
            Engine::Auto => chain.extend(espeak(&config.espeak)),
            Engine::EspeakNg => {
                chain.push(espeak(&config.espeak).ok_or_else(|| VoiceError::Settings {
                    cause: format!("{ESPEAK} is not installed: apt-get install {ESPEAK}"),
                })?);
            }
            Engine::Prompts | Engine::Tones => {}
        }
        chain.push(match config.engine {
            Engine::Tones => Link::new("tones", Source::Tones),
            _ => Link::new("prompts", Source::Prompts),
        });
        let voice = Voice {
            inner: Arc::new(Inner {
                chain,
                timeout: config.timeout(),
                cache: Mutex::default(),
                at_once: Semaphore::new(AT_ONCE),
            }),
        };
        tracing::info!(voice = voice.name(), "voice of the embedded agents chosen");
        Ok(voice)
    }

    /// The best voice that is at hand without any settings.
    pub fn automatic() -> Voice {
        // Only settings can be wrong, and there are none.
        Voice::new(&VoiceConfig::default()).unwrap_or_else(|_| Voice::bundled())
    }

    /// The bundled prompts alone: needs nothing installed.
    pub fn bundled() -> Voice {
        Voice {
            inner: Arc::new(Inner {
                chain: vec![Link::new("prompts", Source::Prompts)],
                timeout: Duration::from_secs(1),
                cache: Mutex::default(),
                at_once: Semaphore::new(AT_ONCE),
            }),
        }
    }

    /// The name of the voice that speaks unless it fails: `http:HOST`, `command:PROGRAM`,
    /// `espeak-ng`, `prompts` or `tones`.
    pub fn name(&self) -> &str {
        self.inner.chain.first().map_or("tones", |link| &link.name)
    }

    /// Speaks a text. Always gives something that can be heard: when a voice fails, which is
    /// logged with its cause, the next one speaks.
    ///
    /// Give it a sentence at a time (see [`sentences`](super::sentences)).
    pub async fn speak(&self, text: &str) -> Speech {
        let text = cleaned(text);
        for link in &self.inner.chain {
            if link.rests() {
                continue;
            }
            match self.inner.render(link, &text).await {
                Ok(samples) => {
                    link.lock().failures = 0;
                    return Speech {
                        samples,
                        voice: Arc::clone(&link.name),
                    };
                }
                Err(error) => {
                    link.failed();
                    tracing::warn!(voice = &*link.name, %error, "voice failed, the next one speaks");
                }
            }
        }
        Speech {
            samples: tones::tones(&text).into(),
            voice: Arc::from("tones"),
        }
    }
}

#[derive(Debug)]
struct Inner {
    chain: Vec<Link>,
    timeout: Duration,
    cache: Mutex<Cache>,
    at_once: Semaphore,
}

impl Inner {
    async fn render(&self, link: &Link, text: &str) -> Result<Arc<[i16]>, VoiceError> {
        // What a voice has spoken stays its own: the key holds its name.
        let key = format!("{}\n{text}", link.name);
        if let Some(speech) = self.cache().recall(&key) {
            return Ok(speech);
        }
        let rendered = tokio::time::timeout(self.timeout, async {
            let permit = self.at_once.acquire().await;
            // Whoever held the permit before may have rendered the same text for another call.
            if let Some(speech) = self.cache().recall(&key) {
                return Ok(speech);
            }
            let samples = link.source.render(text).await?;
            drop(permit);
            if !samples.iter().any(|sample| sample.unsigned_abs() > AUDIBLE) {
                return Err(VoiceError::Silent);
            }
            let speech: Arc<[i16]> = samples.into();
            self.cache().remember(&key, &speech);
            Ok(speech)
        });
        rendered
            .await
            .unwrap_or(Err(VoiceError::Timeout(self.timeout)))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One voice of the chain.
#[derive(Debug)]
struct Link {
    name: Arc<str>,
    source: Source,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Link {
    fn new(name: impl Into<Arc<str>>, source: Source) -> Link {
        Link {
            name: name.into(),
            source,
            health: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self) -> bool {
        let until = self.lock().rests_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&self) {
        let mut health = self.lock();
        health.failures = health.failures.saturating_add(1);
        if health.failures >= PATIENCE {
            // After the rest a single further failure is enough for the next one.
            health.rests_until = Instant::now().checked_add(REST);
        }
    }
}

#[derive(Debug)]
enum Source {
    Http(Box<Speaker>),
    Program(PathBuf, Vec<String>),
    Espeak(PathBuf, Vec<String>),
    Prompts,
    Tones,
}

impl Source {
    async fn render(&self, text: &str) -> Result<Vec<i16>, VoiceError> {
        let audio = match self {
            Source::Http(speaker) => speaker.speak(text).await?,
            Source::Program(program, arguments) => process::run(program, arguments, text).await?,
            Source::Espeak(program, arguments) => {
                // Brackets would be read as phoneme names, angle brackets as markup.
                let plain = text.replace(['[', ']', '<', '>'], " ");
                process::run(program, arguments, &plain).await?
            }
            Source::Prompts => return Ok(prompts::speak(text)),
            Source::Tones => return Ok(tones::tones(text)),
        };
        telephone(audio).await
    }
}

/// Brings audio of any rate to [`RATE`], away from the threads that carry calls.
async fn telephone(audio: Audio) -> Result<Vec<i16>, VoiceError> {
    let Audio { samples, rate } = audio;
    tokio::task::spawn_blocking(move || resample(&samples, rate, RATE))
        .await
        .map_err(|error| VoiceError::Settings {
            cause: format!("speech could not be resampled: {error}"),
        })
}

const ESPEAK: &str = "espeak-ng";

fn espeak(settings: &EspeakVoice) -> Option<Link> {
    let program = process::find(ESPEAK)?;
    let arguments = [
        "--stdin".to_owned(),
        "--stdout".to_owned(),
        "-v".to_owned(),
        settings.voice.clone(),
        "-s".to_owned(),
        settings.speed.clamp(80, 450).to_string(),
    ];
    Some(Link::new(
        ESPEAK,
        Source::Espeak(program, arguments.to_vec()),
    ))
}

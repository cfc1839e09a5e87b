//! The chain of voices: espeak-ng, programs, a server; and what happens when they fail.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and says when it skips"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use voice_bridge::speech::{Engine, HttpVoice, Speech, Voice, VoiceConfig};

/// Root mean square.
fn level(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// The energy around a frequency, by Goertzel's algorithm, relative to all energy.
fn share_at(samples: &[i16], hertz: f64) -> f64 {
    let w = 2.0 * std::f64::consts::PI * hertz / 8000.0;
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in samples {
        let s0 = f64::from(*sample) + 2.0 * w.cos() * s1 - s2;
        (s2, s1) = (s1, s0);
    }
    let power = s1 * s1 + s2 * s2 - 2.0 * w.cos() * s1 * s2;
    let total: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    2.0 * power / (total * samples.len() as f64)
}

/// A second of a 1 kHz tone as a WAV file at 22,050 Hz, with the length a pipe writer claims.
fn tone() -> Vec<u8> {
    let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend(22_050u32.to_le_bytes());
    wav.extend(44_100u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
    for n in 0..22_050 {
        let phase = 2.0 * std::f64::consts::PI * 1000.0 * f64::from(n) / 22_050.0;
        wav.extend(((phase.sin() * 8000.0) as i16).to_le_bytes());
    }
    wav
}

fn is_the_tone(speech: &Speech) {
    assert!(
        speech.samples.len().abs_diff(8000) < 10,
        "{}",
        speech.samples.len()
    );
    assert!(share_at(&speech.samples, 1000.0) > 0.9);
}

fn shell(script: &str) -> VoiceConfig {
    let mut config = VoiceConfig::default();
    config.command = ["sh", "-c", script].map(str::to_owned).to_vec();
    config.engine = Engine::Prompts;
    config
}

/// A file of this test's own that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Scratch {
        let name = format!("voice-bridge-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(content)
            .unwrap();
        Scratch(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn espeak_ng_speaks_at_telephone_rate() {
    let mut config = VoiceConfig::default();
    config.engine = Engine::EspeakNg;
    let voice = match Voice::new(&config) {
        Ok(voice) => voice,
        Err(error) => {
            assert!(std::env::var_os("SMARTALEX_NO_SKIP").is_none(), "{error}");
            eprintln!("SKIPPED espeak_ng_speaks_at_telephone_rate: {error}");
            return;
        }
    };
    assert_eq!(voice.name(), "espeak-ng");
    let short = voice.speak("Hello.").await;
    let long = voice
        .speak("Hello, this is a considerably longer sentence with [[phonemes]] and <tags/>.")
        .await;
    for speech in [&short, &long] {
        assert_eq!(&*speech.voice, "espeak-ng");
        assert!(level(&speech.samples) > 300.0, "{}", level(&speech.samples));
    }
    let seconds = |speech: &Speech| speech.samples.len() as f32 / 8000.0;
    assert!((0.3..3.0).contains(&seconds(&short)), "{}", seconds(&short));
    assert!((3.0..12.0).contains(&seconds(&long)), "{}", seconds(&long));
    // Once spoken it is remembered: the second time costs no process.
    let began = Instant::now();
    for _ in 0..1000 {
        assert!(Arc::ptr_eq(
            &voice.speak("Hello.").await.samples,
            &short.samples
        ));
    }
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn without_settings_there_is_always_a_voice() {
    let voice = Voice::automatic();
    assert!(
        ["espeak-ng", "prompts"].contains(&voice.name()),
        "{}",
        voice.name()
    );
    let bundled = Voice::bundled();
    for text in ["For extension 101, press 1.", "Grüße aus Köln", "", "…"] {
        let speech = bundled.speak(text).await;
        assert_eq!(&*speech.voice, "prompts");
        assert!(level(&speech.samples) > 200.0, "{text:?}");
    }
}

#[tokio::test]
async fn a_command_gets_the_text_as_one_line_and_its_wav_is_played() {
    let wav = Scratch::new("tone.wav", &tone());
    let text = Scratch::new("text", b"");
    let script = format!("cat >> {}; cat {}", text.path(), wav.path());
    let voice = Voice::new(&shell(&script)).unwrap();
    assert_eq!(voice.name(), "command:sh");
    let speech = voice.speak("Hello\nthere;  `reboot` \"$HOME\"").await;
    assert_eq!(&*speech.voice, "command:sh");
    is_the_tone(&speech);
    let received = std::fs::read_to_string(&text.0).unwrap();
    assert_eq!(received, "Hello there; `reboot` \"$HOME\"\n");
}

#[tokio::test]
async fn fifty_calls_with_the_same_prompt_render_it_once() {
    let wav = Scratch::new("once.wav", &tone());
    let runs = Scratch::new("runs", b"");
    let script = format!(
        "echo run >> {}; cat >/dev/null; cat {}",
        runs.path(),
        wav.path()
    );
    let voice = Voice::new(&shell(&script)).unwrap();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let voice = voice.clone();
            tokio::spawn(async move { voice.speak("Welcome.").await })
        })
        .collect();
    for call in calls {
        assert_eq!(&*call.await.unwrap().voice, "command:sh");
    }
    let runs = std::fs::read_to_string(&runs.0).unwrap().lines().count();
    // Four run at once; whoever waits for them finds the result.
    assert!((1..=4).contains(&runs), "{runs}");
}

#[tokio::test]
async fn a_voice_that_fails_is_replaced_by_the_next() {
    let empty = "cat >/dev/null";
    let noisy = "cat >/dev/null; yes complaint | head -c 1000000 >&2; exit 3";
    let talks = "cat >/dev/null; echo Error: no such model";
    let endless = "cat /dev/zero";
    let began = Instant::now();
    for script in [
        empty,
        noisy,
        talks,
        endless,
        "exec /nonexistent",
        "kill -9 $$",
    ] {
        let voice = Voice::new(&shell(script)).unwrap();
        let speech = voice.speak("Thank you for calling.").await;
        assert_eq!(&*speech.voice, "prompts", "{script}");
        assert!(level(&speech.samples) > 300.0, "{script}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "none of these is waited for"
    );
    let mut missing = VoiceConfig::default();
    missing.command = vec!["/nonexistent/piper".to_owned()];
    missing.engine = Engine::Tones;
    let voice = Voice::new(&missing).unwrap();
    assert_eq!(voice.name(), "command:piper");
    assert_eq!(&*voice.speak("Hello.").await.voice, "tones");
}

#[tokio::test]
async fn a_voice_that_hangs_is_killed_in_time_and_then_left_alone() {
    let pids = Scratch::new("pids", b"");
    let mut config = shell(&format!("echo $$ >> {}; exec sleep 600", pids.path()));
    config.timeout_seconds = 1;
    let voice = Voice::new(&config).unwrap();
    let began = Instant::now();
    for n in 0..10 {
        let speech = voice.speak(&format!("Press {n}.")).await;
        assert_eq!(&*speech.voice, "prompts");
    }
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(6),
        "three are waited for, not ten: {took:?}"
    );
    let pids = std::fs::read_to_string(&pids.0).unwrap();
    assert_eq!(pids.lines().count(), 3);
    // Killed when the waiting ended; the last one may need a moment.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for pid in pids.lines() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(
            state.is_empty() || state.contains(") Z "),
            "{pid} still runs: {state}"
        );
    }
}

/// A speech server that answers as told and counts.
async fn server(
    answer: Vec<u8>,
) -> (
    String,
    Arc<AtomicUsize>,
    tokio::sync::mpsc::Receiver<String>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (requests, received) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = Vec::new();
            while !whole(&request) {
                let mut more = [0; 4096];
                let n = stream.read(&mut more).await.unwrap();
                if n == 0 {
                    break;
                }
                request.extend(&more[..n]);
            }
            let _ = requests
                .send(String::from_utf8_lossy(&request).into_owned())
                .await;
            let _ = stream.write_all(&answer).await;
        }
    });
    (
        format!("http://{address}/speak?key=secret"),
        count,
        received,
    )
}

/// Whether a request has come to its end.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.trim().parse().unwrap())
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

#[tokio::test]
async fn a_server_gets_the_text_and_its_wav_is_played() {
    let (url, _, mut requests) = server(ok(&tone())).await;
    let mut config = VoiceConfig::default();
    config.http = Some(HttpVoice::new(url));
    let voice = Voice::new(&config).unwrap();
    assert_eq!(voice.name(), "http:127.0.0.1");
    is_the_tone(&voice.speak("Guten Tag, Zoë.").await);
    let request = requests.recv().await.unwrap();
    assert!(
        request.starts_with("POST /speak?key=secret HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("content-type: text/plain; charset=utf-8\r\n"));
    assert!(request.ends_with("\r\n\r\nGuten Tag, Zoë."));
}

#[tokio::test]
async fn a_server_that_wants_json_gets_the_text_as_a_json_string() {
    let (url, _, mut requests) = server(ok(&tone())).await;
    let mut http = HttpVoice::new(url);
    http.headers = BTreeMap::from([("authorization".to_owned(), "Bearer s3cret".to_owned())]);
    http.body = Some(r#"{"input": {text}, "response_format": "wav"}"#.to_owned());
    let mut config = VoiceConfig::default();
    config.http = Some(http);
    let shown = format!("{config:?} {:?}", Voice::new(&config).unwrap());
    assert!(
        !shown.contains("s3cret") && !shown.contains("key=secret"),
        "{shown}"
    );
    let voice = Voice::new(&config).unwrap();
    is_the_tone(&voice.speak(r#"Say "hello" \ please"#).await);
    let request = requests.recv().await.unwrap();
    assert!(request.contains("authorization: Bearer s3cret\r\n"));
    assert!(request.contains("content-type: application/json\r\n"));
    let body: serde_json::Value =
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["input"], r#"Say "hello" \ please"#);
}

#[tokio::test]
async fn a_server_that_fails_is_replaced_and_after_three_times_left_alone() {
    let (url, count, _requests) =
        server(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec())
            .await;
    let mut config = VoiceConfig::default();
    config.http = Some(HttpVoice::new(url));
    config.engine = Engine::Prompts;
    let voice = Voice::new(&config).unwrap();
    for n in 0..10 {
        assert_eq!(&*voice.speak(&format!("Press {n}.")).await.voice, "prompts");
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[test]
fn settings_that_cannot_work_are_named() {
    let http = |url: &str| {
        let mut config = VoiceConfig::default();
        config.http = Some(HttpVoice::new(url));
        Voice::new(&config).unwrap_err().to_string()
    };
    assert!(http("/speak").contains("names no host"));
    assert!(http("speak.example").contains("neither http:// nor https://"));
    assert!(http("ftp://speak.example/").contains("neither http:// nor https://"));
    let mut config = VoiceConfig::default();
    let mut voice = HttpVoice::new("https://speak.example/");
    voice.body = Some("{}".to_owned());
    config.http = Some(voice.clone());
    assert!(
        Voice::new(&config)
            .unwrap_err()
            .to_string()
            .contains("{text}")
    );
    voice.body = None;
    voice.headers = BTreeMap::from([("x-key".to_owned(), "secret\n".to_owned())]);
    config.http = Some(voice);
    let error = Voice::new(&config).unwrap_err().to_string();
    assert!(
        error.contains("x-key") && !error.contains("secret"),
        "{error}"
    );
}

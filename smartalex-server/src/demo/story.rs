//! What the demonstration tells: lines for people, or one JSON object a line.
//! Whoever observes something tells it here and never waits; a thread of its own prints.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::steps::{Checklist, Step};

/// The story so far. Cloning shares it.
#[derive(Clone)]
pub(super) struct Story {
    inner: Arc<Inner>,
}

struct Inner {
    began: Instant,
    began_at: SystemTime,
    json: bool,
    quiet: AtomicBool,
    checklist: watch::Sender<Checklist>,
    /// How many parties have told that media went both ways.
    figures: watch::Sender<usize>,
    /// What went wrong, in the order in which it did.
    troubles: Mutex<Vec<String>>,
    lines: Mutex<Option<SyncSender<String>>>,
    printer: Mutex<Option<JoinHandle<()>>>,
}

impl Story {
    /// Begins a story: times count from now.
    pub(super) fn begin(json: bool) -> Self {
        let (lines, waiting) = sync_channel::<String>(LINES);
        let printer = std::thread::spawn(move || {
            let mut out = std::io::stdout();
            for line in waiting {
                // Whoever closed standard output does not want to hear more.
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        Self {
            inner: Arc::new(Inner {
                began: Instant::now(),
                began_at: SystemTime::now(),
                json,
                quiet: AtomicBool::new(false),
                checklist: watch::Sender::new(Checklist::default()),
                figures: watch::Sender::new(0),
                troubles: Mutex::default(),
                lines: Mutex::new(Some(lines)),
                printer: Mutex::new(Some(printer)),
            }),
        }
    }

    /// A heading; only people need one.
    pub(super) fn heading(&self, text: &str) {
        if !self.inner.json {
            self.print(format!("\n{text}\n{}", "-".repeat(text.chars().count())));
        }
    }

    /// A remark that stands beside the steps; only people need one.
    pub(super) fn remark(&self, text: &str) {
        if !self.inner.json {
            self.print(format!("{}  {text}", clock(self.elapsed())));
        }
    }

    /// Text as it is, for people.
    pub(super) fn text(&self, text: &str) {
        if !self.inner.json {
            self.print(text.to_owned());
        }
    }

    /// A step was observed. Told once.
    pub(super) fn saw(&self, step: Step, detail: &str) {
        let fresh = self
            .inner
            .checklist
            .send_if_modified(|list| list.note(step));
        if !fresh {
            return;
        }
        let at = self.elapsed();
        let name = step.name();
        match (self.inner.json, detail) {
            (true, _) => self.object(
                "step",
                at,
                json!({"step": name, "ok": true, "detail": detail}),
            ),
            (false, "") => self.print(format!("{}  ✓ {name}", clock(at))),
            (false, detail) => self.print(format!("{}  ✓ {name} ({detail})", clock(at))),
        }
    }

    /// Something did not go as it should have: told with the result.
    pub(super) fn trouble(&self, text: impl Into<String>) {
        let text = text.into();
        self.remark(&format!("! {text}"));
        lock(&self.inner.troubles).push(text);
    }

    /// Whether a step has been observed.
    pub(super) fn has(&self, step: Step) -> bool {
        self.inner.checklist.borrow().has(step)
    }

    /// Waits until a step has been observed, or the time is up.
    pub(super) async fn until(&self, step: Step, limit: Duration) -> bool {
        let mut list = self.inner.checklist.subscribe();
        // The sender is held here, so waiting does not fail but by time.
        tokio::time::timeout(limit, list.wait_for(|list| list.has(step)))
            .await
            .is_ok()
    }

    /// What has not been observed.
    pub(super) fn missing(&self) -> Vec<Step> {
        self.inner.checklist.borrow().missing()
    }

    /// What went wrong so far.
    pub(super) fn troubles(&self) -> Vec<String> {
        lock(&self.inner.troubles).clone()
    }

    /// One observation: `line` for people, `fields` for programs.
    pub(super) fn tell(&self, kind: &str, at: Duration, line: &str, fields: Value) {
        if self.inner.quiet.load(Ordering::Relaxed) {
            return;
        }
        if self.inner.json {
            self.object(kind, at, fields);
        } else {
            self.print(format!("{}  {line}", clock(at)));
        }
    }

    /// One party has told that media went both ways.
    pub(super) fn counted_media(&self) {
        let mut told = 0;
        self.inner.figures.send_modify(|figures| {
            *figures += 1;
            told = *figures;
        });
        if told == PARTIES {
            self.saw(Step::Media, "");
        }
    }

    /// One object for programs; nothing for people.
    pub(super) fn object(&self, kind: &str, at: Duration, fields: Value) {
        if !self.inner.json {
            return;
        }
        let mut object = json!({"type": kind, "at": seconds(at)});
        if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
            object.extend(fields);
        }
        self.print(object.to_string());
    }

    /// Nothing that is observed from now on is told: the scene is being cleared.
    pub(super) fn hush(&self) {
        self.inner.quiet.store(true, Ordering::Relaxed);
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.inner.began.elapsed()
    }

    /// The time of an observation, counted from the beginning.
    pub(super) fn since(&self, at: SystemTime) -> Duration {
        at.duration_since(self.inner.began_at).unwrap_or_default()
    }

    /// Prints what waits, and no more after it.
    pub(super) fn end(&self) {
        drop(lock(&self.inner.lines).take());
        if let Some(printer) = lock(&self.inner.printer).take() {
            // It does not panic; were it so, there is nothing left to print.
            let _ = printer.join();
        }
    }

    fn print(&self, line: String) {
        // Full only when nobody has read a thousand lines: then the rest is of no use either.
        if let Some(lines) = &*lock(&self.inner.lines) {
            let _ = lines.try_send(line);
        }
    }
}

/// A duration as people read it in front of a line.
fn clock(at: Duration) -> String {
    format!("{:7.3} s", at.as_secs_f64())
}

/// Seconds with milliseconds, for programs.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while holding one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who tells of media: the caller, the PBX, extension 101.
const PARTIES: usize = 3;
/// Lines that may wait to be printed.
const LINES: usize = 4_096;

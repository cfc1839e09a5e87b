//! `demo`: the whole product on loopback, observed from outside through SIP, RTP and HTTP.
//! The server is a child process; PBX, telephones and webhook endpoint are ours.

mod api;
mod hooks;
mod pbx;
mod people;
mod play;
mod process;
mod proof;
mod sound;
mod stage;
mod steps;
mod story;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use self::play::Scene;
use self::stage::Stage;
use self::story::Story;

/// Runs the demonstration; without `once` it stays up for calls until it is interrupted.
///
/// Exits with 0 when every step was observed, with 1 when one was not, with 130 when it was
/// interrupted before.
pub async fn run(once: bool, json: bool) -> ExitCode {
    let story = Story::begin(json);
    let mut stage = Stage::default();
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    let performed = tokio::select! {
        () = &mut interrupted => None,
        scene = tokio::time::timeout(DEADLINE, play::perform(&story, &mut stage)) => Some(
            scene.unwrap_or_else(|_| Err(format!("not finished within {} s", DEADLINE.as_secs()))),
        ),
    };
    let code = match performed {
        None => {
            story.text("\ninterrupted");
            ExitCode::from(130)
        }
        Some(performed) => {
            let scene = performed.map_err(|error| story.trouble(error)).ok();
            let complete = tell_result(&story, &stage, if once { None } else { scene.as_ref() });
            if let (false, Some(scene)) = (once, scene) {
                tokio::select! {
                    () = &mut interrupted => {}
                    () = play::linger(&story, &mut stage, scene) => {}
                }
            }
            match complete {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
    };
    story.hush();
    stage.clear().await;
    story.end();
    code
}

/// Says how it went; whether every step was observed.
fn tell_result(story: &Story, stage: &Stage, stays: Option<&Scene>) -> bool {
    let missing: Vec<&str> = story.missing().iter().map(|step| step.name()).collect();
    let troubles = story.troubles();
    let complete = missing.is_empty();
    let log = match complete {
        true => Vec::new(),
        false => stage.log_tail(),
    };
    story.heading("Result");
    if complete {
        let steps = steps::Step::ALL.len();
        let took = story.elapsed().as_secs_f32();
        story.text(&format!("All {steps} steps were observed in {took:.1} s."));
    } else {
        for step in &missing {
            story.text(&format!("MISSING: {step}"));
        }
        for trouble in &troubles {
            story.text(&format!("because: {trouble}"));
        }
        story.text("\nThe end of the server's log:");
        for line in &log {
            story.text(&format!("  {line}"));
        }
    }
    let mut fields = json!({"ok": complete, "missing": missing});
    if let Some(fields) = fields.as_object_mut() {
        if !complete {
            fields.insert("troubles".to_owned(), troubles.into());
            fields.insert("server_log".to_owned(), log.into());
        }
        if let Some(scene) = stays {
            fields.insert("stays_up".to_owned(), scene.addresses());
        }
    }
    story.object("result", story.elapsed(), fields);
    if let Some(scene) = stays {
        story.heading("The server stays up until Ctrl-C");
        story.text(&scene.invitation());
    }
    complete
}

/// Waits for Ctrl-C, or for whoever else wants us to end.
async fn interrupted() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = (
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        );
        if let (Ok(mut terminate), Ok(mut hang_up)) = signals {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            return;
        }
    }
    // Without signals nobody interrupts.
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The caller's number.
const CALLER: &str = "+27821234567";
/// The number of the trunk.
const DID: &str = "+27872500100";
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(60);

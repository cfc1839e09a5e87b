//! Speech from a program: text on its standard input, a WAV file on its standard output.
//! Bounded in time and size; the program is killed when nobody waits for it any more.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::wav::{self, Audio};
use super::{MAX_WAV, VoiceError};

/// What is kept of a failing program's complaint.
const MAX_COMPLAINT: u64 = 2048;

/// Runs `program` with `arguments`, gives it the text as one line, and reads its WAV file.
///
/// Dropping the future kills the program.
pub async fn run(program: &Path, arguments: &[String], text: &str) -> Result<Audio, VoiceError> {
    let name = || program.display().to_string();
    let failed = |cause: String| VoiceError::Program {
        program: name(),
        cause,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("has no pipes".to_owned()));
    };

    let line = format!("{text}\n");
    let write = async move {
        // A program that has read enough may close its end; its output decides.
        let _ = stdin.write_all(line.as_bytes()).await;
        let _ = stdin.shutdown().await;
    };
    let read = async {
        let mut output = Vec::new();
        stdout
            .take(MAX_WAV as u64 + 1)
            .read_to_end(&mut output)
            .await
            .map_err(|error| failed(format!("its output cannot be read: {error}")))?;
        // Not waited for: it may write for ever. That nobody waits kills it.
        if output.len() > MAX_WAV {
            return Err(VoiceError::TooLong { limit: MAX_WAV });
        }
        Ok(output)
    };
    let listen = async {
        let mut stderr = stderr;
        let mut complaint = Vec::new();
        let _ = (&mut stderr)
            .take(MAX_COMPLAINT)
            .read_to_end(&mut complaint)
            .await;
        // A talkative program must not block on a full pipe.
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        Ok(complaint)
    };
    let write = async {
        write.await;
        Ok(())
    };
    let ((), output, complaint) = tokio::try_join!(write, read, listen)?;
    let status = child
        .wait()
        .await
        .map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&complaint);
        return Err(failed(format!("{status}: {}", said.trim())));
    }
    tokio::task::spawn_blocking(move || wav::parse(&output))
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|source| VoiceError::Wav {
            from: name(),
            source,
        })
}

/// Finds a program as a shell would, in the directories of `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

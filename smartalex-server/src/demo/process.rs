//! The server under demonstration: this very program as a child process, `serve` on free
//! loopback ports with a store in a folder that is removed in the end.

use std::fs::{DirBuilder, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::api::Api;
use crate::secrets::{self, Secret};

/// Where everything of the demonstration is bound.
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A folder of our own, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one that nobody else can read.
    pub(super) fn make() -> Result<Self, String> {
        let name = format!(
            "smartalex-demo-{}-{}",
            std::process::id(),
            secrets::readable(8)
        );
        let path = std::env::temp_dir().join(name);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .map_err(|error| format!("no folder {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A file that somebody removed meanwhile is no trouble.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The running server.
pub(super) struct Process {
    // Before the folder: dropping ends the process first.
    child: Child,
    folder: Folder,
    /// Where it takes SIP.
    pub(super) sip: SocketAddr,
    /// Where its API is.
    pub(super) http: SocketAddr,
}

impl Process {
    /// Starts the server. It is not ready yet.
    pub(super) fn start() -> Result<Self, String> {
        let folder = Folder::make()?;
        let (sip, http) = (free_address()?, free_address()?);
        let rtp = free_range(400)?;
        // Paths as TOML literals, so that nothing in them has a meaning.
        let config = format!(
            "[sip]\nudp = \"{sip}\"\ntcp = \"{sip}\"\n\
             [rtp]\nport_range = \"{}-{}\"\n\
             [http]\nlisten = \"{http}\"\n\
             [store]\nurl = 'sqlite://{}'\n\
             [secrets]\nkey_file = '{}'\n\
             [limits]\ndrain_timeout = \"2s\"\n\
             [webhooks]\nallow_private_addresses = true\nretry_delays = [\"1s\", \"1s\", \"1s\"]\n",
            rtp.start(),
            rtp.end(),
            folder.file("smartalex.db").display(),
            folder.file("master.key").display(),
        );
        let trouble = |error: std::io::Error| format!("{}: {error}", folder.0.display());
        std::fs::write(folder.file(CONFIG), config).map_err(trouble)?;
        let log = File::create(folder.file(LOG)).map_err(trouble)?;
        let mut command = command("serve", &folder)?;
        let child = command
            // What it prints at its first start are secrets that nobody needs here.
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("the server cannot be started: {error}"))?;
        Ok(Self {
            child,
            folder,
            sip,
            http,
        })
    }

    /// Waits until it takes calls; `Err` when it ended instead.
    pub(super) async fn ready(&mut self, api: &Api) -> Result<(), String> {
        loop {
            if api.is_ready().await {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended at once: {status}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A key of the server's API, from its own command.
    pub(super) async fn api_key(&self) -> Result<Secret, String> {
        let mut command = command("api-key", &self.folder)?;
        let output = command
            .args(["create", "--role", "admin", "--config"])
            .arg(self.folder.file(CONFIG))
            .output()
            .await
            .map_err(|error| format!("api-key create: {error}"))?;
        let key = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || key.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("api-key create: {} {said}", output.status));
        }
        Ok(Secret::new(key))
    }

    /// Waits until the process has ended by itself.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// The last lines of its log.
    pub(super) fn log_tail(&self) -> Vec<String> {
        let Some(text) = tail(&self.folder.file(LOG)) else {
            return Vec::new();
        };
        let lines: Vec<&str> = text.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(LOG_LINES))
            .map(|line| (*line).to_owned())
            .collect()
    }

    /// Asks it to end, insists after a while, and removes its folder.
    pub(super) async fn end(mut self) {
        if let Some(id) = self.child.id() {
            // The shell's own `kill` is everywhere; the process has not been waited for, so its
            // id is still its own.
            let _ = Command::new("sh")
                .args(["-c", "kill -s TERM \"$0\"", &id.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .await;
        }
        let ended = tokio::time::timeout(FAREWELL, self.child.wait()).await;
        if ended.is_err() {
            // It may end in this very moment: then there is nothing to kill.
            let _ = self.child.kill().await;
        }
    }
}

/// This program with another command, and nothing of our environment that would change its
/// configuration.
fn command(name: &str, folder: &Folder) -> Result<Command, String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("this program cannot find itself: {error}"))?;
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("SMARTALEX_") {
            command.env_remove(key);
        }
    }
    for kept in ["SMARTALEX_LOG", "SMARTALEX_LOG_FORMAT"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
        .arg(name)
        .current_dir(&folder.0)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if name == "serve" {
        command.arg("--config").arg(folder.file(CONFIG));
    }
    Ok(command)
}

/// The end of a file, without the line that it begins in.
fn tail(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let start = length.saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.split_once('\n') {
        Some((_, rest)) if start > 0 => Some(rest.to_owned()),
        _ => Some(text),
    }
}

/// An address that is free for UDP and TCP.
fn free_address() -> Result<SocketAddr, String> {
    for _ in 0..100 {
        let listener = TcpListener::bind((LOOPBACK, 0)).and_then(|tcp| tcp.local_addr());
        let address = listener.map_err(|error| format!("no free port on loopback: {error}"))?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port on loopback is free for both UDP and TCP".to_owned())
}

/// So many ports in a row. One that is taken within it is passed over by the media plane.
pub(super) fn free_range(ports: u16) -> Result<std::ops::RangeInclusive<u16>, String> {
    let socket = UdpSocket::bind((LOOPBACK, 0)).and_then(|socket| socket.local_addr());
    let port = socket
        .map_err(|error| format!("no free port on loopback: {error}"))?
        .port();
    let first = port.min(u16::MAX - ports) & !1;
    Ok(first..=first + ports - 1)
}

const CONFIG: &str = "server.toml";
const LOG: &str = "server.log";
/// How long the server may take to end.
const FAREWELL: Duration = Duration::from_secs(4);
/// What is shown of its log.
const LOG_LINES: usize = 40;
const LOG_BYTES: u64 = 32 * 1024;

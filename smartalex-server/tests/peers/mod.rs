//! The real server as a child process and the real peers that the interop tests set against it.
//! Each part cleans up when dropped: processes are ended by their id, folders are removed.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of these helpers"
)]

pub mod baresip;
pub mod hooks;
pub mod server;
pub mod sipp;
pub mod wire;

use std::{
    net::{TcpListener, UdpSocket},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Whether a program is installed; if not, says by name which test is skipped.
pub fn have(program: &str, test: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
        || PathBuf::from("/usr/sbin").join(program).is_file();
    if !found {
        println!("SKIPPED {test}: {program} is not installed");
        assert!(
            std::env::var("SMARTALEX_NO_SKIP").as_deref() != Ok("1"),
            "{test} may not be skipped here: {program} is not installed"
        );
    }
    found
}

/// A port that is free for UDP and TCP on loopback, with the next one free too.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 30_000 + (std::process::id() % 200) as u16 * 50;
    for _ in 0..2_000 {
        let port = base.wrapping_add(NEXT.fetch_add(2, Ordering::Relaxed) % 20_000);
        let free = |port| {
            UdpSocket::bind(("127.0.0.1", port)).is_ok()
                && TcpListener::bind(("127.0.0.1", port)).is_ok()
        };
        if port > 1_024 && free(port) && free(port + 1) {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// A folder of this test's own, removed when dropped unless the test failed.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "{name}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.file(name)).unwrap_or_default()).into_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A child process that ends with its owner.
pub struct Process(pub Child);

impl Process {
    /// Starts `program` in `dir` with its output in `dir/log`.
    pub fn start(program: &str, args: &[&str], dir: &Dir) -> Self {
        let log = std::fs::File::create(dir.file("log")).unwrap();
        let child = Command::new(program)
            .args(args)
            .current_dir(&dir.0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        Self(child)
    }

    /// Waits for the end; `None` if it still runs at the limit.
    pub fn wait(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-s", signal, &pid]).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, with the children that some have, then ended.
        let group = format!("-{}", self.0.id());
        for signal in ["TERM", "KILL"] {
            let _ = Command::new("kill")
                .args(["-s", signal, "--", &group])
                .stderr(Stdio::null())
                .status();
            self.wait(Duration::from_secs(2));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until there is an answer, or fails with what was awaited.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "not seen within {limit:?}: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

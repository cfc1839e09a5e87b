//! The command line, in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Directory;

fn server(directory: &Directory, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartalex-server"));
    command
        .args(arguments)
        .current_dir(directory.path())
        .env_remove("SMARTALEX_MASTER_KEY")
        .env("SMARTALEX_HTTP__LISTEN", "127.0.0.1:0")
        .env("SMARTALEX_SIP__UDP", "127.0.0.1:0")
        .env("SMARTALEX_SIP__TCP", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(directory: &Directory, arguments: &[&str]) -> Output {
    server(directory, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A child that does not outlive its test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn check_config_names_every_problem_with_key_and_line() {
    let directory = Directory::new();
    let file = directory.path().join("smartalex.toml");
    std::fs::write(
        &file,
        "[sip]\nudp = \"x\"\n\n[http]\nlisten = 5\nport = 1\n",
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartalex-server"));
    let output = command
        .args(["check-config", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    for part in [
        ":2: sip.udp",
        ":5: http.listen",
        ":6: http.port: unknown key",
    ] {
        assert!(errors.contains(part), "{part} is not in {errors}");
    }
    std::fs::write(&file, "[sip]\nudp = \"127.0.0.1:5060\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartalex-server"));
    let output = command
        .args(["check-config", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = run(&directory, &["check-config", "--config", "missing.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("missing.toml: cannot be read"));
}

#[test]
fn the_first_start_says_its_secrets_once_and_signals_end_it() {
    let directory = Directory::new();
    let mut child = Serving(server(&directory, &["serve"]).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut said = String::new();
    for line in &mut lines {
        said.push_str(&line.unwrap());
        said.push('\n');
        if said.contains("Keep the master key file") {
            break;
        }
    }
    let after = |label: &str| {
        let line = said.lines().find(|line| line.starts_with(label)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert!(after("API key:").starts_with("sak_"));
    assert_eq!(after("Owner's password:").len(), 24);
    let url = said
        .split_whitespace()
        .find(|word| word.ends_with("/v1/agents"))
        .unwrap();
    let host = url
        .trim_start_matches("http://")
        .trim_end_matches("/v1/agents")
        .to_owned();
    let status = |key: &str| {
        let mut stream = std::net::TcpStream::connect(&host).unwrap();
        let request = format!(
            "GET /v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             Connection: close\r\n\r\n"
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status(&after("API key:")), "200");

    // Keys are made and revoked beside the running server.
    let output = run(&directory, &["api-key", "create", "--role", "read"]);
    let key = text(&output.stdout).trim().to_owned();
    assert!(key.starts_with("sak_") && !key.contains('\n'), "{key}");
    assert_eq!(status(&key), "200");
    let list = text(&run(&directory, &["api-key", "list"]).stdout);
    let line = list.lines().find(|line| line.contains(" read ")).unwrap();
    assert!(!list.contains(&key));
    let id = line.split_whitespace().next().unwrap();
    assert!(run(&directory, &["api-key", "revoke", id]).status.success());
    assert_eq!(status(&key), "401");
    assert!(!run(&directory, &["api-key", "revoke", id]).status.success());

    signal(&child.0, "-TERM");
    let began = Instant::now();
    while child.0.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    child
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(log.contains("draining") && log.contains("stopped"), "{log}");
    assert!(!log.contains(&after("API key:")));
    assert!(!log.contains(&after("Owner's password:")));

    // The second start has nothing to say.
    let mut child = Serving(server(&directory, &["serve"]).spawn().unwrap());
    let mut log = BufReader::new(child.0.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("serving")));
    signal(&child.0, "-TERM");
    let mut said = String::new();
    child
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_key_can_be_made_before_the_first_start() {
    let directory = Directory::new();
    let output = run(&directory, &["api-key", "create"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).trim().len(), 68);
    assert!(directory.path().join("smartalex-data/master.key").exists());
}

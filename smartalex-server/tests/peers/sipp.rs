//! sipp as a caller: runs a scenario of this project against the server and reads its statistics.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{Dir, Process, free_port};

/// What a run of sipp counted.
#[derive(Debug)]
pub struct Outcome {
    pub exit: Option<i32>,
    pub successful: u64,
    pub failed: u64,
    /// Requests that sipp had to send again.
    pub sent_again: u64,
    /// Messages of the server that came more than once.
    pub received_again: u64,
    pub unexpected: u64,
    pub screen: String,
}

/// Runs `scenario` (a file under `tests/sipp`) with sipp's further arguments.
pub fn run(
    scenario: &str,
    server: SocketAddr,
    service: &str,
    user: &str,
    password: &str,
    args: &[&str],
    limit: Duration,
) -> Outcome {
    let dir = Dir::new("sipp");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sipp")
        .join(scenario);
    let users =
        format!("SEQUENTIAL\n{user};[authentication username={user} password={password}]\n");
    std::fs::write(dir.file("users.csv"), users).unwrap();
    let port = free_port().to_string();
    let media = free_port().to_string();
    let server = server.to_string();
    let mut all = vec![
        "-sf",
        file.to_str().unwrap(),
        "-inf",
        "users.csv",
        "-s",
        service,
        "-i",
        "127.0.0.1",
        "-p",
        &port,
        "-mi",
        "127.0.0.1",
        "-mp",
        &media,
        "-nostdin",
        "-trace_stat",
        "-stf",
        "stat.csv",
        "-fd",
        "1",
        "-trace_counts",
        "-trace_err",
        "-error_file",
        "errors.log",
    ];
    all.extend(args);
    all.push(&server);
    let mut process = Process::start("sipp", &all, &dir);
    let exit = process.wait(limit).and_then(|status| status.code());
    let last = |text: &str| -> Vec<(String, String)> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let names = lines.next().unwrap_or_default().to_owned();
        let values = lines.next_back().unwrap_or_default().to_owned();
        names
            .split(';')
            .map(str::to_owned)
            .zip(values.split(';').map(str::to_owned))
            .collect()
    };
    let stat = last(&dir.read("stat.csv"));
    let of = |name: &str| {
        stat.iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(u64::MAX)
    };
    let counts_file = std::fs::read_dir(&dir.0)
        .unwrap()
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().ends_with("_counts.csv"))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .unwrap_or_default();
    let counts = last(&dir.read(&counts_file));
    let sum = |direction: &str, kind: &str| {
        counts
            .iter()
            .filter(|(key, _)| {
                key.ends_with(kind)
                    && (direction.is_empty() || is_received(key) == (direction == "in"))
            })
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum()
    };
    Outcome {
        exit,
        successful: of("SuccessfulCall(C)"),
        failed: of("FailedCall(C)"),
        sent_again: of("Retransmissions(C)"),
        received_again: sum("in", "_Retrans"),
        unexpected: sum("", "_Unexp"),
        screen: format!(
            "{}\n{}",
            dir.read("errors.log"),
            dir.read("log")
                .chars()
                .rev()
                .take(3_000)
                .collect::<String>()
                .chars()
                .rev()
                .collect::<String>()
        ),
    }
}

/// sipp names its columns `1_100_Recv`, `0_INVITE_Sent`: a number between the lines is a status.
fn is_received(column: &str) -> bool {
    column
        .split('_')
        .nth(1)
        .is_some_and(|name| name.parse::<u16>().is_ok())
}

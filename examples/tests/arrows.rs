//! The arrows of the house: which of our crates each crate may know, held against a checked-in
//! list, and the runtimes that the pure crates must not reach.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

const HOUSE: [&str; 6] = [
    "sip-core",
    "sip-transport",
    "rtp-media",
    "refer-transfer",
    "voice-bridge",
    "smartalex-server",
];

#[test]
fn each_crate_knows_only_the_rooms_below_it() {
    for line in include_str!("arrows.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (room, below) = line.split_once("->").expect("ROOM -> ROOMS");
        let allowed: BTreeSet<_> = below.split_whitespace().map(str::to_owned).collect();
        let known: BTreeSet<_> = tree(room.trim(), &[])
            .into_iter()
            .filter(|name| HOUSE.contains(&name.as_str()) && name != room.trim())
            .collect();
        assert_eq!(known, allowed, "what {room} knows");
    }
}

#[test]
fn every_room_is_on_the_list() {
    let listed: BTreeSet<_> = include_str!("arrows.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("->"))
        .map(|(room, _)| room.trim())
        .collect();
    assert_eq!(listed, HOUSE.into_iter().collect());
}

#[test]
fn the_pure_crates_reach_no_runtime_and_no_socket() {
    let io = [
        "tokio",
        "mio",
        "socket2",
        "async-std",
        "smol",
        "getrandom",
        "rand",
    ];
    for (room, flags) in [
        ("sip-core", &["--all-features"] as &[_]),
        ("refer-transfer", &["--all-features"]),
        ("rtp-media", &["--no-default-features"]),
    ] {
        let reached: Vec<_> = tree(room, flags)
            .into_iter()
            .filter(|name| io.contains(&name.as_str()))
            .collect();
        assert!(reached.is_empty(), "{room} reaches {reached:?}");
    }
    let with_sockets = tree("rtp-media", &["--all-features"]);
    assert!(
        !with_sockets.contains("tokio"),
        "media runs in threads of its own"
    );
}

/// The names of all that a crate is built from, itself included.
fn tree(package: &str, flags: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(flags)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// The rooms that take time as an argument, clippy's `disallowed-methods` aside: those share their
/// crate with rooms that do read the clock, so their sources are read here.
#[test]
fn the_pure_rooms_read_no_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for room in [
        "rtp-media/src",
        "voice-bridge/src/phone/core.rs",
        "voice-bridge/src/phone/core",
        "voice-bridge/src/call/machine.rs",
        "voice-bridge/src/call/handover.rs",
        "voice-bridge/src/call/referred.rs",
        "voice-bridge/src/call/peer.rs",
        "voice-bridge/src/call/verbs.rs",
        "voice-bridge/src/agent/embedded/machine.rs",
        "voice-bridge/src/limits.rs",
    ] {
        let room = root.join(room);
        assert!(room.exists(), "{} has moved", room.display());
        collect(&room, &mut sources);
    }
    assert!(sources.len() > 40, "{}", sources.len());
    for source in sources {
        let text = std::fs::read_to_string(&source).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for clock in [
                "Instant::now",
                "SystemTime::now",
                "thread::sleep",
                "tokio::spawn",
            ] {
                assert!(!line.contains(clock), "{}: {line}", source.display());
            }
        }
    }
}

fn collect(path: &Path, sources: &mut Vec<PathBuf>) {
    if path.is_file() {
        if !path.ends_with("tests.rs") {
            sources.push(path.to_owned());
        }
        return;
    }
    for entry in std::fs::read_dir(path).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        // The sockets and threads of the media plane: the one room there that reads the clock.
        if !path.ends_with("rtp-media/src/net") {
            collect(&path, sources);
        }
    }
}

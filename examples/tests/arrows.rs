//! The arrows of the house: which of our crates each crate may know, held against a checked-in
//! list, and the runtimes that the pure crates must not reach.

use std::{collections::BTreeSet, process::Command};

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

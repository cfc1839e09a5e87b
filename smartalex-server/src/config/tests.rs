//! Configurations that are right, and all that can be wrong with one.

use super::{Config, Problems};

fn read(text: &str) -> Result<Config, Problems> {
    Config::read("smartalex.toml", text, [])
}

fn lines(text: &str) -> Vec<String> {
    let problems = read(text).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

#[test]
fn without_a_file_the_defaults_hold() {
    assert_eq!(read("").unwrap(), Config::default());
}

#[test]
fn every_key_is_read() {
    let config = read(
        r#"
        [sip]
        udp = "127.0.0.1:5070"
        tcp = "off"
        public_address = "203.0.113.7"
        domain = "sip.example.com"
        [rtp]
        port_range = "20000-20100"
        public_address = "203.0.113.8"
        [http]
        listen = "[::1]:9000"
        public_url = "https://voice.example.com/"
        [store]
        url = "sqlite:///var/lib/smartalex.db"
        [secrets]
        key_file = "/etc/smartalex.key"
        [limits]
        global_calls = 5
        workspace_calls = 4
        drain_timeout = "2m"
        [webhooks]
        allow_private_addresses = true
        retry_delays = ["100ms", "2s"]
        timeout = 3
        [voice]
        command = ["piper", "--model", "amy"]
        [node]
        id = "a1"
        region = "eu"
        "#,
    )
    .unwrap();
    assert_eq!(config.sip.tcp, None);
    assert_eq!(config.rtp.port_range, 20_000..=20_100);
    assert_eq!(
        config.http.public_url.as_deref(),
        Some("https://voice.example.com")
    );
    assert_eq!(config.webhooks.retry_delays.len(), 2);
    assert_eq!(config.webhooks.timeout.as_secs(), 3);
    assert_eq!(config.limits.drain_timeout.as_secs(), 120);
    assert_eq!(config.voice.command.unwrap().len(), 3);
}

#[test]
fn all_problems_are_named_at_once_with_key_and_line() {
    let found =
        lines("[sip]\nudp = \"nowhere\"\nupd = 1\n\n[rtp]\nport_range = \"9-5\"\n[web]\nx = 1\n");
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with("smartalex.toml:2: sip.udp: \"nowhere\""));
    assert!(found[1].starts_with("smartalex.toml:3: sip.upd: unknown key; [sip] has udp"));
    assert!(found[2].starts_with("smartalex.toml:6: rtp.port_range"));
    assert!(found[3].starts_with("smartalex.toml:8: web.x: unknown section [web]"));
}

#[test]
fn what_is_not_toml_is_named_by_line_with_the_rest() {
    let found = lines("[sip]\nudp = = 5\n[rtp]\nport_range = 7\n");
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("smartalex.toml:2: not TOML")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("smartalex.toml:4: rtp.port_range"))
    );
}

#[test]
fn a_key_outside_of_sections_is_named() {
    assert!(lines("listen = 1\n")[0].starts_with("smartalex.toml:1: listen: stands outside"));
}

#[test]
fn the_environment_goes_before_the_file() {
    let environment = [
        ("SMARTALEX_HTTP__LISTEN", "127.0.0.1:1"),
        ("SMARTALEX_LIMITS__GLOBAL_CALLS", "7"),
        ("SMARTALEX_WEBHOOKS__RETRY_DELAYS", "1s, 2s"),
        ("SMARTALEX_MASTER_KEY", "never-shown"),
        ("SMARTALEX_LOG", "debug"),
        ("PATH", "/bin"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = Config::read("f", "[http]\nlisten = \"127.0.0.1:2\"\n", environment).unwrap();
    assert_eq!(config.http.listen.port(), 1);
    assert_eq!(config.limits.global_calls, 7);
    assert_eq!(config.webhooks.retry_delays.len(), 2);
    assert!(!format!("{config:?}").contains("never-shown"));
}

#[test]
fn a_wrong_variable_is_named_by_itself() {
    let environment = [("SMARTALEX_SIP__UPD".to_owned(), "x".to_owned())];
    let problems = Config::read("", "", environment).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("environment SMARTALEX_SIP__UPD: sip.upd: unknown key")
    );
}

#[test]
fn bounds_are_told() {
    for (text, part) in [
        ("[limits]\nglobal_calls = 0\n", "not between 1 and"),
        (
            "[limits]\ndrain_timeout = \"5 parsecs\"\n",
            "not a duration",
        ),
        ("[rtp]\nport_range = \"10000-10000\"\n", "no even port"),
        ("[rtp]\nport_range = \"65535-65535\"\n", "no even port"),
        ("[store]\nurl = \"mysql://x\"\n", "not sqlite://PATH"),
        ("[webhooks]\ntimeout = 0\n", "is zero"),
        ("[sip]\nudp = \"off\"\ntcp = \"off\"\n", "both off"),
        (
            "[sip]\nudp = 5060\n",
            "is an integer, but has to be a string",
        ),
        ("[node]\nid = \"a b\"\n", "is not a name"),
    ] {
        let found = lines(text);
        assert!(found[0].contains(part), "{text}: {found:?}");
    }
}

//! linphone's command line client from Debian as the caller: it registers on a digest trunk,
//! calls, hears the agent and hangs up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that does not find what it looks for has failed"
)]

mod peers;

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use peers::{Dir, Process, baresip::seconds_of_sound, eventually, free_port, have, server::Server};
use serde_json::json;

const DID: &str = "+27872500100";

#[test]
fn linphone_registers_calls_and_hears_the_agent() {
    if !have("linphonec", "linphone_registers_calls_and_hears_the_agent") {
        return;
    }
    let server = Server::start("linphone");
    let agent = server.agent();
    let trunk = server.trunk(
        "127.0.0.1:5999",
        DID,
        &agent,
        json!({"codecs": ["PCMA", "PCMU"]}),
    );
    let connection = &trunk["connection"];
    let user = connection["auth_username"].as_str().unwrap();
    let password = connection["auth_password"].as_str().unwrap();
    let dir = Dir::new("linphone-client");
    for folder in [".local/share/linphone", ".config/linphone"] {
        std::fs::create_dir_all(dir.file(folder)).unwrap();
    }
    let config = format!(
        "[sip]\nsip_port={}\nsip_tcp_port=-1\nsip_tls_port=-1\nuse_ipv6=0\nbind_address=127.0.0.1\n\
         register_only_when_network_is_up=0\nguess_hostname=0\n\
         contact=\"linphone\" <sip:{user}@127.0.0.1>\n[rtp]\naudio_rtp_port={}\n[sound]\nec=0\n\
         [proxy_0]\nreg_proxy=<sip:{sip}>\nreg_identity=sip:{user}@127.0.0.1\nreg_expires=300\n\
         reg_sendregister=1\n[auth_info_0]\nusername={user}\npasswd={password}\nrealm=pbx.test\n\
         domain=127.0.0.1\n",
        free_port(),
        free_port(),
        sip = server.sip,
    );
    std::fs::write(dir.file("rc"), config).unwrap();
    let log = std::fs::File::create(dir.file("log")).unwrap();
    let mut client = Process(
        Command::new("linphonec")
            .args(["-c", "rc"])
            .current_dir(&dir.0)
            .env("HOME", &dir.0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let mut keyboard = client.0.stdin.take().unwrap();
    let mut type_line = |line: &str| {
        keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
        keyboard.flush().unwrap();
    };
    type_line("soundcard use files");
    let path = format!("/v1/trunks/{}", trunk["id"].as_str().unwrap());
    eventually("linphone is registered", Duration::from_secs(20), || {
        (server.get(&path)["data"]["registered"] == true).then_some(())
    });
    type_line("record heard.wav");
    type_line(&format!("call sip:{DID}@{}", server.sip));
    eventually("media streams established", Duration::from_secs(20), || {
        dir.read("log")
            .contains("Media streams established")
            .then_some(())
    });
    std::thread::sleep(Duration::from_secs(4));
    type_line("terminate");
    let record = eventually("the record", Duration::from_secs(20), || {
        let call = server.calls("status=completed").first()?["id"]
            .as_str()?
            .to_owned();
        Some(server.call(&call))
    });
    type_line("quit");
    client.wait(Duration::from_secs(10));
    assert_eq!(record["sip"]["ended_by"], "caller", "{record}");
    assert!(
        record["media"]["packets_out"].as_u64().unwrap() > 100,
        "{record}"
    );
    let wav = std::fs::read(dir.file("heard.wav")).unwrap_or_default();
    let samples: Vec<i16> = wav
        .get(44..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let heard = seconds_of_sound(&samples);
    assert!(heard > 1.0, "{heard} s of sound; {}", dir.read("log"));
}

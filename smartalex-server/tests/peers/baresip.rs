//! baresip as a phone of the customer's PBX: control by its TCP commands, keys by its console,
//! and everything that it hears in a WAV file.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Dir, Process, eventually, free_port};

/// A running baresip with one account.
pub struct Baresip {
    _process: Process,
    pub dir: Dir,
    pub sip: SocketAddr,
    control: SocketAddr,
    console: SocketAddr,
}

impl Baresip {
    /// `account` is the line of baresip's accounts file; `{sip}` in it becomes its own address.
    pub fn start(name: &str, account: &str) -> Self {
        let dir = Dir::new(name);
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (sip, control, console) = (local(free_port()), local(free_port()), local(free_port()));
        let rtp = 50_000 + (free_port() % 500) * 20;
        tone(&dir);
        let config = format!(
            "poll_method epoll\nsip_listen {sip}\ncall_local_timeout 120\ncall_max_calls 4\n\
             net_interface 127.0.0.1\naudio_player aubridge,speaker\n\
             audio_source aufile,{tone}\naudio_alert aubridge,alert\nausrc_srate 8000\n\
             auplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_ports {rtp}-{}\n\
             module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aufile.so\n\
             module aubridge.so\nmodule sndfile.so\nsnd_path {dir}\nmodule_tmp uuid.so\n\
             module_tmp account.so\nmodule_app menu.so\nmodule cons.so\nmodule ctrl_tcp.so\n\
             ctrl_tcp_listen {control}\ncons_listen {console}\n",
            rtp + 18,
            tone = dir.file("tone.wav").display(),
            dir = dir.0.display(),
        );
        std::fs::write(dir.file("config"), config).unwrap();
        std::fs::write(
            dir.file("accounts"),
            account.replace("{sip}", &sip.to_string()) + "\n",
        )
        .unwrap();
        std::fs::write(dir.file("contacts"), "").unwrap();
        std::fs::write(dir.file("uuid"), "6ba7b810-9dad-11d1-80b4-00c04fd430c8").unwrap();
        let path = dir.0.to_str().unwrap().to_owned();
        let process = Process::start("baresip", &["-f", &path], &dir);
        let phone = Self {
            _process: process,
            dir,
            sip,
            control,
            console,
        };
        eventually("baresip is ready", Duration::from_secs(20), || {
            phone.log().contains("baresip is ready").then_some(())
        });
        phone
    }

    pub fn log(&self) -> String {
        self.dir.read("log")
    }

    /// Sends one of baresip's commands, as `dial` or `hangup`.
    pub fn command(&self, command: &str, params: &str) -> Value {
        let mut stream = TcpStream::connect(self.control).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(3)))
            .unwrap();
        let text = json!({"command": command, "params": params, "token": "t"}).to_string();
        write!(stream, "{}:{text},", text.len()).unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4_096];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            seen.extend_from_slice(&piece[..n]);
            let text = String::from_utf8_lossy(&seen);
            if let Some(at) = text.find("{\"response\"") {
                let end = text[at..].find("},").map_or(text.len(), |end| at + end + 1);
                return serde_json::from_str(&text[at..end]).unwrap_or(Value::Null);
            }
        }
        Value::Null
    }

    /// Presses a key during the call and lets it go: DTMF.
    pub fn press(&self, key: char) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |key: char| socket.send_to(key.to_string().as_bytes(), self.console);
        send(key).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        send(RELEASED).unwrap();
    }

    /// The samples that baresip heard, from its own recording.
    pub fn heard(&self) -> Vec<i16> {
        let mut samples = Vec::new();
        for entry in std::fs::read_dir(&self.dir.0)
            .unwrap()
            .filter_map(Result::ok)
        {
            if entry.file_name().to_string_lossy().ends_with("-dec.wav") {
                let bytes = std::fs::read(entry.path()).unwrap();
                samples.extend(
                    bytes
                        .get(44..)
                        .unwrap_or_default()
                        .chunks_exact(2)
                        .map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                );
            }
        }
        samples
    }
}

/// The seconds of sound, not silence, in a recording at 8 kHz: 20 ms frames above -45 dBFS.
pub fn seconds_of_sound(samples: &[i16]) -> f64 {
    let loud = samples
        .chunks(160)
        .filter(|frame| {
            let energy: f64 = frame.iter().map(|&sample| f64::from(sample).powi(2)).sum();
            (energy / frame.len() as f64).sqrt() > 184.0
        })
        .count();
    loud as f64 * 0.02
}

/// What baresip's console takes for a key that is let go.
const RELEASED: char = '\u{4}';

/// What the phone says: a minute of a 440 Hz tone.
fn tone(dir: &Dir) {
    let samples: Vec<u8> = (0..8_000 * 60)
        .flat_map(|n| {
            let angle = f64::from(n) * 440.0 * std::f64::consts::TAU / 8_000.0;
            ((angle.sin() * 8_000.0) as i16).to_le_bytes()
        })
        .collect();
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + samples.len() as u32).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&8_000_u32.to_le_bytes());
    wav.extend_from_slice(&16_000_u32.to_le_bytes());
    wav.extend_from_slice(b"\x02\0\x10\0data");
    wav.extend_from_slice(&(samples.len() as u32).to_le_bytes());
    wav.extend_from_slice(&samples);
    std::fs::write(dir.file("tone.wav"), wav).unwrap();
}

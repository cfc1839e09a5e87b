//! The server's own binary as a child process, driven through its commands and its HTTP API
//! as a customer would drive it.

use std::{net::SocketAddr, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{Dir, Process, eventually, free_port};

/// A running `smartalex-server serve`.
pub struct Server {
    process: Option<Process>,
    pub dir: Dir,
    pub sip: SocketAddr,
    pub http: SocketAddr,
    pub key: String,
}

impl Server {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, "")
    }

    /// Starts with more lines of configuration.
    pub fn start_with(name: &str, more: &str) -> Self {
        let dir = Dir::new(name);
        let sip = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let rtp = 20_000 + (std::process::id() % 4) * 2_000;
        let config = format!(
            "[sip]\nudp = \"{sip}\"\ntcp = \"{sip}\"\ndomain = \"pbx.test\"\n\
             [rtp]\nport_range = \"{rtp}-{}\"\npublic_address = \"127.0.0.1\"\n\
             [http]\nlisten = \"{http}\"\n\
             [store]\nurl = \"sqlite://{store}\"\n[secrets]\nkey_file = \"{key}\"\n\
             [webhooks]\nallow_private_addresses = true\nretry_delays = [\"1s\", \"1s\", \"1s\"]\n{more}\n",
            rtp + 1_999,
            store = dir.file("store.db").display(),
            key = dir.file("master.key").display(),
        );
        std::fs::write(dir.file("server.toml"), config).unwrap();
        let mut server = Self {
            process: None,
            dir,
            sip,
            http,
            key: String::new(),
        };
        server.run();
        let created = server.command(&["api-key", "create", "--role", "admin"]);
        assert!(created.status.success(), "{created:?}");
        server.key = String::from_utf8(created.stdout).unwrap().trim().to_owned();
        server
    }

    /// Starts the process (again) and waits until it takes calls.
    pub fn run(&mut self) {
        let config = self.dir.file("server.toml");
        let process = Process::start(
            env!("CARGO_BIN_EXE_smartalex-server"),
            &["serve", "--config", config.to_str().unwrap()],
            &self.dir,
        );
        self.process = Some(process);
        eventually("/readyz is 200", Duration::from_secs(30), || {
            (self.get_raw("/readyz").0 == 200).then_some(())
        });
    }

    /// Runs a command of the server with this server's configuration.
    pub fn command(&self, args: &[&str]) -> std::process::Output {
        let config = self.dir.file("server.toml");
        Command::new(env!("CARGO_BIN_EXE_smartalex-server"))
            .args(args)
            .args(["--config", config.to_str().unwrap()])
            .current_dir(&self.dir.0)
            .output()
            .unwrap()
    }

    pub fn kill_9(&mut self) {
        let mut process = self.process.take().expect("running");
        process.0.kill().unwrap();
        process.0.wait().unwrap();
    }

    pub fn terminate(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let process = self.process.as_mut().expect("running");
        process.signal("TERM");
        process.wait(limit)
    }

    pub fn signal(&self, signal: &str) {
        self.process.as_ref().expect("running").signal(signal);
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("running").0.id()
    }

    pub fn log(&self) -> String {
        self.dir.read("log")
    }

    pub fn get_raw(&self, path: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let request = agent
            .get(format!("http://{}{path}", self.http))
            .header("Authorization", format!("Bearer {}", self.key));
        match request.call() {
            Ok(mut answer) => (
                answer.status().as_u16(),
                answer.body_mut().read_to_string().unwrap_or_default(),
            ),
            Err(_) => (0, String::new()),
        }
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.get_raw(path);
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let mut answer = agent
            .post(format!("http://{}{path}", self.http))
            .header("Authorization", format!("Bearer {}", self.key))
            .send_json(body)
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::Null),
        )
    }

    /// Creates and returns the `data` of the answer.
    pub fn create(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 201, "POST {path} {body}: {answer}");
        answer["data"].clone()
    }

    /// An embedded agent that says something.
    pub fn agent(&self) -> String {
        let agent = self.create(
            "/v1/agents",
            &json!({
                "name": "Sarah", "runtime": "embedded",
                "first_message": "Welcome to Example Limited. How can we help you today?",
                "system_prompt": "You are the receptionist of Example Limited.",
                "closing_message": "Thank you for calling. Goodbye.",
            }),
        );
        agent["id"].as_str().unwrap().to_owned()
    }

    /// A trunk with one DID and its agent; the answer holds `connection` with the password.
    pub fn trunk(&self, pbx: &str, did: &str, agent: &str, more: Value) -> Value {
        let mut body = json!({
            "name": format!("trunk of {did}"), "pbx_type": "asterisk", "pbx_sip_domain": pbx,
            "auth": "digest", "codecs": ["PCMU", "PCMA"], "transport": "udp",
            "max_concurrent_calls": 1000, "dids": [did], "agent_id": agent,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        self.create("/v1/trunks", &body)
    }

    pub fn extension(&self, trunk: &Value, number: &str, name: &str, owner: &str) {
        let id = trunk["id"].as_str().unwrap();
        self.create(
            &format!("/v1/trunks/{id}/extensions"),
            &json!({"extension": number, "display_name": name, "owner": owner}),
        );
    }

    /// The calls that the list shows with this filter.
    pub fn calls(&self, filter: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/calls?per_page=100&{filter}"));
        answer["data"].as_array().unwrap().clone()
    }

    /// One whole call record.
    pub fn call(&self, id: &str) -> Value {
        self.get(&format!("/v1/calls/{id}"))["data"].clone()
    }

    /// The value of a metric line that starts with `name`, added over all its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get_raw("/metrics");
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

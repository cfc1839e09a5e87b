//! The configuration: what can be set, what is used when it is not, and every problem at once.
//! `read` finds keys in the file and the environment, this file says what they mean.

mod check;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration of a server, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[sip]`
    pub sip: Sip,
    /// `[rtp]`
    pub rtp: Rtp,
    /// `[http]`
    pub http: Http,
    /// `[store]`
    pub store: Store,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[limits]`
    pub limits: Limits,
    /// `[webhooks]`
    pub webhooks: Webhooks,
    /// `[voice]`
    pub voice: Voice,
    /// `[node]`
    pub node: Node,
}

/// `[sip]`: signalling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Where to listen for UDP; `None` when it is `"off"`.
    pub udp: Option<SocketAddr>,
    /// Where to listen for TCP; `None` when it is `"off"`.
    pub tcp: Option<SocketAddr>,
    /// The address that peers reach this server at, when it is behind NAT.
    pub public_address: Option<IpAddr>,
    /// The name that peers are told, and the digest realm.
    pub domain: Option<String>,
}

impl Sip {
    /// The digest realm.
    pub fn realm(&self) -> &str {
        self.domain.as_deref().unwrap_or("smartalex")
    }
}

/// `[rtp]`: media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtp {
    /// Ports for media; a call takes an even one and the odd one after it.
    pub port_range: RangeInclusive<u16>,
    /// The address that media are sent to, when it is not that of `[sip] public_address`.
    pub public_address: Option<IpAddr>,
}

/// `[http]`: API and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address that people reach it at, as printed at the first start.
    pub public_url: Option<String>,
}

/// `[store]`: the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// `sqlite://PATH`
    pub url: String,
}

/// `[secrets]`: the master key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The file that holds it; made at the first start.
    pub key_file: PathBuf,
    /// The key itself, from `SMARTALEX_MASTER_KEY`; it goes before the file.
    pub master_key: Option<crate::secrets::Secret>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("key_file", &self.key_file)
            .field("master_key", &self.master_key)
            .finish()
    }
}

/// `[limits]`: how much at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most calls at a time on this node.
    pub global_calls: u32,
    /// Most calls at a time for a workspace.
    pub workspace_calls: u32,
    /// How long a drain waits for calls to end.
    pub drain_timeout: Duration,
}

/// `[webhooks]`: delivery of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// Whether events may be sent into private networks.
    pub allow_private_addresses: bool,
    /// How long to wait before each further attempt; its length is how many there are.
    pub retry_delays: Vec<Duration>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// `[voice]`: what speaks for the embedded agent. With neither, what is installed or bundled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Voice {
    /// A program and its arguments: text on standard input, WAV on standard output.
    pub command: Option<Vec<String>>,
    /// An HTTP endpoint: text is posted to it, WAV comes back.
    pub url: Option<String>,
}

/// `[node]`: this server among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name; two servers on one store need two names.
    pub id: String,
    /// Where it stands, for metrics.
    pub region: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        let any = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        Self {
            sip: Sip {
                udp: Some(any(5060)),
                tcp: Some(any(5060)),
                public_address: None,
                domain: None,
            },
            rtp: Rtp {
                port_range: 10_000..=60_000,
                public_address: None,
            },
            http: Http {
                listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
                public_url: None,
            },
            store: Store {
                url: "sqlite://smartalex-data/smartalex.db".to_owned(),
            },
            secrets: Secrets {
                key_file: PathBuf::from("smartalex-data/master.key"),
                master_key: None,
            },
            limits: Limits {
                global_calls: 1_000,
                workspace_calls: 1_000,
                drain_timeout: Duration::from_secs(300),
            },
            webhooks: Webhooks {
                allow_private_addresses: false,
                retry_delays: [10, 60, 360].map(Duration::from_secs).to_vec(),
                timeout: Duration::from_secs(15),
            },
            voice: Voice::default(),
            node: Node {
                id: "node-1".to_owned(),
                region: None,
            },
        }
    }
}

impl Config {
    /// Reads `file`, if one is given, and the environment of this process.
    ///
    /// # Errors
    /// Every problem that there is, each with its key and line.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Problems(vec![Problem {
                    place: Place::File(path.display().to_string()),
                    key: String::new(),
                    message: format!("cannot be read: {error}"),
                }])
            })?,
        };
        let name = file.map_or_else(String::new, |path| path.display().to_string());
        Self::read(&name, &text, std::env::vars())
    }

    /// Reads `text`, the content of the file called `name`, and `environment`.
    ///
    /// # Errors
    /// Every problem that there is, each with its key and line.
    pub fn read(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let mut found = read::Found::new(name, text, environment);
        let mut config = Self::default();
        check::take_all(&mut found, &mut config);
        let problems = found.into_problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(problems))
        }
    }
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was found.
    pub place: Place,
    /// The key, as in `sip.udp`; empty when it concerns the whole file.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Where a problem was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a line of the file, counted from 1.
    Line(String, usize),
    /// In the file as a whole.
    File(String),
    /// In a variable of the environment.
    Variable(String),
    /// In a value that nobody set.
    Default,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(file, line) => write!(f, "{file}:{line}: ")?,
            Place::File(file) => write!(f, "{file}: ")?,
            Place::Variable(name) => write!(f, "environment {name}: ")?,
            Place::Default => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

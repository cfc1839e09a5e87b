//! How a phone starts: where it listens, who may come in, where media goes.
//! Everything has a default; every failure is found in `start`.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rtp_media::net::{Media, MediaConfig};
use sip_core::auth::{AuthConfig, Authenticator};
use sip_core::endpoint::{Config, Entropy};
use sip_transport::driver::Driver;
use sip_transport::entropy::SystemEntropy;
use sip_transport::guard::GuardConfig;
use sip_transport::observer::Observer;
use sip_transport::stream::StreamConfig;
use tokio::sync::mpsc;

use super::core::{Arrival, PhoneCore};
use super::gate::{Gate, OpenGate};
use super::{Line, Phone, PhoneShared};
use crate::call::CallTimers;
use crate::call::inbox::{Inbox, inbox};
use crate::call::machine::CallSettings;
use crate::error::StartError;

/// A phone that does not run yet. Made by [`Phone::builder`].
#[must_use = "a phone listens only once it is started"]
pub struct Builder {
    udp: Vec<String>,
    tcp: Vec<String>,
    media: Media0,
    gate: Arc<dyn Gate>,
    observers: Vec<Arc<dyn Observer>>,
    endpoint: Config,
    public_address: Option<String>,
    guard: GuardConfig,
    streams: StreamConfig,
    auth: AuthConfig,
    timers: CallTimers,
}

/// The media plane of a phone: its own, or one that is shared.
enum Media0 {
    Start(MediaConfig),
    Shared(Media),
}

impl Default for Builder {
    fn default() -> Self {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            media: Media0::Start(MediaConfig::new(any, 10_000..=60_000)),
            gate: Arc::new(OpenGate),
            observers: Vec::new(),
            endpoint: endpoint_config(),
            public_address: None,
            guard: GuardConfig::default(),
            streams: StreamConfig::default(),
            auth: AuthConfig::default(),
            timers: CallTimers::default(),
        }
    }
}

impl Builder {
    /// Listens on UDP at `HOST:PORT`, a literal IP address; port 0 takes a free one. May be
    /// called several times.
    pub fn udp(mut self, addr: impl Display) -> Self {
        self.udp.push(addr.to_string());
        self
    }

    /// Listens on TCP, as [`Builder::udp`].
    pub fn tcp(mut self, addr: impl Display) -> Self {
        self.tcp.push(addr.to_string());
        self
    }

    /// Where media is received. Default: every address, ports 10000 to 60000.
    pub fn media(mut self, config: MediaConfig) -> Self {
        self.media = Media0::Start(config);
        self
    }

    /// Uses a media plane that runs already, for example to share it between phones.
    pub fn shared_media(mut self, media: Media) -> Self {
        self.media = Media0::Shared(media);
        self
    }

    /// Who may come in. Default: [`OpenGate`].
    pub fn gate(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = gate;
        self
    }

    /// Somebody who sees every SIP message, for traces. May be called several times.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// `host` or `host:port` that peers reach our signalling at, when it is not the address it is
    /// bound to (NAT). Media has its own, [`MediaConfig::advertise`].
    pub fn public_address(mut self, address: impl Into<String>) -> Self {
        self.public_address = Some(address.into());
        self
    }

    /// How the endpoint behaves: names, bounds, timers.
    pub fn endpoint(mut self, config: Config) -> Self {
        self.endpoint = config;
        self
    }

    /// The budget of each source.
    pub fn guard(mut self, guard: GuardConfig) -> Self {
        self.guard = guard;
        self
    }

    /// The bounds of TCP connections.
    pub fn streams(mut self, streams: StreamConfig) -> Self {
        self.streams = streams;
        self
    }

    /// How digest challenges are made: their lifetime, their algorithms.
    pub fn auth(mut self, auth: AuthConfig) -> Self {
        self.auth = auth;
        self
    }

    /// How long each state of a call may last.
    pub fn timers(mut self, timers: CallTimers) -> Self {
        self.timers = timers;
        self
    }

    /// Binds all sockets and begins. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`StartError`] names what cannot be used and what to do about it; nothing stays open.
    pub async fn start(self) -> Result<Phone, StartError> {
        let mut endpoint = self.endpoint;
        if self.public_address.is_some() {
            endpoint.public_address = self.public_address;
        }
        let agent = endpoint
            .public_address
            .as_deref()
            .and_then(|address| address.split(':').next())
            .filter(|host| !host.is_empty())
            .unwrap_or("smartalex")
            .to_owned();
        let settings = Arc::new(CallSettings {
            timers: self.timers,
            agent: agent.clone(),
        });
        let media = match self.media {
            Media0::Start(config) => Media::start(config)?,
            Media0::Shared(media) => media,
        };
        let mut key = [0; 32];
        let mut seed = [0; 8];
        SystemEntropy.fill(&mut key);
        SystemEntropy.fill(&mut seed);
        let epoch = tokio::time::Instant::now().into_std();
        let auth = Authenticator::new(key, epoch, self.auth);

        let (arrivals, ringing) = mpsc::channel::<(Arrival, Inbox)>(RINGING);
        let door = Box::new(move |arrival: Arrival| {
            let (link, inbox) = inbox();
            arrivals.try_send((arrival, inbox)).ok().map(|()| link)
        });
        let core = PhoneCore::new(settings, self.gate, auth, door);

        let mut driver = Driver::builder(Arc::new(endpoint))
            .guard(self.guard)
            .streams(self.streams);
        for addr in &self.udp {
            driver = driver.udp(parse(addr)?);
        }
        for addr in &self.tcp {
            driver = driver.tcp(parse(addr)?);
        }
        for observer in self.observers {
            driver = driver.observer(observer);
        }
        let running = driver.start(core)?;
        let shared = Arc::new(PhoneShared {
            handle: running.handle().clone(),
            media,
            agent,
            session_id: AtomicU64::new(u64::from_le_bytes(seed) >> 8),
        });
        Ok(Phone {
            line: Line { shared },
            ringing,
            running,
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("udp", &self.udp)
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

/// The endpoint of a phone: what this crate can do, and nothing else, is announced.
pub(crate) fn endpoint_config() -> Config {
    Config {
        supported: vec!["norefersub".to_owned()],
        ..Config::default()
    }
}

fn parse(addr: &str) -> Result<SocketAddr, StartError> {
    addr.parse().map_err(|_| StartError::Address {
        address: addr.to_owned(),
    })
}

/// Incoming calls that may wait for `accept`; more are answered 503.
const RINGING: usize = 1024;

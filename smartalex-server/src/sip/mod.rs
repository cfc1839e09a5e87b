//! The SIP side of the server: who may call, and what becomes of a call.
//! `admission` decides before anything is spent, `call` lives with what was let in.

mod admission;
mod call;
mod challenged;
mod control;
mod limits;
mod live;
mod recorder;
mod refusal;
mod registrations;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rtp_media::net::MediaConfig;
use sip_core::endpoint::Transport;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use voice_bridge::phone::Phone;
use voice_bridge::speech::{HttpVoice, Voice, VoiceConfig, VoiceError};

use self::admission::Admission;
use self::control::LiveControl;
use self::live::Live;
use crate::app::{App, SipAddresses};

/// The SIP side while it runs.
#[derive(Debug)]
pub struct Running {
    stop: Arc<Notify>,
    desk: JoinHandle<()>,
    clockwork: JoinHandle<()>,
}

impl Running {
    /// Ends all calls, waits until their records are on their way, and closes the sockets.
    pub async fn shutdown(self) {
        self.stop.notify_one();
        // A task that panicked has said so.
        let _ = self.desk.await;
        self.clockwork.abort();
    }
}

/// Why SIP could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port is taken, or an address is not one of this machine.
    #[error(transparent)]
    Phone(#[from] voice_bridge::StartError),
    /// The voice of the embedded agents cannot be used.
    #[error("[voice] cannot be used: {0}")]
    Voice(#[from] VoiceError),
}

/// Starts to listen for calls.
///
/// # Errors
/// When a port is taken, with its address and what to do, or a setting cannot be used.
pub async fn start(app: Arc<App>) -> Result<Running, StartError> {
    let voice = Voice::new(&voice_config(&app))?;
    let live = Arc::new(Live::new(&app.config.limits));
    let admission = Arc::new(Admission::new(app.clone(), live.clone()));
    let config = &app.config;
    let bind = config
        .sip
        .udp
        .or(config.sip.tcp)
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip());
    let mut media = MediaConfig::new(bind, config.rtp.port_range.clone());
    media.advertise = config.rtp.public_address.or(config.sip.public_address);
    media.shards = shards();
    let mut builder = Phone::builder().media(media).gate(admission.clone());
    if let Some(addr) = config.sip.udp {
        builder = builder.udp(addr);
    }
    if let Some(addr) = config.sip.tcp {
        builder = builder.tcp(addr);
    }
    if let Some(public) = config.sip.public_address {
        let port = config
            .sip
            .udp
            .or(config.sip.tcp)
            .map_or(5060, |addr| addr.port());
        builder = builder.public_address(SocketAddr::new(public, port).to_string());
    }
    let phone = builder.start().await?;
    let bound = |wanted| {
        let local = phone.local();
        local
            .into_iter()
            .find(|(transport, _)| *transport == wanted)
    };
    let addresses = SipAddresses {
        udp: bound(Transport::Udp).map(|(_, addr)| addr),
        tcp: bound(Transport::Tcp).map(|(_, addr)| addr),
    };
    tracing::info!(udp = ?addresses.udp, tcp = ?addresses.tcp, voice = voice.name(), "listening for SIP");
    app.set_sip_addresses(addresses);
    app.set_control(Arc::new(LiveControl::new(live.clone(), admission.clone())));
    let stop = Arc::new(Notify::new());
    let desk = tokio::spawn(receive(app, live, phone, voice, stop.clone()));
    let clockwork = tokio::spawn(keep_time(admission));
    Ok(Running {
        stop,
        desk,
        clockwork,
    })
}

/// Takes each call that admission let in, until told to stop.
async fn receive(
    app: Arc<App>,
    live: Arc<Live>,
    mut phone: Phone,
    voice: Voice,
    stop: Arc<Notify>,
) {
    loop {
        let ringing = tokio::select! {
            () = stop.notified() => break,
            ringing = phone.accept() => ringing,
        };
        let Some(ringing) = ringing else { break };
        tokio::spawn(call::take(
            app.clone(),
            live.clone(),
            voice.clone(),
            ringing,
        ));
    }
    phone.shut_down().await;
    // Their tasks have heard of the end; what they write must be on its way before the ledger is.
    let closed = async {
        while live.count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(LAST_WORDS, closed).await.is_err() {
        tracing::warn!(calls = live.count(), "calls did not close in time");
    }
}

/// What happens because time passes: registrations lapse, challenged callers do not come back.
async fn keep_time(admission: Arc<Admission>) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every_second.tick().await;
        admission.tick(tokio::time::Instant::now().into_std());
    }
}

fn voice_config(app: &App) -> VoiceConfig {
    let mut voice = VoiceConfig::default();
    voice.command = app.config.voice.command.clone().unwrap_or_default();
    voice.http = app.config.voice.url.as_ref().map(HttpVoice::new);
    voice
}

/// A shard serves hundreds of calls; more than half of the cores would starve signalling.
fn shards() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2).min(8))
}

/// How long the last words of calls may take when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

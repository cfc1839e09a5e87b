//! A phone: listens, is called, calls, registers.
//! The pure part is `core`; everything here is its async shell.

mod builder;
pub(crate) mod core;
mod dialing;
mod gate;
mod register;
mod registered;
mod ringing;
#[cfg(test)]
mod simulation;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtp_media::net::{Leg, LegEvents, Media, OpenError};
use rtp_media::sdp::Codec;
use sip_core::endpoint::{Counts, Entropy, Transport};
use sip_transport::driver::{Handle, Running};
use sip_transport::entropy::SystemEntropy;
use tokio::sync::mpsc;

pub use self::core::CallId;
pub(crate) use self::core::Link;
pub use builder::Builder;
pub use dialing::{Dialing, OutgoingCall, Progress};
pub use gate::{Gate, OpenGate, Verdict};
pub use register::{Registration, RegistrationState};
pub use registered::Registered;
pub use ringing::Ringing;

use self::core::{Arrival, PhoneCore};
use crate::call::Call;
use crate::call::inbox::Inbox;
use crate::error::CallFailed;

/// A phone that listens. See the [crate] for the fifteen lines that answer a call.
///
/// It owns its sockets: when it is dropped they are closed, and every call with them. Use
/// [`Phone::shut_down`] to hang up properly first.
#[derive(Debug)]
pub struct Phone {
    line: Line,
    ringing: mpsc::Receiver<(Arrival, Inbox)>,
    running: Running<PhoneCore>,
}

/// A handle of a phone for placing calls and registering; cheap to clone.
///
/// It does not keep the phone alive.
#[derive(Clone, Debug)]
pub struct Line {
    shared: Arc<PhoneShared>,
}

impl Phone {
    /// Begins a phone.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The next incoming call that the gate let in; `None` when the phone is shut down.
    /// Cancel-safe.
    pub async fn accept(&mut self) -> Option<Ringing> {
        let (arrival, inbox) = self.ringing.recv().await?;
        Some(Ringing::new(&self.line.shared, arrival, inbox))
    }

    /// A handle to place calls and register from elsewhere.
    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// Hangs up every call, leaves every registrar, waits for the answers (three seconds at
    /// most), then closes all sockets.
    pub async fn shut_down(self) {
        let handle = self.line.shared.handle().clone();
        let begun = handle
            .call(|endpoint, core, now| core.shut_down(endpoint, now))
            .await;
        if begun.is_ok() {
            let quiet = async {
                while let Ok(false) = handle.call(|_, core, _| core.is_quiet()).await {
                    tokio::time::sleep(QUIET_CHECK).await;
                }
            };
            if tokio::time::timeout(FAREWELL, quiet).await.is_err() {
                tracing::warn!("calls were still open when the phone was shut down");
            }
        }
        self.running.shutdown().await;
        self.line.shared.media.shutdown();
    }
}

impl std::ops::Deref for Phone {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl Line {
    /// Places a call and waits for the answer.
    ///
    /// # Errors
    /// [`CallFailed`] with the peer's status when it refuses, or the cause below SIP.
    pub async fn call(&self, order: OutgoingCall) -> Result<Call, CallFailed> {
        self.dial(order).await?.answered().await
    }

    /// Places a call and returns at once, so that its progress can be followed. Dropping what is
    /// returned cancels the call.
    ///
    /// # Errors
    /// [`CallFailed`] when nothing could be sent: no port for media, no way to the peer.
    pub async fn dial(&self, order: OutgoingCall) -> Result<Dialing, CallFailed> {
        dialing::dial(&self.shared, order).await
    }

    /// Registers, and keeps registered until the handle is dropped.
    ///
    /// # Errors
    /// [`crate::CallError::PhoneClosed`] when the phone is shut down.
    pub async fn register(&self, order: Registration) -> Result<Registered, crate::CallError> {
        registered::register(&self.shared, order).await
    }

    /// The addresses that signalling is bound to, UDP first.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        self.shared.handle.local().to_vec()
    }

    /// The media plane, for its figures.
    pub fn media(&self) -> &Media {
        &self.shared.media
    }

    /// How many calls there are, those included whose last words are awaited.
    pub async fn calls(&self) -> usize {
        let counted = self.shared.handle.call(|_, core, _| core.calls()).await;
        counted.unwrap_or_default()
    }

    /// How much the signalling endpoint holds.
    pub async fn counts(&self) -> Counts {
        let counted = self.shared.handle.call(|endpoint, _, _| endpoint.counts());
        counted.await.unwrap_or_default()
    }

    /// The driver's own figures: messages, drops.
    pub fn transport_counts(&self) -> sip_transport::counters::Counts {
        self.shared.handle.counts()
    }

    /// The source guard, to tend its exempt list.
    pub fn guard(&self) -> &sip_transport::guard::SharedGuard {
        self.shared.handle.guard()
    }

    /// Whether the phone has been shut down.
    pub fn is_closed(&self) -> bool {
        self.shared.handle.is_closed()
    }
}

/// What all handles of a phone share.
pub(crate) struct PhoneShared {
    handle: Handle<PhoneCore>,
    media: Media,
    /// Who speaks in our Warning headers.
    agent: String,
    /// The next session id of a description: random at the start, then one more each time.
    session_id: AtomicU64,
}

impl PhoneShared {
    pub(crate) fn handle(&self) -> &Handle<PhoneCore> {
        &self.handle
    }

    /// Opens a leg. `ip` is told to the peer unless media is bound or advertised elsewhere.
    fn open(&self, ip: Option<IpAddr>) -> Result<(Leg, LegEvents), OpenError> {
        self.media.open(ip.filter(|ip| !ip.is_unspecified()))
    }

    fn session_id(&self) -> u64 {
        self.session_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A Call-ID that nobody can guess and nobody else has.
    fn draw_call_id(&self) -> String {
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        format!("{:032x}", u128::from_le_bytes(random))
    }

    /// The value of a Warning header with this text.
    fn warning(&self, text: &str) -> String {
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
            .collect();
        format!("399 {} \"{text}\"", self.agent)
    }

    /// The address of this machine that a peer would be reached from.
    fn source_towards(&self, peer: Option<SocketAddr>) -> Option<IpAddr> {
        let bound = self.handle.local().iter().map(|(_, addr)| addr.ip());
        if let Some(ip) = bound.clone().find(|ip| !ip.is_unspecified()) {
            return Some(ip);
        }
        // A connected datagram socket sends nothing, but the system chooses its source address.
        let peer = peer.unwrap_or(SocketAddr::from(([192, 0, 2, 1], 9)));
        let any: SocketAddr = match peer {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(peer).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }
}

impl std::fmt::Debug for PhoneShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneShared")
            .field("local", &self.handle.local())
            .finish_non_exhaustive()
    }
}

/// Which codecs a call may use, the preferred one first, and whether keys travel as
/// telephone-event (RFC 4733).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codecs {
    list: Vec<Codec>,
    keys: bool,
}

impl Codecs {
    /// What every telephone speaks: PCMU, PCMA, telephone-event.
    pub fn telephony() -> Self {
        Self::only([Codec::Pcmu, Codec::Pcma])
    }

    /// These codecs in this order, and telephone-event.
    pub fn only(list: impl IntoIterator<Item = Codec>) -> Self {
        Self {
            list: list.into_iter().collect(),
            keys: true,
        }
    }

    /// Without telephone-event: keys are then sent by INFO.
    pub fn without_telephone_event(mut self) -> Self {
        self.keys = false;
        self
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self::telephony()
    }
}

/// How often a phone that is shutting down looks whether its calls are gone.
const QUIET_CHECK: std::time::Duration = std::time::Duration::from_millis(20);
/// How long a phone that is shutting down waits for the answers to its BYEs.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(3);

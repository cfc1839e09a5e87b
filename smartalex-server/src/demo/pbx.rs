//! A small customer PBX: registers on its trunk, sends outside numbers there, rings extensions,
//! and carries out the transfers that the server asks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip_core::auth::Credentials;
use sip_core::endpoint::{Target, Transport};
use sip_core::header::NameAddr;
use sip_core::name::Name;
use sip_core::status::Status;
use sip_core::uri::Uri;
use tokio::time::Instant;
use voice_bridge::call::{IncomingRefer, ReferProgress};
use voice_bridge::phone::{Dialing, Progress, Registered, Registration, RegistrationState};
use voice_bridge::{Call, CallEvent, CallFailed, Codecs, Line, OutgoingCall, Phone, Ringing};

use super::people::tell_figures;
use super::story::Story;

/// What the PBX's administrator entered.
pub(super) struct Trunk {
    /// Where the server takes SIP.
    pub(super) server: SocketAddr,
    /// The trunk's user.
    pub(super) user: String,
    /// Its credentials.
    pub(super) credentials: Credentials,
}

/// The PBX.
pub(super) struct Pbx {
    line: Line,
    trunk: Trunk,
    address: SocketAddr,
    extensions: SocketAddr,
    story: Story,
}

impl Pbx {
    /// A PBX on this line whose extensions' phones are at `extensions`.
    pub(super) fn new(
        line: Line,
        trunk: Trunk,
        extensions: SocketAddr,
        story: Story,
    ) -> Result<Arc<Self>, String> {
        let address = line.local().first().map(|(_, address)| *address);
        Ok(Arc::new(Self {
            address: address.ok_or("the PBX does not listen")?,
            line,
            trunk,
            extensions,
            story,
        }))
    }

    /// Registers on the trunk and waits for the server's answer.
    pub(super) async fn register(&self) -> Result<Registered, String> {
        let server = self.trunk.server;
        let address = NameAddr::new(Uri::sip_at(Some(&self.trunk.user), server));
        let mut order = Registration::new(Uri::sip_at(None, server), address);
        order.credentials = Some(self.trunk.credentials.clone());
        order.target = Some(self.target(server));
        let mut registered = self
            .line
            .register(order)
            .await
            .map_err(|error| error.to_string())?;
        match registered.settled().await {
            RegistrationState::Registered { .. } => Ok(registered),
            RegistrationState::Failed { status, cause, .. } => Err(format!(
                "the PBX could not register: {} {cause}",
                status.map_or(0, Status::code)
            )),
            state => Err(format!("the PBX could not register: {state:?}")),
        }
    }

    /// Takes calls until the phone is shut down.
    pub(super) async fn serve(self: Arc<Self>, phone: &mut Phone) {
        while let Some(ringing) = phone.accept().await {
            tokio::spawn(self.clone().connect(ringing));
        }
    }

    /// Connects a caller with the number that was dialled.
    async fn connect(self: Arc<Self>, mut ringing: Ringing) {
        let caller = ringing.from_number();
        let order = self.route(&ringing.to_number(), &caller);
        let mut dialing = match self.line.dial(order).await {
            Ok(dialing) => dialing,
            Err(error) => return refuse(ringing, &error),
        };
        loop {
            let progress = tokio::select! {
                progress = dialing.next() => progress,
                // Dropping what is dialled cancels it.
                _ = ringing.gone() => return,
            };
            match progress {
                Progress::Provisional { status, .. } if status == Status::RINGING => {
                    ringing = match ringing.ring().await {
                        Ok(ringing) => ringing,
                        Err(_) => return,
                    };
                }
                Progress::Answered | Progress::Failed => break,
                _ => {}
            }
        }
        let far = match dialing.answered().await {
            Ok(far) => far,
            Err(error) => return refuse(ringing, &error),
        };
        if let Ok(near) = ringing.answer(Codecs::telephony()).await {
            let bridge = Bridge {
                pbx: self,
                caller,
                near,
                far,
                transfer: None,
            };
            bridge.run().await;
        }
    }

    /// How a number is reached: an extension here, everything else through the trunk.
    fn route(&self, number: &str, caller: &str) -> OutgoingCall {
        if is_extension(number) {
            let from = NameAddr::new(Uri::sip_at(Some(caller), self.address));
            let mut order = OutgoingCall::new(from, Uri::sip_at(Some(number), self.extensions));
            order.target = Some(self.target(self.extensions));
            return order;
        }
        // As PBXs do it: From is the trunk's user, the caller is asserted (RFC 3325).
        let server = self.trunk.server;
        let from = NameAddr::new(Uri::sip_at(Some(&self.trunk.user), server));
        let asserted = NameAddr::new(Uri::sip_at(Some(caller), self.address));
        let mut order = OutgoingCall::new(from, Uri::sip_at(Some(number), server));
        order.headers = vec![(Name::PAssertedIdentity, asserted.to_string())];
        order.credentials = Some(self.trunk.credentials.clone());
        order.target = Some(self.target(server));
        order
    }

    fn target(&self, addr: SocketAddr) -> Target {
        Target {
            transport: Transport::Udp,
            addr,
        }
    }
}

/// Two calls that hear each other, and a transfer while it is carried out.
struct Bridge {
    pbx: Arc<Pbx>,
    /// The caller's number.
    caller: String,
    /// The one who called.
    near: Call,
    /// The one who was called: the server, later an extension.
    far: Call,
    transfer: Option<Transfer>,
}

/// A transfer that the far side asked for.
struct Transfer {
    dialing: Dialing,
    words: ReferProgress,
    until: Instant,
}

impl Bridge {
    async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.near.next() => match event {
                    Some(event) if pass_on(&event, &self.far) => {}
                    // It is not ours to transfer the server.
                    Some(CallEvent::Refer(refer)) => refer.refuse(Status::DECLINE),
                    None | Some(CallEvent::Ended(_)) => break,
                    Some(_) => {}
                },
                event = self.far.next() => match event {
                    Some(event) if pass_on(&event, &self.near) => {}
                    Some(CallEvent::Refer(refer)) => self.begin(refer).await,
                    None | Some(CallEvent::Ended(_)) => break,
                    Some(_) => {}
                },
                progress = progress(&mut self.transfer) => self.follow(progress).await,
            }
        }
        // The one that is over already has nothing to hang up.
        let _ = self.near.hang_up().await;
        let _ = self.far.hang_up().await;
    }

    /// Takes a REFER: calls the extension that it names.
    async fn begin(&mut self, refer: IncomingRefer) {
        if self.transfer.is_some() {
            return refer.refuse(Status::BUSY_HERE);
        }
        // As at Asterisk, the user part decides; 404 comes as a NOTIFY.
        let number = refer.target().user().unwrap_or_default().into_owned();
        let words = refer.accept();
        if !is_extension(&number) {
            return words.finish(Status::NOT_FOUND);
        }
        let order = self.pbx.route(&number, &self.caller);
        match self.pbx.line.dial(order).await {
            Ok(dialing) => {
                self.transfer = Some(Transfer {
                    dialing,
                    words,
                    until: Instant::now() + RINGS,
                });
            }
            Err(error) => words.finish(error.status.unwrap_or(Status::BAD_GATEWAY)),
        }
    }

    /// The extension's phone says something.
    async fn follow(&mut self, progress: Option<Progress>) {
        match progress {
            Some(Progress::Provisional { status, .. }) => {
                if let Some(transfer) = &self.transfer {
                    transfer.words.progress(status);
                }
            }
            Some(Progress::Answered | Progress::Failed) => {
                let Some(transfer) = self.transfer.take() else {
                    return;
                };
                match transfer.dialing.answered().await {
                    Ok(answered) => {
                        let server = std::mem::replace(&mut self.far, answered);
                        transfer.words.finish(Status::OK);
                        tokio::spawn(part(self.pbx.story.clone(), server));
                    }
                    Err(error) => {
                        let status = error.status.filter(|status| status.is_failure());
                        transfer
                            .words
                            .finish(status.unwrap_or(Status::TEMPORARILY_UNAVAILABLE));
                    }
                }
            }
            Some(_) => {}
            // Nobody answers: dropping what is dialled cancels it.
            None => {
                if let Some(transfer) = self.transfer.take() {
                    transfer.words.finish(Status::REQUEST_TIMEOUT);
                }
            }
        }
    }
}

/// What happens to the call to the extension; `None` when it has rung long enough.
async fn progress(transfer: &mut Option<Transfer>) -> Option<Progress> {
    match transfer {
        Some(transfer) => {
            let next = transfer.dialing.next();
            tokio::time::timeout_at(transfer.until, next).await.ok()
        }
        None => std::future::pending().await,
    }
}

/// Lets one side hear what the other says and keys; `false` when the event is something else.
fn pass_on(event: &CallEvent, other: &Call) -> bool {
    // When the other side is over already, its own event tells.
    match event {
        CallEvent::Heard(frame) => {
            let _ = other.say(frame.clone());
        }
        CallEvent::Digit(digit) => {
            let _ = other.send_digits(&digit.to_string());
        }
        _ => return false,
    }
    true
}

/// The server's leg after a transfer: it is the server's to end, and ours when it does not.
async fn part(story: Story, mut server: Call) {
    let over = async {
        while let Some(event) = server.event().await {
            if matches!(event, CallEvent::Ended(_)) {
                break;
            }
        }
    };
    if tokio::time::timeout(PARTING, over).await.is_err() {
        story.trouble("the server did not end its leg after the transfer");
        // An error means that it is gone.
        let _ = server.hang_up().await;
    }
    tell_figures(&story, "the PBX towards the server", &mut server, &[]).await;
}

fn refuse(ringing: Ringing, error: &CallFailed) {
    let status = error.status.filter(|status| status.is_failure());
    let reason = error.reason.clone().unwrap_or_default();
    ringing.refuse(status.unwrap_or(Status::TEMPORARILY_UNAVAILABLE), reason);
}

fn is_extension(number: &str) -> bool {
    matches!(number, "101" | "102" | "103" | "104")
}

/// How long an extension rings for a transfer.
const RINGS: Duration = Duration::from_secs(15);
/// How long the server may take to end its leg.
const PARTING: Duration = Duration::from_secs(10);

//! The handle by which a call is steered: speak, transfer, hang up, from any task.
//! Cheap to clone; it does not keep the call alive.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rtp_media::net::{Frame, SayError, Stats};
use rtp_media::sdp::{Codec, Negotiated};
use tokio::sync::watch;

use super::ending::{EndCause, Ending};
use super::event::Marks;
use super::handover::TransferOrder;
use super::machine::Machine;
use super::state::CallState;
use super::voice::SharedLeg;
use crate::error::CallError;
use crate::phone::{CallId, PhoneShared};

/// Steers one call.
///
/// A clone may be kept anywhere, for example in a table of live calls; when the call is over its
/// methods do nothing or say so.
#[derive(Clone)]
pub struct CallControl {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) phone: Arc<PhoneShared>,
    pub(crate) id: CallId,
    pub(crate) call_id: Arc<str>,
    pub(crate) leg: SharedLeg,
    pub(crate) marks: Mutex<Marks>,
    pub(crate) ended: watch::Receiver<Option<Ending>>,
}

impl CallControl {
    /// Names this call among all calls of its phone.
    pub fn id(&self) -> CallId {
        self.inner.id
    }

    /// The SIP Call-ID.
    pub fn call_id(&self) -> &str {
        &self.inner.call_id
    }

    /// Says 20 ms of audio after all that was said before. Never waits: the leg holds minutes.
    ///
    /// # Errors
    /// [`CallError::Full`] when too much waits, [`CallError::NotEstablished`] when the call is over.
    pub fn say(&self, frame: Frame) -> Result<(), CallError> {
        match self.inner.leg.with(|leg| leg.say(frame)) {
            Some(Ok(())) => Ok(()),
            Some(Err(SayError::Full { .. })) => Err(CallError::Full),
            Some(Err(SayError::Closed)) | None => Err(CallError::NotEstablished),
            Some(Err(error)) => Err(CallError::Digits(error.to_string())),
        }
    }

    /// How much audio waits to be played.
    pub fn queued(&self) -> Duration {
        self.inner.leg.with(|leg| leg.queued()).unwrap_or_default()
    }

    /// Asks for [`CallEvent::MarkReached`](super::CallEvent::MarkReached) when all that was said
    /// before has been played.
    ///
    /// # Errors
    /// [`CallError::Full`] when 1,024 marks wait, [`CallError::NotEstablished`] when the call is
    /// over.
    pub fn mark(&self, name: &str) -> Result<(), CallError> {
        let id = self.marks(|marks| marks.add(name)).ok_or(CallError::Full)?;
        match self.inner.leg.with(|leg| leg.mark(id)) {
            Some(()) => Ok(()),
            None => {
                self.marks(|marks| marks.take(id));
                Err(CallError::NotEstablished)
            }
        }
    }

    /// Forgets all that was said and not yet played; its marks come back as cleared.
    pub fn clear(&self) {
        self.inner.leg.with(|leg| leg.clear());
    }

    /// Presses keys towards the peer: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for a pause.
    ///
    /// By telephone-event (RFC 4733) when the peer takes it, otherwise one INFO
    /// (`application/dtmf-relay`) for each key.
    ///
    /// # Errors
    /// [`CallError::Digits`] names what is no key; [`CallError::NotEstablished`] when the call is
    /// over.
    pub fn send_digits(&self, digits: &str) -> Result<(), CallError> {
        let terms = self.terms().ok_or(CallError::NotEstablished)?;
        if terms.telephone_event.is_some() {
            return match self.inner.leg.with(|leg| leg.send_digits(digits)) {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => Err(CallError::Digits(error.to_string())),
                None => Err(CallError::NotEstablished),
            };
        }
        let mut keys = Vec::new();
        for c in digits.chars() {
            match c.to_ascii_uppercase() {
                'W' => {}
                c @ ('0'..='9' | '*' | '#' | 'A'..='D') if keys.len() < MAX_INFO_KEYS => {
                    keys.push(c);
                }
                c => {
                    return Err(CallError::Digits(format!(
                        "{c:?} is no key, or one too many"
                    )));
                }
            }
        }
        self.post(move |machine, _| {
            for key in keys {
                // Refused only when the call is ending, and then nobody wants the keys.
                let _ = machine.send_key(key, INFO_KEY_MS);
            }
        });
        Ok(())
    }

    /// Puts the peer on hold (`true`) or takes it back, by re-INVITE. The answer comes as
    /// [`CallEvent::HoldAnswered`](super::CallEvent::HoldAnswered).
    ///
    /// # Errors
    /// [`CallError::Pending`] while another hold or resume is under way,
    /// [`CallError::NotEstablished`] when the call is not up.
    pub async fn hold(&self, held: bool) -> Result<(), CallError> {
        self.ask(move |machine, _| machine.hold(held)).await?
    }

    /// Hands the peer over: REFER in the dialog (RFC 3515). The audio stays up; what becomes of it
    /// comes as [`CallEvent::TransferProgress`](super::CallEvent::TransferProgress) and
    /// [`CallEvent::TransferDone`](super::CallEvent::TransferDone).
    ///
    /// # Errors
    /// [`CallError::Pending`] while another transfer is under way, [`CallError::NotEstablished`]
    /// when the call is not up.
    pub async fn transfer(&self, order: TransferOrder) -> Result<(), CallError> {
        // On tokio's clock, as the driver's.
        let asked = tokio::time::Instant::now().into_std();
        self.ask(move |machine, now| machine.transfer(now, asked, order))
            .await?
    }

    /// Gives up a transfer that is under way, as far as that is possible.
    pub fn cancel_transfer(&self) {
        self.post(|machine, now| machine.cancel_transfer(now));
    }

    /// Hangs up: BYE, or CANCEL before the answer. Waits until the peer has answered it.
    ///
    /// # Errors
    /// [`CallError::PhoneClosed`] when the phone is shut down; the call is gone then, too.
    pub async fn hang_up(&self) -> Result<(), CallError> {
        self.end(EndCause::HungUp("done".to_owned())).await
    }

    /// As [`CallControl::hang_up`], with a reason for the peer (Reason header, RFC 3326) and the
    /// record.
    ///
    /// # Errors
    /// As [`CallControl::hang_up`].
    pub async fn hang_up_because(&self, reason: impl Into<String>) -> Result<(), CallError> {
        self.end(EndCause::HungUp(reason.into())).await
    }

    pub(crate) async fn end(&self, cause: EndCause) -> Result<(), CallError> {
        let known = self
            .ask(move |machine, now| machine.hang_up(now, cause))
            .await;
        match known {
            Ok(()) => {
                let mut ended = self.inner.ended.clone();
                // An error means that the call was forgotten: then it is over as well.
                let _ = ended.wait_for(Option::is_some).await;
                Ok(())
            }
            Err(CallError::NotEstablished) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How the call ended, once it has.
    pub fn ending(&self) -> Option<Ending> {
        self.inner.ended.borrow().clone()
    }

    /// Waits until the call is over.
    pub async fn ended(&self) -> Option<Ending> {
        let mut ended = self.inner.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ending) => ending.clone(),
            Err(_) => self.ending(),
        }
    }

    /// Where the call stands.
    pub async fn state(&self) -> CallState {
        self.ask(|machine, _| machine.state())
            .await
            .unwrap_or(CallState::Ended)
    }

    /// The counts of the media leg so far; `None` once it is closed.
    pub fn stats(&self) -> Option<Stats> {
        self.inner.leg.with(|leg| leg.stats())
    }

    /// The codec in use, once there is one.
    pub fn codec(&self) -> Option<Codec> {
        self.terms().map(|terms| terms.codec)
    }

    /// Where the peer says that it wants our audio.
    pub fn media_remote(&self) -> Option<SocketAddr> {
        self.terms().map(|terms| terms.remote)
    }

    /// What was agreed about media, once it was.
    pub fn terms(&self) -> Option<Negotiated> {
        self.inner.leg.terms()
    }

    pub(crate) fn marks<R>(&self, use_them: impl FnOnce(&mut Marks) -> R) -> R {
        // Nothing panics while holding the lock; were it so, the marks are still whole.
        let mut marks = self
            .inner
            .marks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        use_them(&mut marks)
    }

    /// Does something with the call's machine, later, in order.
    pub(crate) fn post(&self, act: impl FnOnce(&mut Machine, Instant) + Send + 'static) {
        let id = self.inner.id;
        self.inner.phone.handle().post(move |endpoint, core, now| {
            core.with(endpoint, now, id, |machine| act(machine, now));
        });
    }

    /// Does something with the call's machine and brings back what came of it.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Machine, Instant) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        let id = self.inner.id;
        self.inner
            .phone
            .handle()
            .call(move |endpoint, core, now| {
                core.with(endpoint, now, id, |machine| act(machine, now))
            })
            .await
            .map_err(|_| CallError::PhoneClosed)?
            .ok_or(CallError::NotEstablished)
    }
}

impl fmt::Debug for CallControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallControl")
            .field("id", &self.inner.id)
            .field("call_id", &self.inner.call_id)
            .finish_non_exhaustive()
    }
}

/// Keys that one request may send by INFO.
const MAX_INFO_KEYS: usize = 32;
/// How long an INFO says that a key was held.
const INFO_KEY_MS: u16 = 160;

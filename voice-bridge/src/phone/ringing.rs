//! A call that comes in: who calls whom, and the four things one can do about it.
//! Each of them consumes it, so none can be done twice.

use std::any::Any;
use std::sync::{Arc, Mutex};

use rtp_media::sdp::{Codec, LocalMedia};
use sip_core::endpoint::{Flow, Reply};
use sip_core::header::{NameAddr, PAssertedIdentity};
use sip_core::message::Request;
use sip_core::name::Name;
use sip_core::status::Status;

use super::core::{Arrival, CallId};
use super::{Codecs, PhoneShared};
use crate::call::inbox::Inbox;
use crate::call::machine::Machine;
use crate::call::voice::SharedLeg;
use crate::call::{Call, CallControl, ControlInner, EndCause, Ending, Marks};
use crate::error::AnswerError;

/// An incoming call that was let in and waits for a decision.
///
/// [`answer`](Ringing::answer), [`ring`](Ringing::ring), [`refuse`](Ringing::refuse) and
/// [`ignore`](Ringing::ignore) each consume it. Dropped undecided, the caller hears 480; undecided
/// for three minutes, as well.
pub struct Ringing {
    phone: Arc<PhoneShared>,
    id: CallId,
    request: Request,
    flow: Flow,
    context: Option<Box<dyn Any + Send>>,
    inbox: Option<Inbox>,
}

impl Ringing {
    pub(super) fn new(phone: &Arc<PhoneShared>, arrival: Arrival, inbox: Inbox) -> Self {
        Self {
            phone: Arc::clone(phone),
            id: arrival.id,
            request: arrival.request,
            flow: arrival.flow,
            context: Some(arrival.context),
            inbox: Some(inbox),
        }
    }

    /// Names this call among all calls of its phone.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// The INVITE.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The SIP Call-ID.
    pub fn call_id(&self) -> &str {
        self.request.call_id()
    }

    /// Where it came from.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The caller's number: the user part of P-Asserted-Identity (RFC 3325) when there is one,
    /// else of From. Empty when the caller names none.
    ///
    /// Whether an asserted identity may be believed is for the gate to say.
    pub fn from_number(&self) -> String {
        let asserted = match self.request.typed::<PAssertedIdentity>() {
            Some(Ok(identity)) => number(&identity),
            _ => None,
        };
        asserted
            .or_else(|| number(self.request.from()))
            .unwrap_or_default()
    }

    /// The number that was called: the user part of the Request-URI, else of To.
    pub fn to_number(&self) -> String {
        user_of(self.request.uri())
            .or_else(|| number(self.request.to()))
            .unwrap_or_default()
    }

    /// What the gate attached to this call, if it is of this type.
    pub fn context<T: 'static>(&self) -> Option<&T> {
        self.context.as_deref()?.downcast_ref()
    }

    /// Takes what the gate attached to this call, if it is of this type.
    pub fn take_context<T: 'static>(&mut self) -> Option<Box<T>> {
        match self.context.take()?.downcast() {
            Ok(context) => Some(context),
            Err(other) => {
                self.context = Some(other);
                None
            }
        }
    }

    /// Waits until the caller has given up, or the call has ended otherwise before it was
    /// answered. Cancel-safe.
    pub async fn gone(&mut self) -> Option<Ending> {
        let mut ended = self.inbox.as_ref()?.ended();
        match ended.wait_for(Option::is_some).await {
            Ok(ending) => ending.clone(),
            Err(_) => Some(Ending::of(EndCause::ShutDown, None)),
        }
    }

    /// Answers with 200 and begins to talk.
    ///
    /// # Errors
    /// [`AnswerError::Gone`] when the caller gave up; otherwise the caller has had its refusal:
    /// 488 without a codec in common, 415 or 400 for a body that cannot be used, 503 without a
    /// free port.
    pub async fn answer(mut self, codecs: Codecs) -> Result<Call, AnswerError> {
        let opened = self.phone.open(Some(self.flow.local.ip()));
        let (leg, ears) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let reply = Reply::new(Status::SERVICE_UNAVAILABLE)
                    .header(Name::RetryAfter, "10")
                    .header(Name::Warning, self.phone.warning(&error.to_string()));
                self.decide(reply);
                return Err(AnswerError::Media(error));
            }
        };
        let local = codecs.offer(leg.local(), self.phone.session_id());
        let shared = SharedLeg::new(leg);
        let Some(mut inbox) = self.inbox.take() else {
            return Err(AnswerError::Gone);
        };
        inbox.listen(ears);
        let control = CallControl {
            inner: Arc::new(ControlInner {
                phone: Arc::clone(&self.phone),
                id: self.id,
                call_id: self.request.call_id().into(),
                leg: shared.clone(),
                marks: Mutex::new(Marks::default()),
                ended: inbox.ended(),
            }),
        };
        // From here on the call is hung up when this future is dropped.
        let call = Call::new(control, inbox);
        let id = self.id;
        self.phone
            .handle()
            .call(move |endpoint, core, now| {
                core.answer(endpoint, now, id, local, Box::new(shared))
            })
            .await
            .map_err(|_| AnswerError::PhoneClosed)??;
        Ok(call)
    }

    /// Lets the caller hear ringing (180) and goes on waiting.
    ///
    /// # Errors
    /// [`AnswerError::Gone`] when the caller gave up.
    pub async fn ring(self) -> Result<Ringing, AnswerError> {
        let id = self.id;
        self.phone
            .handle()
            .call(move |endpoint, core, now| {
                core.with(endpoint, now, id, |machine| machine.ring(now))
            })
            .await
            .map_err(|_| AnswerError::PhoneClosed)?
            .ok_or(AnswerError::Gone)??;
        Ok(self)
    }

    /// Refuses the call with this status (300 to 699; 480 when it is not one) and these words.
    pub fn refuse(mut self, status: Status, reason: impl Into<String>) {
        let status = if status.is_failure() {
            status
        } else {
            Status::TEMPORARILY_UNAVAILABLE
        };
        self.decide(Reply::new(status).reason(reason));
    }

    /// As [`Ringing::refuse`], with header fields such as Warning or Retry-After.
    pub fn refuse_with(mut self, reply: Reply) {
        self.decide(reply);
    }

    /// Leaves the call without any further answer: the caller will give up by itself.
    pub fn ignore(mut self) {
        self.inbox = None;
        self.post(|machine, now| machine.ignore(now));
    }

    /// Checks whether media could be agreed with these codecs, without answering.
    ///
    /// # Errors
    /// The refusal that [`Ringing::answer`] would give, with its cause. The call is not touched.
    pub fn agreeable(&self, codecs: &Codecs) -> Result<Option<Codec>, AnswerError> {
        let local = codecs.offer(self.flow.local, 0);
        Machine::rehearse(&self.request, local)
            .map_err(|(status, cause)| AnswerError::NotAcceptable { status, cause })
    }

    fn decide(&mut self, reply: Reply) {
        self.inbox = None;
        self.post(move |machine, now| {
            // Gone already: then there is nobody to refuse.
            let _ = machine.refuse(now, reply);
        });
    }

    fn post(&self, act: impl FnOnce(&mut Machine, std::time::Instant) + Send + 'static) {
        let id = self.id;
        self.phone.handle().post(move |endpoint, core, now| {
            core.with(endpoint, now, id, |machine| act(machine, now));
        });
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        if self.inbox.is_some() {
            self.decide(Reply::new(Status::TEMPORARILY_UNAVAILABLE));
        }
    }
}

impl std::fmt::Debug for Ringing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ringing")
            .field("id", &self.id)
            .field("call_id", &self.call_id())
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}

impl Codecs {
    /// What we bring to an offer or answer at this address.
    pub(crate) fn offer(&self, at: std::net::SocketAddr, session_id: u64) -> LocalMedia {
        let mut local = LocalMedia::new(at.ip(), at.port(), session_id);
        local.codecs = self.list.clone();
        local.telephone_event = self.keys;
        local
    }
}

fn number(address: &NameAddr) -> Option<String> {
    user_of(address.uri())
}

fn user_of(uri: &sip_core::uri::Uri) -> Option<String> {
    uri.user()
        .map(|user| user.to_string())
        .filter(|user| !user.is_empty())
}

//! A call that we place: the order, its progress, its answer.
//! Dropping it before the answer cancels it.

use std::sync::{Arc, Mutex};

use sip_core::auth::Credentials;
use sip_core::endpoint::{OutgoingRequest, Target};
use sip_core::header::NameAddr;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;
use sip_core::uri::Uri;

use super::core::CallId;
use super::{Codecs, PhoneShared};
use crate::call::action::Notice;
use crate::call::inbox::{Inbox, Item, inbox};
use crate::call::voice::SharedLeg;
use crate::call::{Call, CallControl, CallEvent, ControlInner, EndCause, Ending, Marks};
use crate::error::CallFailed;
use rtp_media::net::Frame;

/// A call to place.
#[derive(Clone, Debug)]
pub struct OutgoingCall {
    /// Whom to call: the Request-URI, and To.
    pub to: Uri,
    /// Who calls, without a tag.
    pub from: NameAddr,
    /// Answers a challenge.
    pub credentials: Option<Credentials>,
    /// Where to send the INVITE, whatever `to` resolves to: an outbound proxy.
    pub target: Option<Target>,
    /// Further header fields of the INVITE.
    pub headers: Vec<(Name, String)>,
    /// What may be spoken. Default [`Codecs::telephony`].
    pub codecs: Codecs,
}

impl OutgoingCall {
    /// From this address to that one, without credentials and further headers.
    pub fn new(from: NameAddr, to: Uri) -> Self {
        Self {
            to,
            from,
            credentials: None,
            target: None,
            headers: Vec::new(),
            codecs: Codecs::telephony(),
        }
    }
}

/// What happens to a call that was placed, until it is answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// A provisional answer: 180, 183…
    Provisional {
        /// Its status.
        status: Status,
        /// Its words.
        reason: String,
    },
    /// 20 ms of early media: ringback, an announcement.
    Heard(Frame),
    /// The call was answered: [`Dialing::answered`] returns at once.
    Answered,
    /// It was not, and will not be: [`Dialing::answered`] tells why.
    Failed,
}

/// A call that was placed and is not answered yet. Dropping it cancels the call.
#[derive(Debug)]
pub struct Dialing {
    control: CallControl,
    /// Gone once the call is handed out.
    inbox: Option<Inbox>,
    outcome: Option<Result<(), Ending>>,
}

impl Dialing {
    /// A handle that can hang up the call from elsewhere.
    pub fn control(&self) -> &CallControl {
        &self.control
    }

    /// The next thing that happens; after [`Progress::Answered`] or [`Progress::Failed`] the same
    /// again. Cancel-safe.
    pub async fn next(&mut self) -> Progress {
        loop {
            match &self.outcome {
                Some(Ok(())) => return Progress::Answered,
                Some(Err(_)) => return Progress::Failed,
                None => {}
            }
            let item = match &mut self.inbox {
                Some(inbox) => inbox.next(&self.control).await,
                None => None,
            };
            match item {
                Some(Item::Notice(Notice::Progress { status, reason })) => {
                    return Progress::Provisional { status, reason };
                }
                Some(Item::Notice(Notice::Answered)) => self.outcome = Some(Ok(())),
                Some(Item::Event(CallEvent::Heard(frame))) => return Progress::Heard(frame),
                Some(Item::Event(CallEvent::Ended(ending))) => self.outcome = Some(Err(ending)),
                Some(_) => {}
                None => {
                    self.outcome = Some(Err(Ending::of(EndCause::ShutDown, None)));
                }
            }
        }
    }

    /// Waits for the answer. Early media is dropped meanwhile.
    ///
    /// # Errors
    /// [`CallFailed`]: the peer's refusal, or why it could not be reached.
    pub async fn answered(mut self) -> Result<Call, CallFailed> {
        while self.outcome.is_none() {
            self.next().await;
        }
        match (self.outcome.take(), self.inbox.take()) {
            (Some(Ok(())), Some(inbox)) => Ok(Call::new(self.control.clone(), inbox)),
            (Some(Err(ending)), _) => Err(CallFailed {
                status: ending.status,
                reason: ending.reason,
                cause: ending.cause,
            }),
            _ => Err(CallFailed::of(EndCause::ShutDown)),
        }
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        if self.inbox.is_some() {
            self.control
                .post(|machine, now| machine.hang_up(now, EndCause::Dropped));
        }
    }
}

/// Opens a leg, sends the INVITE.
pub(super) async fn dial(
    phone: &Arc<PhoneShared>,
    order: OutgoingCall,
) -> Result<Dialing, CallFailed> {
    let unreachable = |cause: String| CallFailed::of(EndCause::Unreachable(cause));
    let peer = order.target.map(|target| target.addr);
    let (leg, ears) = phone
        .open(phone.source_towards(peer))
        .map_err(|error| unreachable(error.to_string()))?;
    let local = order.codecs.offer(leg.local(), phone.session_id());
    let shared = SharedLeg::new(leg);
    let call_id = phone.draw_call_id();
    let mut request = OutgoingRequest::new(
        Method::Invite,
        order.to.clone(),
        order.from,
        NameAddr::new(order.to),
    );
    request.headers = order.headers;
    request.credentials = order.credentials;
    request.target = order.target;
    request.call_id = Some(call_id.clone());
    let (link, mut inbox) = inbox();
    inbox.listen(ears);
    let voice = Box::new(shared.clone());
    let dialled = phone
        .handle()
        .call(move |endpoint, core, now| core.dial(endpoint, now, request, local, voice, link))
        .await
        .map_err(|_| CallFailed::of(EndCause::ShutDown))?;
    let id: CallId = dialled.map_err(|error| unreachable(error.to_string()))?;
    let control = CallControl {
        inner: Arc::new(ControlInner {
            phone: Arc::clone(phone),
            id,
            call_id: call_id.into(),
            leg: shared,
            marks: Mutex::new(Marks::default()),
            ended: inbox.ended(),
        }),
    };
    Ok(Dialing {
        control,
        inbox: Some(inbox),
        outcome: None,
    })
}

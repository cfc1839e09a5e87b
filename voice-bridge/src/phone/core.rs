//! The phone without its sockets: every call machine, the gate, and who gets which event.
//! A pure handler of one endpoint; `Phone` drives it over a real one, the tests over simulated links.

mod actions;
mod registrations;

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rtp_media::sdp::LocalMedia;
use sip_core::auth::Authenticator;
use sip_core::endpoint::{
    ClientTx, DialogId, Endpoint, EndpointError, Event, Flow, OutgoingRequest, Reply, ServerTx,
};
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;
use sip_transport::driver::Handler;

use super::gate::{Gate, Verdict};
use super::register::{Keeper, RegistrationState};
use crate::call::EndCause;
use crate::call::action::{Action, Notice, Purpose};
use crate::call::machine::{CallSettings, Input, Lost, Machine};
use crate::call::talk::Talk;
use crate::call::voice::Voice;
use crate::error::AnswerError;

/// Names one call of a phone; never used again for another.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the news of a call go. Called in the driver: it must not block.
pub(crate) type Link = Box<dyn FnMut(Notice) + Send>;
/// Where the news of a registration go.
pub(crate) type RegistrationLink = Box<dyn FnMut(RegistrationState) + Send>;
/// Takes an incoming call, or has no room for it.
pub(crate) type Door = Box<dyn FnMut(Arrival) -> Option<Link> + Send>;

/// An incoming call that the gate let in.
pub(crate) struct Arrival {
    pub(crate) id: CallId,
    pub(crate) request: Request,
    pub(crate) flow: Flow,
    pub(crate) context: Box<dyn Any + Send>,
}

/// See the module.
pub(crate) struct PhoneCore {
    settings: Arc<CallSettings>,
    gate: Arc<dyn Gate>,
    auth: Authenticator,
    door: Door,
    last: u64,
    calls: HashMap<CallId, Entry>,
    keepers: HashMap<u64, (Keeper, RegistrationLink)>,
    invites: HashMap<ServerTx, CallId>,
    dialogs: HashMap<DialogId, CallId>,
    requests: HashMap<ClientTx, Owner>,
    /// Who is due when: one entry for each call and registration with a deadline.
    clock: BTreeSet<(Instant, Due)>,
}

/// One call with all that ties it to the endpoint and to its owner.
struct Entry {
    machine: Machine,
    /// The SIP Call-ID, for logs.
    call_id: Arc<str>,
    /// Our INVITE, until it has its final answer.
    invite: Option<ClientTx>,
    dialog: Option<DialogId>,
    /// Every dialog that leads here: those of other branches too.
    dialogs: Vec<DialogId>,
    voice: Option<Box<dyn Voice>>,
    link: Link,
    due: Option<Instant>,
}

impl Entry {
    fn adopt(&mut self, dialog: DialogId) {
        self.dialog = Some(dialog);
        if !self.dialogs.contains(&dialog) {
            self.dialogs.push(dialog);
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Call(CallId),
    Keeper(u64),
}

/// Whose a request of ours is.
#[derive(Copy, Clone, Debug)]
enum Owner {
    Invite(CallId),
    InCall(CallId, Purpose),
    Keeper(u64),
}

impl PhoneCore {
    pub(crate) fn new(
        settings: Arc<CallSettings>,
        gate: Arc<dyn Gate>,
        auth: Authenticator,
        door: Door,
    ) -> Self {
        Self {
            settings,
            gate,
            auth,
            door,
            last: 0,
            calls: HashMap::new(),
            keepers: HashMap::new(),
            invites: HashMap::new(),
            dialogs: HashMap::new(),
            requests: HashMap::new(),
            clock: BTreeSet::new(),
        }
    }

    /// Whether every call has ended and every registrar was left; last words may be awaited.
    pub(crate) fn is_quiet(&self) -> bool {
        self.keepers.is_empty()
            && self
                .calls
                .values()
                .all(|entry| entry.machine.state() == crate::call::CallState::Ended)
    }

    /// Calls that are not forgotten yet, lingering ones included.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing is held: the conservation check of the simulations.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.keepers.is_empty()
            && self.invites.is_empty()
            && self.dialogs.is_empty()
            && self.requests.is_empty()
            && self.clock.is_empty()
    }

    /// Where a call stands; `None` once it is forgotten.
    #[cfg(test)]
    pub(crate) fn state(&self, id: CallId) -> Option<crate::call::CallState> {
        self.calls.get(&id).map(|entry| entry.machine.state())
    }

    /// Answers an incoming call with this leg.
    pub(crate) fn answer(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: CallId,
        local: LocalMedia,
        mut voice: Box<dyn Voice>,
    ) -> Result<(), AnswerError> {
        let Some(entry) = self.calls.get_mut(&id) else {
            voice.stop();
            return Err(AnswerError::Gone);
        };
        entry.voice = Some(voice);
        let answered = entry.machine.answer(now, local);
        self.settle(endpoint, now, id);
        answered
    }

    /// Places a call. Its Call-ID must be set in `request`.
    pub(crate) fn dial(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        mut request: OutgoingRequest,
        local: LocalMedia,
        mut voice: Box<dyn Voice>,
        link: Link,
    ) -> Result<CallId, EndpointError> {
        let mut talk = Talk::default();
        talk.open(local);
        request.body = talk.offer().ok();
        let call_id: Arc<str> = request.call_id.clone().unwrap_or_default().into();
        let tx = match endpoint.request(now, request) {
            Ok(tx) => tx,
            Err(error) => {
                voice.stop();
                return Err(error);
            }
        };
        let id = self.next_id();
        tracing::debug!(call_id = &*call_id, call = %id, "calling");
        self.requests.insert(tx, Owner::Invite(id));
        self.calls.insert(
            id,
            Entry {
                machine: Machine::outgoing(now, Arc::clone(&self.settings), dice(&call_id), talk),
                call_id,
                invite: Some(tx),
                dialog: None,
                dialogs: Vec::new(),
                voice: Some(voice),
                link,
                due: None,
            },
        );
        self.settle(endpoint, now, id);
        Ok(id)
    }

    /// Does something with a call's machine, then whatever it asks for.
    pub(crate) fn with<R>(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: CallId,
        act: impl FnOnce(&mut Machine) -> R,
    ) -> Option<R> {
        let result = act(&mut self.calls.get_mut(&id)?.machine);
        self.settle(endpoint, now, id);
        Some(result)
    }

    /// Hangs up every call and leaves every registrar.
    pub(crate) fn shut_down(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            self.with(endpoint, now, id, |machine| {
                machine.hang_up(now, EndCause::ShutDown);
            });
        }
        let keepers: Vec<u64> = self.keepers.keys().copied().collect();
        for id in keepers {
            self.leave(endpoint, now, id);
        }
    }

    fn next_id(&mut self) -> CallId {
        self.last = self.last.saturating_add(1);
        CallId(self.last)
    }

    /// A request outside dialogs: the gate decides.
    fn incoming(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTx,
        flow: Flow,
        request: Request,
    ) {
        let verdict = self.gate.admit(now, &request, &flow, &mut self.auth);
        let done = match verdict {
            Verdict::Pass(context) if *request.method() == Method::Invite => {
                self.arrive(endpoint, now, tx, flow, request, context);
                return;
            }
            Verdict::Pass(_) => endpoint
                .respond(now, tx, Reply::new(Status::METHOD_NOT_ALLOWED))
                .map(|_| ()),
            Verdict::Challenge {
                realm,
                stale,
                reason,
            } => {
                let challenges = self.auth.challenges_for(now, &request, &realm, stale);
                endpoint.challenge(now, tx, &challenges, Status::UNAUTHORIZED, &reason)
            }
            Verdict::Reply(reply) => endpoint.respond(now, tx, reply).map(|_| ()),
            Verdict::Refuse(reply) => endpoint.refuse_stateless(now, tx, reply),
            Verdict::Drop => {
                endpoint.forget(now, tx);
                Ok(())
            }
        };
        if let Err(error) = done {
            // A verdict that cannot be sent is a fault of the gate: the peer hears of it.
            tracing::error!(call_id = request.call_id(), %error, "request could not be answered");
            let fault = Reply::new(Status::SERVER_INTERNAL_ERROR);
            if endpoint.respond(now, tx, fault).is_err() {
                endpoint.forget(now, tx);
            }
        }
    }

    /// A call that was let in.
    fn arrive(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTx,
        flow: Flow,
        request: Request,
        context: Box<dyn Any + Send>,
    ) {
        let id = self.next_id();
        let call_id: Arc<str> = request.call_id().into();
        let settings = Arc::clone(&self.settings);
        let machine = Machine::incoming(now, settings, dice(&call_id), tx, &request);
        let link = (self.door)(Arrival {
            id,
            request,
            flow,
            context,
        });
        let Some(link) = link else {
            tracing::warn!(call_id = &*call_id, "no room for another incoming call");
            let reply = Reply::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, "5");
            if let Err(error) = endpoint.refuse_stateless(now, tx, reply) {
                tracing::warn!(call_id = &*call_id, %error, "call could not be refused");
            }
            return;
        };
        self.invites.insert(tx, id);
        self.calls.insert(
            id,
            Entry {
                machine,
                call_id,
                invite: None,
                dialog: None,
                dialogs: Vec::new(),
                voice: None,
                link,
                due: None,
            },
        );
        self.settle(endpoint, now, id);
    }

    fn feed(&mut self, endpoint: &mut Endpoint, now: Instant, id: CallId, input: Input) {
        if let Some(entry) = self.calls.get_mut(&id) {
            entry.machine.handle(now, input);
            self.settle(endpoint, now, id);
        }
    }

    /// Carries out what the machine asks for, then notes when it is due next.
    fn settle(&mut self, endpoint: &mut Endpoint, now: Instant, id: CallId) {
        while let Some(action) = self.next_action(id) {
            if let Some(input) = self.perform(endpoint, now, id, action)
                && let Some(entry) = self.calls.get_mut(&id)
            {
                entry.machine.handle(now, input);
            }
        }
        let Some(entry) = self.calls.get_mut(&id) else {
            return;
        };
        let due = entry.machine.poll_timeout();
        let over = entry.machine.is_over();
        let before = std::mem::replace(&mut entry.due, due);
        if let Some(before) = before {
            self.clock.remove(&(before, Due::Call(id)));
        }
        if over {
            self.forget(id);
        } else if let Some(due) = due {
            self.clock.insert((due, Due::Call(id)));
        }
    }

    fn next_action(&mut self, id: CallId) -> Option<Action> {
        self.calls.get_mut(&id)?.machine.poll_action()
    }

    /// Forgets a call: from here on its messages are nobody's.
    fn forget(&mut self, id: CallId) {
        let Some(entry) = self.calls.remove(&id) else {
            return;
        };
        if let Some(mut voice) = entry.voice {
            voice.stop();
        }
        // Its requests stay until the endpoint gives their last event, which it always does.
        for dialog in entry.dialogs {
            self.dialogs.remove(&dialog);
        }
    }
}

impl Handler for PhoneCore {
    fn event(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) {
        match event {
            Event::Incoming { tx, flow, request } => {
                self.incoming(endpoint, now, tx, flow, request);
            }
            Event::Cancelled { tx, .. } => {
                if let Some(id) = self.invites.remove(&tx) {
                    self.feed(endpoint, now, id, Input::Cancelled);
                }
            }
            Event::Confirmed { dialog, ack } => {
                if let Some(&id) = self.dialogs.get(&dialog) {
                    self.feed(endpoint, now, id, Input::Confirmed(Box::new(ack)));
                }
            }
            Event::InDialog {
                tx,
                dialog,
                request,
                ..
            } => match self.dialogs.get(&dialog) {
                Some(&id) => {
                    let request = Box::new(request);
                    self.feed(endpoint, now, id, Input::InDialog { tx, request });
                }
                None => {
                    let reply = Reply::new(Status::CALL_DOES_NOT_EXIST);
                    if let Err(error) = endpoint.respond(now, tx, reply) {
                        tracing::debug!(call_id = request.call_id(), %error, "no answer sent");
                    }
                }
            },
            Event::Provisional {
                tx,
                dialog,
                response,
            } => {
                if let Some(&Owner::Invite(id)) = self.requests.get(&tx) {
                    self.adopt(id, dialog);
                    let response = Box::new(response);
                    self.feed(endpoint, now, id, Input::Provisional(response));
                }
            }
            Event::Final {
                tx,
                dialog,
                response,
            } => match self.requests.remove(&tx) {
                Some(Owner::Invite(id)) => {
                    self.adopt(id, dialog);
                    if let Some(entry) = self.calls.get_mut(&id) {
                        entry.invite = None;
                    }
                    self.feed(endpoint, now, id, Input::Final(Box::new(response)));
                }
                Some(Owner::InCall(id, purpose)) => {
                    let response = Box::new(response);
                    self.feed(endpoint, now, id, Input::Answer { purpose, response });
                }
                Some(Owner::Keeper(id)) => {
                    self.registered(endpoint, now, id, |keeper| keeper.answered(now, &response));
                }
                None => {}
            },
            Event::Failed { tx, cause, .. } => match self.requests.remove(&tx) {
                Some(Owner::Invite(id)) => {
                    if let Some(entry) = self.calls.get_mut(&id) {
                        entry.invite = None;
                    }
                    self.feed(endpoint, now, id, Input::Failed(cause));
                }
                Some(Owner::InCall(id, purpose)) => {
                    let cause = Lost::Failed(cause.to_string());
                    self.feed(endpoint, now, id, Input::Lost { purpose, cause });
                }
                Some(Owner::Keeper(id)) => {
                    self.registered(endpoint, now, id, |keeper| keeper.failed(now, &cause));
                }
                None => {}
            },
            Event::Ended { dialog, why } => {
                // Other branches of a forked INVITE end too; only the call's own dialog counts.
                if let Some(&id) = self.dialogs.get(&dialog)
                    && self.calls.get(&id).and_then(|entry| entry.dialog) == Some(dialog)
                {
                    self.feed(endpoint, now, id, Input::DialogEnded(why));
                }
            }
            refused @ Event::Refused { .. } => self.gate.refused(&refused),
            _ => {}
        }
    }

    fn timeout(&mut self, endpoint: &mut Endpoint, now: Instant) {
        while let Some(&(at, due)) = self.clock.first()
            && at <= now
        {
            // Taken out first: a machine that has nothing to do must not be asked for ever.
            self.clock.remove(&(at, due));
            match due {
                Due::Call(id) => {
                    if let Some(entry) = self.calls.get_mut(&id) {
                        entry.due = None;
                    }
                    self.feed(endpoint, now, id, Input::Timeout);
                }
                Due::Keeper(id) => self.keep(endpoint, now, id),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.clock.first().map(|(at, _)| *at)
    }
}

impl PhoneCore {
    /// A dialog of our INVITE: the newest one is the call's.
    fn adopt(&mut self, id: CallId, dialog: Option<DialogId>) {
        if let (Some(dialog), Some(entry)) = (dialog, self.calls.get_mut(&id)) {
            entry.adopt(dialog);
            self.dialogs.insert(dialog, id);
        }
    }
}

/// A number that differs from call to call: Call-IDs are random.
fn dice(call_id: &str) -> u16 {
    call_id.bytes().fold(0_u16, |dice, byte| {
        dice.rotate_left(5).wrapping_mul(31) ^ u16::from(byte)
    })
}

impl fmt::Debug for PhoneCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoneCore")
            .field("calls", &self.calls.len())
            .field("keepers", &self.keepers.len())
            .finish_non_exhaustive()
    }
}

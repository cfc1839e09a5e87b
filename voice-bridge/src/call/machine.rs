//! The call machine: one call as a pure function of time and what the endpoint reports.
//! Verbs of the application live in `verbs`, requests of the peer in `peer`, REFER in files of its
//! own; here stands the table of states.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rtp_media::sdp::{Codec, LocalMedia};
use sip_core::endpoint::{Ended, Failure, ServerTx};
use sip_core::message::{Request, Response};
use sip_core::name::Name;
use sip_core::status::Status;

use super::action::{Action, MediaChange, Notice, Purpose};
use super::ending::{EndCause, Ending};
use super::handover::Handover;
use super::referred::Referred;
use super::state::{CallState, CallTimers};
use super::talk::{Description, Talk, TalkError};
use super::verbs::Reinvite;

/// What every call of a phone shares.
#[derive(Clone, Debug)]
pub(crate) struct CallSettings {
    /// How long each state may last.
    pub(crate) timers: CallTimers,
    /// Who speaks in our Warning headers.
    pub(crate) agent: String,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) settings: Arc<CallSettings>,
    pub(super) state: CallState,
    /// Whether we placed the call: then its Call-ID is ours.
    pub(super) placed: bool,
    /// What the spread of our waiting times is taken from; drawn by whoever makes the machine.
    pub(super) dice: u16,
    /// The peer's INVITE, until it has its final answer.
    pub(super) invite: Option<ServerTx>,
    /// What the peer's INVITE offered.
    pub(super) offer: Description,
    pub(super) talk: Talk,
    pub(super) held: bool,
    pub(super) reinvite: Option<Reinvite>,
    pub(super) handover: Handover,
    pub(super) referred: Referred,
    /// Why the call is being ended, from the moment that this is decided.
    pub(super) ending: Option<EndCause>,
    /// The status that decided the call so far.
    pub(super) status: Option<Status>,
    /// Requests that were wanted before the ACK to our 200.
    after_ack: Vec<Action>,
    deadline: Option<Instant>,
    remind: Option<Instant>,
    actions: VecDeque<Action>,
}

/// What the endpoint reports about a call.
#[derive(Debug)]
pub(crate) enum Input {
    /// The caller gave up.
    Cancelled,
    /// The ACK to our 200 arrived.
    Confirmed(Box<Request>),
    /// A request in the dialog.
    InDialog { tx: ServerTx, request: Box<Request> },
    /// A provisional answer to our INVITE.
    Provisional(Box<Response>),
    /// The final answer to our INVITE.
    Final(Box<Response>),
    /// Our INVITE ended without one.
    Failed(Failure),
    /// The answer to a request that we sent in the dialog.
    Answer {
        purpose: Purpose,
        response: Box<Response>,
    },
    /// Such a request ended without an answer.
    Lost { purpose: Purpose, cause: Lost },
    /// The dialog is over.
    DialogEnded(Ended),
    /// Our REFER was sent.
    ReferSent,
    /// So many packets has the peer sent: the answer to [`Action::Listen`].
    Packets(u64),
    /// Something we wanted to send could not be sent.
    Stuck(String),
    /// The time of [`Machine::poll_timeout`] has come.
    Timeout,
}

/// Why a request in the dialog has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The peer's own INVITE is under way (RFC 3261 14.1).
    Glare,
    /// It could not be sent at all.
    Unsent(String),
    /// It was sent, and no answer came.
    Failed(String),
}

impl Machine {
    /// A call that the peer makes.
    pub(crate) fn incoming(
        now: Instant,
        settings: Arc<CallSettings>,
        dice: u16,
        tx: ServerTx,
        request: &Request,
    ) -> Self {
        let mut machine = Self::new(settings, dice, CallState::Incoming);
        machine.invite = Some(tx);
        machine.offer = describe(
            request.header(&Name::ContentType).as_deref(),
            &request.body(),
        );
        machine.deadline = now.checked_add(machine.settings.timers.decide);
        machine
    }

    /// A call that we make; `talk` has made its offer.
    pub(crate) fn outgoing(
        now: Instant,
        settings: Arc<CallSettings>,
        dice: u16,
        talk: Talk,
    ) -> Self {
        let mut machine = Self::new(settings, dice, CallState::Calling);
        machine.placed = true;
        machine.talk = talk;
        machine.deadline = now.checked_add(machine.settings.timers.reach);
        machine
    }

    fn new(settings: Arc<CallSettings>, dice: u16, state: CallState) -> Self {
        Self {
            settings,
            state,
            placed: false,
            dice,
            invite: None,
            offer: Description::None,
            talk: Talk::default(),
            held: false,
            reinvite: None,
            handover: Handover::default(),
            referred: Referred::default(),
            ending: None,
            status: None,
            after_ack: Vec::new(),
            deadline: None,
            remind: None,
            actions: VecDeque::new(),
        }
    }

    /// Where the call stands.
    pub(crate) fn state(&self) -> CallState {
        match self.state {
            CallState::Established if self.handover.is_live() => CallState::Transferring,
            state => state,
        }
    }

    /// Whether nothing more can come of this call and it may be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        self.state == CallState::Ended && !self.handover.lingers() && !self.referred.lingers()
    }

    /// What is to be done next.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [
            self.deadline,
            self.remind,
            self.reinvite.as_ref().and_then(|reinvite| reinvite.again),
            self.handover.poll_timeout(),
            self.referred.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What the endpoint reports.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        use CallState as S;
        match (self.state, input) {
            (_, Input::InDialog { tx, request }) => self.requested(now, tx, &request),
            (_, Input::Answer { purpose, response }) => self.replied(now, purpose, &response),
            (_, Input::Lost { purpose, cause }) => self.lost(now, purpose, cause),
            (_, Input::Timeout) => self.timeout(now),
            (_, Input::ReferSent) => self.refer_sent(now),
            (_, Input::Packets(packets)) => self.packets(now, packets),

            (S::Incoming | S::Ringing, Input::Cancelled) => {
                self.invite = None;
                self.finish(
                    now,
                    Ending::of(EndCause::PeerCancelled, Some(Status::REQUEST_TERMINATED)),
                );
            }
            (S::Answering, Input::Confirmed(ack)) => self.acknowledged(now, &ack),
            (S::Established, Input::Confirmed(ack)) => self.reinvite_acknowledged(now, &ack),

            (S::Calling | S::Early, Input::Provisional(response)) => self.progress(now, &response),
            (S::Calling | S::Early, Input::Final(response)) => self.answered(now, &response),
            (S::Calling | S::Early, Input::Failed(failure)) => {
                let cause = match failure {
                    Failure::Timeout if self.state == S::Early => EndCause::NoAnswer,
                    failure => EndCause::Unreachable(failure.to_string()),
                };
                self.finish(now, Ending::of(cause, None));
            }
            // The answer to our CANCEL or BYE, or one that crossed it.
            (S::Ending, Input::Final(response)) => {
                self.status = Some(response.status());
                self.end_as_decided(now);
            }
            (S::Ending, Input::Failed(_) | Input::DialogEnded(_) | Input::Stuck(_)) => {
                self.end_as_decided(now);
            }

            // The INVITE's own Final or Failed follows an early dialog's end.
            (S::Calling | S::Early | S::Incoming | S::Ringing, Input::DialogEnded(_)) => {}
            (S::Answering | S::Established, Input::DialogEnded(why)) => self.left(now, why),

            (S::Ended, _) => {}
            (_, Input::Stuck(cause)) => {
                self.finish(now, Ending::of(EndCause::Unreachable(cause), self.status));
            }
            (_, Input::Cancelled | Input::Confirmed(_)) => {}
            (_, Input::Provisional(_) | Input::Final(_) | Input::Failed(_)) => {}
            (S::Transferring, Input::DialogEnded(why)) => self.left(now, why),
        }
    }

    /// The dialog ended without our asking.
    fn left(&mut self, now: Instant, why: Ended) {
        let mut ending = Ending::of(EndCause::PeerHungUp, self.status);
        match why {
            Ended::RemoteBye(bye) => ending.reason = reason_text(&bye),
            // Whatever we had decided, its BYE was on the way.
            Ended::LocalBye => {
                ending.cause = self
                    .ending
                    .take()
                    .unwrap_or_else(|| EndCause::HungUp(String::new()));
            }
            Ended::NoAck => ending.cause = EndCause::NoAck,
            Ended::Rejected(status) => {
                ending.cause =
                    EndCause::Unreachable(format!("the peer answered {status} inside the call"));
            }
            Ended::Forked => {
                ending.cause = EndCause::Unreachable("another branch was answered".to_owned());
            }
            Ended::Timeout => {
                ending.cause =
                    EndCause::Unreachable("no answer to a request inside the call".to_owned());
            }
            Ended::Failed(failure) => ending.cause = EndCause::Unreachable(failure.to_string()),
            other => ending.cause = EndCause::Unreachable(format!("{other:?}")),
        }
        if matches!(ending.cause, EndCause::PeerHungUp | EndCause::NoAck)
            && let Some(decided) = self.ending.take()
        {
            // We had decided to hang up before, and could not say so yet.
            ending.cause = decided;
        }
        self.finish(now, ending);
    }

    fn end_as_decided(&mut self, now: Instant) {
        let cause = self
            .ending
            .take()
            .unwrap_or_else(|| EndCause::HungUp(String::new()));
        self.finish(now, Ending::of(cause, self.status));
    }

    /// A 1xx to our INVITE.
    fn progress(&mut self, now: Instant, response: &Response) {
        if self.state == CallState::Calling {
            self.enter(now, CallState::Early);
        }
        let description = describe(
            response.header(&Name::ContentType).as_deref(),
            &response.body(),
        );
        // A broken description in a provisional answer costs the early media, not the call.
        if let Description::Sdp(_) = description
            && let Ok(Some(terms)) = self.talk.answered(&description)
        {
            self.media(MediaChange::Apply(terms));
        }
        self.notice(Notice::Progress {
            status: response.status(),
            reason: response.reason().to_string(),
        });
    }

    /// The final answer to our INVITE.
    fn answered(&mut self, now: Instant, response: &Response) {
        let status = response.status();
        self.status = Some(status);
        if !status.is_success() {
            let mut ending = Ending::of(EndCause::Rejected(status), Some(status));
            ending.reason = Some(response.reason().to_string()).filter(|text| !text.is_empty());
            self.finish(now, ending);
            return;
        }
        let description = describe(
            response.header(&Name::ContentType).as_deref(),
            &response.body(),
        );
        self.talk.settle();
        self.enter(now, CallState::Established);
        let early = self.talk.agreed().is_some();
        let terms = match description {
            //= RFC 3261 13.2.1
            // That same exact answer MAY also be placed in any provisional responses sent prior to
            // the answer.
            // Then the 200 may come without one. One that differs comes from another branch of
            // the call, and is the true one.
            Description::None if early => Ok(None),
            description => self.talk.answered(&description),
        };
        match terms {
            Ok(terms) => {
                if let Some(terms) = terms {
                    self.media(MediaChange::Apply(terms));
                }
                self.notice(Notice::Answered);
                self.note_hold();
            }
            Err(error) => self.hang_up(now, EndCause::Protocol(error.to_string())),
        }
    }

    /// The ACK to our 200.
    fn acknowledged(&mut self, now: Instant, ack: &Request) {
        self.enter(now, CallState::Established);
        //= RFC 3261 13.2.1
        // If the initial offer is in the first reliable non-failure message from the UAS back to
        // UAC, the answer MUST be in the acknowledgement for that message (in this
        // specification, ACK for a 2xx response).
        if self.talk.offered()
            && let Err(error) = self.take_answer(ack)
        {
            self.ending
                .get_or_insert(EndCause::Protocol(error.to_string()));
        }
        self.notice(Notice::Established);
        let wanted = std::mem::take(&mut self.after_ack);
        self.actions.extend(wanted);
        if let Some(cause) = self.ending.take() {
            self.hang_up(now, cause);
        }
    }

    /// Something has taken too long, or a reminder is due.
    fn timeout(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        self.handover_timeout(now);
        self.refer_timeout(now);
        self.reinvite_timeout(now);
        if due(self.remind) {
            //= RFC 3261 13.3.1.1
            // To prevent cancellation, the UAS MUST send a non-100 provisional response at every
            // minute, to handle the possibility of lost provisional responses.
            self.ring_again(now);
        }
        if !due(self.deadline) {
            return;
        }
        self.deadline = None;
        match self.state {
            CallState::Incoming | CallState::Ringing => self.decision_timeout(now),
            CallState::Answering => {
                // The endpoint reports a missing ACK before this; then it does not know the dialog.
                self.act(Action::HangUp {
                    headers: Vec::new(),
                });
                self.finish(now, Ending::of(EndCause::NoAck, self.status));
            }
            // At least a 100 has come: without one the endpoint has given up long ago.
            CallState::Calling | CallState::Early => self.hang_up(now, EndCause::NoAnswer),
            CallState::Established | CallState::Transferring => {
                self.hang_up(now, EndCause::Limit(crate::limits::LimitReached::Duration))
            }
            CallState::Ending => self.end_as_decided(now),
            CallState::Ended => {
                self.handover.forget();
                self.referred.forget();
            }
        }
    }

    /// The call is over: everything it holds is given back.
    pub(super) fn finish(&mut self, now: Instant, ending: Ending) {
        if self.state == CallState::Ended {
            return;
        }
        // After a hang-up of ours the transfer was given up already.
        let ours = self.state == CallState::Ending;
        self.enter(now, CallState::Ended);
        self.media(MediaChange::Stop);
        self.referred_call_ended();
        self.notice(Notice::Ended(ending));
        if !ours {
            self.handover_dialog_ended(now);
        }
    }

    /// Tries out what [`Machine::answer`] would agree on, without a call: the codec, `None` when
    /// the INVITE leaves the offer to us, or the status and the cause of the refusal.
    pub(crate) fn rehearse(
        request: &Request,
        local: LocalMedia,
    ) -> Result<Option<Codec>, (Status, String)> {
        let mut talk = Talk::default();
        talk.open(local);
        let offer = describe(
            request.header(&Name::ContentType).as_deref(),
            &request.body(),
        );
        let agreed = match offer {
            Description::None => return Ok(None),
            Description::Sdp(offer) => talk.answer(&offer),
            Description::Broken(error) => Err(TalkError::Broken(error)),
            Description::Other(kind) => Err(TalkError::Other(kind)),
        };
        match agreed {
            Ok(_) => Ok(talk.agreed().map(|terms| terms.codec)),
            Err(error) => Err((super::verbs::refusal("", &error).status, error.to_string())),
        }
    }

    /// Goes to a state and arms its deadline.
    pub(super) fn enter(&mut self, now: Instant, state: CallState) {
        let timers = &self.settings.timers;
        let lasting = match state {
            CallState::Incoming | CallState::Ringing => timers.decide,
            CallState::Answering => timers.acknowledge,
            CallState::Calling => timers.reach,
            CallState::Early => timers.ring,
            CallState::Established | CallState::Transferring => timers.longest,
            CallState::Ending => timers.end,
            CallState::Ended => timers.linger,
        };
        // Ringing goes on for as long as was allowed when the call came in.
        if state != CallState::Ringing {
            self.deadline = now.checked_add(lasting);
        }
        self.remind = (state == CallState::Ringing)
            .then(|| now.checked_add(timers.ring_again))
            .flatten();
        self.state = state;
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Sends a request in the dialog, once the peer is sure to know it: a request that overtakes
    /// our 200 would be answered 481, which ends the call.
    pub(super) fn request(&mut self, action: Action) {
        if self.state != CallState::Answering {
            self.act(action);
        } else if self.after_ack.len() < MAX_EARLY_REQUESTS {
            self.after_ack.push(action);
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.act(Action::Notice(notice));
    }

    pub(super) fn media(&mut self, change: MediaChange) {
        self.act(Action::Media(change));
    }

    /// Reads the peer's answer to an offer of ours out of an ACK.
    pub(super) fn take_answer(&mut self, ack: &Request) -> Result<(), TalkError> {
        self.talk.settle();
        let description = describe(ack.header(&Name::ContentType).as_deref(), &ack.body());
        if let Some(terms) = self.talk.answered(&description)? {
            self.media(MediaChange::Apply(terms));
            self.note_hold();
        }
        Ok(())
    }

    /// Tells when the peer has put us on hold or has taken us back.
    pub(super) fn note_hold(&mut self) {
        let held = self
            .talk
            .agreed()
            .is_some_and(|terms| !terms.direction.sends());
        if held != self.held {
            self.held = held;
            self.notice(Notice::Held(held));
        }
    }
}

/// Requests that may wait for the ACK to our 200.
const MAX_EARLY_REQUESTS: usize = 64;

/// What a body says about media.
pub(super) fn describe(content_type: Option<&str>, body: &[u8]) -> Description {
    Description::read(content_type, body)
}

/// The text of a Reason header (RFC 3326), bounded.
fn reason_text(request: &Request) -> Option<String> {
    let reason = request.header(&Name::Reason)?;
    Some(
        reason
            .chars()
            .filter(|c| !c.is_control())
            .take(256)
            .collect(),
    )
}

//! What the application does with a call: answer, ring, refuse, ignore, hold, hang up.
//! Each verb checks the state, then asks for what has to be sent.

use std::time::{Duration, Instant};

use rtp_media::sdp::{Direction, LocalMedia};
use sip_core::endpoint::{Body, Reply};
use sip_core::message::{Request, Response};
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;

use super::action::{Action, MediaChange, Notice, Purpose};
use super::ending::{EndCause, Ending};
use super::info;
use super::machine::{Lost, Machine};
use super::state::CallState;
use super::talk::{Description, SDP, TalkError};
use crate::error::{AnswerError, CallError};

/// A re-INVITE of ours.
#[derive(Debug)]
pub(crate) struct Reinvite {
    /// What we wanted of the stream before, in case the peer refuses.
    before: Direction,
    /// When to try again after a glare.
    pub(super) again: Option<Instant>,
    /// How often it has met a glare.
    glares: u8,
}

impl Machine {
    /// Sends 180.
    pub(crate) fn ring(&mut self, now: Instant) -> Result<(), AnswerError> {
        match self.state {
            CallState::Incoming => {
                self.enter(now, CallState::Ringing);
                self.send_ringing();
                Ok(())
            }
            CallState::Ringing => Ok(()),
            _ => Err(AnswerError::Gone),
        }
    }

    /// Answers with 200 and what our leg has to offer.
    ///
    /// When nothing can be agreed the call is refused, and the error says with what.
    pub(crate) fn answer(&mut self, now: Instant, local: LocalMedia) -> Result<(), AnswerError> {
        if !matches!(self.state, CallState::Incoming | CallState::Ringing) {
            return Err(AnswerError::Gone);
        }
        let Some(tx) = self.invite else {
            return Err(AnswerError::Gone);
        };
        self.talk.open(local);
        let agreed = match &self.offer {
            Description::Sdp(offer) => self.talk.answer(offer),
            // An INVITE without an offer: ours goes into the 200, the answer comes in the ACK.
            Description::None => self.talk.offer().map(|body| (body, None)),
            Description::Broken(error) => Err(TalkError::Broken(error.clone())),
            Description::Other(kind) => Err(TalkError::Other(kind.clone())),
        };
        match agreed {
            Ok((body, terms)) => {
                self.invite = None;
                self.status = Some(Status::OK);
                self.enter(now, CallState::Answering);
                self.act(Action::Respond {
                    tx,
                    reply: Reply::new(Status::OK).body(body),
                });
                if let Some(terms) = terms {
                    self.media(MediaChange::Apply(terms));
                    self.note_hold();
                }
                Ok(())
            }
            Err(error) => {
                let reply = refusal(&self.settings.agent, &error);
                let status = reply.status;
                self.refuse(now, reply)?;
                Err(AnswerError::NotAcceptable {
                    status,
                    cause: error.to_string(),
                })
            }
        }
    }

    /// Refuses the call.
    pub(crate) fn refuse(&mut self, now: Instant, reply: Reply) -> Result<(), AnswerError> {
        if !matches!(self.state, CallState::Incoming | CallState::Ringing) {
            return Err(AnswerError::Gone);
        }
        let tx = self.invite.take().ok_or(AnswerError::Gone)?;
        let status = reply.status;
        self.act(Action::Respond { tx, reply });
        self.finish(now, Ending::of(EndCause::Refused(status), Some(status)));
        Ok(())
    }

    /// Leaves the call without an answer.
    pub(crate) fn ignore(&mut self, now: Instant) {
        if let Some(tx) = self.invite.take() {
            self.act(Action::Forget { tx });
        }
        if matches!(self.state, CallState::Incoming | CallState::Ringing) {
            self.finish(now, Ending::of(EndCause::Ignored, None));
        }
    }

    /// Ends the call in whatever state it is; harmless when it is over already.
    pub(crate) fn hang_up(&mut self, now: Instant, cause: EndCause) {
        match self.state {
            CallState::Incoming | CallState::Ringing => {
                if let Some(tx) = self.invite.take() {
                    self.act(Action::Respond {
                        tx,
                        reply: Reply::new(Status::TEMPORARILY_UNAVAILABLE),
                    });
                }
                self.finish(
                    now,
                    Ending::of(cause, Some(Status::TEMPORARILY_UNAVAILABLE)),
                );
            }
            //= RFC 3261 15
            // However, the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an
            // ACK for its 2xx response or until the server transaction times out.
            CallState::Answering => {
                self.media(MediaChange::Stop);
                self.ending.get_or_insert(cause);
            }
            CallState::Calling | CallState::Early => {
                self.ending = Some(cause);
                self.enter(now, CallState::Ending);
                self.media(MediaChange::Stop);
                self.act(Action::Cancel);
            }
            CallState::Established | CallState::Transferring => {
                let headers = vec![(Name::Reason, reason(&cause))];
                self.ending = Some(cause);
                self.enter(now, CallState::Ending);
                self.media(MediaChange::Stop);
                self.act(Action::HangUp { headers });
                self.cancel_transfer(now);
            }
            CallState::Ending | CallState::Ended => {}
        }
    }

    /// Holds the peer (`true`) or takes it back, with a re-INVITE.
    pub(crate) fn hold(&mut self, held: bool) -> Result<(), CallError> {
        if !matches!(self.state, CallState::Answering | CallState::Established) {
            return Err(CallError::NotEstablished);
        }
        if self.reinvite.is_some() || self.talk.offered() {
            return Err(CallError::Pending);
        }
        let before = self.talk.wanted();
        self.talk.direct(if held {
            Direction::SendOnly
        } else {
            Direction::SendRecv
        });
        self.reinvite = Some(Reinvite {
            before,
            again: None,
            glares: 0,
        });
        self.send_reinvite();
        Ok(())
    }

    /// Sends a key in an INFO, for a peer that takes no telephone events.
    pub(crate) fn send_key(&mut self, digit: char, duration_ms: u16) -> Result<(), CallError> {
        if !matches!(self.state, CallState::Answering | CallState::Established) {
            return Err(CallError::NotEstablished);
        }
        self.request(Action::Request {
            purpose: Purpose::Key,
            method: Method::Info,
            headers: Vec::new(),
            body: Some(Body::new(info::DTMF_RELAY, info::body(digit, duration_ms))),
        });
        Ok(())
    }

    /// The final answer to a request of ours in the dialog.
    pub(super) fn replied(&mut self, now: Instant, purpose: Purpose, response: &Response) {
        match purpose {
            Purpose::Reinvite => self.reinvite_answered(now, response),
            Purpose::Refer => self.refer_answered(now, response),
            Purpose::Notify(id) => self.notify_answered(id, response.status()),
            Purpose::Key => {}
        }
    }

    /// A request of ours in the dialog has no answer.
    pub(super) fn lost(&mut self, now: Instant, purpose: Purpose, cause: Lost) {
        match (purpose, cause) {
            (Purpose::Reinvite, Lost::Glare) => self.reinvite_glare(now),
            (Purpose::Reinvite, Lost::Unsent(_) | Lost::Failed(_)) => {
                self.reinvite_over(Err(Status::REQUEST_TIMEOUT))
            }
            (Purpose::Refer, cause) => self.refer_lost(now, &cause),
            (Purpose::Notify(id), _) => self.notify_answered(id, Status::REQUEST_TIMEOUT),
            (Purpose::Key, _) => {}
        }
    }

    fn reinvite_answered(&mut self, now: Instant, response: &Response) {
        let status = response.status();
        if status == Status::REQUEST_PENDING {
            self.reinvite_glare(now);
            return;
        }
        if !status.is_success() {
            self.reinvite_over(Err(status));
            return;
        }
        let description = Description::read(
            response.header(&Name::ContentType).as_deref(),
            &response.body(),
        );
        match self.talk.answered(&description) {
            Ok(terms) => {
                if let Some(terms) = terms {
                    self.media(MediaChange::Apply(terms));
                }
                self.reinvite_over(Ok(()));
                self.note_hold();
            }
            Err(error) => {
                self.reinvite_over(Err(Status::NOT_ACCEPTABLE_HERE));
                self.hang_up(now, EndCause::Protocol(error.to_string()));
            }
        }
    }

    /// Both sides wanted to re-INVITE: one of them waits longer (RFC 3261 14.1).
    fn reinvite_glare(&mut self, now: Instant) {
        self.talk.settle();
        let Some(reinvite) = self.reinvite.as_mut() else {
            return;
        };
        reinvite.glares = reinvite.glares.saturating_add(1);
        if reinvite.glares > MAX_GLARES {
            self.reinvite_over(Err(Status::REQUEST_PENDING));
            return;
        }
        //= RFC 3261 14.1
        // If the UAC is the owner of the Call-ID of the dialog ID (meaning it generated the
        // value), T has a randomly chosen value between 2.1 and 4 seconds in units of 10 ms.
        // … If the UAC is not the owner of the Call-ID of the dialog ID, T has a randomly chosen
        // value of between 0 and 2 seconds in units of 10 ms.
        let tens = u64::from(self.dice);
        let wait = if self.placed {
            2_100 + tens % 191 * 10
        } else {
            tens % 201 * 10
        };
        reinvite.again = now.checked_add(Duration::from_millis(wait));
    }

    pub(super) fn reinvite_timeout(&mut self, now: Instant) {
        if let Some(reinvite) = self.reinvite.as_mut()
            && reinvite.again.is_some_and(|at| at <= now)
        {
            reinvite.again = None;
            if self.talk.offered() {
                self.reinvite_glare(now);
            } else if self.state == CallState::Established {
                self.send_reinvite();
            } else {
                self.reinvite = None;
            }
        }
    }

    fn reinvite_over(&mut self, result: Result<(), Status>) {
        self.talk.settle();
        if let Some(reinvite) = self.reinvite.take() {
            if result.is_err() {
                self.talk.direct(reinvite.before);
            }
            self.notice(Notice::HoldAnswered(result));
        }
    }

    fn send_reinvite(&mut self) {
        match self.talk.offer() {
            Ok(body) => self.request(Action::Request {
                purpose: Purpose::Reinvite,
                method: Method::Invite,
                headers: Vec::new(),
                body: Some(body),
            }),
            Err(_) => self.reinvite_over(Err(Status::NOT_ACCEPTABLE_HERE)),
        }
    }

    /// The ACK to our 200 to the peer's re-INVITE.
    pub(super) fn reinvite_acknowledged(&mut self, now: Instant, ack: &Request) {
        // Only a re-INVITE without an offer has something to say in its ACK.
        if self.reinvite.is_none()
            && self.talk.offered()
            && let Err(error) = self.take_answer(ack)
        {
            self.hang_up(now, EndCause::Protocol(error.to_string()));
        }
    }

    pub(super) fn ring_again(&mut self, now: Instant) {
        if self.state == CallState::Ringing {
            self.enter(now, CallState::Ringing);
            self.send_ringing();
        }
    }

    /// Nobody took the call in time.
    pub(super) fn decision_timeout(&mut self, now: Instant) {
        self.hang_up(now, EndCause::NoAnswer);
    }

    fn send_ringing(&mut self) {
        if let Some(tx) = self.invite {
            self.act(Action::Respond {
                tx,
                reply: Reply::new(Status::RINGING),
            });
        }
    }
}

/// The answer to a description that cannot be taken; `agent` speaks in its Warning.
pub(super) fn refusal(agent: &str, error: &TalkError) -> Reply {
    match error {
        TalkError::Refused(refusal) => {
            Reply::new(Status::new(refusal.status()).unwrap_or(Status::NOT_ACCEPTABLE_HERE))
                .header(Name::Warning, refusal.warning(agent))
        }
        //= RFC 3261 21.4.1
        // The Reason-Phrase SHOULD identify the syntax problem in more detail
        TalkError::Broken(error) => Reply::new(Status::BAD_REQUEST)
            .reason("Bad Session Description")
            .header(
                Name::Warning,
                format!("399 {agent} \"{}\"", quotable(&error.to_string())),
            ),
        //= RFC 3261 21.4.13
        // The server MUST return a list of acceptable formats using the Accept, Accept-Encoding,
        // or Accept-Language header field
        TalkError::Other(_) => Reply::new(Status::UNSUPPORTED_MEDIA_TYPE).header(Name::Accept, SDP),
        TalkError::Missing | TalkError::NotOpen => {
            Reply::new(Status::SERVER_INTERNAL_ERROR).header(Name::RetryAfter, "2")
        }
    }
}

/// The Reason header of our BYE (RFC 3326).
fn reason(cause: &EndCause) -> String {
    format!(
        "Q.850;cause={};text=\"{}\"",
        cause.q850(),
        quotable(&cause.to_string())
    )
}

/// A text that may stand between the quotes of a header field.
pub(super) fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
        .take(128)
        .collect()
}

/// How often a hold or resume is tried again when the peer's own is in the way.
const MAX_GLARES: u8 = 3;

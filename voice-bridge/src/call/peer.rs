//! What the peer asks for inside the call: re-INVITE, UPDATE, INFO, OPTIONS, NOTIFY, REFER.
//! Everything gets an answer; nothing that comes here can break the conversation.

use std::time::Instant;

use sip_core::endpoint::{Reply, ServerTx};
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;

use super::action::{Action, MediaChange, Notice};
use super::info;
use super::machine::{Machine, describe};
use super::state::CallState;
use super::talk::{Description, SDP, TalkError};
use super::verbs::refusal;

impl Machine {
    /// A request inside the dialog.
    pub(super) fn requested(&mut self, now: Instant, tx: ServerTx, request: &Request) {
        // NOTIFYs about a REFER go on after the BYE, so they are taken in every state.
        if *request.method() == Method::Notify {
            self.respond(tx, Reply::new(Status::OK));
            self.notified(now, request);
            return;
        }
        if matches!(self.state, CallState::Ending | CallState::Ended) {
            self.respond(tx, Reply::new(Status::CALL_DOES_NOT_EXIST));
            return;
        }
        match request.method() {
            Method::Invite => self.reinvited(tx, request),
            Method::Update => self.updated(tx, request),
            Method::Info => self.informed(tx, request),
            Method::Refer => self.refer_requested(now, tx, request),
            Method::Options => {
                //= RFC 3261 11.2
                // Allow, Accept, Accept-Encoding, Accept-Language, and Supported header fields SHOULD
                // be present in a 200 (OK) response to an OPTIONS request.
                self.respond(tx, Reply::new(Status::OK).header(Name::Accept, SDP));
            }
            _ => self.respond(tx, Reply::new(Status::METHOD_NOT_ALLOWED)),
        }
    }

    fn reinvited(&mut self, tx: ServerTx, request: &Request) {
        let description = describe(
            request.header(&Name::ContentType).as_deref(),
            &request.body(),
        );
        if self.talk.offered() {
            self.respond(tx, Reply::new(Status::REQUEST_PENDING));
            return;
        }
        if let Description::None = description {
            // As in the first INVITE: our offer goes into the 200, the answer comes in the ACK.
            let reply = match self.talk.offer() {
                Ok(body) => Reply::new(Status::OK).body(body),
                Err(error) => refusal(&self.settings.agent, &error),
            };
            self.respond(tx, reply);
            return;
        }
        self.take_offer(tx, description);
    }

    fn updated(&mut self, tx: ServerTx, request: &Request) {
        let description = describe(
            request.header(&Name::ContentType).as_deref(),
            &request.body(),
        );
        if let Description::None = description {
            // A refresh of the session (RFC 4028): nothing changes.
            self.respond(tx, Reply::new(Status::OK));
            return;
        }
        //= RFC 3311 5.2
        // If an UPDATE is received that contains an offer, and the UAS has generated an offer (in
        // an UPDATE, PRACK or INVITE) to which it has not yet received an answer, the UAS MUST
        // reject the UPDATE with a 491 response.
        if self.talk.offered() {
            self.respond(tx, Reply::new(Status::REQUEST_PENDING));
            return;
        }
        self.take_offer(tx, description);
    }

    /// Answers a new offer. What cannot be taken is refused, and everything stays as it was.
    fn take_offer(&mut self, tx: ServerTx, description: Description) {
        let answer = match &description {
            Description::Sdp(offer) => self.talk.answer(offer),
            Description::None => Err(TalkError::Missing),
            Description::Broken(error) => Err(TalkError::Broken(error.clone())),
            Description::Other(kind) => Err(TalkError::Other(kind.clone())),
        };
        match answer {
            Ok((body, terms)) => {
                self.respond(tx, Reply::new(Status::OK).body(body));
                if let Some(terms) = terms {
                    self.media(MediaChange::Apply(terms));
                    self.note_hold();
                }
            }
            //= RFC 3261 14.2
            // If the new session description is not acceptable, the UAS can reject it by returning
            // a 488 (Not Acceptable Here) response for the re-INVITE. This response SHOULD include
            // a Warning header field.
            Err(error) => {
                let reply = refusal(&self.settings.agent, &error);
                self.respond(tx, reply);
            }
        }
    }

    fn informed(&mut self, tx: ServerTx, request: &Request) {
        let body = request.body();
        let content_type = request.header(&Name::ContentType).unwrap_or_default();
        if let Some(digit) = info::key(&content_type, &body) {
            self.respond(tx, Reply::new(Status::OK));
            self.notice(Notice::Digit(digit));
        } else if body.is_empty() {
            self.respond(tx, Reply::new(Status::OK));
        } else {
            let accepted = format!("{}, {}", info::DTMF_RELAY, info::DTMF);
            self.respond(
                tx,
                Reply::new(Status::UNSUPPORTED_MEDIA_TYPE).header(Name::Accept, accepted),
            );
        }
    }

    pub(super) fn respond(&mut self, tx: ServerTx, reply: Reply) {
        self.act(Action::Respond { tx, reply });
    }
}

//! What arrives: parsed, matched with a transaction or dialog, checked, and handed on.
//! The order of the checks is that of RFC 3261 8.2 and 17.2.3.

use std::time::Instant;

use bytes::Bytes;

use super::alarm::Alarm;
use super::event::{Ended, Event};
use super::server::{Machine, ServerInput};
use super::{Endpoint, Flow, Pending, Reply, ServerTx};
use crate::header::{Contact, MaxForwards, Require, Via};
use crate::message::{Message, ParseError, Request, Response};
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;
use crate::transaction::server_invite::State as InviteState;
use crate::uri::Scheme;

impl Endpoint {
    /// One whole message arrived.
    pub(super) fn receive(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        if !self.has_room_for_output() {
            tracing::warn!(source = %flow.remote, "dropped a message: outputs are not polled");
            return;
        }
        match Message::parse(bytes, &self.config.limits) {
            Ok(Message::Request(request)) => self.receive_request(now, flow, request),
            Ok(Message::Response(response)) => self.receive_response(now, flow, response),
            Err(error) => self.receive_malformed(flow, &error),
        }
    }

    fn receive_malformed(&mut self, flow: Flow, error: &ParseError) {
        let reply = error.reply(self.config.product.as_deref().unwrap_or_default());
        let status = reply.is_some().then(|| error.status());
        // A malformed response, or what is hardly SIP at all, is not worth a record.
        if reply.is_none() && (error.method().is_none() || error.call_id().is_none()) {
            tracing::debug!(source = %flow.remote, %error, "dropped");
            return;
        }
        if let Some(bytes) = reply {
            self.transmit(flow, bytes);
        }
        tracing::debug!(source = %flow.remote, call_id = error.call_id(), %error, "refused");
        self.tell(Event::Refused {
            flow,
            status,
            cause: error.to_string(),
            method: error.method(),
            call_id: error.call_id(),
            from: error.from(),
            to: error.to(),
        });
    }

    fn receive_response(&mut self, now: Instant, flow: Flow, response: Response) {
        //= RFC 3261 8.1.3.3
        // "If more than one Via header field value is present in a response, the UAC SHOULD discard
        // the message."
        if response.all::<Via>().is_ok_and(|vias| vias.len() > 1) {
            tracing::debug!(
                call_id = response.call_id(),
                "dropped a response with a second Via"
            );
            return;
        }
        match self.find_client(&response) {
            Some(wire) => self.hear(now, wire, flow, response),
            //= RFC 6026 8.6
            // Stray responses are dropped.
            None => tracing::debug!(call_id = response.call_id(), "dropped a stray response"),
        }
    }

    fn receive_request(&mut self, now: Instant, flow: Flow, request: Request) {
        if *request.method() == Method::Cancel {
            self.receive_cancel(now, flow, request);
            return;
        }
        let ack = *request.method() == Method::Ack;
        let key = self.server_key(&request, request.method());
        let known = self.server_keys.get(&key).copied();
        let accepted = |tx: ServerTx| {
            let machine = self.servers.get(tx).map(|server| server.machine);
            machine == Some(Machine::Invite(InviteState::Accepted))
        };
        match known {
            // The ACK to a 2xx has a branch of its own, but for those who do not know.
            Some(tx) if ack && accepted(tx) => self.take_ack(now, flow, request),
            Some(tx) if ack => self.step_server(now, tx, ServerInput::Ack),
            Some(tx) => {
                tracing::trace!(call_id = request.call_id(), "retransmission");
                self.step_server(now, tx, ServerInput::Again);
            }
            None if ack => self.take_ack(now, flow, request),
            None => self.receive_new(now, flow, request),
        }
    }

    fn receive_new(&mut self, now: Instant, flow: Flow, request: Request) {
        if let Err(refusal) = self.check(&request) {
            self.refuse(flow, &request, &refusal.reply, &refusal.cause);
            return;
        }
        if request.to().tag().is_some() {
            match self.find_dialog(&request) {
                Some(id) => self.take_within(now, id, flow, request),
                //= RFC 3261 12.2.2
                // "If the UAS wishes to reject the request because it does not wish to recreate the
                // dialog, it MUST respond to the request with a 481"
                None => {
                    let reply = Reply::new(Status::CALL_DOES_NOT_EXIST);
                    self.refuse(flow, &request, &reply, "no such dialog");
                }
            }
            return;
        }
        //= RFC 3261 8.2.2.2
        // "if the request has no tag in the To header field, the UAS core MUST check the request
        // against ongoing transactions. If the From tag, Call-ID, and CSeq exactly match those
        // associated with an ongoing transaction, but the request does not match that transaction
        // [...] the UAS core SHOULD generate a 482 (Loop Detected) response"
        if self.merge_keys.contains_key(&self.merge_key(&request)) {
            let reply = Reply::new(Status::LOOP_DETECTED);
            self.refuse(flow, &request, &reply, "merged request");
            return;
        }
        let invite = *request.method() == Method::Invite;
        if *request.method() == Method::Bye {
            let reply = Reply::new(Status::CALL_DOES_NOT_EXIST);
            self.refuse(flow, &request, &reply, "BYE outside any dialog");
            return;
        }
        if self.is_full() || (invite && self.dialogs.len() >= self.config.max_dialogs) {
            let reply = self.unavailable();
            self.refuse(flow, &request, &reply, "endpoint is full");
            return;
        }
        let tx = self.open_server(now, flow, request.clone(), None);
        self.tell(Event::Incoming { tx, flow, request });
        if invite {
            self.promise_trying(now, tx);
        }
    }

    //= RFC 3261 17.2.1
    // "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will
    // generate a provisional or final response within 200 ms"
    fn promise_trying(&mut self, now: Instant, tx: ServerTx) {
        let delay = self.config.trying_after;
        if delay.is_zero() {
            self.outputs.push_back(Pending::Trying(tx));
        } else if let Some(server) = self.servers.get_mut(tx) {
            server.trying = Some(self.timers.arm(now + delay, Alarm::Trying(tx)));
        }
    }

    // What any user agent server checks first (RFC 3261 8.2.1 to 8.2.3).
    fn check(&self, request: &Request) -> Result<(), Box<Refusal>> {
        if let Some(Err(error)) = request.typed::<MaxForwards>() {
            // A value of 0 is none of our business: we forward nothing (RFC 3261 16.3).
            return Err(Refusal::new(Status::BAD_REQUEST, error.to_string()));
        }
        //= RFC 3261 8.2.2.1
        // "If the Request-URI uses a scheme not supported by the UAS, it SHOULD reject the request
        // with a 416"
        if !matches!(
            request.uri().scheme(),
            Scheme::Sip | Scheme::Sips | Scheme::Tel
        ) {
            return Err(Refusal::new(
                Status::UNSUPPORTED_URI_SCHEME,
                "unknown URI scheme",
            ));
        }
        self.check_require(request)?;
        if *request.method() == Method::Invite {
            check_contact(request)?;
        }
        Ok(())
    }

    //= RFC 3261 8.2.2.3
    // "If a UAS does not understand an option-tag listed in a Require header field, it MUST respond
    // by generating a response with status code 420 (Bad Extension). The UAS MUST add an Unsupported
    // header field"
    fn check_require(&self, request: &Request) -> Result<(), Box<Refusal>> {
        let required = match request.typed::<Require>() {
            None => return Ok(()),
            Some(Ok(_)) => request.all::<Require>(),
            Some(Err(error)) => Err(error),
        };
        let required =
            required.map_err(|error| Refusal::new(Status::BAD_REQUEST, error.to_string()))?;
        let known = |tag: &String| {
            self.config
                .supported
                .iter()
                .any(|supported| supported.eq_ignore_ascii_case(tag))
        };
        let unknown: Vec<_> = required
            .into_iter()
            .flat_map(|Require(tags)| tags)
            .filter(|tag| !known(tag))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let tags = unknown.join(", ");
        let mut refusal = Refusal::new(
            Status::BAD_EXTENSION,
            format!("unsupported extension {tags}"),
        );
        refusal.reply = refusal.reply.header(Name::Unsupported, tags);
        Err(refusal)
    }

    //= RFC 3261 9.2
    // "The TU determines the transaction to be cancelled by taking the CANCEL request, and then
    // assuming that the request method is anything but CANCEL or ACK". Only an INVITE can still be
    // cancelled when its CANCEL arrives.
    fn receive_cancel(&mut self, now: Instant, flow: Flow, cancel: Request) {
        let key = self.server_key(&cancel, &Method::Invite);
        let Some(tx) = self.server_keys.get(&key).copied() else {
            let reply = Reply::new(Status::CALL_DOES_NOT_EXIST);
            self.refuse(flow, &cancel, &reply, "CANCEL of an unknown transaction");
            return;
        };
        let Some(server) = self.servers.get(tx) else {
            return;
        };
        let (pending, within, dialog) = (server.request.is_some(), server.within, server.dialog);
        let invite = server.request.clone();
        //= RFC 3261 9.2
        // "the To tag of the response to the CANCEL and the To tag in the response to the original
        // request SHOULD be the same"
        let tag = self.tag_for(&cancel_source(&cancel, invite.as_ref()));
        let tag = cancel.to().tag().is_none().then_some(tag.as_str());
        match self.compose_reply(&cancel, &flow, tag, None, &Reply::new(Status::OK)) {
            Ok(bytes) => self.transmit(super::address::reply_flow(flow, cancel.via()), bytes),
            Err(error) => tracing::warn!(%error, "no answer to a CANCEL could be written"),
        }
        if !pending {
            return;
        }
        // The application hears of the CANCEL before it hears that the dialog ended.
        let known = dialog
            .filter(|_| !within)
            .and_then(|id| self.dialogs.get_mut(id))
            .is_some_and(|entry| std::mem::take(&mut entry.known));
        drop(self.respond(now, tx, Reply::new(Status::REQUEST_TERMINATED)));
        self.tell(Event::Cancelled {
            tx,
            request: cancel,
        });
        if let Some(dialog) = dialog.filter(|_| known) {
            let why = Ended::Rejected(Status::REQUEST_TERMINATED);
            self.tell(Event::Ended { dialog, why });
        }
    }
}

// The tag is made from fields that a CANCEL shares with its INVITE, so either will do.
fn cancel_source(cancel: &Request, invite: Option<&Request>) -> Request {
    invite.unwrap_or(cancel).clone()
}

//= RFC 3261 8.1.1.8
// "The Contact header field MUST be present and contain exactly one SIP or SIPS URI in any request
// that can result in the establishment of a dialog."
fn check_contact(request: &Request) -> Result<(), Box<Refusal>> {
    let cause = match request.all::<Contact>() {
        Err(error) => error.to_string(),
        Ok(contacts) => match contacts.as_slice() {
            [Contact::Addr(contact)]
                if matches!(contact.uri().scheme(), Scheme::Sip | Scheme::Sips) =>
            {
                return Ok(());
            }
            [] => "INVITE without Contact".to_owned(),
            _ => "INVITE needs exactly one Contact with a sip or sips URI".to_owned(),
        },
    };
    Err(Refusal::new(Status::BAD_REQUEST, cause))
}

// A request that the endpoint refuses by itself.
struct Refusal {
    reply: Reply,
    cause: String,
}

impl Refusal {
    fn new(status: Status, cause: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            reply: Reply::new(status),
            cause: cause.into(),
        })
    }
}

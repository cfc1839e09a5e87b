//! Requests inside dialogs, ours and the peer's (RFC 3261 12.2, 14; RFC 3311; RFC 3515).
//! Order, glare, and what ends the call.

use std::time::Instant;

use super::entropy::draw_u64;
use super::event::{Ended, Event};
use super::outgoing::{Outgoing, Scope};
use super::{Body, ClientTx, DialogId, Endpoint, EndpointError, Flow, Reply, ServerTx};
use crate::dialog::{DialogState, Pin};
use crate::header::{self, Header, SubscriptionState};
use crate::message::Request;
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;

impl Endpoint {
    /// Sends a request inside a dialog: INFO, REFER, NOTIFY, UPDATE, OPTIONS, MESSAGE, re-INVITE.
    ///
    /// After the call only NOTIFY is possible, as long as an accepted REFER keeps the dialog.
    pub fn in_dialog(
        &mut self,
        now: Instant,
        dialog: DialogId,
        method: Method,
        headers: Vec<(Name, String)>,
        body: Option<Body>,
    ) -> Result<ClientTx, EndpointError> {
        if matches!(
            method,
            Method::Ack | Method::Cancel | Method::Bye | Method::Register
        ) {
            return Err(EndpointError::MethodNotAllowed(method));
        }
        if self.is_overfull() {
            return Err(EndpointError::Full);
        }
        let entry = self.dialogs.get_mut(dialog).ok_or(EndpointError::Gone)?;
        let possible = match entry.state {
            DialogState::Confirmed => true,
            DialogState::Early => !matches!(method, Method::Invite | Method::Refer),
            DialogState::Terminating | DialogState::Lingering => method == Method::Notify,
        };
        if !possible {
            return Err(EndpointError::WrongState);
        }
        let offer = method == Method::Invite || (method == Method::Update && body.is_some());
        //= RFC 3261 14.1
        // "Note that a UAC MUST NOT initiate a new INVITE transaction within a dialog while another
        // INVITE transaction is in progress in either direction."
        let unacknowledged = method == Method::Invite && entry.answer.is_some();
        let busy = entry.our_offer.is_some() || entry.their_offer.is_some();
        if offer && (busy || unacknowledged) {
            return Err(EndpointError::InvitePending);
        }
        entry.local_seq = entry.local_seq.saturating_add(1);
        let seq = entry.local_seq;
        let final_notify = method == Method::Notify && is_final_notify(&headers);
        let refer = method == Method::Refer;
        let id = event_id(&headers);
        let mut outgoing = Outgoing::new(method, Scope::Within(dialog), seq);
        outgoing.headers = headers;
        outgoing.body = body;
        let tx = self.outgoing.insert(outgoing);
        let sent = self.send_by_uri(now, tx);
        let tx = self.or_forget(tx, sent)?;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            if offer {
                entry.our_offer = Some(tx);
            }
            if refer {
                // From now on: a NOTIFY may come before the 202.
                entry.refers_sent.add(seq);
            }
            if final_notify {
                entry.refers_taken.finish(id);
            }
        }
        Ok(tx)
    }

    /// A new request of the peer in a dialog.
    pub(super) fn take_within(&mut self, now: Instant, id: DialogId, flow: Flow, request: Request) {
        if self.is_overfull() && *request.method() != Method::Bye {
            let reply = self.unavailable();
            self.refuse(flow, &request, &reply, "endpoint is full");
            return;
        }
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        let method = request.method().clone();
        let offer =
            method == Method::Invite || (method == Method::Update && !request.body().is_empty());
        let unacknowledged = method == Method::Invite && entry.answer.is_some();
        let making = method == Method::Invite && entry.origin.is_some();
        let full = entry.pending.len() >= self.config.max_pending_per_dialog;
        let ours = entry.our_offer.is_some() || unacknowledged;
        let theirs = entry.their_offer.is_some() || making;
        let state = entry.state;
        let in_order = entry
            .remote_seq
            .take(request.cseq().seq, method == Method::Notify);
        let over = match state {
            DialogState::Early | DialogState::Confirmed => false,
            DialogState::Terminating => !matches!(method, Method::Bye | Method::Notify),
            DialogState::Lingering => method != Method::Notify || entry.refers_sent.is_empty(),
        };
        if entry.path.pin == Some(Pin::Peer) && in_order && !over {
            entry.path.flow = flow;
        }
        let tx = self.open_server(now, flow, request.clone(), Some(id));
        if let Some(entry) = self.dialogs.get_mut(id) {
            entry.pending.push(tx);
        }
        let refusal = if over {
            Some((Status::CALL_DOES_NOT_EXIST, "the call is over"))
        } else if !in_order {
            Some((
                Status::SERVER_INTERNAL_ERROR,
                "CSeq is lower than that of an earlier request",
            ))
        } else if method == Method::Bye {
            None
        } else if offer && ours {
            //= RFC 3261 14.2
            // "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog
            // is in progress MUST return a 491 (Request Pending) response"
            Some((Status::REQUEST_PENDING, "a request of ours is pending"))
        } else if offer && theirs {
            //= RFC 3261 14.2
            // "A UAS that receives a second INVITE before it sends the final response to a first
            // INVITE with a lower CSeq sequence number on the same dialog MUST return a 500 (Server
            // Internal Error) response to the second INVITE and MUST include a Retry-After header"
            Some((
                Status::SERVER_INTERNAL_ERROR,
                "an earlier offer is not answered yet",
            ))
        } else if full {
            Some((
                Status::SERVER_INTERNAL_ERROR,
                "too many requests wait in this dialog",
            ))
        } else {
            None
        };
        match refusal {
            Some((status, cause)) => self.refuse_within(now, tx, flow, &request, status, cause),
            None if method == Method::Bye => {
                // Nothing can be done about an answer that cannot be written.
                drop(self.respond(now, tx, Reply::new(Status::OK)));
                self.end_dialog(now, id, Ended::RemoteBye(Box::new(request)));
            }
            None => self.deliver_within(tx, id, flow, request, offer),
        }
    }

    fn deliver_within(
        &mut self,
        tx: ServerTx,
        id: DialogId,
        flow: Flow,
        request: Request,
        offer: bool,
    ) {
        let invite = *request.method() == Method::Invite;
        if let Some(entry) = self.dialogs.get_mut(id) {
            if offer {
                entry.their_offer = Some(tx);
            }
            if *request.method() == Method::Notify && ends_subscription(&request) {
                let event = request.typed::<header::Event>().and_then(Result::ok);
                let refer = event
                    .and_then(|event| event.id)
                    .and_then(|id| id.parse().ok());
                entry.refers_sent.finish(refer);
            }
        }
        self.tell(Event::InDialog {
            tx,
            dialog: id,
            flow,
            request,
        });
        if invite {
            self.outputs.push_back(super::Pending::Trying(tx));
        }
    }

    fn refuse_within(
        &mut self,
        now: Instant,
        tx: ServerTx,
        flow: Flow,
        request: &Request,
        status: Status,
        cause: &str,
    ) {
        let mut reply = Reply::new(status);
        if status == Status::SERVER_INTERNAL_ERROR {
            //= RFC 3261 14.2
            // "with a randomly chosen value of between 0 and 10 seconds"
            let seconds = draw_u64(&mut *self.entropy) % 11;
            reply = reply.header(Name::RetryAfter, seconds.to_string());
        }
        drop(self.respond(now, tx, reply));
        self.tell_refused(flow, request, Some(status), cause);
    }
}

/// A NOTIFY after which no other follows.
fn ends_subscription(notify: &Request) -> bool {
    notify
        .typed::<SubscriptionState>()
        .is_some_and(|state| state.is_ok_and(|state| state.is_terminated()))
}

fn is_final_notify(headers: &[(Name, String)]) -> bool {
    let value = headers
        .iter()
        .find(|(name, _)| *name == Name::SubscriptionState);
    value.is_some_and(|(_, value)| {
        SubscriptionState::parse(value).is_ok_and(|state| state.is_terminated())
    })
}

// The CSeq of the REFER that a NOTIFY tells of, if it says so.
fn event_id(headers: &[(Name, String)]) -> Option<u32> {
    let (_, value) = headers.iter().find(|(name, _)| *name == Name::Event)?;
    header::Event::parse(value).ok()?.id?.parse().ok()
}

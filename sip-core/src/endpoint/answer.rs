//! Answering requests: provisional and final responses, challenges without memory, and the 2xx
//! that is sent again until its ACK arrives (RFC 3261 8.2.6, 13.3.1).

use std::time::Instant;

use bytes::Bytes;

use super::alarm::Alarm;
use super::event::{Ended, Event};
use super::server::ServerInput;
use super::{DialogId, Endpoint, EndpointError, Flow, Reply, ServerTx};
use crate::dialog::{Answer, DialogState};
use crate::header::{Challenge, Header, ReferSub};
use crate::message::{Request, ResponseBuilder};
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;
use crate::transaction::Timer;

impl Endpoint {
    /// Answers a request with 101..=699.
    ///
    /// To an INVITE outside a dialog, a 1xx makes an early dialog and a 2xx a confirmed one, under
    /// the same id, which is returned. A 2xx is sent again until its ACK arrives
    /// ([`Event::Confirmed`]) or 64*T1 have passed ([`Ended::NoAck`]).
    ///
    /// A 408 to anything but INVITE is not sent, and other requests than INVITE get no provisional
    /// answers (RFC 4320).
    pub fn respond(
        &mut self,
        now: Instant,
        tx: ServerTx,
        reply: Reply,
    ) -> Result<Option<DialogId>, EndpointError> {
        let server = self.servers.get(tx).ok_or(EndpointError::Gone)?;
        let request = server.request.clone().ok_or(EndpointError::Gone)?;
        let (flow, within, mut dialog) = (server.flow, server.within, server.dialog);
        let status = reply.status;
        let invite = *request.method() == Method::Invite;
        if status == Status::TRYING || (status.is_provisional() && !invite) {
            return Err(EndpointError::StatusNotAllowed(status));
        }
        if status == Status::REQUEST_TIMEOUT && !invite {
            //= RFC 4320 4.2
            // "A transaction-stateful SIP element MUST NOT send a response with Status-Code of 408
            // to a non-INVITE request."
            self.close_server(tx);
            return Ok(dialog);
        }
        let tag = (!within).then(|| self.tag_for(&request));
        let opens = invite && !within && !status.is_failure() && !status.is_redirect();
        let opened = match &tag {
            Some(tag) if opens && dialog.is_none() => {
                let id = self.open_uas_dialog(tx, flow, &request, tag)?;
                dialog = Some(id);
                Some(id)
            }
            _ => None,
        };
        let contact = self.reply_contact(&request, &flow, dialog, status);
        let composed =
            self.compose_reply(&request, &flow, tag.as_deref(), contact.as_deref(), &reply);
        let bytes = match composed {
            Ok(bytes) => bytes,
            Err(error) => {
                opened.into_iter().for_each(|id| self.forget_dialog(id));
                return Err(error.into());
            }
        };
        let Some(server) = self.servers.get_mut(tx) else {
            return Err(EndpointError::Gone);
        };
        server.dialog = dialog;
        server.last = Some(bytes.clone());
        let reply_to = server.reply_to;
        if let Some(timer) = server.trying.take() {
            self.timers.cancel(timer);
        }
        if status.is_final() {
            server.request = None;
        }
        self.transmit(reply_to, bytes.clone());
        self.step_server(now, tx, ServerInput::Sent(status));
        if let Some(id) = dialog.filter(|_| status.is_final()) {
            self.answered(now, tx, id, &request, &reply, (reply_to, bytes));
        }
        Ok(dialog)
    }

    /// Answers 401 or 407 with fresh challenges and forgets the transaction at once: a stranger
    /// costs no memory (RFC 3261 8.2.7). The ACK that follows is dropped.
    pub fn challenge(
        &mut self,
        now: Instant,
        tx: ServerTx,
        challenges: &[Challenge],
        status: Status,
        reason: &str,
    ) -> Result<(), EndpointError> {
        let name = match status {
            Status::UNAUTHORIZED => Name::WwwAuthenticate,
            Status::PROXY_AUTHENTICATION_REQUIRED => Name::ProxyAuthenticate,
            other => return Err(EndpointError::StatusNotAllowed(other)),
        };
        let mut reply = Reply::new(status);
        if !reason.is_empty() {
            reply = reply.reason(reason);
        }
        for challenge in challenges {
            reply = reply.header(name.clone(), challenge.to_string());
        }
        self.refuse_stateless(now, tx, reply)
    }

    /// Answers with any final refusal and forgets the transaction at once, as
    /// [`challenge`](Self::challenge) does. Not for requests inside dialogs.
    pub fn refuse_stateless(
        &mut self,
        _now: Instant,
        tx: ServerTx,
        reply: Reply,
    ) -> Result<(), EndpointError> {
        let server = self.servers.get(tx).ok_or(EndpointError::Gone)?;
        let request = server.request.clone().ok_or(EndpointError::Gone)?;
        if server.dialog.is_some() {
            return Err(EndpointError::WrongState);
        }
        if !(reply.status.is_failure() || reply.status.is_redirect()) {
            return Err(EndpointError::StatusNotAllowed(reply.status));
        }
        let (flow, reply_to) = (server.flow, server.reply_to);
        let tag = self.tag_for(&request);
        let bytes = self.compose_reply(&request, &flow, Some(&tag), None, &reply)?;
        self.transmit(reply_to, bytes);
        self.close_server(tx);
        Ok(())
    }

    /// Drops a request without any answer; its sender will time out.
    pub fn forget(&mut self, _now: Instant, tx: ServerTx) {
        let early = self.servers.get(tx).is_some_and(|server| !server.within);
        if early && let Some(id) = self.servers.get(tx).and_then(|server| server.dialog) {
            self.forget_dialog(id);
        }
        self.close_server(tx);
    }

    /// The 100 to an INVITE that nothing has been answered to yet (RFC 3261 17.2.1).
    pub(super) fn trying(&mut self, tx: ServerTx) -> Option<(Flow, Bytes)> {
        let server = self.servers.get_mut(tx)?;
        if server.last.is_some() {
            return None;
        }
        let request = server.request.as_ref()?;
        let bytes = ResponseBuilder::to(request, Status::TRYING)
            .source(super::address::canonical(server.flow.remote))
            .finish();
        server.last = Some(bytes.clone());
        if let Some(timer) = server.trying.take() {
            self.timers.cancel(timer);
        }
        Some((server.reply_to, bytes))
    }

    // What a final answer to a request means for its dialog.
    fn answered(
        &mut self,
        now: Instant,
        tx: ServerTx,
        id: DialogId,
        request: &Request,
        reply: &Reply,
        sent: (Flow, Bytes),
    ) {
        let status = reply.status;
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        entry.pending.retain(|pending| *pending != tx);
        if entry.their_offer == Some(tx) {
            entry.their_offer = None;
        }
        let early = entry.state == DialogState::Early;
        match request.method() {
            Method::Invite if status.is_success() => {
                let initial = entry.origin.take().is_some();
                if initial {
                    entry.state = DialogState::Confirmed;
                } else {
                    self.refresh_target(id, request);
                }
                self.await_ack(now, id, request.cseq().seq, initial, sent);
            }
            Method::Invite if early => {
                entry.origin = None;
                self.end_dialog(now, id, Ended::Rejected(status));
                return;
            }
            Method::Update if status.is_success() => self.refresh_target(id, request),
            Method::Refer if status.is_success() => {
                let refused = reply.headers.iter().any(|(name, value)| {
                    *name == Name::ReferSub && matches!(ReferSub::parse(value), Ok(ReferSub(false)))
                });
                if !refused {
                    entry.refers_taken.add(request.cseq().seq);
                }
            }
            _ => {}
        }
        self.settle(id);
    }

    //= RFC 3261 13.3.1.4
    // "the 2xx response is passed to the transport with an interval that starts at T1 seconds and
    // doubles for each retransmission until it reaches T2 seconds", over any transport.
    fn await_ack(
        &mut self,
        now: Instant,
        id: DialogId,
        seq: u32,
        initial: bool,
        (flow, bytes): (Flow, Bytes),
    ) {
        self.drop_answer(id);
        let first = now + Timer::G.duration(&self.config.timers, 0);
        let last = now + self.config.timers.lifetime();
        if let Some(entry) = self.dialogs.get_mut(id) {
            entry.answer = Some(Answer {
                seq,
                initial,
                bytes,
                flow,
                attempt: 0,
                retransmit: self.timers.arm(first, Alarm::Answer(id)),
                deadline: self.timers.arm(last, Alarm::NoAck(id)),
            });
        }
    }

    /// Sends a 2xx again.
    pub(super) fn repeat_answer(&mut self, now: Instant, id: DialogId) {
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        let Some(answer) = &mut entry.answer else {
            return;
        };
        answer.attempt = answer.attempt.saturating_add(1);
        let at = now + Timer::G.duration(&self.config.timers, answer.attempt);
        answer.retransmit = self.timers.arm(at, Alarm::Answer(id));
        let (flow, bytes) = (answer.flow, answer.bytes.clone());
        self.transmit(flow, bytes);
    }

    /// The ACK to a 2xx never came.
    pub(super) fn give_up_on_ack(&mut self, now: Instant, id: DialogId) {
        //= RFC 3261 13.3.1.4
        // "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK,
        // the dialog is confirmed, but the session SHOULD be terminated. This is accomplished with
        // a BYE"
        let headers = self
            .dialogs
            .get_mut(id)
            .and_then(|entry| entry.bye_after_ack.take());
        match headers {
            Some(headers) => {
                self.tell_no_ack(id);
                drop(self.send_bye(now, id, headers, true));
            }
            None => self.abandon(now, id, Ended::NoAck),
        }
    }

    fn tell_no_ack(&mut self, id: DialogId) {
        if let Some(entry) = self.dialogs.get_mut(id)
            && std::mem::take(&mut entry.known)
        {
            self.tell(Event::Ended {
                dialog: id,
                why: Ended::NoAck,
            });
        }
    }

    /// An ACK that belongs to no refused INVITE: it confirms a dialog, or is dropped.
    pub(super) fn take_ack(&mut self, now: Instant, flow: Flow, ack: Request) {
        let Some(id) = self.find_dialog(&ack) else {
            tracing::debug!(call_id = ack.call_id(), "dropped an ACK outside any dialog");
            return;
        };
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        if entry
            .answer
            .as_ref()
            .is_none_or(|answer| answer.seq != ack.cseq().seq)
        {
            return;
        }
        if entry.path.pin == Some(crate::dialog::Pin::Peer) {
            entry.path.flow = flow;
        }
        let bye = entry.bye_after_ack.take();
        self.drop_answer(id);
        match bye {
            Some(headers) => drop(self.send_bye(now, id, headers, false)),
            None => self.tell(Event::Confirmed { dialog: id, ack }),
        }
    }

    /// Answers a request that no transaction is made for.
    pub(super) fn refuse(&mut self, flow: Flow, request: &Request, reply: &Reply, cause: &str) {
        let tag = self.tag_for(request);
        let tag = request.to().tag().is_none().then_some(tag.as_str());
        match self.compose_reply(request, &flow, tag, None, reply) {
            Ok(bytes) => {
                self.transmit(super::address::reply_flow(flow, request.via()), bytes);
                self.tell_refused(flow, request, Some(reply.status), cause);
            }
            Err(error) => {
                tracing::warn!(%error, call_id = request.call_id(), "no refusal could be written");
                self.tell_refused(flow, request, None, cause);
            }
        }
    }

    pub(super) fn tell_refused(
        &mut self,
        flow: Flow,
        request: &Request,
        status: Option<Status>,
        cause: &str,
    ) {
        tracing::debug!(call_id = request.call_id(), method = %request.method(), cause, "refused");
        self.tell(Event::Refused {
            flow,
            status,
            cause: cause.to_owned(),
            method: Some(request.method().to_string()),
            call_id: Some(request.call_id().to_owned()),
            from: Some(request.from().to_string()),
            to: Some(request.to().to_string()),
        });
    }

    /// The endpoint's own 503.
    pub(super) fn unavailable(&self) -> Reply {
        let seconds = self.config.retry_after.to_string();
        Reply::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, seconds)
    }

    // Responses that make or refresh a target have a Contact (RFC 3261 12.1.1, 12.2.2).
    fn reply_contact(
        &self,
        request: &Request,
        flow: &Flow,
        dialog: Option<DialogId>,
        status: Status,
    ) -> Option<String> {
        let useful = match request.method() {
            Method::Invite => status.is_provisional() || status.is_success(),
            Method::Update | Method::Refer | Method::Notify | Method::Options => {
                status.is_success()
            }
            _ => false,
        };
        let known = dialog
            .and_then(|id| self.dialogs.get(id))
            .map(|entry| &entry.contact);
        let make = || self.contact(flow, request.uri().raw_user(), request.uri().is_sips());
        useful.then(|| known.map_or_else(make, |contact| contact.to_string()))
    }
}

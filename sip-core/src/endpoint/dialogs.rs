//! Making, finding and ending dialogs (RFC 3261 12, 15; RFC 5057).
//! Each id that the application was given ends with one `Ended`.

use std::time::Instant;

use super::address::is_behind_nat;
use super::alarm::Alarm;
use super::entropy::Fingerprint;
use super::event::{Ended, Event};
use super::outgoing::{Outgoing, Scope};
use super::{ClientTx, DialogId, Endpoint, EndpointError, Flow, Reply, ServerTx, Transport};
use crate::dialog::{
    Answer, Dialog, DialogState, Origin, Path, Pin, ReferUsages, RemoteSequence, Role, RouteSet,
};
use crate::header::{Contact, NameAddr, RecordRoute, Via};
use crate::message::{Head, Request, Response};
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;
use crate::uri::{Scheme, Uri};

impl Endpoint {
    /// Ends a dialog the way its state asks for: BYE; BYE once the ACK is in, when we answered and
    /// it is still missing; CANCEL or a final 487 while early. [`Event::Ended`] follows.
    ///
    /// Gives the request that does it, if one is sent at once.
    pub fn hang_up(
        &mut self,
        now: Instant,
        dialog: DialogId,
        headers: Vec<(Name, String)>,
    ) -> Result<Option<ClientTx>, EndpointError> {
        let entry = self.dialogs.get_mut(dialog).ok_or(EndpointError::Gone)?;
        match (entry.state, entry.origin) {
            (DialogState::Early, Some(Origin::Sent(tx))) => {
                self.cancel(now, tx)?;
                Ok(Some(tx))
            }
            (DialogState::Early, Some(Origin::Received(tx))) => {
                let mut reply = Reply::new(Status::REQUEST_TERMINATED);
                reply.headers = headers;
                self.respond(now, tx, reply)?;
                Ok(None)
            }
            (DialogState::Confirmed, _) if entry.answer.as_ref().is_some_and(|a| a.initial) => {
                //= RFC 3261 15
                // "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received
                // an ACK for its 2xx response or until the server transaction times out"
                entry.state = DialogState::Terminating;
                entry.bye_after_ack = Some(headers);
                Ok(None)
            }
            (DialogState::Confirmed, _) => self.send_bye(now, dialog, headers, false).map(Some),
            _ => Err(EndpointError::Gone),
        }
    }

    /// Sends BYE. If that is not possible the dialog ends at once.
    pub(super) fn send_bye(
        &mut self,
        now: Instant,
        id: DialogId,
        headers: Vec<(Name, String)>,
        silent: bool,
    ) -> Result<ClientTx, EndpointError> {
        self.drop_answer(id);
        let entry = self.dialogs.get_mut(id).ok_or(EndpointError::Gone)?;
        entry.state = DialogState::Terminating;
        entry.local_seq = entry.local_seq.saturating_add(1);
        let mut bye = Outgoing::new(Method::Bye, Scope::Within(id), entry.local_seq);
        bye.headers = headers;
        bye.silent = silent;
        let tx = self.outgoing.insert(bye);
        let sent = self.send_by_uri(now, tx);
        let sent = self.or_forget(tx, sent);
        if sent.is_err() {
            self.end_dialog(now, id, Ended::LocalBye);
        }
        sent
    }

    /// Ends a dialog that the application is told to be over right now, with a BYE of the
    /// endpoint's own.
    pub(super) fn abandon(&mut self, now: Instant, id: DialogId, why: Ended) {
        self.tell_ended(id, why);
        // An error has ended the dialog already.
        drop(self.send_bye(now, id, Vec::new(), true));
    }

    /// The call in this dialog is over. REFER subscriptions may keep it a while.
    pub(super) fn end_dialog(&mut self, now: Instant, id: DialogId, why: Ended) {
        self.drop_answer(id);
        self.tell_ended(id, why);
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        let early = entry.state == DialogState::Early;
        entry.bye_after_ack = None;
        entry.state = DialogState::Lingering;
        //= RFC 3261 15.1.2
        // "The UAS MUST still respond to any pending requests received for that dialog. It is
        // RECOMMENDED that a 487 (Request Terminated) response be generated"
        let mut unanswered = Vec::new();
        if let Some(Origin::Received(tx)) = entry.origin.take() {
            unanswered.push(tx);
        }
        unanswered.extend(entry.their_offer.take());
        for tx in unanswered {
            // Gone means answered already.
            drop(self.respond(now, tx, Reply::new(Status::REQUEST_TERMINATED)));
        }
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        if early || !entry.has_usages() {
            self.forget_dialog(id);
        } else if entry.linger.is_none() {
            let at = now + self.config.refer_linger;
            entry.linger = Some(self.timers.arm(at, Alarm::Linger(id)));
        }
    }

    /// Forgets a dialog that has only lingered, once nothing keeps it.
    pub(super) fn settle(&mut self, id: DialogId) {
        let over = self.dialogs.get(id).is_some_and(|entry| {
            entry.state == DialogState::Lingering && !entry.has_usages() && entry.pending.is_empty()
        });
        if over {
            self.forget_dialog(id);
        }
    }

    /// A request of the peer in this dialog has been answered or given up.
    pub(super) fn settle_pending(&mut self, id: DialogId, tx: ServerTx) {
        if let Some(entry) = self.dialogs.get_mut(id) {
            entry.pending.retain(|pending| *pending != tx);
            if entry.their_offer == Some(tx) {
                entry.their_offer = None;
            }
            self.settle(id);
        }
    }

    /// Forgets a dialog, whatever its state.
    pub(super) fn forget_dialog(&mut self, id: DialogId) {
        self.drop_answer(id);
        if let Some(key) = self.key_of(id)
            && self.dialog_keys.get(&key) == Some(&id)
        {
            self.dialog_keys.remove(&key);
        }
        let Some(entry) = self.dialogs.remove(id) else {
            return;
        };
        if let Some(timer) = entry.linger {
            self.timers.cancel(timer);
        }
    }

    /// Ends the early dialogs of an INVITE of ours but one.
    pub(super) fn end_forks(
        &mut self,
        now: Instant,
        tx: ClientTx,
        but: Option<DialogId>,
        why: impl Fn(DialogId) -> Ended,
    ) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        for id in std::mem::take(&mut outgoing.forks) {
            if Some(id) != but {
                self.end_dialog(now, id, why(id));
            }
        }
    }

    /// Makes the dialog of an INVITE that we answer with this tag.
    pub(super) fn open_uas_dialog(
        &mut self,
        tx: ServerTx,
        flow: Flow,
        request: &Request,
        tag: &str,
    ) -> Result<DialogId, EndpointError> {
        let routes = RouteSet::of_request(request.all::<RecordRoute>().unwrap_or_default());
        let target = remote_target(request).unwrap_or_else(|| request.from().uri().detached());
        let direct = routes.is_empty() && request.all::<Via>().is_ok_and(|vias| vias.len() == 1);
        let stream = flow.transport != Transport::Udp;
        let elsewhere = target.ip() != Some(flow.remote.ip().to_canonical());
        let pin = (direct && (stream || elsewhere)).then_some(Pin::Peer);
        let user = request.uri().raw_user();
        let contact = self.contact(&flow, user, request.uri().is_sips());
        let local = request.to().without_param("tag").with_tag(tag)?;
        let dialog = Dialog {
            role: Role::Uas,
            state: DialogState::Early,
            call_id: request.call_id().into(),
            local,
            remote: request.from().detached(),
            remote_target: target,
            routes,
            contact: contact.into(),
            path: Path { flow, pin },
            local_seq: self.first_seq(),
            remote_seq: RemoteSequence::starting_at(request.cseq().seq),
            credentials: None,
            known: true,
            origin: Some(Origin::Received(tx)),
            answer: None,
            pending: Vec::new(),
            our_offer: None,
            their_offer: None,
            bye_after_ack: None,
            refers_sent: ReferUsages::default(),
            refers_taken: ReferUsages::default(),
            linger: None,
        };
        Ok(self.insert_dialog(dialog))
    }

    /// Makes the dialog that a response to an INVITE of ours tells of.
    pub(super) fn open_uac_dialog(
        &mut self,
        tx: ClientTx,
        flow: Flow,
        response: &Response,
        state: DialogState,
    ) -> Option<DialogId> {
        let outgoing = self.outgoing.get(tx)?;
        let Scope::Fresh(fresh) = &outgoing.scope else {
            return None;
        };
        let contact = match &fresh.contact {
            Some(contact) => contact.clone(),
            None => self.contact(&flow, fresh.from.uri().raw_user(), fresh.uri.is_sips()),
        };
        let dialog = Dialog {
            role: Role::Uac,
            state,
            call_id: fresh.call_id.as_str().into(),
            local: fresh.from.clone(),
            remote: response.to().detached(),
            remote_target: fresh.uri.clone(),
            routes: RouteSet::default(),
            contact: contact.into(),
            path: Path { flow, pin: None },
            local_seq: outgoing.seq,
            remote_seq: RemoteSequence::default(),
            credentials: fresh.credentials.clone(),
            known: false,
            origin: (state == DialogState::Early).then_some(Origin::Sent(tx)),
            answer: None,
            pending: Vec::new(),
            our_offer: None,
            their_offer: None,
            bye_after_ack: None,
            refers_sent: ReferUsages::default(),
            refers_taken: ReferUsages::default(),
            linger: None,
        };
        let id = self.insert_dialog(dialog);
        if state == DialogState::Early
            && let Some(outgoing) = self.outgoing.get_mut(tx)
        {
            outgoing.forks.push(id);
        }
        self.update_early(id, flow, response);
        Some(id)
    }

    /// The dialog that the first 2xx to an INVITE of ours makes or confirms.
    pub(super) fn confirm_dialog(
        &mut self,
        tx: ClientTx,
        flow: Flow,
        response: &Response,
    ) -> Option<DialogId> {
        match self.find_dialog_of(response) {
            Some(id) => {
                //= RFC 3261 13.2.2.4
                // "the dialog MUST be transitioned to the "confirmed" state, and the route set for
                // the dialog MUST be recomputed based on the 2xx response"
                self.update_early(id, flow, response);
                let entry = self.dialogs.get_mut(id)?;
                entry.state = DialogState::Confirmed;
                entry.origin = None;
                Some(id)
            }
            None => self.open_uac_dialog(tx, flow, response, DialogState::Confirmed),
        }
    }

    /// Takes route set, target and flow from a response to an INVITE of ours.
    pub(super) fn update_early(&mut self, id: DialogId, flow: Flow, response: &Response) {
        let Some(entry) = self.dialogs.get_mut(id) else {
            return;
        };
        entry.routes = RouteSet::of_response(response.all::<RecordRoute>().unwrap_or_default());
        if let Some(target) = remote_target(response) {
            entry.remote_target = target;
        }
        let stream = flow.transport != Transport::Udp;
        let nat = is_behind_nat(&entry.remote_target, flow.remote);
        let pin = (entry.routes.is_empty() && (stream || nat)).then_some(Pin::Peer);
        entry.path = Path { flow, pin };
    }

    /// Takes the peer's new Contact (RFC 3261 12.2.1.2, 12.2.2).
    pub(super) fn refresh_target(&mut self, id: DialogId, message: &Head) {
        if let Some(target) = remote_target(message)
            && let Some(entry) = self.dialogs.get_mut(id)
            && target.as_str() != entry.remote_target.as_str()
        {
            entry.remote_target = target;
            if entry.path.pin == Some(Pin::Resolved) && entry.routes.is_empty() {
                entry.path.pin = None;
            }
        }
    }

    /// The dialog that a request is in.
    pub(super) fn find_dialog(&self, request: &Request) -> Option<DialogId> {
        let local = request.to().tag()?;
        let remote = request.from().tag().unwrap_or_default();
        let key = self.dialog_key(request.call_id(), local, remote);
        self.dialog_keys.get(&key).copied()
    }

    /// The dialog that a response to an INVITE of ours belongs to.
    pub(super) fn find_dialog_of(&self, response: &Response) -> Option<DialogId> {
        self.dialog_keys.get(&self.response_key(response)).copied()
    }

    pub(super) fn response_key(&self, response: &Response) -> Fingerprint {
        let local = response.from().tag().unwrap_or_default();
        let remote = response.to().tag().unwrap_or_default();
        self.dialog_key(response.call_id(), local, remote)
    }

    pub(super) fn dialog_key(&self, call_id: &str, local: &str, remote: &str) -> Fingerprint {
        let parts = [call_id.as_bytes(), local.as_bytes(), remote.as_bytes()];
        self.key.fingerprint(KIND_DIALOG, &parts)
    }

    /// The key under which a dialog is found.
    pub(super) fn key_of(&self, id: DialogId) -> Option<Fingerprint> {
        let (call_id, local, remote) = self.dialogs.get(id)?.identity();
        Some(self.dialog_key(call_id, local, remote))
    }

    /// Stops sending a 2xx again.
    pub(super) fn drop_answer(&mut self, id: DialogId) -> Option<Answer> {
        let answer = self.dialogs.get_mut(id)?.answer.take()?;
        self.timers.cancel(answer.retransmit);
        self.timers.cancel(answer.deadline);
        Some(answer)
    }

    fn insert_dialog(&mut self, dialog: Dialog) -> DialogId {
        let id = self.dialogs.insert(dialog);
        if let Some(key) = self.key_of(id) {
            self.dialog_keys.insert(key, id);
        }
        id
    }

    fn tell_ended(&mut self, id: DialogId, why: Ended) {
        if let Some(entry) = self.dialogs.get_mut(id)
            && std::mem::take(&mut entry.known)
        {
            tracing::debug!(call_id = entry.call_id(), ?why, "dialog ended");
            self.tell(Event::Ended { dialog: id, why });
        }
    }

    pub(super) fn first_seq(&mut self) -> u32 {
        super::entropy::draw_u64(&mut *self.entropy) as u32 & 0x7fff
    }
}

/// The URI of the one Contact that a target can be taken from.
pub(super) fn remote_target(message: &Head) -> Option<Uri> {
    let contacts = message.all::<Contact>().ok()?;
    let uri = contacts
        .first()
        .and_then(Contact::addr)
        .map(NameAddr::uri)?;
    matches!(uri.scheme(), Scheme::Sip | Scheme::Sips).then(|| uri.detached())
}

const KIND_DIALOG: u8 = 6;

//! Responses to requests of ours: provisional, final, forked, challenged.
//! Ends with exactly one `Final` or `Failed` for each request.

use std::time::Instant;

use super::arena::WireTx;
use super::entropy::{Fingerprint, draw_hex};
use super::event::{Ended, Event, Failure};
use super::outgoing::{Acked, Asked};
use super::{ClientTx, DialogId, Endpoint, Flow, Target};
use crate::dialog::DialogState;
use crate::endpoint::address::Hop;
use crate::header::ReferSub;
use crate::message::Response;
use crate::method::Method;
use crate::status::Status;

impl Endpoint {
    /// A response that its client transaction hands up.
    pub(super) fn take_response(
        &mut self,
        now: Instant,
        tx: ClientTx,
        wire: WireTx,
        flow: Flow,
        response: &Response,
    ) {
        let Some(outgoing) = self
            .outgoing
            .get_mut(tx)
            .filter(|out| out.wire == Some(wire))
        else {
            return;
        };
        let (invite, status) = (outgoing.method == Method::Invite, response.status());
        if outgoing.done {
            if invite && status.is_success() {
                self.take_further_success(now, tx, flow, response);
            }
        } else if status.is_provisional() {
            self.take_provisional(now, tx, flow, response);
        } else if invite && status.is_success() {
            self.take_success(now, tx, flow, response);
        } else if self.answer_challenge(now, tx, flow, response)
            || (status == Status::SERVICE_UNAVAILABLE && self.try_elsewhere(now, tx))
        {
            tracing::debug!(call_id = response.call_id(), %status, "sent again");
        } else {
            self.finish(now, tx, flow, response);
        }
    }

    fn take_provisional(&mut self, now: Instant, tx: ClientTx, flow: Flow, response: &Response) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        let (silent, within) = (outgoing.silent, outgoing.within());
        if outgoing.method == Method::Invite {
            if outgoing.giving_up.is_some() {
                self.send_cancel(now, tx);
            } else if outgoing.patience.is_none() {
                let until = now + self.config.invite_timeout;
                self.be_patient(tx, until);
            }
        }
        if response.status() == Status::TRYING {
            return;
        }
        let dialog = match within {
            Some(dialog) => Some(dialog),
            None => self.early_dialog(tx, flow, response),
        };
        if !silent {
            self.tell(Event::Provisional {
                tx,
                dialog,
                response: response.clone(),
            });
        }
    }

    // The early dialog that a provisional response to INVITE belongs to, made if it is new.
    fn early_dialog(&mut self, tx: ClientTx, flow: Flow, response: &Response) -> Option<DialogId> {
        let outgoing = self
            .outgoing
            .get(tx)
            .filter(|out| out.method == Method::Invite)?;
        response.to().tag()?;
        let room = outgoing.forks.len() < self.config.max_forks;
        match self.find_dialog_of(response) {
            Some(id) => {
                self.update_early(id, flow, response);
                Some(id)
            }
            None if room => {
                let id = self.open_uac_dialog(tx, flow, response, DialogState::Early)?;
                if let Some(dialog) = self.dialogs.get_mut(id) {
                    dialog.known = true;
                }
                Some(id)
            }
            None => None,
        }
    }

    // The first 2xx to an INVITE.
    fn take_success(&mut self, now: Instant, tx: ClientTx, flow: Flow, response: &Response) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        let (silent, within, given_up) = (
            outgoing.silent,
            outgoing.within(),
            outgoing.giving_up.clone(),
        );
        outgoing.done = true;
        if let Some(timer) = outgoing.patience.take() {
            self.timers.cancel(timer);
        }
        if let Some(id) = within {
            self.refresh_target(id, response);
            self.acknowledge(now, tx, id, flow, response);
            self.request_over(now, tx, id, Ok(response));
            if given_up.is_none() && !silent {
                self.tell(Event::Final {
                    tx,
                    dialog: within,
                    response: response.clone(),
                });
            } else if let Some(cause) = given_up.filter(|_| !silent) {
                // A re-INVITE that was cancelled too late: the session stands as it was agreed.
                tracing::debug!(%cause, "re-INVITE was answered before its CANCEL");
                self.tell(Event::Final {
                    tx,
                    dialog: within,
                    response: response.clone(),
                });
            }
            return;
        }
        let Some(id) = self.confirm_dialog(tx, flow, response) else {
            let cause = Failure::BadResponse("2xx does not make a dialog".to_owned());
            self.end_forks(now, tx, None, |_| Ended::Forked);
            self.tell(Event::Failed {
                tx,
                dialog: None,
                cause,
            });
            return;
        };
        self.end_forks(now, tx, Some(id), |_| Ended::Forked);
        self.acknowledge(now, tx, id, flow, response);
        match given_up {
            //= RFC 3261 9.1
            // A 2xx that crosses our CANCEL makes a session all the same: end it.
            Some(cause) => {
                self.abandon(now, id, Ended::Failed(cause.clone()));
                self.tell(Event::Failed {
                    tx,
                    dialog: None,
                    cause,
                });
            }
            None => {
                if let Some(dialog) = self.dialogs.get_mut(id) {
                    dialog.known = true;
                }
                self.tell(Event::Final {
                    tx,
                    dialog: Some(id),
                    response: response.clone(),
                });
            }
        }
    }

    // A 2xx after the first: a retransmission gets its ACK again, another branch an ACK and a BYE.
    fn take_further_success(
        &mut self,
        now: Instant,
        tx: ClientTx,
        flow: Flow,
        response: &Response,
    ) {
        let key = self.response_key(response);
        let Some(outgoing) = self.outgoing.get(tx) else {
            return;
        };
        //= RFC 3261 13.2.2.4
        // "The UAC core MUST generate an ACK request for each 2xx received from the transaction
        // layer." "The ACK MUST be passed to the client transport every time a retransmission of
        // the 2xx final response that triggered the ACK arrives."
        if let Some(acked) = outgoing.acks.iter().find(|acked| acked.dialog == key) {
            if let Some((flow, bytes)) = acked.sent.clone() {
                self.transmit(flow, bytes);
            }
            return;
        }
        if outgoing.within().is_some() || outgoing.acks.len() >= self.config.max_forks {
            return;
        }
        //= RFC 3261 13.2.2.4
        // "If, after acknowledging any 2xx response to an INVITE, the UAC does not want to continue
        // with that dialog, then the UAC MUST terminate the dialog by sending a BYE"
        if let Some(id) = self.open_uac_dialog(tx, flow, response, DialogState::Confirmed) {
            tracing::info!(
                call_id = response.call_id(),
                "hanging up on a further branch"
            );
            self.acknowledge(now, tx, id, flow, response);
            self.abandon(now, id, Ended::Forked);
        }
    }

    // Sends the ACK to a 2xx, as soon as it is known where to.
    fn acknowledge(
        &mut self,
        _now: Instant,
        tx: ClientTx,
        id: DialogId,
        flow: Flow,
        response: &Response,
    ) {
        let key = self.response_key(response);
        if let Some(outgoing) = self.outgoing.get_mut(tx) {
            outgoing.acks.push(Acked {
                dialog: key,
                sent: None,
            });
        }
        let Some(dialog) = self.dialogs.get(id) else {
            return;
        };
        let next_hop = dialog.routes.plan(&dialog.remote_target).next_hop;
        let target = match self.hop(&next_hop) {
            _ if dialog.path.pin.is_some() => dialog.path.flow,
            Hop::Flow(flow) => flow,
            Hop::Nowhere => flow,
            Hop::Name {
                host,
                port,
                transport,
                secure,
            } => {
                self.ask(Asked::Ack(tx, id), host, port, transport, secure);
                return;
            }
        };
        self.send_ack_on(tx, id, key, target);
    }

    /// The resolver has told where the ACK goes, and all that follows in its dialog.
    pub(super) fn send_ack(&mut self, tx: ClientTx, id: DialogId, target: Option<Target>) {
        let flow = target.map(|target| self.flow_to(target));
        let Some(dialog) = self.dialogs.get_mut(id) else {
            return;
        };
        if let Some(flow) = flow {
            dialog.path.flow = flow;
            dialog.path.pin = Some(crate::dialog::Pin::Resolved);
        }
        let flow = dialog.path.flow;
        let Some(key) = self.key_of(id) else {
            return;
        };
        self.send_ack_on(tx, id, key, flow);
    }

    fn send_ack_on(&mut self, tx: ClientTx, id: DialogId, key: Fingerprint, flow: Flow) {
        let branch = format!(
            "{}0.{}",
            super::compose::MAGIC_COOKIE,
            draw_hex(&mut *self.entropy)
        );
        let bytes = match self.compose_ack(tx, id, flow, &branch) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, "no ACK could be built");
                return;
            }
        };
        if let Some(outgoing) = self.outgoing.get_mut(tx)
            && let Some(acked) = outgoing.acks.iter_mut().find(|acked| acked.dialog == key)
        {
            acked.sent = Some((flow, bytes.clone()));
        }
        self.transmit(flow, bytes);
    }

    // A final answer that is neither a 2xx to INVITE nor tried again.
    fn finish(&mut self, now: Instant, tx: ClientTx, flow: Flow, response: &Response) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        let (silent, within, status) = (outgoing.silent, outgoing.within(), response.status());
        if outgoing.giving_up == Some(Failure::Timeout) && status == Status::REQUEST_TERMINATED {
            // The endpoint's own CANCEL, which the application knows nothing of.
            self.fail(now, tx, Failure::Timeout);
            return;
        }
        self.end_forks(now, tx, None, |_| Ended::Rejected(status));
        if let Some(id) = within {
            if let Some(dialog) = self.dialogs.get_mut(id)
                && dialog.path.pin != Some(crate::dialog::Pin::Resolved)
            {
                dialog.path.flow.connection = flow.connection;
            }
            self.request_over(now, tx, id, Ok(response));
        }
        if !silent {
            self.tell(Event::Final {
                tx,
                dialog: within,
                response: response.clone(),
            });
        }
        self.drop_outgoing(tx);
    }

    /// A request ends without a final answer.
    pub(super) fn fail(&mut self, now: Instant, tx: ClientTx, cause: Failure) {
        let Some(outgoing) = self.outgoing.get(tx).filter(|out| !out.done) else {
            return;
        };
        let (silent, within) = (outgoing.silent, outgoing.within());
        self.end_forks(now, tx, None, |_| Ended::Failed(cause.clone()));
        if let Some(id) = within {
            self.request_over(now, tx, id, Err(&cause));
        }
        if !silent {
            self.tell(Event::Failed {
                tx,
                dialog: within,
                cause,
            });
        }
        self.drop_outgoing(tx);
    }

    // What the end of a request inside a dialog means for the dialog.
    fn request_over(
        &mut self,
        now: Instant,
        tx: ClientTx,
        id: DialogId,
        outcome: Result<&Response, &Failure>,
    ) {
        let Some(outgoing) = self.outgoing.get(tx) else {
            return;
        };
        let (method, seq) = (outgoing.method.clone(), outgoing.seq);
        let Some(dialog) = self.dialogs.get_mut(id) else {
            return;
        };
        if dialog.our_offer == Some(tx) {
            dialog.our_offer = None;
        }
        let status = outcome.map(|response| response.status());
        let success = status.is_ok_and(|status| status.is_success());
        match method {
            Method::Bye => {
                self.end_dialog(now, id, Ended::LocalBye);
                return;
            }
            Method::Refer => {
                let unsubscribed = outcome.is_ok_and(|response| {
                    matches!(response.typed::<ReferSub>(), Some(Ok(ReferSub(false))))
                });
                if !success || unsubscribed {
                    dialog.refers_sent.remove(seq);
                }
            }
            //= RFC 6665 4.2.2
            // A NOTIFY that nobody answers, or that is answered 481, ends its subscription only.
            Method::Notify => {
                let lost = outcome.is_err() || status == Ok(Status::CALL_DOES_NOT_EXIST);
                if lost {
                    dialog.refers_taken.clear();
                }
            }
            Method::Update if success => {
                if let Ok(response) = outcome {
                    self.refresh_target(id, response);
                }
            }
            _ => {}
        }
        let confirmed = self
            .dialogs
            .get(id)
            .is_some_and(|dialog| dialog.state == DialogState::Confirmed);
        if confirmed && method != Method::Notify {
            //= RFC 3261 12.2.1.2
            // "If the response for a request within a dialog is a 481 (Call/Transaction Does Not
            // Exist) or a 408 (Request Timeout), the UAC SHOULD terminate the dialog. A UAC SHOULD
            // also terminate a dialog if no response at all is received for the request"
            match status {
                Ok(Status::CALL_DOES_NOT_EXIST) => {
                    self.end_dialog(now, id, Ended::Rejected(Status::CALL_DOES_NOT_EXIST));
                }
                Ok(Status::REQUEST_TIMEOUT) => {
                    self.abandon(now, id, Ended::Rejected(Status::REQUEST_TIMEOUT));
                }
                Err(Failure::Timeout) => self.abandon(now, id, Ended::Timeout),
                _ => {}
            }
        }
        self.settle(id);
    }

    // 503 from one server is a reason to try the next (RFC 3263 4.3).
    fn try_elsewhere(&mut self, now: Instant, tx: ClientTx) -> bool {
        let free = self
            .outgoing
            .get(tx)
            .is_some_and(|out| out.giving_up.is_none());
        free && self.try_next_target(now, tx)
    }
}

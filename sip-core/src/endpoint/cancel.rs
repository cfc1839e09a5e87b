//! Giving up on requests of ours: CANCEL (RFC 3261 9.1), and patience that ends.
//! A 2xx that crosses a CANCEL is dealt with where responses are.

use std::time::Instant;

use super::alarm::Alarm;
use super::client::{Machine, Owner};
use super::event::Failure;
use super::{ClientTx, Endpoint, EndpointError};
use crate::method::Method;
use crate::transaction::client_invite::State as InviteState;

impl Endpoint {
    /// Gives an INVITE of ours up: sends CANCEL, as soon as a provisional response allows it
    /// (RFC 3261 9.1). A 2xx that crosses is acknowledged and hung up by the endpoint.
    ///
    /// A refusal of the INVITE still shows as `Final`; every other end as `Failed` with
    /// [`Failure::Cancelled`].
    pub fn cancel(&mut self, now: Instant, tx: ClientTx) -> Result<(), EndpointError> {
        let outgoing = self
            .outgoing
            .get(tx)
            .filter(|out| !out.done)
            .ok_or(EndpointError::Gone)?;
        if outgoing.method != Method::Invite {
            return Err(EndpointError::MethodNotAllowed(outgoing.method.clone()));
        }
        if outgoing.giving_up.is_none() {
            self.give_up(now, tx, Failure::Cancelled);
        }
        Ok(())
    }

    pub(super) fn give_up(&mut self, now: Instant, tx: ClientTx, cause: Failure) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        outgoing.giving_up = Some(cause.clone());
        let Some(wire) = outgoing.wire else {
            self.fail(now, tx, cause);
            return;
        };
        let machine = self.wires.get(wire).map(|transaction| transaction.machine);
        //= RFC 3261 9.1
        // "If no provisional response has been received, the CANCEL request MUST NOT be sent;
        // rather, the client MUST wait for the arrival of a provisional response"
        if machine == Some(Machine::Invite(InviteState::Proceeding)) {
            self.send_cancel(now, tx);
        }
    }

    /// Sends the CANCEL that was wanted.
    pub(super) fn send_cancel(&mut self, now: Instant, tx: ClientTx) {
        let Some(outgoing) = self.outgoing.get_mut(tx).filter(|out| !out.cancel_sent) else {
            return;
        };
        outgoing.cancel_sent = true;
        let Some(wire) = outgoing.wire else {
            return;
        };
        let Some(invite) = self.wires.get(wire) else {
            return;
        };
        let flow = invite.flow;
        match super::compose::cancel(&invite.bytes) {
            Ok((bytes, identity)) => {
                let fields = self.fields_key(
                    &identity.call_id,
                    &identity.from_tag,
                    identity.seq,
                    &Method::Cancel,
                );
                let sent: Result<_, EndpointError> =
                    self.open_client(now, Owner::Cancel, &Method::Cancel, flow, fields, |_, _| {
                        Ok(bytes)
                    });
                drop(sent);
            }
            Err(error) => tracing::warn!(%error, "no CANCEL could be built"),
        }
        //= RFC 3261 9.1
        // "If there is no final response for the original request in 64*T1 seconds [...] the client
        // SHOULD then consider the original transaction cancelled"
        let at = now + self.config.timers.lifetime();
        self.be_patient(tx, at);
    }

    /// A request of ours has waited long enough.
    pub(super) fn lose_patience(&mut self, now: Instant, tx: ClientTx) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        outgoing.patience = None;
        if outgoing.wire.is_none() {
            self.fail(now, tx, Failure::Unresolved);
        } else if outgoing.cancel_sent {
            let cause = outgoing.giving_up.clone().unwrap_or(Failure::Timeout);
            let wire = outgoing.wire.take();
            if let Some(wire) = wire {
                self.close_client(wire);
            }
            self.fail(now, tx, cause);
        } else {
            self.give_up(now, tx, Failure::Timeout);
        }
    }

    pub(super) fn be_patient(&mut self, tx: ClientTx, until: Instant) {
        if let Some(outgoing) = self.outgoing.get_mut(tx) {
            if let Some(old) = outgoing.patience.take() {
                self.timers.cancel(old);
            }
            outgoing.patience = Some(self.timers.arm(until, Alarm::Patience(tx)));
        }
    }
}

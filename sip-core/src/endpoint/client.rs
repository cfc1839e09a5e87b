//! Client transactions: the shell around the two machines of [`crate::transaction`].
//! One per request on the wire; who asked for it, and what follows, is [`Outgoing`]'s.
//!
//! [`Outgoing`]: super::outgoing::Outgoing

use std::time::Instant;

use bytes::Bytes;

use super::alarm::Alarm;
use super::arena::{Id, WireTx};
use super::compose::MAGIC_COOKIE;
use super::entropy::{Fingerprint, draw_u64, hex64};
use super::event::Failure;
use super::{ClientTx, Endpoint, Flow};
use crate::message::Response;
use crate::method::Method;
use crate::timer::TimerId;
use crate::transaction::client_invite::{self, Input as InviteInput, State as InviteState};
use crate::transaction::client_other::{self, Input as OtherInput, State as OtherState};
use crate::transaction::{Act, Timer};

/// One request that was sent, until its transaction ends.
pub(super) struct WireTransaction {
    pub(super) machine: Machine,
    pub(super) owner: Owner,
    /// The request as sent.
    pub(super) bytes: Bytes,
    /// The ACK to a non-2xx final, once there is one.
    pub(super) ack: Option<Bytes>,
    pub(super) flow: Flow,
    pub(super) branch: Branch,
    pub(super) fields: Fingerprint,
    pub(super) retransmit: Option<TimerId>,
    pub(super) deadline: Option<TimerId>,
    pub(super) attempt: u32,
}

/// Who gets the responses.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A request of the application or of the endpoint itself.
    Request(ClientTx),
    /// A CANCEL: nobody cares for its answer.
    Cancel,
}

/// The machine and its state.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Machine {
    Invite(InviteState),
    Other(OtherState),
}

/// An input for either machine.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum ClientInput<'a> {
    /// A response.
    Heard(crate::status::Status),
    /// A timer fired.
    Fired(Timer),
    /// The transport failed, for this reason.
    Broken(&'a str),
}

impl Machine {
    fn start(method: &Method, reliable: bool) -> (Self, &'static [Act]) {
        if *method == Method::Invite {
            let (state, acts) = client_invite::start(reliable);
            (Self::Invite(state), acts)
        } else {
            let (state, acts) = client_other::start(reliable);
            (Self::Other(state), acts)
        }
    }

    fn step(self, input: ClientInput<'_>, reliable: bool) -> (Self, &'static [Act]) {
        match self {
            Self::Invite(state) => {
                let input = match input {
                    ClientInput::Heard(status) if status.is_provisional() => {
                        InviteInput::Provisional
                    }
                    ClientInput::Heard(status) if status.is_success() => InviteInput::Success,
                    ClientInput::Heard(_) => InviteInput::Failure,
                    ClientInput::Fired(Timer::A) => InviteInput::TimerA,
                    ClientInput::Fired(Timer::B) => InviteInput::TimerB,
                    ClientInput::Fired(Timer::D) => InviteInput::TimerD,
                    ClientInput::Fired(Timer::M) => InviteInput::TimerM,
                    ClientInput::Fired(_) => return (self, &[]),
                    ClientInput::Broken(_) => InviteInput::TransportError,
                };
                let (state, acts) = client_invite::step(state, input, reliable);
                (Self::Invite(state), acts)
            }
            Self::Other(state) => {
                let input = match input {
                    ClientInput::Heard(status) if status.is_provisional() => {
                        OtherInput::Provisional
                    }
                    ClientInput::Heard(_) => OtherInput::Final,
                    ClientInput::Fired(Timer::E) => OtherInput::TimerE,
                    ClientInput::Fired(Timer::F) => OtherInput::TimerF,
                    ClientInput::Fired(Timer::K) => OtherInput::TimerK,
                    ClientInput::Fired(_) => return (self, &[]),
                    ClientInput::Broken(_) => OtherInput::TransportError,
                };
                let (state, acts) = client_other::step(state, input, reliable);
                (Self::Other(state), acts)
            }
        }
    }

    fn is_terminated(self) -> bool {
        matches!(
            self,
            Self::Invite(InviteState::Terminated) | Self::Other(OtherState::Terminated)
        )
    }
}

/// The branch of a client transaction: says which one it is, and proves that we said so.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Branch {
    wire: WireTx,
    secret: u64,
}

impl Branch {
    /// The branch as it stands in Via. The 0 after the cookie leaves room for a shard's number.
    pub(super) fn text(self) -> String {
        let (slot, generation) = (self.wire.slot(), self.wire.generation());
        format!(
            "{MAGIC_COOKIE}0.{slot:x}.{generation:x}.{}",
            hex64(self.secret)
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text
            .strip_prefix(MAGIC_COOKIE)?
            .strip_prefix("0.")?
            .splitn(3, '.');
        let mut number = || u32::from_str_radix(parts.next()?, 16).ok();
        let wire = WireTx::new(number()?, number()?);
        let secret = parts.next().filter(|digits| digits.len() == 16)?;
        let secret = u64::from_str_radix(secret, 16).ok()?;
        Some(Self { wire, secret })
    }
}

impl Endpoint {
    /// Sends a request in a transaction of its own. `write` makes the message for the branch that
    /// is given to it.
    pub(super) fn open_client<E>(
        &mut self,
        now: Instant,
        owner: Owner,
        method: &Method,
        flow: Flow,
        fields: Fingerprint,
        write: impl FnOnce(&mut Self, Branch) -> Result<Bytes, E>,
    ) -> Result<WireTx, E> {
        let secret = draw_u64(&mut *self.entropy);
        let (machine, acts) = Machine::start(method, flow.transport.is_reliable());
        let wire = self.wires.insert(WireTransaction {
            machine,
            owner,
            bytes: Bytes::new(),
            ack: None,
            flow,
            branch: Branch {
                wire: WireTx::new(0, 0),
                secret,
            },
            fields,
            retransmit: None,
            deadline: None,
            attempt: 0,
        });
        let branch = Branch { wire, secret };
        let bytes = match write(self, branch) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.wires.remove(wire);
                return Err(error);
            }
        };
        if let Some(transaction) = self.wires.get_mut(wire) {
            transaction.branch = branch;
            transaction.bytes = bytes.clone();
        }
        self.wire_keys.insert(fields, wire);
        self.transmit(flow, bytes);
        self.carry_out_client(now, wire, acts, None, "");
        Ok(wire)
    }

    /// The transaction that a response belongs to (RFC 3261 17.1.3).
    pub(super) fn find_client(&self, response: &Response) -> Option<WireTx> {
        let cseq = response.cseq();
        let via = response.via();
        //= RFC 3261 17.1.3
        // "If the response has the same value of the branch parameter in the top Via header field
        // as the branch parameter in the top Via header field of the request that created the
        // transaction" and "the method parameter in the CSeq header field matches the method of the
        // request that created the transaction". A CANCEL shares the branch of its INVITE and is
        // found by its fields.
        if cseq.method != Method::Cancel
            && let Some(text) = via.branch()
        {
            let branch = Branch::parse(text)?;
            let transaction = self.wires.get(branch.wire)?;
            let invite = matches!(transaction.machine, Machine::Invite(_));
            let same = transaction.branch == branch && invite == (cseq.method == Method::Invite);
            return same.then_some(branch.wire);
        }
        // Also for what comes back from an element of RFC 2543 that lost the branch.
        let from = response.from();
        let fields = self.fields_key(
            response.call_id(),
            from.tag().unwrap_or_default(),
            cseq.seq,
            &cseq.method,
        );
        self.wire_keys.get(&fields).copied()
    }

    /// What identifies a request of ours without its branch.
    pub(super) fn fields_key(
        &self,
        call_id: &str,
        from_tag: &str,
        seq: u32,
        method: &Method,
    ) -> Fingerprint {
        let seq = seq.to_be_bytes();
        let parts = [
            call_id.as_bytes(),
            from_tag.as_bytes(),
            &seq,
            method.as_str().as_bytes(),
        ];
        self.key.fingerprint(KIND_FIELDS, &parts)
    }

    /// Feeds the machine with a response and carries out what it says.
    pub(super) fn hear(&mut self, now: Instant, wire: WireTx, flow: Flow, response: Response) {
        let Some(transaction) = self.wires.get_mut(wire) else {
            return;
        };
        let reliable = transaction.flow.transport.is_reliable();
        let (machine, acts) = transaction
            .machine
            .step(ClientInput::Heard(response.status()), reliable);
        transaction.machine = machine;
        if machine == Machine::Other(OtherState::Proceeding) {
            //= RFC 3261 17.1.2.2
            // "Timer E MUST be reset with a value of T2 seconds" once in Proceeding.
            transaction.attempt = transaction.attempt.max(PAST_T2);
        }
        self.carry_out_client(now, wire, acts, Some((flow, response)), "");
        if machine.is_terminated() {
            self.close_client(wire);
        }
    }

    pub(super) fn client_timer(&mut self, now: Instant, wire: WireTx, timer: Timer) {
        if let Some(transaction) = self.wires.get_mut(wire) {
            if timer.is_retransmission() {
                transaction.retransmit = None;
            } else {
                transaction.deadline = None;
            }
        }
        self.step_client(now, wire, ClientInput::Fired(timer));
    }

    /// Feeds the machine with anything but a response and carries out what it says.
    pub(super) fn step_client(&mut self, now: Instant, wire: WireTx, input: ClientInput<'_>) {
        let Some(transaction) = self.wires.get_mut(wire) else {
            return;
        };
        let (machine, acts) = transaction
            .machine
            .step(input, transaction.flow.transport.is_reliable());
        transaction.machine = machine;
        let cause = match input {
            ClientInput::Broken(cause) => cause,
            _ => "",
        };
        // Closed first: the user may start another attempt at once.
        let owner = transaction.owner;
        if machine.is_terminated() {
            self.close_client(wire);
            if let Owner::Request(tx) = owner {
                for act in acts {
                    match act {
                        Act::TimedOut => self.attempt_failed(now, tx, Failure::Timeout),
                        Act::TransportFailed => {
                            self.attempt_failed(now, tx, Failure::Transport(cause.to_owned()));
                        }
                        _ => {}
                    }
                }
            }
        } else {
            self.carry_out_client(now, wire, acts, None, cause);
        }
    }

    /// Forgets a transaction, whatever its state.
    pub(super) fn close_client(&mut self, wire: WireTx) {
        let Some(transaction) = self.wires.remove(wire) else {
            return;
        };
        if self.wire_keys.get(&transaction.fields) == Some(&wire) {
            self.wire_keys.remove(&transaction.fields);
        }
        for timer in [transaction.retransmit, transaction.deadline]
            .into_iter()
            .flatten()
        {
            self.timers.cancel(timer);
        }
        if let Owner::Request(tx) = transaction.owner {
            self.wire_closed(tx, wire);
        }
    }

    fn carry_out_client(
        &mut self,
        now: Instant,
        wire: WireTx,
        acts: &[Act],
        heard: Option<(Flow, Response)>,
        cause: &str,
    ) {
        for act in acts {
            let Some(transaction) = self.wires.get_mut(wire) else {
                return;
            };
            match *act {
                Act::Resend => {
                    let (flow, bytes) = (transaction.flow, transaction.bytes.clone());
                    self.transmit(flow, bytes);
                }
                Act::SendAck => {
                    if let Some((_, response)) = &heard {
                        self.acknowledge_refusal(wire, response);
                    }
                }
                Act::Start(timer) => {
                    let retransmission = timer.is_retransmission();
                    let attempt = if retransmission {
                        transaction.attempt
                    } else {
                        0
                    };
                    let at = now + timer.duration(&self.config.timers, attempt);
                    let slot = if retransmission {
                        transaction.attempt = transaction.attempt.saturating_add(1);
                        &mut transaction.retransmit
                    } else {
                        &mut transaction.deadline
                    };
                    if let Some(old) = slot.take() {
                        self.timers.cancel(old);
                    }
                    *slot = Some(self.timers.arm(at, Alarm::Client(wire, timer)));
                }
                Act::Stop(timer) => {
                    let slot = if timer.is_retransmission() {
                        &mut transaction.retransmit
                    } else {
                        &mut transaction.deadline
                    };
                    if let Some(old) = slot.take() {
                        self.timers.cancel(old);
                    }
                }
                Act::Deliver => {
                    if let (Owner::Request(tx), Some((flow, response))) =
                        (transaction.owner, &heard)
                    {
                        self.take_response(now, tx, wire, *flow, response);
                    }
                }
                // These end the transaction, and `step_client` sees to them.
                Act::TimedOut | Act::TransportFailed => {
                    tracing::trace!(cause, "client transaction over");
                }
            }
        }
    }

    // The ACK to a non-2xx is the transaction's own (RFC 3261 17.1.1.3).
    fn acknowledge_refusal(&mut self, wire: WireTx, response: &Response) {
        let Some(transaction) = self.wires.get(wire) else {
            return;
        };
        let flow = transaction.flow;
        let ack = match &transaction.ack {
            Some(ack) => ack.clone(),
            None => match super::compose::ack_to_refusal(&transaction.bytes, response) {
                Ok(ack) => ack,
                Err(error) => {
                    tracing::warn!(%error, call_id = response.call_id(), "no ACK could be built");
                    return;
                }
            },
        };
        if let Some(transaction) = self.wires.get_mut(wire) {
            transaction.ack = Some(ack.clone());
        }
        self.transmit(flow, ack);
    }
}

const KIND_FIELDS: u8 = 5;

// Enough doublings for Timer E to have reached T2 with any sensible T1.
const PAST_T2: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_read_back_as_it_was_written() {
        let branch = Branch {
            wire: WireTx::new(77, 4_000_000_000),
            secret: 0xdead,
        };
        assert_eq!(Branch::parse(&branch.text()), Some(branch));
        for other in [
            "",
            "z9hG4bK",
            "z9hG4bK0.1.2",
            "z9hG4bK1.1.2.3",
            "z9hG4bK0.x.2.3",
            "abc",
        ] {
            assert_eq!(Branch::parse(other), None, "{other}");
        }
    }
}

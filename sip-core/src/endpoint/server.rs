//! Server transactions: the shell around the two machines of [`crate::transaction`].
//! Holds what a machine does not: keys, bytes, timers, and the request until it is answered.

use std::time::Instant;

use bytes::Bytes;

use super::alarm::Alarm;
use super::compose::MAGIC_COOKIE;
use super::entropy::Fingerprint;
use super::{DialogId, Endpoint, Flow, ServerTx};
use crate::header::Via;
use crate::message::Request;
use crate::method::Method;
use crate::timer::TimerId;
use crate::transaction::server_invite::{self, Input as InviteInput, State as InviteState};
use crate::transaction::server_other::{self, Input as OtherInput, State as OtherState};
use crate::transaction::{Act, Timer};

/// One request that was received, until its transaction ends.
pub(super) struct ServerTransaction {
    pub(super) machine: Machine,
    pub(super) key: Fingerprint,
    pub(super) merge: Option<Fingerprint>,
    /// Where the request came from.
    pub(super) flow: Flow,
    /// Where responses go.
    pub(super) reply_to: Flow,
    /// The request, until a final answer is sent.
    pub(super) request: Option<Request>,
    /// The last response.
    pub(super) last: Option<Bytes>,
    /// The dialog that the request is in, or that an answer to it made.
    pub(super) dialog: Option<DialogId>,
    /// The request came inside a dialog.
    pub(super) within: bool,
    pub(super) retransmit: Option<TimerId>,
    pub(super) deadline: Option<TimerId>,
    pub(super) trying: Option<TimerId>,
    pub(super) attempt: u32,
}

/// The machine and its state.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Machine {
    Invite(InviteState),
    Other(OtherState),
}

/// An input for either machine.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum ServerInput {
    /// The same request again.
    Again,
    /// The ACK to a non-2xx final.
    Ack,
    /// A response was sent; its first digit decides which.
    Sent(crate::status::Status),
    /// A timer fired.
    Fired(Timer),
}

impl Machine {
    fn step(self, input: ServerInput, reliable: bool) -> (Self, &'static [Act]) {
        match self {
            Self::Invite(state) => {
                let input = match input {
                    ServerInput::Again => InviteInput::Invite,
                    ServerInput::Ack => InviteInput::Ack,
                    ServerInput::Sent(status) if status.is_provisional() => {
                        InviteInput::SendProvisional
                    }
                    ServerInput::Sent(status) if status.is_success() => InviteInput::SendSuccess,
                    ServerInput::Sent(_) => InviteInput::SendFailure,
                    ServerInput::Fired(Timer::G) => InviteInput::TimerG,
                    ServerInput::Fired(Timer::H) => InviteInput::TimerH,
                    ServerInput::Fired(Timer::I) => InviteInput::TimerI,
                    ServerInput::Fired(Timer::L) => InviteInput::TimerL,
                    ServerInput::Fired(_) => return (self, &[]),
                };
                let (state, acts) = server_invite::step(state, input, reliable);
                (Self::Invite(state), acts)
            }
            Self::Other(state) => {
                let input = match input {
                    ServerInput::Again => OtherInput::Request,
                    ServerInput::Sent(status) if status.is_provisional() => {
                        OtherInput::SendProvisional
                    }
                    ServerInput::Sent(_) => OtherInput::SendFinal,
                    ServerInput::Fired(Timer::J) => OtherInput::TimerJ,
                    ServerInput::Fired(_) | ServerInput::Ack => return (self, &[]),
                };
                let (state, acts) = server_other::step(state, input, reliable);
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

impl Endpoint {
    /// Makes the transaction of a new request.
    pub(super) fn open_server(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        dialog: Option<DialogId>,
    ) -> ServerTx {
        let key = self.server_key(&request, request.method());
        let merge = dialog.is_none().then(|| self.merge_key(&request));
        let invite = *request.method() == Method::Invite;
        let machine = if invite {
            Machine::Invite(InviteState::Proceeding)
        } else {
            Machine::Other(OtherState::Trying)
        };
        let tx = self.servers.insert(ServerTransaction {
            machine,
            key,
            merge,
            flow,
            reply_to: super::address::reply_flow(flow, request.via()),
            request: Some(request),
            last: None,
            dialog,
            within: dialog.is_some(),
            retransmit: None,
            deadline: None,
            trying: None,
            attempt: 0,
        });
        self.server_keys.insert(key, tx);
        if let Some(merge) = merge {
            self.merge_keys.insert(merge, tx);
        }
        if !invite {
            // Should the application never answer, the transaction ends when its client's does.
            self.carry_out_server(now, tx, &[Act::Start(Timer::J)]);
        }
        tx
    }

    /// Feeds the machine and carries out what it says.
    pub(super) fn step_server(&mut self, now: Instant, tx: ServerTx, input: ServerInput) {
        let Some(server) = self.servers.get_mut(tx) else {
            return;
        };
        let (machine, acts) = server
            .machine
            .step(input, server.reply_to.transport.is_reliable());
        server.machine = machine;
        self.carry_out_server(now, tx, acts);
        if machine.is_terminated() {
            self.close_server(tx);
        }
    }

    pub(super) fn server_timer(&mut self, now: Instant, tx: ServerTx, timer: Timer) {
        if let Some(server) = self.servers.get_mut(tx) {
            if timer.is_retransmission() {
                server.retransmit = None;
            } else {
                server.deadline = None;
            }
        }
        self.step_server(now, tx, ServerInput::Fired(timer));
    }

    /// Forgets a transaction, whatever its state.
    pub(super) fn close_server(&mut self, tx: ServerTx) {
        let Some(server) = self.servers.remove(tx) else {
            return;
        };
        if self.server_keys.get(&server.key) == Some(&tx) {
            self.server_keys.remove(&server.key);
        }
        if let Some(merge) = server.merge
            && self.merge_keys.get(&merge) == Some(&tx)
        {
            self.merge_keys.remove(&merge);
        }
        for timer in [server.retransmit, server.deadline, server.trying]
            .into_iter()
            .flatten()
        {
            self.timers.cancel(timer);
        }
        if let Some(id) = server.dialog {
            self.settle_pending(id, tx);
        }
    }

    fn carry_out_server(&mut self, now: Instant, tx: ServerTx, acts: &[Act]) {
        for act in acts {
            let Some(server) = self.servers.get_mut(tx) else {
                return;
            };
            match *act {
                Act::Resend => {
                    if let Some(bytes) = server.last.clone() {
                        let flow = server.reply_to;
                        self.transmit(flow, bytes);
                    }
                }
                Act::Start(timer) => {
                    let retransmission = timer.is_retransmission();
                    let attempt = if retransmission { server.attempt } else { 0 };
                    let at = now + timer.duration(&self.config.timers, attempt);
                    let slot = if retransmission {
                        server.attempt = server.attempt.saturating_add(1);
                        &mut server.retransmit
                    } else {
                        &mut server.deadline
                    };
                    if let Some(old) = slot.take() {
                        self.timers.cancel(old);
                    }
                    *slot = Some(self.timers.arm(at, Alarm::Server(tx, timer)));
                }
                Act::Stop(timer) => {
                    let slot = if timer.is_retransmission() {
                        &mut server.retransmit
                    } else {
                        &mut server.deadline
                    };
                    if let Some(old) = slot.take() {
                        self.timers.cancel(old);
                    }
                }
                Act::TimedOut => {
                    tracing::debug!(?tx, "no ACK to a refused INVITE");
                }
                // The shell hands ACKs up itself, and servers have no other acts.
                Act::Deliver | Act::SendAck | Act::TransportFailed => {}
            }
        }
    }

    /// What identifies the server transaction of a request with this method (RFC 3261 17.2.3).
    pub(super) fn server_key(&self, request: &Request, method: &Method) -> Fingerprint {
        let method = match method {
            Method::Ack => Method::Invite.as_str(),
            other => other.as_str(),
        };
        let via = request.via();
        //= RFC 3261 17.2.3
        // "the branch parameter in the request is the same as the one in the top Via header field
        // of the request that created the transaction", and so are the sent-by value and the
        // method, "except for ACK, where the method of the request that created the transaction is
        // INVITE".
        if let Some(branch) = cookie_branch(via) {
            let host = via.host().to_ascii_lowercase();
            let port = via.port().unwrap_or(0).to_be_bytes();
            let parts = [branch.as_bytes(), host.as_bytes(), &port, method.as_bytes()];
            return self.key.fingerprint(KIND_BRANCH, &parts);
        }
        //= RFC 3261 17.2.3
        // "If the branch parameter in the top Via header field is not present, or does not contain
        // the magic cookie, the following procedures are used": Request-URI, From tag, Call-ID,
        // CSeq and top Via are compared. The To tag is left out: an ACK has the one of the
        // response.
        let seq = request.cseq().seq.to_be_bytes();
        let parts = [
            request.uri().as_str().as_bytes(),
            request.from().tag().unwrap_or_default().as_bytes(),
            request.call_id().as_bytes(),
            &seq,
            via.as_str().as_bytes(),
            method.as_bytes(),
        ];
        self.key.fingerprint(KIND_RFC2543, &parts)
    }

    /// What two copies of one request share that came over different paths (RFC 3261 8.2.2.2).
    pub(super) fn merge_key(&self, request: &Request) -> Fingerprint {
        let cseq = request.cseq();
        let seq = cseq.seq.to_be_bytes();
        let parts = [
            request.from().tag().unwrap_or_default().as_bytes(),
            request.call_id().as_bytes(),
            &seq,
            request.method().as_str().as_bytes(),
        ];
        self.key.fingerprint(KIND_MERGE, &parts)
    }

    /// The To tag of our answers to a request outside dialogs: the same for each retransmission,
    /// also when nothing was kept (RFC 3261 8.2.7), and not to be guessed.
    pub(super) fn tag_for(&self, request: &Request) -> String {
        let seq = request.cseq().seq.to_be_bytes();
        let parts = [
            request.from().tag().unwrap_or_default().as_bytes(),
            request.call_id().as_bytes(),
            &seq,
            request.via().branch().unwrap_or_default().as_bytes(),
        ];
        self.key.fingerprint(KIND_TAG, &parts).to_tag()
    }
}

fn cookie_branch(via: &Via) -> Option<&str> {
    via.branch()
        .filter(|branch| branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE))
}

const KIND_BRANCH: u8 = 1;
const KIND_RFC2543: u8 = 2;
const KIND_MERGE: u8 = 3;
const KIND_TAG: u8 = 4;

//! Our own transfers: the machine of `refer-transfer` tied to the call's dialog.
//! It says what to send and what it means; the audio stays up until the caller has arrived.

use std::time::{Duration, Instant};

use refer_transfer::{Input, Outcome, Output, Target, Transfer, TransferConfig, TransferResult};
use sip_core::header::{Event, NameAddr, ReferSub};
use sip_core::message::{Request, Response};
use sip_core::method::Method;
use sip_core::name::Name;

use super::action::{Action, Notice, Purpose};
use super::ending::EndCause;
use super::machine::{Lost, Machine};
use super::state::CallState;
use crate::error::CallError;

/// Whom to hand the peer over to, and what to say about who asks.
#[derive(Clone, Debug)]
pub struct TransferOrder {
    /// The target, such as `sip:101@pbx.example.com`.
    pub target: Target,
    /// The caller's identity, which must survive the transfer: P-Asserted-Identity (RFC 3325).
    pub asserted: Option<NameAddr>,
    /// The deadlines, and who refers (Referred-By).
    pub config: TransferConfig,
}

impl TransferOrder {
    /// To this target, with the usual deadlines and nothing said about who asks.
    pub fn to(target: Target) -> Self {
        Self {
            target,
            asserted: None,
            config: TransferConfig::default(),
        }
    }
}

/// The transfers of a call: the newest one, with what it still waits for.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    transfer: Option<Transfer>,
    /// When the application asked for it, until its REFER is sent.
    asked: Option<Instant>,
    /// No outcome yet.
    live: bool,
    /// A NOTIFY may still change the record.
    open: bool,
    /// The CSeq number of its REFER, which NOTIFYs may name; known from its answer on.
    cseq: Option<u32>,
    /// When to look next whether the caller is still heard.
    listen: Option<Instant>,
    /// How many packets the caller had sent when we looked last.
    packets: Option<u64>,
}

impl Handover {
    /// Whether a transfer is under way.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether a word may still come that the record should hear.
    pub(super) fn lingers(&self) -> bool {
        self.live || self.open
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let transfer = self.transfer.as_ref().and_then(Transfer::poll_timeout);
        [transfer, self.listen].into_iter().flatten().min()
    }
}

impl Machine {
    /// Begins to hand the peer over. `asked` is when the application wanted it.
    pub(crate) fn transfer(
        &mut self,
        now: Instant,
        asked: Instant,
        order: TransferOrder,
    ) -> Result<(), CallError> {
        if !matches!(self.state, CallState::Answering | CallState::Established) {
            return Err(CallError::NotEstablished);
        }
        if self.handover.live {
            return Err(CallError::Pending);
        }
        self.handover = Handover {
            transfer: Some(Transfer::new(
                now,
                order.config,
                order.target,
                order.asserted,
            )),
            asked: Some(asked),
            live: true,
            open: true,
            cseq: None,
            listen: now.checked_add(LISTEN),
            packets: None,
        };
        self.act(Action::Listen);
        self.drive_handover(now);
        Ok(())
    }

    /// The REFER is on the wire.
    pub(super) fn refer_sent(&mut self, now: Instant) {
        if let Some(asked) = self.handover.asked.take() {
            self.notice(Notice::TransferSent {
                after: now.saturating_duration_since(asked),
            });
        }
    }

    /// Gives the transfer up.
    pub(crate) fn cancel_transfer(&mut self, now: Instant) {
        self.transfer_input(now, Input::Cancel);
    }

    /// How many packets the caller has sent so far: the answer to [`Action::Listen`].
    pub(super) fn packets(&mut self, now: Instant, packets: u64) {
        let before = self.handover.packets.replace(packets);
        if let Some(before) = before {
            self.transfer_input(now, Input::CallerHeard(packets > before));
        }
    }

    /// The final answer to our REFER.
    pub(super) fn refer_answered(&mut self, now: Instant, response: &Response) {
        let refer_sub = match response.typed::<ReferSub>() {
            Some(Ok(ReferSub(wanted))) => Some(wanted),
            _ => None,
        };
        if !response.status().is_success() || refer_sub == Some(false) {
            self.handover.open = false;
        }
        self.handover.cseq = Some(response.cseq().seq);
        let input = Input::Response {
            status: response.status(),
            reason: response.reason(),
            refer_sub,
        };
        self.transfer_input(now, input);
    }

    /// Our REFER has no answer.
    pub(super) fn refer_lost(&mut self, now: Instant, cause: &Lost) {
        // One that was sent may have worked, though its answer was lost: NOTIFYs would tell.
        self.handover.open = matches!(cause, Lost::Failed(_));
        let cause = match cause {
            Lost::Glare => "another request was in the way",
            Lost::Unsent(cause) | Lost::Failed(cause) => cause,
        };
        self.transfer_input(now, Input::Unanswered(cause));
    }

    /// A NOTIFY, which has had its 200.
    pub(super) fn notified(&mut self, now: Instant, request: &Request) {
        if self.handover.transfer.is_none() || !self.concerns_transfer(request) {
            return;
        }
        let subscription = request
            .header(&Name::SubscriptionState)
            .unwrap_or_default()
            .into_owned();
        if subscription
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("terminated")
        {
            self.handover.open = false;
        }
        let input = Input::Notify {
            subscription_state: &subscription,
            body: &request.body(),
        };
        self.transfer_input(now, input);
    }

    /// Whether a NOTIFY speaks of the newest transfer.
    fn concerns_transfer(&self, request: &Request) -> bool {
        let Some(Ok(event)) = request.typed::<Event>() else {
            // Without an Event it is no NOTIFY; one that cannot be read may still mean us.
            return request.has(&Name::Event);
        };
        if !event.package.eq_ignore_ascii_case("refer") {
            return false;
        }
        match (
            event.id.as_deref().map(str::parse::<u32>),
            self.handover.cseq,
        ) {
            (Some(Ok(id)), Some(cseq)) => id == cseq,
            _ => true,
        }
    }

    pub(super) fn handover_timeout(&mut self, now: Instant) {
        if self.handover.listen.is_some_and(|at| at <= now) {
            self.handover.listen = now.checked_add(LISTEN);
            self.act(Action::Listen);
        }
        let due = self
            .handover
            .transfer
            .as_ref()
            .and_then(Transfer::poll_timeout);
        if due.is_some_and(|at| at <= now) {
            self.transfer_input(now, Input::Timeout);
        }
    }

    /// The dialog ended, by the peer or by a break.
    pub(super) fn handover_dialog_ended(&mut self, now: Instant) {
        self.transfer_input(now, Input::DialogEnded);
    }

    fn transfer_input(&mut self, now: Instant, input: Input<'_>) {
        if let Some(transfer) = &mut self.handover.transfer {
            transfer.handle_input(now, input);
            self.drive_handover(now);
        }
    }

    /// Does what the transfer asks for.
    fn drive_handover(&mut self, now: Instant) {
        while let Some(output) = self
            .handover
            .transfer
            .as_mut()
            .and_then(Transfer::poll_output)
        {
            match output {
                Output::SendRefer { headers } => self.request(Action::Request {
                    purpose: Purpose::Refer,
                    method: Method::Refer,
                    headers,
                    body: None,
                }),
                Output::Progress(status) => self.notice(Notice::TransferProgress(status)),
                Output::HangUp => {
                    let cause = self.cause_of_hang_up();
                    self.hang_up(now, cause);
                }
                Output::Done(outcome) => {
                    self.handover.live = false;
                    self.handover.listen = None;
                    self.notice(Notice::TransferDone(outcome));
                }
                Output::Amended(outcome) => self.notice(Notice::TransferAmended(outcome)),
            }
        }
    }

    /// Nobody is on our leg any more: because they arrived, or because they left.
    fn cause_of_hang_up(&self) -> EndCause {
        let outcome = self.handover.transfer.as_ref().and_then(Transfer::outcome);
        match outcome {
            Some(Outcome {
                result: TransferResult::Transferred,
                ..
            }) => EndCause::Transferred,
            Some(outcome) => EndCause::HungUp(outcome.reason.clone()),
            None => EndCause::HungUp("nobody is left on the line".to_owned()),
        }
    }
}

/// How often a caller who is being transferred is listened for.
const LISTEN: Duration = Duration::from_millis(100);

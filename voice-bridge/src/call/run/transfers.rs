//! The transfers of a conversation: from the wish of the agent to the outcome in its ear.
//! What goes over the wire is the call machine's; here names become addresses and news.

use refer_transfer::{Outcome, Target, TransferResult};

use super::{Runner, now};
use crate::agent::{TransferId, TransferRefused, TransferStep};
use crate::call::handover::TransferOrder;
use crate::call::observer::TransferStart;
use crate::error::CallError;

/// The transfer under way.
pub(super) struct LiveTransfer {
    pub(super) id: TransferId,
    /// Whether this is the forwarding number's.
    pub(super) forwarded: bool,
}

impl Runner {
    /// Sends the REFER, or says why not.
    pub(super) async fn begin_transfer(
        &mut self,
        asked: &str,
        forwarded: bool,
    ) -> Result<TransferId, TransferRefused> {
        if self.transfer.is_some() {
            return Err(TransferRefused::AlreadyTransferring);
        }
        let target = if forwarded {
            self.rules.extension(asked)?
        } else {
            self.rules.resolve(asked, &self.info.extensions)?
        };
        let mut order = TransferOrder::to(Target::blind(target.clone()));
        order.asserted = self.rules.asserted.clone();
        order.config = self.rules.config.clone();
        match self.call.transfer(order).await {
            Ok(()) => {}
            Err(CallError::Pending) => return Err(TransferRefused::AlreadyTransferring),
            Err(CallError::NotEstablished) => {
                let cause = "the call is not up yet, or no longer".to_owned();
                return Err(TransferRefused::NotPossible(cause));
            }
            Err(_) => return Err(TransferRefused::CallOver),
        }
        let number = self.transfers.len().saturating_add(1);
        let id = TransferId::new(format!("t{number}"));
        self.observer.transfer_requested(&TransferStart {
            id: &id,
            asked,
            target: &target,
            forwarded,
        });
        self.transfer = Some(LiveTransfer {
            id: id.clone(),
            forwarded,
        });
        Ok(id)
    }

    /// A transfer came to its outcome.
    pub(super) async fn transferred(&mut self, outcome: Outcome) {
        let Some(transfer) = self.transfer.take() else {
            return;
        };
        self.watch.sound(now());
        self.observer.transfer_done(&transfer.id, &outcome);
        self.transfers.push((transfer.id.clone(), outcome.clone()));
        if outcome.result == TransferResult::Transferred {
            self.news(transfer.id, TransferStep::Done);
            return;
        }
        if outcome.caller_still_here && !transfer.forwarded && self.forward(&outcome).await {
            return;
        }
        self.news(transfer.id, failed_step(&outcome));
    }

    /// Tries the forwarding number instead of a target that cannot be had.
    async fn forward(&mut self, outcome: &Outcome) -> bool {
        let unavailable = matches!(
            outcome.result,
            TransferResult::NoAnswer | TransferResult::Offline | TransferResult::Timeout
        );
        let Some(number) = self.rules.forward_to.clone().filter(|_| unavailable) else {
            return false;
        };
        if std::mem::replace(&mut self.forwarded, true) {
            return false;
        }
        match self.begin_transfer(&number, true).await {
            Ok(id) => {
                tracing::info!(
                    call_id = self.call.call_id(),
                    "trying the forwarding number"
                );
                self.news(id, TransferStep::Progress(CALL_IS_BEING_FORWARDED));
                true
            }
            Err(error) => {
                tracing::warn!(call_id = self.call.call_id(), %error, "forwarding failed");
                false
            }
        }
    }

    pub(super) fn amended(&mut self, outcome: Outcome) {
        if let Some((id, last)) = self.transfers.last_mut() {
            self.observer.transfer_amended(id, &outcome);
            *last = outcome;
        }
    }
}

/// What the agent is told about a transfer that failed while the caller may still be here.
fn failed_step(outcome: &Outcome) -> TransferStep {
    use crate::agent::TransferFailure as F;
    let failure = match (outcome.result, outcome.sip_code) {
        (TransferResult::Busy, Some(600)) => F::AllBusy,
        (TransferResult::Busy, _) => F::Busy,
        (TransferResult::NoAnswer, _) => F::NoAnswer,
        (TransferResult::Offline, _) => F::Offline,
        (TransferResult::Declined, _) => F::Declined,
        (TransferResult::Rejected, Some(code)) => F::from_status(code),
        (TransferResult::Rejected, None) => F::Rejected,
        (TransferResult::Timeout, _) => F::Unreachable,
        _ => F::Unknown,
    };
    TransferStep::Failed {
        failure,
        code: outcome.sip_code,
        reason: outcome.reason.clone(),
    }
}

/// What an agent hears when the forwarding number is tried.
const CALL_IS_BEING_FORWARDED: u16 = 181;

//! From what a conversation tells to what the ledger keeps: one task a call writes in order.
//! The observer never waits; the task awaits the disk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use refer_transfer::{ConfirmedBy as Word, Outcome, TransferResult as Result_};
use sip_core::status::Status;
use tokio::sync::{Notify, mpsc};
use voice_bridge::agent::{self, AgentError, MessageTaken, TransferId, TransferRefused};
use voice_bridge::call::{CallObserver, CallReport, ConversationStart, TransferStart};
use voice_bridge::transcript::Speaker as Voice;
use voice_bridge::{EndCause, LimitReached};

use crate::calls::record::{
    ConfirmedBy, EndedBy, MediaFacts, Speaker, Transfer, TransferKind, TransferOutcome,
};
use crate::calls::{CallClosing, CallEntry, CallResult, LedgerError, TransferResult};
use crate::clock;

/// Watches a conversation and hands on what it sees.
#[derive(Debug)]
pub(super) struct Recorder {
    facts: mpsc::Sender<Fact>,
    sip_call_id: String,
}

#[derive(Debug)]
enum Fact {
    Answered,
    TransferRequested { id: TransferId, target: String },
    TransferStep { id: TransferId, what: String },
    TransferEnded { id: TransferId, outcome: Outcome },
    Line { speaker: Voice, text: String },
    Tool(agent::ToolUse),
    Message(MessageTaken),
    Voice(String),
    Ended(Box<CallReport>),
}

/// The transfers of one call as they were written, and whether the API hung it up.
#[derive(Debug, Clone, Default)]
pub(super) struct Transfers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    written: Mutex<HashMap<TransferId, Transfer>>,
    changed: Notify,
    by_api: AtomicBool,
    hang_up: Notify,
}

impl Transfers {
    /// The record of a transfer, once it is in the store.
    pub(super) async fn written(&self, id: &TransferId) -> Option<Transfer> {
        loop {
            let changed = self.0.changed.notified();
            if let Some(transfer) = self.find(id) {
                return Some(transfer);
            }
            changed.await;
        }
    }

    /// The API hangs the call up: the record will say so.
    pub(super) fn hung_up_by_api(&self) {
        self.0.by_api.store(true, Ordering::Release);
        self.0.hang_up.notify_one();
    }

    /// Waits until the API wants the call to end; of use before its conversation begins.
    pub(super) async fn hang_up_asked(&self) {
        self.0.hang_up.notified().await;
    }

    fn find(&self, id: &TransferId) -> Option<Transfer> {
        let written = self.0.written.lock();
        written
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn add(&self, id: TransferId, transfer: Transfer) {
        let written = self.0.written.lock();
        written
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, transfer);
        self.0.changed.notify_waiters();
    }
}

impl Recorder {
    /// An observer, and the task that writes what it sees; the task ends with the last word of
    /// the call, which may be a transfer's and come after its end.
    pub(super) fn start(entry: CallEntry, transfers: Transfers) -> (Arc<Self>, Closed) {
        let (facts, queue) = mpsc::channel(QUEUE);
        let closed = Arc::new(Notify::new());
        let sip_call_id = entry.record().sip.call_id;
        tokio::spawn(write(entry, transfers, queue, closed.clone()));
        (Arc::new(Self { facts, sip_call_id }), Closed(closed))
    }

    fn tell(&self, fact: Fact) {
        if self.facts.try_send(fact).is_err() {
            tracing::error!(
                call_id = self.sip_call_id,
                "a fact of the call record was lost: the store is too slow"
            );
        }
    }
}

/// Told when the call's record is closed.
#[derive(Debug)]
pub(super) struct Closed(Arc<Notify>);

impl Closed {
    pub(super) async fn wait(self) {
        self.0.notified().await;
    }
}

impl CallObserver for Recorder {
    fn answered(&self, _start: &ConversationStart<'_>) {
        self.tell(Fact::Answered);
    }

    fn transfer_requested(&self, transfer: &TransferStart<'_>) {
        self.tell(Fact::TransferRequested {
            id: transfer.id.clone(),
            target: transfer.asked.to_owned(),
        });
        self.tell(Fact::TransferStep {
            id: transfer.id.clone(),
            what: format!("REFER to {}", transfer.target),
        });
    }

    fn transfer_refused(&self, target: &str, why: &TransferRefused) {
        tracing::info!(call_id = self.sip_call_id, target, %why, "transfer not begun");
    }

    fn transfer_progress(&self, id: &TransferId, status: Status) {
        self.tell(Fact::TransferStep {
            id: id.clone(),
            what: format!("NOTIFY {} {}", status.code(), status.reason()),
        });
    }

    fn transfer_done(&self, id: &TransferId, outcome: &Outcome) {
        tracing::info!(
            call_id = self.sip_call_id,
            outcome = outcome.label(),
            confirmed_by = outcome.confirmed_by.label(),
            sip_code = outcome.sip_code,
            reason = outcome.reason,
            "transfer ended"
        );
        self.tell(Fact::TransferEnded {
            id: id.clone(),
            outcome: outcome.clone(),
        });
    }

    fn transfer_amended(&self, id: &TransferId, outcome: &Outcome) {
        self.transfer_done(id, outcome);
    }

    fn transcript(&self, speaker: Voice, text: &str) {
        self.tell(Fact::Line {
            speaker,
            text: text.to_owned(),
        });
    }

    fn tool(&self, tool: &agent::ToolUse) {
        self.tell(Fact::Tool(tool.clone()));
    }

    fn message_taken(&self, message: &MessageTaken) {
        self.tell(Fact::Message(message.clone()));
    }

    fn voice(&self, name: &str) {
        tracing::info!(call_id = self.sip_call_id, voice = name, "voice speaks");
        self.tell(Fact::Voice(name.to_owned()));
    }

    fn closing(&self, limit: LimitReached) {
        tracing::info!(call_id = self.sip_call_id, %limit, "limit reached");
    }

    fn agent_failed(&self, agent: &str, error: &AgentError, replaced: bool) {
        tracing::warn!(call_id = self.sip_call_id, agent, %error, replaced, "agent failed");
    }

    fn ended(&self, report: &CallReport) {
        self.tell(Fact::Ended(Box::new(report.clone())));
    }
}

async fn write(
    entry: CallEntry,
    transfers: Transfers,
    mut facts: mpsc::Receiver<Fact>,
    closed: Arc<Notify>,
) {
    while let Some(fact) = facts.recv().await {
        let ended = matches!(fact, Fact::Ended(_));
        let written = write_one(&entry, &transfers, fact).await;
        if let Err(error) = written {
            // Delayed facts are queued and will be written; others are lost to a broken store,
            // and the sweeper closes the row.
            tracing::error!(call = %entry.id(), %error, "call record");
        }
        if ended {
            closed.notify_one();
        }
    }
    closed.notify_one();
}

async fn write_one(
    entry: &CallEntry,
    transfers: &Transfers,
    fact: Fact,
) -> Result<(), LedgerError> {
    let known = |id: &TransferId| transfers.find(id).map(|transfer| transfer.id);
    match fact {
        Fact::Answered => entry.answered().await,
        Fact::TransferRequested { id, target } => {
            let transfer = entry
                .transfer_requested(&target, TransferKind::Blind)
                .await?;
            transfers.add(id, transfer);
            Ok(())
        }
        Fact::TransferStep { id, what } => match known(&id) {
            Some(id) => entry.transfer_step(&id, &what).await,
            None => Ok(()),
        },
        Fact::TransferEnded { id, outcome } => match known(&id) {
            Some(id) => entry.transfer_ended(&id, result(&outcome)).await,
            None => Ok(()),
        },
        Fact::Line { speaker, text } => {
            let speaker = match speaker {
                Voice::Agent => Speaker::Agent,
                Voice::Caller => Speaker::Caller,
            };
            entry.line(speaker, &text);
            Ok(())
        }
        Fact::Tool(tool) => entry.tool(&tool.name, tool.arguments, tool.result).await,
        Fact::Message(message) => {
            let spoken = format!("{} s of speech", message.duration.as_secs());
            entry
                .message(message.text.as_deref().unwrap_or(&spoken))
                .await
        }
        Fact::Voice(name) => {
            entry.voice(&name);
            Ok(())
        }
        Fact::Ended(report) => {
            let by_api = transfers.0.by_api.load(Ordering::Acquire);
            entry.close(closing(&report, by_api)).await
        }
    }
}

fn result(outcome: &Outcome) -> TransferResult {
    TransferResult {
        outcome: match outcome.result {
            Result_::Transferred => TransferOutcome::Transferred,
            Result_::Busy => TransferOutcome::Busy,
            Result_::NoAnswer => TransferOutcome::NoAnswer,
            Result_::Offline => TransferOutcome::Offline,
            Result_::Declined => TransferOutcome::Declined,
            Result_::Rejected => TransferOutcome::Rejected,
            Result_::Timeout => TransferOutcome::Timeout,
            Result_::CallerLeft => TransferOutcome::CallerLeft,
            _ => TransferOutcome::Unknown,
        },
        confirmed_by: match outcome.confirmed_by {
            Word::Answered => ConfirmedBy::Answered,
            Word::Pbx => ConfirmedBy::Pbx,
            _ => ConfirmedBy::None,
        },
        sip_code: outcome.sip_code,
        reason: outcome.reason.clone(),
    }
}

/// What the record says of a call that an agent took.
fn closing(report: &CallReport, by_api: bool) -> CallClosing {
    // After a transfer that failed the caller may be gone with it: nobody spoke to them.
    let lost = report.transfers.last().filter(|(_, outcome)| {
        outcome.result != Result_::Transferred && !outcome.caller_still_here
    });
    let result = if report.transferred() {
        CallResult::Transferred
    } else if report.message_taken {
        CallResult::Voicemail
    } else if lost.is_some() || !report.cause.is_natural() {
        CallResult::Failed
    } else {
        CallResult::Completed
    };
    let reason = match (lost, &report.reason, &report.agent_failure) {
        (Some((_, outcome)), _, _) => format!("caller lost in a transfer: {}", outcome.reason),
        (None, _, Some(failure)) => format!("{}; agent failed: {failure}", report.cause),
        (None, Some(reason), None) => format!("{} ({reason})", report.cause),
        (None, None, None) => report.cause.to_string(),
    };
    CallClosing {
        at: clock::earlier(clock::now(), report.over_for),
        result,
        // The call was answered, whatever came to an end with it.
        final_code: Some(report.status.map_or(200, |status| status.code())),
        reason: Some(reason),
        ended_by: ended_by(&report.cause, by_api),
        media: Some(media(report)),
    }
}

fn ended_by(cause: &EndCause, by_api: bool) -> EndedBy {
    match cause {
        EndCause::PeerHungUp | EndCause::PeerCancelled => EndedBy::Caller,
        EndCause::Transferred | EndCause::Rejected(_) => EndedBy::Pbx,
        EndCause::HungUp(_) if by_api => EndedBy::Api,
        EndCause::HungUp(_) => EndedBy::Agent,
        _ => EndedBy::Server,
    }
}

fn media(report: &CallReport) -> MediaFacts {
    let mut facts = MediaFacts {
        codec: report.codec.map(|codec| codec.name().to_owned()),
        ..MediaFacts::default()
    };
    if let Some(stats) = &report.media {
        let expected = stats.packets_in.saturating_add(stats.lost);
        let percent = |part: u64| (part as f64 / expected as f64 * 10_000.0).round() / 100.0;
        facts.packets_in = stats.packets_in;
        facts.packets_out = stats.packets_out;
        facts.loss_in_percent = (expected > 0).then(|| percent(stats.lost));
        facts.jitter_ms =
            (stats.packets_in > 1).then(|| (f64::from(stats.jitter_ms) * 100.0).round() / 100.0);
    }
    facts
}

/// Facts of one call that may wait for the disk: an agent's records are bounded below this.
const QUEUE: usize = 4_096;

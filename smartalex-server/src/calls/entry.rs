//! A live call's entry in the ledger: the verbs that write what happens to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::record::{
    CallOutcome, CallRecord, CallStatus, ConfirmedBy, EndedBy, MediaFacts, Speaker, ToolUse,
    TranscriptLine, Transfer, TransferKind, TransferOutcome, TransferState, TransferStep,
};
use super::{Effect, Ledger, LedgerError, bounded, events, lock};
use crate::clock;
use crate::ids::{CallId, TransferId};
use crate::store::{CallWrite, Close};

/// A live call in the ledger. Cloning shares it; when the last clone is dropped and the call was
/// not closed, it is recorded as failed.
#[derive(Debug, Clone)]
pub struct CallEntry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    state: Mutex<State>,
    id: CallId,
}

#[derive(Debug)]
struct State {
    /// The record as it stands; `status` is set once the call is closed.
    record: CallRecord,
    transfers: Vec<Transfer>,
}

/// How a call ended, as the call's task tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallClosing {
    /// When.
    pub at: Timestamp,
    /// How.
    pub result: CallResult,
    /// The final status that the INVITE was answered with.
    pub final_code: Option<u16>,
    /// Why, in words that name the cause.
    pub reason: Option<String>,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// What its media were like.
    pub media: Option<MediaFacts>,
}

/// How a call ended: status and outcome in one word, so that they cannot disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// Ended in the ordinary way.
    Completed,
    /// The caller was transferred.
    Transferred,
    /// The caller left a message.
    Voicemail,
    /// Not answered in time, or given up by the caller before the answer.
    NoAnswer,
    /// Busy.
    Busy,
    /// Refused or broken.
    Failed,
}

impl CallResult {
    /// `call_status` and `outcome` of the record.
    pub fn words(self) -> (CallStatus, CallOutcome) {
        match self {
            Self::Completed => (CallStatus::Completed, CallOutcome::Completed),
            Self::Transferred => (CallStatus::Completed, CallOutcome::Transferred),
            Self::Voicemail => (CallStatus::Voicemail, CallOutcome::Voicemail),
            Self::NoAnswer => (CallStatus::NoAnswer, CallOutcome::Failed),
            Self::Busy => (CallStatus::Busy, CallOutcome::Failed),
            Self::Failed => (CallStatus::Failed, CallOutcome::Failed),
        }
    }
}

/// What came of a transfer, as the transfer's machine tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferResult {
    /// What came of it.
    pub outcome: TransferOutcome,
    /// Whose word that is.
    pub confirmed_by: ConfirmedBy,
    /// The SIP status that decided it.
    pub sip_code: Option<u16>,
    /// What decided it, in words.
    pub reason: String,
}

impl CallEntry {
    pub(super) fn new(ledger: Ledger, record: CallRecord) -> Self {
        ledger.count(true);
        Self(Arc::new(Inner {
            id: record.id.clone(),
            state: Mutex::new(State {
                record,
                transfers: Vec::new(),
            }),
            ledger,
        }))
    }

    /// The call's id.
    pub fn id(&self) -> &CallId {
        &self.0.id
    }

    /// The record as it stands.
    pub fn record(&self) -> CallRecord {
        lock(&self.0.state).record.clone()
    }

    /// The call was answered now: writes it with `call.answered`.
    ///
    /// # Errors
    /// As all verbs: when it is not on disk. [`LedgerError::Delayed`] means that it will be.
    pub async fn answered(&self) -> Result<(), LedgerError> {
        let at = clock::now();
        let event = {
            let mut state = lock(&self.0.state);
            state.record.answered_at = Some(at);
            events::call_answered(&state.record)
        };
        let write = CallWrite::Answered {
            call: self.0.id.clone(),
            at,
            event: Some(event),
        };
        self.0.ledger.commit(write, Effect::None).await
    }

    /// Which voice speaks for the agent (`espeak-ng`, `bundled prompts`, `tones`…).
    pub fn voice(&self, voice: &str) {
        self.0.ledger.note(CallWrite::Voice {
            call: self.0.id.clone(),
            voice: bounded(voice),
        });
    }

    /// Something was said, or keyed; empty text is left out.
    pub fn line(&self, speaker: Speaker, text: &str) {
        let text: String = text.trim().chars().take(LONGEST_LINE).collect();
        if text.is_empty() {
            return;
        }
        self.0.ledger.note(CallWrite::Line {
            call: self.0.id.clone(),
            line: TranscriptLine {
                speaker,
                text,
                at: clock::now(),
            },
        });
    }

    /// The agent used a tool: writes it with `tool.invoked`.
    ///
    /// # Errors
    /// As [`CallEntry::answered`].
    pub async fn tool(
        &self,
        name: &str,
        arguments: Value,
        result: Value,
    ) -> Result<(), LedgerError> {
        let tool = ToolUse {
            name: bounded(name),
            arguments,
            result,
            at: clock::now(),
        };
        let event = events::tool_invoked(&lock(&self.0.state).record, &tool);
        let write = CallWrite::Tool {
            call: self.0.id.clone(),
            tool,
            event: Some(event),
        };
        self.0.ledger.commit(write, Effect::None).await
    }

    /// The caller left a message.
    ///
    /// # Errors
    /// As [`CallEntry::answered`].
    pub async fn message(&self, text: &str) -> Result<(), LedgerError> {
        let text: String = text.chars().take(LONGEST_LINE).collect();
        lock(&self.0.state).record.message = Some(text.clone());
        let write = CallWrite::Message {
            call: self.0.id.clone(),
            text,
        };
        self.0.ledger.commit(write, Effect::None).await
    }

    /// A transfer was asked for; gives it with its new id.
    ///
    /// # Errors
    /// As [`CallEntry::answered`].
    pub async fn transfer_requested(
        &self,
        target: &str,
        kind: TransferKind,
    ) -> Result<Transfer, LedgerError> {
        let at = clock::now();
        let transfer = Transfer {
            id: TransferId::fresh(),
            target: bounded(target),
            kind,
            state: TransferState::Requested,
            outcome: None,
            confirmed_by: ConfirmedBy::None,
            sip_code: None,
            reason: None,
            steps: vec![step(at, "requested")],
            requested_at: at,
            ended_at: None,
        };
        lock(&self.0.state).transfers.push(transfer.clone());
        self.write_transfer(transfer.clone(), false).await?;
        Ok(transfer)
    }

    /// Something happened on the way of a transfer, as in `REFER sent` or `NOTIFY 180 Ringing`.
    ///
    /// # Errors
    /// As [`CallEntry::answered`].
    pub async fn transfer_step(&self, id: &TransferId, what: &str) -> Result<(), LedgerError> {
        let changed = self.change_transfer(id, |transfer| {
            if transfer.state == TransferState::Requested {
                transfer.state = TransferState::InProgress;
            }
            push_step(transfer, what);
        });
        match changed {
            Some((transfer, _)) => self.write_transfer(transfer, false).await,
            None => Ok(()),
        }
    }

    /// The outcome of a transfer is known, or known better than before: also after the call was
    /// closed. Writes it, with `call.transferred` when the caller is where they wanted to be.
    ///
    /// # Errors
    /// As [`CallEntry::answered`].
    pub async fn transfer_ended(
        &self,
        id: &TransferId,
        result: TransferResult,
    ) -> Result<(), LedgerError> {
        let changed = self.change_transfer(id, |transfer| {
            transfer.state = TransferState::Ended;
            transfer.outcome = Some(result.outcome);
            transfer.confirmed_by = result.confirmed_by;
            transfer.sip_code = result.sip_code;
            transfer.reason = Some(bounded(&result.reason));
            transfer.ended_at = Some(clock::now());
            push_step(
                transfer,
                &format!("{}: {}", result.outcome.name(), result.reason),
            );
        });
        match changed {
            Some((transfer, before)) => {
                let tell = before != transfer.outcome;
                self.write_transfer(transfer, tell).await
            }
            None => Ok(()),
        }
    }

    /// The call is over: writes its record with `call.ended` or `call.failed` in one
    /// transaction. What comes after the first time changes nothing.
    ///
    /// # Errors
    /// As [`CallEntry::answered`].
    pub async fn close(&self, closing: CallClosing) -> Result<(), LedgerError> {
        match self.0.closing(closing) {
            Some((write, effect)) => self.0.ledger.commit(write, effect).await,
            None => Ok(()),
        }
    }

    fn change_transfer(
        &self,
        id: &TransferId,
        change: impl FnOnce(&mut Transfer),
    ) -> Option<(Transfer, Option<TransferOutcome>)> {
        let mut state = lock(&self.0.state);
        let transfer = state.transfers.iter_mut().find(|one| one.id == *id)?;
        let before = transfer.outcome;
        change(transfer);
        Some((transfer.clone(), before))
    }

    /// `tell`: the outcome is new, so metrics and webhooks learn of it.
    async fn write_transfer(&self, transfer: Transfer, tell: bool) -> Result<(), LedgerError> {
        let transferred = transfer.outcome == Some(TransferOutcome::Transferred);
        let (event, effect, outcome) = {
            let state = lock(&self.0.state);
            let record = &state.record;
            let event = (tell && transferred).then(|| events::call_transferred(record, &transfer));
            let effect = match transfer.outcome {
                Some(outcome) if tell => Effect::TransferEnded {
                    agent: record.agent.clone(),
                    outcome,
                },
                _ => Effect::None,
            };
            // A late word changes what the record of a closed call says it led to.
            let late = tell && record.status == Some(CallStatus::Completed);
            let outcome = match (late, transferred) {
                (false, _) => None,
                (true, true) => Some(CallOutcome::Transferred),
                (true, false) => Some(CallOutcome::Failed)
                    .filter(|_| record.outcome == Some(CallOutcome::Transferred)),
            };
            (event, effect, outcome)
        };
        let write = CallWrite::Transfer {
            call: self.0.id.clone(),
            transfer: Box::new(transfer),
            outcome,
            event,
        };
        self.0.ledger.commit(write, effect).await
    }
}

impl Inner {
    /// Closes the record; `None` when it is closed already.
    fn closing(&self, closing: CallClosing) -> Option<(CallWrite, Effect)> {
        let mut state = lock(&self.state);
        if state.record.status.is_some() {
            return None;
        }
        let (status, outcome) = closing.result.words();
        let close = Close {
            at: closing.at,
            status,
            outcome,
            final_code: closing.final_code,
            reason: closing.reason.as_deref().map(bounded),
            ended_by: Some(closing.ended_by),
            media: closing.media,
        };
        let record = &mut state.record;
        record.status = Some(status);
        record.outcome = Some(outcome);
        record.ended_at = Some(close.at);
        record.sip.final_code = close.final_code;
        record.sip.reason.clone_from(&close.reason);
        record.sip.ended_by = close.ended_by;
        let transferred = outcome == CallOutcome::Transferred
            || state
                .transfers
                .iter()
                .any(|one| one.outcome == Some(TransferOutcome::Transferred));
        let record = &state.record;
        let write = CallWrite::Close {
            call: self.id.clone(),
            close: Box::new(close),
            event: Some(events::call_closed(record, transferred)),
        };
        let effect = Effect::Closed {
            agent: record.agent.clone(),
            trunk: record.trunk.clone(),
            outcome,
            direction: record.direction,
            duration: Duration::from_secs(record.duration_seconds()),
        };
        drop(state);
        self.ledger.count(false);
        Some((write, effect))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let lost = CallClosing {
            at: clock::now(),
            result: CallResult::Failed,
            final_code: None,
            reason: Some("the call's task ended without a word: a fault of this server".to_owned()),
            ended_by: EndedBy::Server,
            media: None,
        };
        if let Some((write, effect)) = self.closing(lost) {
            self.ledger.abandon(write, effect);
        }
    }
}

fn step(at: Timestamp, what: &str) -> TransferStep {
    TransferStep {
        at: at.to_string(),
        what: bounded(what),
    }
}

fn push_step(transfer: &mut Transfer, what: &str) {
    if transfer.steps.len() < MOST_STEPS {
        transfer.steps.push(step(clock::now(), what));
    }
}

const LONGEST_LINE: usize = 10_000;
const MOST_STEPS: usize = 64;

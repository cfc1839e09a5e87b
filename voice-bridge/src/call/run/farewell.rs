//! The end of a conversation: the last words of everybody, and the report.
//! Whoever does not leave by himself is waited for, but not for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sip_core::status::Status;

use super::{FAREWELL, Runner, now};
use crate::agent::{CallEnd, DeskRequest, Heard, TransferId};
use crate::call::ending::{EndCause, Ending};
use crate::call::observer::{CallObserver, CallReport, cause};
use crate::call::{Call, CallEvent};

impl Runner {
    /// The end: hang up if nobody did, tell the agent, gather the last words.
    pub(super) async fn finish(mut self, began: Instant) -> CallReport {
        // Who steers from outside hears at once that it is too late.
        self.orders.close();
        while self.orders.try_recv().is_ok() {}
        let mut over = now();
        if let Some(cause) = self.hang_up.take() {
            // A BYE stops the peer's play-out at once, with the last word still in its buffer.
            if let Some(played) = self.played {
                tokio::time::sleep_until((played + LAST_WORD).into()).await;
            }
            over = now();
            let hung_up = tokio::time::timeout(BYE_PATIENCE, self.call.end(cause.clone()));
            match hung_up.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(call_id = self.call.call_id(), %error, "not hung up properly");
                }
                // The phone goes on sending it; nobody has to wait for a peer that is gone.
                Err(_) => {
                    tracing::info!(call_id = self.call.call_id(), "BYE is not answered yet");
                    self.ended = Some(Ending::of(cause, Some(Status::OK)));
                }
            }
        }
        // The last words may still be in the inbox: the end itself, and that of a transfer.
        let patience = tokio::time::timeout(LAST_OUTCOME, async {
            while self.ended.is_none() || self.transfer.is_some() {
                match self.call.next().await {
                    Some(CallEvent::Ended(ending)) => self.ended = Some(ending),
                    Some(CallEvent::TransferDone(outcome)) => {
                        if let Some(transfer) = self.transfer.take() {
                            self.observer.transfer_done(&transfer.id, &outcome);
                            self.transfers.push((transfer.id, outcome));
                        }
                    }
                    Some(CallEvent::TransferAmended(outcome)) => self.amended(outcome),
                    Some(_) => {}
                    None => break,
                }
            }
        });
        if patience.await.is_err() {
            tracing::warn!(
                call_id = self.call.call_id(),
                "a transfer's outcome did not come"
            );
        }
        let talked = over.saturating_duration_since(began);
        let ending = self
            .ended
            .take()
            .or_else(|| self.call.ending())
            .unwrap_or_else(|| Ending::of(EndCause::ShutDown, None));
        let cause = cause(&ending, &self.transfers);
        self.dismiss(&cause).await;
        let codec = self.call.codec();
        let media = tokio::time::timeout(FAREWELL, self.call.inbox.close(&self.call.control))
            .await
            .unwrap_or_default();
        let report = CallReport {
            call_id: self.call.call_id().to_owned(),
            ended_by: cause.ended_by(),
            cause,
            status: ending.status,
            reason: ending.reason,
            talked,
            codec,
            media,
            agent: self.agent_name,
            voice: self.voice,
            agent_failure: self.agent_failure,
            message_taken: self.message_taken,
            transfers: self.transfers.clone(),
            unheard_frames: self.unheard,
            spoken: self.spoken,
            over_for: now().saturating_duration_since(over),
        };
        self.observer.ended(&report);
        if let Some((id, _)) = self.transfers.pop() {
            tokio::spawn(aftermath(self.call, id, self.observer));
        }
        report
    }

    /// Tells the agent that it is over and waits a moment until it has left.
    async fn dismiss(&mut self, cause: &EndCause) {
        self.tell(Heard::Ended(match cause {
            EndCause::Transferred => CallEnd::Transferred,
            EndCause::PeerHungUp | EndCause::PeerCancelled => CallEnd::CallerLeft,
            EndCause::HungUp(_) | EndCause::Limit(_) => CallEnd::HungUp,
            other => CallEnd::Failed(other.to_string()),
        }));
        let Some(mut agent) = self.agent.take() else {
            return;
        };
        // What it still has for the record is taken; everything else is too late.
        let last = async {
            loop {
                tokio::select! {
                    result = &mut agent => return result.is_ok(),
                    request = self.desk.recv() => match request {
                        Some(DeskRequest::Transcript { speaker, text }) => {
                            self.observer.transcript(speaker, &text);
                        }
                        Some(DeskRequest::Tool(tool)) => self.observer.tool(&tool),
                        Some(DeskRequest::Message(message)) => {
                            self.message_taken = true;
                            self.observer.message_taken(&message);
                        }
                        Some(_) => {}
                        None => return (&mut agent).await.is_ok(),
                    },
                }
            }
        };
        if tokio::time::timeout(FAREWELL, last).await.is_err() {
            tracing::warn!(
                call_id = self.call.call_id(),
                agent = self.agent_name,
                "the agent did not leave and was stopped"
            );
            agent.abort();
        }
        self.unheard = self.unheard.saturating_add(self.desk.dropped_audio());
    }
}

/// Late words on the last transfer, until the phone forgets the call.
async fn aftermath(mut call: Call, id: TransferId, observer: Arc<dyn CallObserver>) {
    while let Some(event) = call.event().await {
        if let CallEvent::TransferAmended(outcome) = event {
            observer.transfer_amended(&id, &outcome);
        }
    }
}

/// How long the outcome of a transfer is awaited after the call has ended.
const LAST_OUTCOME: Duration = Duration::from_secs(40);
/// How long the answer to our BYE is awaited; from its retransmissions the record has nothing.
const BYE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a word that was sent takes until it was heard: the peer's jitter buffer.
const LAST_WORD: Duration = Duration::from_millis(200);

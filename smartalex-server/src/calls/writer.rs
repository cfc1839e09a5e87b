//! The one task that writes call records: many calls' facts in one transaction, each with its
//! events, so that a disk that syncs a hundred times a second carries far more calls than that.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::{Effect, LedgerError, Operation, Shared, lock};
use crate::metrics::Metrics;
use crate::store::{CallWrite, Store, StoreError};

/// Writes until every [`super::Ledger`] and entry is gone and the queue is empty.
pub(super) async fn run(
    shared: Weak<Shared>,
    mut queue: mpsc::Receiver<Operation>,
    store: Arc<dyn Store>,
    outbox: Arc<Notify>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        // The weak pointer lets the channel close when nobody can write any more.
        let open = match shared.upgrade() {
            Some(ledger) => {
                let abandoned = ledger.abandoned_any.notified();
                let next = std::mem::take(&mut *lock(&ledger.abandoned));
                if next.is_empty() {
                    tokio::select! {
                        () = abandoned => continue,
                        () = tokio::time::sleep(LOOK_AGAIN) => 0,
                        count = queue.recv_many(&mut batch, BATCH) => count,
                    }
                } else {
                    batch.extend(next);
                    batch.len()
                }
            }
            None => queue.recv_many(&mut batch, BATCH).await,
        };
        if open == 0 {
            if shared.strong_count() == 0 {
                return;
            }
            continue;
        }
        // Whoever gave up waiting for its call to open has answered the caller: no row then.
        batch.retain(|operation| {
            !matches!(operation.write, CallWrite::Open { .. })
                || operation.done.as_ref().is_none_or(|done| !done.is_closed())
        });
        let metrics = shared.upgrade().map(|ledger| ledger.metrics.clone());
        write_batch(&mut batch, &*store, metrics.as_ref()).await;
        outbox.notify_one();
    }
}

async fn write_batch(batch: &mut Vec<Operation>, store: &dyn Store, metrics: Option<&Metrics>) {
    let mut writes = Vec::with_capacity(batch.len());
    let mut rest = Vec::with_capacity(batch.len());
    for operation in batch.drain(..) {
        writes.push(operation.write);
        rest.push((operation.effect, operation.keep, operation.done));
    }
    if writes.is_empty() {
        return;
    }
    let began = Instant::now();
    let outcome = store.apply(&writes).await;
    if let Some(metrics) = metrics {
        metrics.ledger_commit(began.elapsed());
    }
    match outcome {
        Ok(took_hold) => {
            for ((effect, _, done), took_hold) in rest.into_iter().zip(took_hold) {
                settle(effect, done, Ok(()), took_hold, metrics);
            }
        }
        Err(error) => {
            tracing::warn!(%error, count = writes.len(), "call records are written one by one");
            for (write, (effect, keep, done)) in writes.into_iter().zip(rest) {
                let result = write_alone(&write, keep, store).await;
                let took_hold = result.as_ref().is_ok_and(|held| *held);
                settle(effect, done, result.map(|_| ()), took_hold, metrics);
            }
        }
    }
}

/// One write by itself: a write that the store will never take must not hold up the others, and
/// a fact that it will take later must not be lost.
async fn write_alone(
    write: &CallWrite,
    keep: bool,
    store: &dyn Store,
) -> Result<bool, LedgerError> {
    let mut pause = Duration::from_millis(50);
    loop {
        match store.apply(std::slice::from_ref(write)).await {
            Ok(took_hold) => return Ok(took_hold.first().copied().unwrap_or(false)),
            Err(StoreError::Unreachable(error)) if keep => {
                tracing::error!(%error, "a call record cannot be written; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                tracing::error!(%error, "a call record cannot be written");
                return Err(error.into());
            }
        }
    }
}

fn settle(
    effect: Effect,
    done: Option<tokio::sync::oneshot::Sender<Result<(), LedgerError>>>,
    result: Result<(), LedgerError>,
    took_hold: bool,
    metrics: Option<&Metrics>,
) {
    if took_hold && let Some(metrics) = metrics {
        count(effect, metrics);
    }
    if let Some(done) = done {
        // Nobody waits any more: they have been told that it is delayed.
        let _ = done.send(result);
    }
}

fn count(effect: Effect, metrics: &Metrics) {
    match effect {
        Effect::None => {}
        Effect::Opened { trunk } => {
            if let Some(trunk) = trunk {
                metrics.trunk_calls_moved(&trunk, 1);
            }
        }
        Effect::Closed {
            agent,
            trunk,
            outcome,
            direction,
            duration,
        } => {
            metrics.call_ended(agent.as_ref(), outcome, direction, duration);
            if let Some(trunk) = trunk {
                metrics.trunk_calls_moved(&trunk, -1);
            }
        }
        Effect::TransferEnded { agent, outcome } => {
            metrics.transfer_ended(agent.as_ref(), outcome);
        }
    }
}

/// Most writes in one transaction.
const BATCH: usize = 256;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How soon the task notices that nobody can write any more.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

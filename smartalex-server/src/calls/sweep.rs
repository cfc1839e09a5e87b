//! Sweeping: calls whose process is gone are closed as failed, and told of.
//! A node does it for its own calls when it starts, and for those of dead nodes while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::record::{CallOutcome, CallStatus, EndedBy};
use super::{LEASE, events};
use crate::clock;
use crate::drain::{Drain, Phase};
use crate::store::{CallWrite, Close, Orphans, Store, StoreError};

/// Closes live calls that nobody holds any more; gives how many.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep(store: &dyn Store, of: Orphans<'_>) -> Result<usize, StoreError> {
    let orphans = store.orphans(of).await?;
    let mut writes = Vec::with_capacity(orphans.len());
    for orphan in orphans {
        let mut call = orphan.call;
        let reason = format!(
            "the server stopped during the call: node {} was killed, crashed or lost its store",
            call.node
        );
        // It lived for certain when its lease was last renewed.
        let last_seen = orphan
            .lease_until
            .saturating_sub(LEASE)
            .unwrap_or(call.started_at);
        let earliest = call.answered_at.unwrap_or(call.started_at);
        let close = Close {
            at: last_seen.max(earliest).min(clock::now().max(earliest)),
            status: CallStatus::Failed,
            outcome: CallOutcome::Failed,
            final_code: call.answered_at.map(|_| 200),
            reason: Some(reason),
            ended_by: Some(EndedBy::Server),
            media: None,
        };
        call.status = Some(close.status);
        call.outcome = Some(close.outcome);
        call.ended_at = Some(close.at);
        call.sip.final_code = close.final_code;
        call.sip.reason.clone_from(&close.reason);
        call.sip.ended_by = close.ended_by;
        tracing::warn!(call_id = %call.id, node = %call.node, "closed a call whose node is gone");
        writes.push(CallWrite::Close {
            event: Some(events::call_closed(&call, orphan.transferred)),
            call: call.id,
            close: Box::new(close),
        });
    }
    let mut closed = 0;
    for piece in writes.chunks(PIECE) {
        closed += store
            .apply(piece)
            .await?
            .iter()
            .filter(|held| **held)
            .count();
    }
    Ok(closed)
}

/// Renews the leases of this node's calls and sweeps those of dead nodes, until the server stops.
pub async fn keep(store: Arc<dyn Store>, node: String, outbox: Arc<Notify>, drain: Drain) {
    loop {
        tokio::select! {
            () = drain.reached(Phase::Stopping) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let now = clock::now();
        if let Err(error) = store.renew_leases(&node, clock::later(now, LEASE)).await {
            tracing::error!(%error, "the leases of live calls cannot be renewed");
            continue;
        }
        match sweep(&*store, Orphans::NotOf(&node, now)).await {
            Ok(0) => {}
            Ok(_) => outbox.notify_one(),
            Err(error) => tracing::error!(%error, "calls of dead nodes cannot be swept"),
        }
    }
}

const EVERY: Duration = Duration::from_secs(10);
const PIECE: usize = 200;

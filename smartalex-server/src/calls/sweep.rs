//! Sweeping: calls whose process is gone are closed as failed, and told of.
//! A node does it for its own calls when it starts, and for those of dead nodes while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::record::{
    CallOutcome, CallRecord, CallStatus, EndedBy, Transfer, TransferOutcome, TransferState,
};
use super::{LEASE, events};
use crate::clock;
use crate::drain::{Drain, Phase};
use crate::store::{CallWrite, Close, Orphan, Orphans, Store, StoreError};

/// Closes live calls that nobody holds any more; gives how many.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep(store: &dyn Store, of: Orphans<'_>) -> Result<usize, StoreError> {
    let orphans = store.orphans(of).await?;
    let mut writes = Vec::with_capacity(orphans.len());
    for orphan in orphans {
        let Some(detail) = store.call(&orphan.call.workspace, &orphan.call.id).await? else {
            continue;
        };
        let transferred = detail
            .transfers
            .iter()
            .any(|one| one.outcome == Some(TransferOutcome::Transferred));
        for transfer in detail.transfers {
            writes.extend(give_up(&orphan.call, transfer));
        }
        writes.push(close(orphan, transferred));
    }
    let mut closed = 0;
    for piece in writes.chunks(PIECE) {
        let took_hold = store.apply(piece).await?;
        closed += piece
            .iter()
            .zip(took_hold)
            .filter(|(write, held)| *held && matches!(write, CallWrite::Close { .. }))
            .count();
    }
    Ok(closed)
}

/// The end of a call that nobody holds, told as failed.
fn close(orphan: Orphan, transferred: bool) -> CallWrite {
    let mut call = orphan.call;
    // It lived for certain when its lease was last renewed.
    let last_seen = orphan
        .lease_until
        .saturating_sub(LEASE)
        .unwrap_or(call.started_at);
    let earliest = call.answered_at.unwrap_or(call.started_at);
    let close = Close {
        at: last_seen.min(clock::now()).max(earliest),
        status: CallStatus::Failed,
        outcome: CallOutcome::Failed,
        final_code: call.answered_at.map(|_| 200),
        reason: Some(format!(
            "the server stopped during the call: node {} was killed, crashed or lost its store",
            call.node
        )),
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
    CallWrite::Close {
        event: Some(events::call_closed(&call, transferred)),
        call: call.id,
        close: Box::new(close),
    }
}

/// A transfer that was under way: what came of it, nobody will say.
fn give_up(call: &CallRecord, mut transfer: Transfer) -> Option<CallWrite> {
    if transfer.state == TransferState::Ended {
        return None;
    }
    transfer.state = TransferState::Ended;
    transfer.outcome = Some(TransferOutcome::Unknown);
    transfer.reason = Some("the server stopped during the transfer".to_owned());
    transfer.ended_at = Some(clock::now());
    Some(CallWrite::Transfer {
        call: call.id.clone(),
        transfer: Box::new(transfer),
        outcome: None,
        event: None,
    })
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

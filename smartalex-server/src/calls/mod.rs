//! The ledger: what is written of calls, while they live and when they end.
//!
//! [`Ledger::open`] makes the row when the INVITE arrives and gives a [`CallEntry`]; the entry's
//! verbs write what happens, each fact in one transaction with the webhooks that tell it. An
//! entry that is dropped without [`CallEntry::close`] closes its call as failed, and a row whose
//! process died is closed by [`sweep`]: no call stays open that does not live.

mod entry;
pub mod events;
pub mod record;
pub mod sweep;
mod writer;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

pub use entry::{CallClosing, CallEntry, CallResult, TransferResult};

use crate::clock;
use crate::ids::{AgentId, CallId, TrunkId, WorkspaceId};
use crate::metrics::Metrics;
use crate::store::{CallWrite, Store, StoreError};
use record::{CallOutcome, CallRecord, CallStatus, Direction, EndedBy, SipFacts, TransferOutcome};

/// Writes call records. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    operations: mpsc::Sender<Operation>,
    /// Closings of entries that were dropped; the writer takes them from here, because a drop
    /// cannot wait for room in the queue.
    abandoned: Mutex<Vec<Operation>>,
    abandoned_any: Notify,
    live: AtomicUsize,
    strangers: Mutex<Bucket>,
    node: String,
    home: WorkspaceId,
    metrics: Metrics,
}

/// A call as its INVITE shows it.
#[derive(Debug, Clone)]
pub struct NewCall {
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The trunk it comes in on.
    pub trunk: Option<TrunkId>,
    /// The agent it is for.
    pub agent: Option<AgentId>,
    /// That agent's name.
    pub agent_name: Option<String>,
    /// Who calls whom.
    pub direction: Direction,
    /// The caller's number.
    pub from: String,
    /// The number called.
    pub to: String,
    /// Call-ID of the INVITE.
    pub sip_call_id: String,
    /// From of the INVITE.
    pub sip_from: String,
    /// To of the INVITE.
    pub sip_to: String,
    /// When the INVITE arrived.
    pub started_at: Timestamp,
}

/// An INVITE that was refused.
#[derive(Debug, Clone)]
pub struct RefusedCall {
    /// When its INVITE arrived.
    pub at: Timestamp,
    /// What is known of the call; without a workspace it goes to the oldest one.
    pub workspace: Option<WorkspaceId>,
    /// The trunk, if it was found.
    pub trunk: Option<TrunkId>,
    /// The agent, if it was found.
    pub agent: Option<AgentId>,
    /// That agent's name.
    pub agent_name: Option<String>,
    /// The caller's number, as far as it could be read.
    pub from: String,
    /// The number called, as far as it could be read.
    pub to: String,
    /// Call-ID, as far as it could be read.
    pub sip_call_id: String,
    /// From, as far as it could be read.
    pub sip_from: String,
    /// To, as far as it could be read.
    pub sip_to: String,
    /// The status it was answered with; `None` when it was dropped without an answer.
    pub code: Option<u16>,
    /// The cause and the fix, in words.
    pub reason: String,
    /// Whether the caller was authenticated: only then are webhooks told (`call.failed`), so
    /// that strangers cannot make the server send anything.
    pub trusted: bool,
}

/// Why a fact was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store refused or could not be reached.
    #[error("the call record could not be written: {0}")]
    Store(String),
    /// The store is slow; the fact is queued and will be written.
    #[error("the call record is delayed by a slow store")]
    Delayed,
    /// The server is stopping.
    #[error("the ledger is closed")]
    Closed,
}

impl Ledger {
    /// Starts the task that writes to `store` in the name of `node`. `outbox` is notified when
    /// webhooks were queued. Refused calls that belong to nobody go to the workspace `home`.
    pub fn start(
        store: Arc<dyn Store>,
        metrics: Metrics,
        node: String,
        home: WorkspaceId,
        outbox: Arc<Notify>,
    ) -> Self {
        let (operations, queue) = mpsc::channel(QUEUE);
        let ledger = Self(Arc::new(Shared {
            operations,
            abandoned: Mutex::new(Vec::new()),
            abandoned_any: Notify::new(),
            live: AtomicUsize::new(0),
            strangers: Mutex::new(Bucket::full()),
            node,
            home,
            metrics,
        }));
        tokio::spawn(writer::run(Arc::downgrade(&ledger.0), queue, store, outbox));
        ledger
    }

    /// Writes the row of a call whose INVITE has arrived, and waits until it is on disk.
    ///
    /// # Errors
    /// When it is not: the call should be answered 503 then. Nothing is left behind.
    pub async fn open(&self, call: NewCall) -> Result<CallEntry, LedgerError> {
        let record = CallRecord {
            id: CallId::fresh(),
            workspace: call.workspace,
            node: self.0.node.clone(),
            trunk: call.trunk,
            agent: call.agent,
            agent_name: call.agent_name,
            direction: call.direction,
            status: None,
            outcome: None,
            from: bounded(&call.from),
            to: bounded(&call.to),
            started_at: call.started_at,
            answered_at: None,
            ended_at: None,
            sip: SipFacts {
                call_id: bounded(&call.sip_call_id),
                from: bounded(&call.sip_from),
                to: bounded(&call.sip_to),
                ..SipFacts::default()
            },
            media: None,
            voice: None,
            message: None,
        };
        let event = events::call_started(&record);
        let write = CallWrite::Open {
            lease_until: clock::later(clock::now(), LEASE),
            event: Some(event),
            call: Box::new(record.clone()),
        };
        // The entry exists before the row: if waiting is given up, dropping it closes the row,
        // should it come into being nevertheless.
        let effect = Effect::Opened {
            trunk: record.trunk.clone(),
        };
        let entry = CallEntry::new(self.clone(), record);
        self.commit(write, effect).await?;
        Ok(entry)
    }

    /// Records an INVITE that was refused; does not wait and never blocks.
    pub fn record_refused(&self, refused: RefusedCall) {
        if let Some(code) = refused.code {
            self.0.metrics.call_refused(code);
        }
        if !refused.trusted && !lock(&self.0.strangers).take() {
            self.0.metrics.refusal_unrecorded();
            return;
        }
        let record = CallRecord {
            id: CallId::fresh(),
            workspace: refused.workspace.unwrap_or_else(|| self.0.home.clone()),
            node: self.0.node.clone(),
            trunk: refused.trunk,
            agent: refused.agent,
            agent_name: refused.agent_name,
            direction: Direction::Inbound,
            status: Some(CallStatus::Failed),
            outcome: Some(CallOutcome::Failed),
            from: bounded(&refused.from),
            to: bounded(&refused.to),
            started_at: refused.at,
            answered_at: None,
            ended_at: Some(clock::now()),
            sip: SipFacts {
                call_id: bounded(&refused.sip_call_id),
                from: bounded(&refused.sip_from),
                to: bounded(&refused.sip_to),
                final_code: refused.code,
                reason: Some(bounded(&refused.reason)),
                ended_by: Some(EndedBy::Server),
            },
            media: None,
            voice: None,
            message: None,
        };
        let event = refused.trusted.then(|| events::call_closed(&record, false));
        let effect = Effect::Closed {
            agent: record.agent.clone(),
            trunk: None,
            outcome: CallOutcome::Failed,
            direction: Direction::Inbound,
            duration: Duration::ZERO,
        };
        let operation = Operation {
            write: CallWrite::Refused {
                call: Box::new(record),
                event,
            },
            effect,
            keep: false,
            done: None,
        };
        if self.0.operations.try_send(operation).is_err() {
            self.0.metrics.refusal_unrecorded();
        }
    }

    /// Calls of this process that have not been closed.
    pub fn live(&self) -> usize {
        self.0.live.load(Ordering::Acquire)
    }

    /// The name of this node.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// Waits until everything that was said before is on disk.
    ///
    /// # Errors
    /// When it is not within some seconds.
    pub async fn settled(&self) -> Result<(), LedgerError> {
        let none = CallWrite::Voice {
            call: CallId::fresh(),
            voice: String::new(),
        };
        self.commit(none, Effect::None).await
    }

    async fn commit(&self, write: CallWrite, effect: Effect) -> Result<(), LedgerError> {
        let (done, committed) = oneshot::channel();
        let operation = Operation {
            keep: !matches!(write, CallWrite::Open { .. }),
            write,
            effect,
            done: Some(done),
        };
        let queued = async {
            self.0
                .operations
                .send(operation)
                .await
                .map_err(|_| LedgerError::Closed)?;
            committed.await.map_err(|_| LedgerError::Closed)?
        };
        match tokio::time::timeout(PATIENCE, queued).await {
            Ok(result) => result,
            Err(_) => Err(LedgerError::Delayed),
        }
    }

    /// Queues what may be lost when the queue is full: a line, never a fact with an event.
    fn note(&self, write: CallWrite) {
        let operation = Operation {
            write,
            effect: Effect::None,
            keep: true,
            done: None,
        };
        if self.0.operations.try_send(operation).is_err() {
            tracing::warn!("a line of a call record was lost: the store is too slow");
        }
    }

    fn abandon(&self, write: CallWrite, effect: Effect) {
        lock(&self.0.abandoned).push(Operation {
            write,
            effect,
            keep: true,
            done: None,
        });
        self.0.abandoned_any.notify_one();
    }

    fn count(&self, opened: bool) {
        if opened {
            self.0.live.fetch_add(1, Ordering::AcqRel);
        } else {
            self.0.live.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// One write on its way to the store.
#[derive(Debug)]
struct Operation {
    write: CallWrite,
    effect: Effect,
    /// Whether to try again until the store takes it.
    keep: bool,
    done: Option<oneshot::Sender<Result<(), LedgerError>>>,
}

/// What metrics learn once a write is on disk: they never say more than the records.
#[derive(Debug)]
enum Effect {
    None,
    Opened {
        trunk: Option<TrunkId>,
    },
    Closed {
        agent: Option<AgentId>,
        /// Whose active calls fall by one.
        trunk: Option<TrunkId>,
        outcome: CallOutcome,
        direction: Direction,
        duration: Duration,
    },
    TransferEnded {
        agent: Option<AgentId>,
        outcome: TransferOutcome,
    },
}

/// How many refused strangers are recorded: a burst, and so many a second after it. What is
/// beyond is counted in `smartalex_refusals_unrecorded_total`, so that nobody can fill the disk.
#[derive(Debug)]
struct Bucket {
    tokens: u32,
    filled_at: std::time::Instant,
}

impl Bucket {
    fn full() -> Self {
        Self {
            tokens: STRANGERS_BURST,
            filled_at: std::time::Instant::now(),
        }
    }

    fn take(&mut self) -> bool {
        let fresh = self.filled_at.elapsed().as_millis() * u128::from(STRANGERS_PER_SECOND) / 1000;
        if fresh > 0 {
            let fresh = u32::try_from(fresh).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(fresh).min(STRANGERS_BURST);
            self.filled_at = std::time::Instant::now();
        }
        let has = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        has
    }
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is inside is whole at every moment: a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Text from the network, cut to what a record needs of it.
fn bounded(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_TEXT)
        .collect()
}

/// How long a call's row is leased; renewed at a third of it.
pub const LEASE: Duration = Duration::from_secs(30);
/// Writes that may wait for the store.
const QUEUE: usize = 8_192;
/// How long a caller of the ledger waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
const STRANGERS_BURST: u32 = 1_000;
const STRANGERS_PER_SECOND: u32 = 50;
const LONGEST_TEXT: usize = 1_000;

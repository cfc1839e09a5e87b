//! How the rest of the program reaches a running driver: closures that run on its task.
//! A `Running` is its owner: dropped or shut down, the driver ends and its sockets are closed.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sip_core::endpoint::{Endpoint, Transport};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::counters::{Counters, Counts};
use crate::error::Closed;
use crate::guard::SharedGuard;

/// A closure on its way to the driver's task.
pub(super) type Job<H> = Box<dyn FnOnce(&mut Endpoint, &mut H, Instant) + Send>;

/// A running driver. Dropping it shuts the driver down in the background.
pub struct Running<H> {
    handle: Handle<H>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl<H> Running<H> {
    pub(super) fn new(handle: Handle<H>, stop: oneshot::Sender<()>, task: JoinHandle<()>) -> Self {
        Self {
            handle,
            stop: Some(stop),
            task,
        }
    }

    /// Reaches the driver; may be cloned and kept.
    pub fn handle(&self) -> &Handle<H> {
        &self.handle
    }

    /// The addresses that are bound, UDP first, in the order they were given; wildcards as such.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        self.handle.local().to_vec()
    }

    /// Ends the driver: runs the commands that were posted before, sends what they produce, closes
    /// all sockets. When it returns, the ports are free. Calls are not ended by this: hang up first.
    pub async fn shutdown(mut self) {
        self.stop.take();
        if let Err(error) = (&mut self.task).await
            && error.is_panic()
        {
            tracing::error!(%error, "the SIP driver's handler panicked");
        }
    }
}

/// Reaches a running driver from anywhere. Cheap to clone; outlives the driver without harm.
pub struct Handle<H> {
    commands: mpsc::Sender<Job<H>>,
    counters: Arc<Counters>,
    guard: SharedGuard,
    local: Arc<[(Transport, SocketAddr)]>,
}

impl<H> Handle<H> {
    pub(super) fn new(
        commands: mpsc::Sender<Job<H>>,
        counters: Arc<Counters>,
        guard: SharedGuard,
        local: Arc<[(Transport, SocketAddr)]>,
    ) -> Self {
        Self {
            commands,
            counters,
            guard,
            local,
        }
    }

    /// Runs `f` on the driver's task soon, in order with other posts, and sends what it produced.
    ///
    /// Returns false, without running it, when the driver has ended or 16,384 commands wait (counted
    /// in [`Counts::posts_refused`]). Never waits, so it can be used in `Drop`.
    pub fn post(&self, f: impl FnOnce(&mut Endpoint, &mut H, Instant) + Send + 'static) -> bool {
        match self.commands.try_send(Box::new(f)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counters.post_refused();
                tracing::error!("the SIP driver does not keep up: a command was refused");
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// Runs `f` on the driver's task and returns what it returned; waits while the queue is full.
    ///
    /// When the returned future is dropped, `f` may still run.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the driver has ended, before or while `f` ran.
    pub async fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Endpoint, &mut H, Instant) -> R + Send + 'static,
    ) -> Result<R, Closed> {
        let (answer, answered) = oneshot::channel();
        let job: Job<H> = Box::new(move |endpoint, handler, now| {
            // Nobody may wait for the answer any more.
            let _ = answer.send(f(endpoint, handler, now));
        });
        self.commands.send(job).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }

    /// The driver's figures now.
    pub fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// The guard, to tend its exempt list while the driver runs.
    pub fn guard(&self) -> &SharedGuard {
        &self.guard
    }

    /// See [`Running::local`].
    pub fn local(&self) -> &[(Transport, SocketAddr)] {
        &self.local
    }

    /// The first address bound for a transport.
    pub fn addr(&self, transport: Transport) -> Option<SocketAddr> {
        let bound = self.local.iter().find(|(bound, _)| *bound == transport);
        bound.map(|(_, addr)| *addr)
    }

    /// Has the driver ended?
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    /// Waits until the driver has ended.
    pub async fn closed(&self) {
        self.commands.closed().await;
    }
}

impl<H> fmt::Debug for Running<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Running");
        f.field("local", &self.handle.local).finish_non_exhaustive()
    }
}

impl<H> fmt::Debug for Handle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Handle");
        f.field("local", &self.local).finish_non_exhaustive()
    }
}

impl<H> Clone for Handle<H> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            counters: self.counters.clone(),
            guard: self.guard.clone(),
            local: self.local.clone(),
        }
    }
}

//! The media leg as the call machine sees it: three orders, carried out in the driver at once.
//! The real one stands over `rtp_media::net::Leg`; a simulation writes down what it was told.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rtp_media::net::Leg;
use rtp_media::sdp::Negotiated;

/// What a call does with its media.
pub(crate) trait Voice: Debug + Send {
    /// Begin with these terms, or go on with them.
    fn apply(&mut self, terms: Negotiated);
    /// How many packets the peer has sent so far.
    fn packets(&self) -> u64;
    /// Stop and give the ports back.
    fn stop(&mut self);
}

/// A leg that the call machine and the application share.
///
/// The machine starts, changes and stops it in the driver's task; the application speaks through
/// it. Whoever stops it takes it away from both: the sockets close at that moment, not when the
/// last handle is dropped.
#[derive(Clone, Debug)]
pub(crate) struct SharedLeg {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    leg: Option<Leg>,
    terms: Option<Negotiated>,
}

impl SharedLeg {
    pub(crate) fn new(leg: Leg) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                leg: Some(leg),
                terms: None,
            })),
        }
    }

    /// Does something with the leg, unless it was stopped.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&Leg) -> R) -> Option<R> {
        self.lock().leg.as_ref().map(use_it)
    }

    /// The terms that the leg runs with; they outlive it.
    pub(crate) fn terms(&self) -> Option<Negotiated> {
        self.lock().terms
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while holding the lock; were it so, the leg is still whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voice for SharedLeg {
    fn apply(&mut self, terms: Negotiated) {
        let mut inner = self.lock();
        let begun = inner.terms.replace(terms).is_some();
        if let Some(leg) = &inner.leg {
            if begun {
                leg.update(terms);
            } else {
                leg.start(terms);
            }
        }
    }

    fn packets(&self) -> u64 {
        self.with(|leg| leg.stats().packets_in).unwrap_or_default()
    }

    fn stop(&mut self) {
        let leg = self.lock().leg.take();
        // Closed outside the lock.
        drop(leg);
    }
}

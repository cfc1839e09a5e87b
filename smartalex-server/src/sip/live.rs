//! The calls that live in this process, so that the API can reach them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use voice_bridge::call::Steering;

use super::limits::Places;
use super::recorder::Transfers;
use crate::ids::CallId;

/// All live calls and the places they take.
#[derive(Debug)]
pub(super) struct Live {
    calls: Mutex<HashMap<CallId, LiveCall>>,
    pub(super) places: Arc<Places>,
}

/// One call while an agent talks.
#[derive(Debug, Clone)]
pub(super) struct LiveCall {
    pub(super) steering: Steering,
    pub(super) transfers: Transfers,
}

impl Live {
    pub(super) fn new(limits: &crate::config::Limits) -> Self {
        Self {
            calls: Mutex::default(),
            places: Arc::new(Places::new(limits)),
        }
    }

    /// Shows a call to the API until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, id: CallId, call: LiveCall) -> Entered {
        self.lock().insert(id.clone(), call);
        Entered {
            live: self.clone(),
            id,
        }
    }

    pub(super) fn find(&self, id: &CallId) -> Option<LiveCall> {
        self.lock().get(id).cloned()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, LiveCall>> {
        // Nothing panics while holding it.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place among the live ones.
#[derive(Debug)]
pub(super) struct Entered {
    live: Arc<Live>,
    id: CallId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.lock().remove(&self.id);
    }
}

//! How many calls at a time: for a trunk, a workspace and the server.
//! A [`Permit`] is a place; dropping it frees the place, whatever became of the call.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::refusal::Refusal;
use crate::ids::{TrunkId, WorkspaceId};

/// The places that are taken.
#[derive(Debug)]
pub(super) struct Places {
    taken: Mutex<Taken>,
    server_limit: u32,
    workspace_limit: u32,
}

#[derive(Debug, Default)]
struct Taken {
    server: u32,
    workspaces: HashMap<WorkspaceId, u32>,
    trunks: HashMap<TrunkId, u32>,
}

impl Places {
    pub(super) fn new(limits: &crate::config::Limits) -> Self {
        Self {
            taken: Mutex::default(),
            server_limit: limits.global_calls,
            workspace_limit: limits.workspace_calls,
        }
    }

    /// Takes a place for a call, or says what is full; the narrowest limit is named first.
    pub(super) fn take(
        self: &Arc<Self>,
        workspace: &WorkspaceId,
        trunk: &TrunkId,
        trunk_limit: u32,
    ) -> Result<Permit, Refusal> {
        let mut taken = self.lock();
        if taken.trunks.get(trunk).is_some_and(|&n| n >= trunk_limit) || trunk_limit == 0 {
            return Err(Refusal::TrunkFull(trunk_limit));
        }
        if taken
            .workspaces
            .get(workspace)
            .is_some_and(|&n| n >= self.workspace_limit)
        {
            return Err(Refusal::WorkspaceFull(self.workspace_limit));
        }
        if taken.server >= self.server_limit {
            return Err(Refusal::ServerFull(self.server_limit));
        }
        taken.server = taken.server.saturating_add(1);
        add(&mut taken.workspaces, workspace);
        add(&mut taken.trunks, trunk);
        Ok(Permit {
            places: self.clone(),
            workspace: workspace.clone(),
            trunk: trunk.clone(),
        })
    }

    /// The calls on a trunk.
    pub(super) fn of_trunk(&self, trunk: &TrunkId) -> u32 {
        self.lock().trunks.get(trunk).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Counts are whole at every moment.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add<K: Clone + Eq + std::hash::Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    let count = counts.entry(key.clone()).or_insert(0);
    *count = count.saturating_add(1);
}

fn subtract<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// One place, for as long as it lives.
pub(super) struct Permit {
    places: Arc<Places>,
    workspace: WorkspaceId,
    trunk: TrunkId,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("trunk", &self.trunk)
            .finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.server = taken.server.saturating_sub(1);
        subtract(&mut taken.workspaces, &self.workspace);
        subtract(&mut taken.trunks, &self.trunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(server: u32, workspace: u32) -> Arc<Places> {
        Arc::new(Places {
            taken: Mutex::default(),
            server_limit: server,
            workspace_limit: workspace,
        })
    }

    #[test]
    fn the_narrowest_full_limit_is_named_and_a_dropped_permit_frees_its_place() {
        let places = places(3, 2);
        let (a, b) = (WorkspaceId::fresh(), WorkspaceId::fresh());
        let (t, u, v) = (TrunkId::fresh(), TrunkId::fresh(), TrunkId::fresh());
        let first = places.take(&a, &t, 1).unwrap();
        assert_eq!(places.take(&a, &t, 1).unwrap_err(), Refusal::TrunkFull(1));
        let second = places.take(&a, &u, 5).unwrap();
        assert_eq!(
            places.take(&a, &u, 5).unwrap_err(),
            Refusal::WorkspaceFull(2)
        );
        let third = places.take(&b, &v, 5).unwrap();
        assert_eq!(places.take(&b, &v, 5).unwrap_err(), Refusal::ServerFull(3));
        assert_eq!(places.of_trunk(&t), 1);
        drop(first);
        assert_eq!(places.of_trunk(&t), 0);
        let again = places.take(&a, &t, 1).unwrap();
        drop((second, third, again));
        let taken = places.lock();
        assert!(taken.server == 0 && taken.workspaces.is_empty() && taken.trunks.is_empty());
    }
}

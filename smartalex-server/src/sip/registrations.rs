//! Which PBXs are registered: one address of record for each trunk.
//! The gate writes it in the driver's task, the API and the clockwork read it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sip_core::endpoint::{Flow, Reply};
use sip_core::message::Request;
use sip_core::registrar::{Change, Registrar, RegistrarConfig};

use crate::ids::TrunkId;
use crate::metrics::Metrics;

/// The registrar of the server.
#[derive(Debug)]
pub(super) struct Registrations {
    registrar: Mutex<Registrar>,
    metrics: Metrics,
}

impl Registrations {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            registrar: Mutex::new(Registrar::new(RegistrarConfig::default())),
            metrics,
        }
    }

    /// Takes the REGISTER of an authenticated trunk.
    pub(super) fn register(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        trunk: &TrunkId,
    ) -> Reply {
        let outcome = self.lock().register(now, request, *flow, trunk.as_str());
        match outcome.change {
            Change::Registered => {
                tracing::info!(%trunk, source = %flow.remote, "trunk registered");
                self.metrics.trunk_registered(trunk, true);
            }
            Change::Removed => {
                tracing::info!(%trunk, source = %flow.remote, "trunk left its registration");
                self.metrics.trunk_registered(trunk, false);
            }
            Change::Refused => {
                tracing::warn!(
                    %trunk, source = %flow.remote, status = %outcome.reply.status,
                    call_id = request.call_id(), "REGISTER refused"
                );
            }
            Change::Refreshed | Change::Nothing => {}
        }
        outcome.reply
    }

    /// Whether a trunk is registered.
    pub(super) fn is_registered(&self, now: Instant, trunk: &TrunkId) -> bool {
        self.lock().is_registered(now, trunk.as_str())
    }

    /// A trunk's credentials are no longer valid, and neither is what they registered.
    pub(super) fn withdraw(&self, trunk: &TrunkId) {
        if self.lock().remove(trunk.as_str()) {
            tracing::info!(%trunk, "trunk's registration withdrawn");
            self.metrics.trunk_registered(trunk, false);
        }
    }

    /// Registrations lapse.
    pub(super) fn expire(&self, now: Instant) {
        for lapsed in self.lock().expire(now) {
            if let Ok(trunk) = TrunkId::parse(&lapsed) {
                tracing::warn!(%trunk, "trunk's registration lapsed");
                self.metrics.trunk_registered(&trunk, false);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registrar> {
        // The registrar is whole between its calls; a panic elsewhere does not spoil it.
        self.registrar
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

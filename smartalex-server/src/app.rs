//! What all parts of a running server share.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::calls::Ledger;
use crate::config::Config;
use crate::control::{Control, TrunkStatus};
use crate::directory::Directory;
use crate::drain::Drain;
use crate::ids::{TrunkId, WorkspaceId};
use crate::metrics::Metrics;
use crate::secrets::Vault;
use crate::store::{Store, StoreError};

/// One server: made by [`crate::serve`], read by everything else.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Opens and seals secrets.
    pub vault: Vault,
    /// Trunks, numbers, agents and extensions, to look up without waiting.
    pub directory: Directory,
    /// Where calls are written.
    pub ledger: Ledger,
    /// Metrics.
    pub metrics: Metrics,
    /// Where the server is in its life.
    pub drain: Drain,
    /// Wakes the worker that delivers webhooks.
    pub outbox: Arc<Notify>,
    /// The oldest workspace, which gets what belongs to nobody.
    pub home: WorkspaceId,
    control: RwLock<Option<Arc<dyn Control>>>,
    sip: OnceLock<SipAddresses>,
}

/// Where SIP listens, once it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SipAddresses {
    /// UDP.
    pub udp: Option<SocketAddr>,
    /// TCP.
    pub tcp: Option<SocketAddr>,
}

/// The parts that an [`App`] is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Vault,
    pub(crate) ledger: Ledger,
    pub(crate) metrics: Metrics,
    pub(crate) drain: Drain,
    pub(crate) outbox: Arc<Notify>,
    pub(crate) home: WorkspaceId,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            config: parts.config,
            store: parts.store,
            vault: parts.vault,
            directory: Directory::new(),
            ledger: parts.ledger,
            metrics: parts.metrics,
            drain: parts.drain,
            outbox: parts.outbox,
            home: parts.home,
            control: RwLock::new(None),
            sip: OnceLock::new(),
        }
    }

    /// Tells the API how to reach live calls: said by the SIP side when it starts.
    pub fn set_control(&self, control: Arc<dyn Control>) {
        *self.control.write().unwrap_or_else(PoisonError::into_inner) = Some(control);
    }

    /// Live control, once the SIP side has started.
    pub fn control(&self) -> Option<Arc<dyn Control>> {
        let control = self.control.read().unwrap_or_else(PoisonError::into_inner);
        control.clone()
    }

    /// Tells where SIP listens: said once, by the SIP side when it starts.
    pub fn set_sip_addresses(&self, addresses: SipAddresses) {
        let _ = self.sip.set(addresses);
    }

    /// Where SIP listens; nothing before it does.
    pub fn sip_addresses(&self) -> SipAddresses {
        self.sip.get().cloned().unwrap_or_default()
    }

    /// What is known of a trunk at this moment.
    pub fn trunk_status(&self, trunk: &TrunkId) -> TrunkStatus {
        self.control()
            .map(|control| control.trunk(trunk))
            .unwrap_or_default()
    }

    /// Reads the configuration that is in the store anew.
    ///
    /// # Errors
    /// When it cannot be read; what was known stays then.
    pub async fn reload_directory(&self) -> Result<(), StoreError> {
        self.directory
            .reload(&*self.store, &self.vault, &self.metrics)
            .await
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

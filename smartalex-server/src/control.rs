//! Live control: how the API reaches calls that live in this process.
//! The SIP side implements [`Control`]; the API knows nothing else of it.

use async_trait::async_trait;

use crate::calls::record::Transfer;
use crate::ids::{CallId, TrunkId};

/// What can be done to live calls, and what is known of trunks at this moment.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Transfers the caller to `target`, named as an agent would name it: an extension's
    /// number, name or alias. Gives the transfer as it was recorded.
    async fn transfer(&self, call: &CallId, target: &str) -> Result<Transfer, ControlError>;

    /// Ends the call.
    async fn hang_up(&self, call: &CallId) -> Result<(), ControlError>;

    /// Sends digits (`0-9 * # A-D`) to the caller.
    async fn send_digits(&self, call: &CallId, digits: &str) -> Result<(), ControlError>;

    /// The trunk's credentials are valid no more: neither is its registration.
    fn credentials_withdrawn(&self, trunk: &TrunkId);

    /// What is known of a trunk.
    fn trunk(&self, trunk: &TrunkId) -> TrunkStatus;
}

/// What is known of a trunk at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Whether the PBX is registered with us.
    pub registered: bool,
    /// Calls on the trunk now.
    pub active_calls: u32,
}

/// Why a live call did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The call does not live in this process.
    #[error("the call is not live on this node")]
    NotLive,
    /// Nobody is called that; these come near.
    #[error("no extension is called {target:?}")]
    UnknownTarget {
        /// What was asked for.
        target: String,
        /// The nearest names.
        nearest: Vec<String>,
    },
    /// The call cannot do it at this moment.
    #[error("{0}")]
    Busy(String),
}

//! Live control for the API: finds the call and steers its conversation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use voice_bridge::agent::TransferRefused;

use super::admission::Admission;
use super::live::{Live, LiveCall};
use crate::calls::record::Transfer;
use crate::control::{Control, ControlError, TrunkStatus};
use crate::ids::{CallId, TrunkId};

/// Reaches the calls of this process.
#[derive(Debug)]
pub(super) struct LiveControl {
    live: Arc<Live>,
    admission: Arc<Admission>,
}

impl LiveControl {
    pub(super) fn new(live: Arc<Live>, admission: Arc<Admission>) -> Self {
        Self { live, admission }
    }

    fn find(&self, call: &CallId) -> Result<LiveCall, ControlError> {
        self.live.find(call).ok_or(ControlError::NotLive)
    }
}

#[async_trait]
impl Control for LiveControl {
    async fn transfer(&self, call: &CallId, target: &str) -> Result<Transfer, ControlError> {
        let call = self.find(call)?;
        let asked = tokio::time::timeout(WRITTEN, call.steering.transfer(target)).await;
        let id = asked
            .map_err(|_| ControlError::Busy("the call is still being set up".to_owned()))?
            .map_err(refused)?;
        tokio::time::timeout(WRITTEN, call.transfers.written(&id))
            .await
            .ok()
            .flatten()
            .ok_or_else(|| {
                ControlError::Busy(
                    "the transfer runs, but the store is slow: look at the call".to_owned(),
                )
            })
    }

    async fn hang_up(&self, call: &CallId) -> Result<(), ControlError> {
        let call = self.find(call)?;
        call.transfers.hung_up_by_api();
        match call.steering.hang_up(HUNG_UP_BY_API).await {
            true => Ok(()),
            false => Err(ControlError::NotLive),
        }
    }

    async fn send_digits(&self, call: &CallId, digits: &str) -> Result<(), ControlError> {
        match self.find(call)?.steering.send_digits(digits).await {
            true => Ok(()),
            false => Err(ControlError::NotLive),
        }
    }

    fn credentials_withdrawn(&self, trunk: &TrunkId) {
        self.admission.withdraw(trunk);
    }

    fn trunk(&self, trunk: &TrunkId) -> TrunkStatus {
        let now = tokio::time::Instant::now().into_std();
        TrunkStatus {
            registered: self.admission.is_registered(now, trunk),
            active_calls: self.live.places.of_trunk(trunk),
        }
    }
}

fn refused(why: TransferRefused) -> ControlError {
    match why {
        TransferRefused::UnknownTarget { target, nearest } => ControlError::UnknownTarget {
            target,
            nearest: nearest
                .iter()
                .map(|entry| format!("{} ({})", entry.spoken_name(), entry.extension))
                .collect(),
        },
        TransferRefused::CallOver => ControlError::NotLive,
        other => ControlError::Busy(other.to_string()),
    }
}

/// The reason of a hang-up that the API asked for, in the record.
const HUNG_UP_BY_API: &str = "hung up by the API";
/// How long a transfer may take to be in the store.
const WRITTEN: Duration = Duration::from_secs(5);

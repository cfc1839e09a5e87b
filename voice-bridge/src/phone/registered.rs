//! The handle of a registration that is being kept.
//! Dropping it leaves the registrar.

use std::sync::Arc;

use tokio::sync::watch;

use super::PhoneShared;
use super::register::{Registration, RegistrationState};
use crate::error::CallError;

/// A registration that is kept alive. Dropping it leaves the registrar.
#[derive(Debug)]
pub struct Registered {
    phone: Arc<PhoneShared>,
    id: u64,
    state: watch::Receiver<RegistrationState>,
}

impl Registered {
    /// How it stands.
    pub fn state(&self) -> RegistrationState {
        self.state.borrow().clone()
    }

    /// Waits for the next change and returns how it stands then. Cancel-safe.
    pub async fn changed(&mut self) -> RegistrationState {
        // An error means that nothing will change any more.
        let _ = self.state.changed().await;
        self.state.borrow_and_update().clone()
    }

    /// Waits until the registrar has answered for the first time, or nobody has.
    pub async fn settled(&mut self) -> RegistrationState {
        let settled = self
            .state
            .wait_for(|state| *state != RegistrationState::Trying)
            .await;
        match settled {
            Ok(state) => state.clone(),
            Err(_) => RegistrationState::Left,
        }
    }

    /// Leaves the registrar and waits until it has heard of it.
    pub async fn leave(mut self) {
        self.ask_to_leave();
        // An error means that the phone has forgotten it: then it is over as well.
        let _ = self
            .state
            .wait_for(|state| *state == RegistrationState::Left)
            .await;
    }

    fn ask_to_leave(&self) {
        let id = self.id;
        self.phone
            .handle()
            .post(move |endpoint, core, now| core.leave(endpoint, now, id));
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.ask_to_leave();
    }
}

pub(super) async fn register(
    phone: &Arc<PhoneShared>,
    order: Registration,
) -> Result<Registered, CallError> {
    let (news, state) = watch::channel(RegistrationState::Trying);
    let call_id = phone.draw_call_id();
    let id = phone
        .handle()
        .call(move |endpoint, core, now| {
            let link = Box::new(move |state: RegistrationState| {
                news.send_replace(state);
            });
            core.register(endpoint, now, order, call_id, link)
        })
        .await
        .map_err(|_| CallError::PhoneClosed)?;
    Ok(Registered {
        phone: Arc::clone(phone),
        id,
        state,
    })
}

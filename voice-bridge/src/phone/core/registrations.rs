//! The registrations of a phone: when each is due, and whose answer is whose.
//! What to send is `register`'s.

use std::time::Instant;

use sip_core::endpoint::Endpoint;

use super::{CallId, Due, Owner, PhoneCore, RegistrationLink, dice};
use crate::phone::register::{Keeper, Registration, RegistrationState};

impl PhoneCore {
    /// Keeps a registration from now on.
    pub(crate) fn register(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        order: Registration,
        call_id: String,
        link: RegistrationLink,
    ) -> u64 {
        let CallId(id) = self.next_id();
        let dice = u32::from(dice(&call_id));
        self.keepers
            .insert(id, (Keeper::new(now, order, call_id, dice), link));
        self.keep(endpoint, now, id);
        id
    }

    /// Takes a registration away again.
    pub(crate) fn leave(&mut self, endpoint: &mut Endpoint, now: Instant, id: u64) {
        if let Some((keeper, _)) = self.keepers.get_mut(&id) {
            let before = keeper.poll_timeout();
            keeper.leave(now);
            self.reschedule(before, Due::Keeper(id));
            self.keep(endpoint, now, id);
        }
    }

    /// Sends what a registration has due, and notes when it is due next.
    pub(super) fn keep(&mut self, endpoint: &mut Endpoint, now: Instant, id: u64) {
        let Some((keeper, link)) = self.keepers.get_mut(&id) else {
            return;
        };
        let before = keeper.poll_timeout();
        if let Some(request) = keeper.request(now) {
            match endpoint.request(now, request) {
                Ok(tx) => {
                    self.requests.insert(tx, Owner::Keeper(id));
                }
                Err(error) => link(keeper.lost(now, error.to_string())),
            }
        }
        self.reschedule(before, Due::Keeper(id));
        if let Some((keeper, _)) = self.keepers.get(&id)
            && keeper.is_over()
        {
            self.keepers.remove(&id);
        }
    }

    /// The answer to a REGISTER, or the lack of one.
    pub(super) fn registered(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: u64,
        note: impl FnOnce(&mut Keeper) -> RegistrationState,
    ) {
        let Some((keeper, link)) = self.keepers.get_mut(&id) else {
            return;
        };
        let before = keeper.poll_timeout();
        let state = note(keeper);
        link(state);
        self.reschedule(before, Due::Keeper(id));
        self.keep(endpoint, now, id);
    }

    fn reschedule(&mut self, before: Option<Instant>, due: Due) {
        if let Some(before) = before {
            self.clock.remove(&(before, due));
        }
        let next = match due {
            Due::Call(id) => self.calls.get(&id).and_then(|entry| entry.due),
            Due::Keeper(id) => self
                .keepers
                .get(&id)
                .and_then(|(keeper, _)| keeper.poll_timeout()),
        };
        if let Some(next) = next {
            self.clock.insert((next, due));
        }
    }
}

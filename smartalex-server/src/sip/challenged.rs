//! INVITEs that were challenged and have not come back yet. The usual ones do, within a second;
//! those that never do leave a record. Pure and bounded: strangers cannot fill it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::calls::RefusedCall;

/// Challenged INVITEs by Call-ID.
#[derive(Debug, Default)]
pub(super) struct Challenged {
    waiting: HashMap<String, (Instant, RefusedCall)>,
    /// In the order of their challenges; entries that came back are skipped.
    order: VecDeque<(Instant, String)>,
}

impl Challenged {
    /// An INVITE was challenged. Gives what has to be recorded at once because there is no room.
    pub(super) fn challenged(&mut self, now: Instant, call: RefusedCall) -> Option<RefusedCall> {
        let id = call.sip_call_id.clone();
        if id.len() > LONGEST_ID {
            return Some(call);
        }
        self.order.push_back((now, id.clone()));
        self.waiting.insert(id, (now, call));
        if self.order.len() <= MOST {
            return None;
        }
        let (at, oldest) = self.order.pop_front()?;
        self.take_of(at, &oldest)
    }

    /// The caller came back with credentials, right or wrong: the first INVITE is no attempt.
    pub(super) fn came_back(&mut self, call_id: &str) {
        self.waiting.remove(call_id);
    }

    /// Those that have not come back in time.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<RefusedCall> {
        let mut lost = Vec::new();
        while let Some((at, _)) = self.order.front() {
            if now.saturating_duration_since(*at) < PATIENCE {
                break;
            }
            if let Some((at, id)) = self.order.pop_front() {
                lost.extend(self.take_of(at, &id));
            }
        }
        lost
    }

    /// Takes the entry of this challenge; a later challenge of the same call has its own turn.
    fn take_of(&mut self, at: Instant, id: &str) -> Option<RefusedCall> {
        if self.waiting.get(id).is_none_or(|(then, _)| *then != at) {
            return None;
        }
        self.waiting.remove(id).map(|(_, call)| call)
    }
}

/// A client that means to come back does so within the life of its transaction (64*T1).
const PATIENCE: Duration = Duration::from_secs(32);
const MOST: usize = 10_000;
const LONGEST_ID: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> RefusedCall {
        RefusedCall {
            at: crate::clock::now(),
            workspace: None,
            trunk: None,
            agent: None,
            agent_name: None,
            from: String::new(),
            to: String::new(),
            sip_call_id: id.to_owned(),
            sip_from: String::new(),
            sip_to: String::new(),
            code: Some(401),
            reason: String::new(),
            trusted: false,
        }
    }

    #[test]
    fn a_caller_that_comes_back_leaves_no_record_and_one_that_does_not_leaves_one() {
        let mut challenged = Challenged::default();
        let start = Instant::now();
        assert!(challenged.challenged(start, call("a")).is_none());
        assert!(challenged.challenged(start, call("b")).is_none());
        challenged.came_back("a");
        assert!(
            challenged
                .expire(start + Duration::from_secs(31))
                .is_empty()
        );
        let lost = challenged.expire(start + Duration::from_secs(32));
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].sip_call_id, "b");
        assert!(challenged.order.is_empty() && challenged.waiting.is_empty());
    }

    #[test]
    fn a_call_challenged_twice_is_recorded_once() {
        let mut challenged = Challenged::default();
        let start = Instant::now();
        challenged.challenged(start, call("a"));
        challenged.challenged(start + Duration::from_secs(1), call("a"));
        assert!(
            challenged
                .expire(start + Duration::from_secs(32))
                .is_empty()
        );
        assert_eq!(challenged.expire(start + Duration::from_secs(33)).len(), 1);
    }

    #[test]
    fn a_flood_is_bounded_and_nothing_is_lost_from_the_record() {
        let mut challenged = Challenged::default();
        let start = Instant::now();
        let at_once = (0..MOST + 500)
            .filter_map(|n| challenged.challenged(start, call(&n.to_string())))
            .count();
        assert_eq!(at_once, 500);
        assert_eq!(challenged.waiting.len(), MOST);
        assert_eq!(challenged.expire(start + PATIENCE).len(), MOST);
    }
}

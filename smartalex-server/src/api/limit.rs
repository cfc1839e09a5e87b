//! The rate limit: so many requests a second for each workspace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::WorkspaceId;

/// What is left to a workspace in the present window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Seconds until the window ends, rounded up.
    pub(super) reset: u64,
    /// This request is beyond the limit.
    pub(super) exceeded: bool,
}

/// Windows of all workspaces, and of those who are nobody.
#[derive(Debug)]
pub(super) struct Limits {
    windows: Mutex<HashMap<Option<WorkspaceId>, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    used: u32,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            windows: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one request from the window of `workspace`.
    pub(super) fn take(&self, workspace: Option<&WorkspaceId>) -> Quota {
        self.take_at(workspace, Instant::now())
    }

    fn take_at(&self, workspace: Option<&WorkspaceId>, now: Instant) -> Quota {
        // The map holds only workspaces that a valid key belongs to, and one entry for nobody.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(workspace.cloned()).or_insert(Window {
            began: now,
            used: 0,
        });
        if now.saturating_duration_since(window.began) >= LENGTH {
            window.began = now;
            window.used = 0;
        }
        let exceeded = window.used >= PER_WINDOW;
        window.used = window.used.saturating_add(1);
        let left = LENGTH.saturating_sub(now.saturating_duration_since(window.began));
        Quota {
            limit: PER_WINDOW,
            remaining: PER_WINDOW.saturating_sub(window.used),
            reset: left.as_millis().div_ceil(1000) as u64,
            exceeded,
        }
    }
}

const PER_WINDOW: u32 = 60;
const LENGTH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_first_request_of_a_second_is_refused() {
        let limits = Limits::new();
        let (now, one) = (Instant::now(), WorkspaceId::fresh());
        for left in (0..60).rev() {
            let quota = limits.take_at(Some(&one), now);
            assert!(!quota.exceeded);
            assert_eq!(quota.remaining, left);
        }
        let quota = limits.take_at(Some(&one), now);
        assert!(quota.exceeded);
        assert_eq!((quota.remaining, quota.reset), (0, 1));
        assert!(!limits.take_at(Some(&WorkspaceId::fresh()), now).exceeded);
        assert!(!limits.take_at(None, now).exceeded);
        assert!(!limits.take_at(Some(&one), now + LENGTH).exceeded);
    }
}

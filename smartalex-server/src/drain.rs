//! Draining: the server takes no new calls, and goes when those it has are over.
//! Serving → draining (first signal) → stopping (calls over, time up, or second signal).

use tokio::sync::watch;

/// Where the server is in its life. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Drain(watch::Sender<Phase>);

/// A phase of the server's life; phases only go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Takes calls.
    Serving,
    /// Takes no new calls; those that it has go on.
    Draining,
    /// Ends everything now.
    Stopping,
}

impl Drain {
    /// A server that serves.
    pub fn new() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Whether new calls are to be answered 503.
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Takes no new calls from now on.
    pub fn begin(&self) {
        self.advance(Phase::Draining);
    }

    /// Ends everything now.
    pub fn stop(&self) {
        self.advance(Phase::Stopping);
    }

    /// Waits until `phase` is reached, or a later one.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.subscribe();
        // An error would mean that the sender is gone, but this holds it.
        let _ = receiver.wait_for(|now| *now >= phase).await;
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|now| {
            let forward = *now < to;
            if forward {
                *now = to;
            }
            forward
        });
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_go_forward() {
        let drain = Drain::new();
        assert!(!drain.is_draining());
        drain.stop();
        drain.begin();
        assert_eq!(drain.phase(), Phase::Stopping);
        drain.reached(Phase::Draining).await;
    }

    #[tokio::test]
    async fn waiters_wake_when_a_phase_is_reached() {
        let drain = Drain::new();
        let waiter = tokio::spawn({
            let drain = drain.clone();
            async move { drain.reached(Phase::Draining).await }
        });
        drain.begin();
        waiter.await.unwrap();
    }
}

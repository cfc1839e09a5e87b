//! The worker that delivers: it leases what is due from the store, sends it, and writes what
//! came of it. Nothing is ever delivered from memory, so nothing is lost with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::client::{Answer, Client, SendError};
use super::{AttemptResult, LeasedDelivery, sign};
use crate::app::App;
use crate::clock;
use crate::drain::Phase;
use crate::ids::{DeliveryId, WebhookId};
use crate::secrets::Cell;
use crate::store::Lease;

/// Delivers until the server stops.
pub async fn run(app: Arc<App>, client: Client) {
    let (results, finished) = mpsc::channel(RESULTS);
    let mut worker = Worker {
        app: app.clone(),
        client,
        endpoints: HashMap::new(),
        results,
        finished,
    };
    let mut pruned_at: Option<Instant> = None;
    loop {
        let pause = worker.lease_due().await;
        if pruned_at.is_none_or(|at| at.elapsed() > PRUNE_EVERY) {
            pruned_at = Some(Instant::now());
            worker.prune().await;
        }
        let first = tokio::select! {
            () = app.drain.reached(Phase::Stopping) => break,
            () = app.outbox.notified() => None,
            () = tokio::time::sleep(pause) => None,
            result = worker.finished.recv() => result,
        };
        worker.write_results(first).await;
    }
    // What is on its way is written when it comes back soon; a lease covers what is not.
    let patience = tokio::time::sleep(LAST_RESULTS);
    tokio::pin!(patience);
    while worker.in_flight() > 0 {
        let first = tokio::select! {
            () = &mut patience => break,
            result = worker.finished.recv() => result,
        };
        worker.write_results(first).await;
    }
}

struct Worker {
    app: Arc<App>,
    client: Client,
    endpoints: HashMap<WebhookId, Endpoint>,
    results: mpsc::Sender<Finished>,
    finished: mpsc::Receiver<Finished>,
}

/// What is known of an endpoint in this process.
#[derive(Default)]
struct Endpoint {
    in_flight: u32,
    /// When the last attempts began: at most [`PER_SECOND`] of them within a second.
    begun: VecDeque<Instant>,
}

struct Finished {
    delivery: DeliveryId,
    webhook: WebhookId,
    result: AttemptResult,
}

impl Worker {
    /// Leases what is due and begins to send it; gives how long to wait if nothing happens.
    async fn lease_due(&mut self) -> Duration {
        let now = clock::now();
        let (due, next) = match self.app.store.due_webhooks(now).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                return LONGEST_PAUSE;
            }
        };
        let mut pause = next.map_or(LONGEST_PAUSE, |next| until(now, next));
        for webhook in due {
            match self.lease_for(&webhook, now).await {
                Leased::Some => {}
                // Rate or concurrency is used up: there is more, soon.
                Leased::Later(wait) => pause = pause.min(wait),
            }
        }
        self.endpoints
            .retain(|_, endpoint| endpoint.in_flight > 0 || !endpoint.is_rested());
        pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    async fn lease_for(&mut self, webhook: &WebhookId, now: Timestamp) -> Leased {
        let endpoint = self.endpoints.entry(webhook.clone()).or_default();
        let (limit, wait) = endpoint.room();
        if limit == 0 {
            return Leased::Later(wait);
        }
        let lease = Lease {
            node: &self.app.config.node.id,
            webhook,
            now,
            until: clock::later(now, self.app.config.webhooks.timeout + LEASE_MARGIN),
            limit,
        };
        let leased = match self.app.store.lease_deliveries(lease).await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::error!(%error, %webhook, "deliveries cannot be leased");
                return Leased::Later(LONGEST_PAUSE);
            }
        };
        for delivery in leased {
            endpoint.in_flight += 1;
            endpoint.begun.push_back(Instant::now());
            let (app, client, results) =
                (self.app.clone(), self.client.clone(), self.results.clone());
            tokio::spawn(async move {
                let result = attempt(&app, &client, &delivery).await;
                let finished = Finished {
                    delivery: delivery.id,
                    webhook: delivery.webhook,
                    result,
                };
                // The worker is gone only when the server stops; the lease runs out then.
                let _ = results.send(finished).await;
            });
        }
        Leased::Some
    }

    /// Writes `first` and all other results that are there in one transaction.
    async fn write_results(&mut self, first: Option<Finished>) {
        let mut batch: Vec<(DeliveryId, AttemptResult)> = Vec::new();
        let mut next = first.or_else(|| self.finished.try_recv().ok());
        while let Some(finished) = next {
            if let Some(endpoint) = self.endpoints.get_mut(&finished.webhook) {
                endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
            }
            batch.push((finished.delivery, finished.result));
            next = if batch.len() < RESULTS {
                self.finished.try_recv().ok()
            } else {
                None
            };
        }
        if batch.is_empty() {
            return;
        }
        let node = &self.app.config.node.id;
        // If this fails, the leases run out and the deliveries are made again: at least once.
        if let Err(error) = self
            .app
            .store
            .finish_attempts(node, &batch, clock::now())
            .await
        {
            tracing::error!(%error, "results of deliveries cannot be written");
        }
        self.show_depth().await;
    }

    async fn show_depth(&self) {
        if let Ok((pending, dead)) = self.app.store.outbox_depth().await {
            self.app.metrics.outbox(pending, dead);
        }
    }

    async fn prune(&self) {
        let ago = |duration: Duration| {
            clock::now()
                .checked_sub(duration)
                .unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let done = self
            .app
            .store
            .prune(ago(KEEP_DELIVERED), ago(KEEP_KEYS))
            .await;
        if let Err(error) = done {
            tracing::warn!(%error, "old events cannot be removed");
        }
        self.show_depth().await;
    }

    fn in_flight(&self) -> u32 {
        self.endpoints.values().map(|one| one.in_flight).sum()
    }
}

enum Leased {
    Some,
    Later(Duration),
}

impl Endpoint {
    /// How many attempts may begin now; when none may, how long to wait.
    fn room(&mut self) -> (u32, Duration) {
        while self.begun.front().is_some_and(|at| at.elapsed() >= SECOND) {
            self.begun.pop_front();
        }
        let by_rate =
            PER_SECOND.saturating_sub(u32::try_from(self.begun.len()).unwrap_or(u32::MAX));
        let by_flight = AT_ONCE.saturating_sub(self.in_flight);
        let wait = match (by_rate, self.begun.front()) {
            (0, Some(oldest)) => SECOND.saturating_sub(oldest.elapsed()),
            // A result will wake the worker.
            _ => LONGEST_PAUSE,
        };
        (by_rate.min(by_flight), wait)
    }

    fn is_rested(&self) -> bool {
        self.begun.back().is_none_or(|at| at.elapsed() >= SECOND)
    }
}

/// One attempt, from signing to the decision what comes next.
async fn attempt(app: &App, client: &Client, delivery: &LeasedDelivery) -> AttemptResult {
    let cell = secret_cell(&delivery.webhook);
    let secret = match app.vault.open_text(cell, &delivery.secret) {
        Ok(secret) => secret,
        Err(error) => {
            return AttemptResult::Dead {
                status: None,
                error: format!("the signing secret cannot be opened: {error}"),
                disable: false,
            };
        }
    };
    let seconds = clock::now().as_second();
    let signatures = sign::sign(&secret, delivery.event.as_str(), seconds, &delivery.body);
    let answer = client.send(delivery, seconds, &signatures).await;
    let result = decide(
        answer,
        delivery.attempts,
        &app.config.webhooks.retry_delays,
        clock::now(),
        jitter(),
    );
    let (name, error) = match &result {
        AttemptResult::Delivered { .. } => ("delivered", None),
        AttemptResult::Retry { error, .. } => ("retry", Some(error)),
        AttemptResult::Dead { error, .. } => ("dead_letter", Some(error)),
    };
    app.metrics.webhook_attempt(name);
    match error {
        None => tracing::debug!(webhook = %delivery.webhook, event = %delivery.event, "delivered"),
        Some(error) => tracing::warn!(
            webhook = %delivery.webhook, event = %delivery.event, attempt = delivery.attempts + 1,
            result = name, %error, "a webhook was not delivered"
        ),
    }
    result
}

/// What comes next after an attempt, `before` of which were made earlier. `jitter` is 0 to 1.
fn decide(
    answer: Result<Answer, SendError>,
    before: u32,
    delays: &[Duration],
    now: Timestamp,
    jitter: f64,
) -> AttemptResult {
    let (status, retry_after, error, transient) = match answer {
        Ok(Answer { status, .. }) if (200..300).contains(&status) => {
            return AttemptResult::Delivered { status };
        }
        Ok(Answer {
            status,
            retry_after,
        }) => {
            let error = match status {
                300..400 => format!("the endpoint answered {status}: redirects are not followed"),
                410 => "the endpoint answered 410 Gone: it is disabled".to_owned(),
                _ => format!("the endpoint answered {status}"),
            };
            let transient = status >= 500 || status == 408 || status == 429;
            (Some(status), retry_after, error, transient)
        }
        Err(error) => {
            let transient = error.is_transient();
            (None, None, error.to_string(), transient)
        }
    };
    let delay = usize::try_from(before)
        .ok()
        .and_then(|before| delays.get(before));
    match delay {
        Some(delay) if transient => {
            // Up to a fifth longer, so that endpoints that fell together do not rise together.
            let delay = delay.mul_f64(1.0 + 0.2 * jitter.clamp(0.0, 1.0));
            let delay = delay
                .max(retry_after.unwrap_or_default())
                .min(LONGEST_DELAY);
            AttemptResult::Retry {
                at: clock::later(now, delay),
                status,
                error,
            }
        }
        _ => AttemptResult::Dead {
            status,
            error,
            disable: status == Some(410),
        },
    }
}

/// Where a webhook's signing secret is sealed.
pub fn secret_cell(webhook: &WebhookId) -> Cell<'_> {
    Cell {
        table: "webhooks",
        row: webhook.as_str(),
        column: "secret",
    }
}

fn jitter() -> f64 {
    let [byte] = crate::secrets::random::<1>();
    f64::from(byte) / 255.0
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    let millis = then.as_millisecond().saturating_sub(now.as_millisecond());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

const SECOND: Duration = Duration::from_secs(1);
/// Most attempts that begin within a second at one endpoint.
const PER_SECOND: u32 = 100;
/// Most attempts at one endpoint at a time.
const AT_ONCE: u32 = 16;
/// Results that may wait to be written.
const RESULTS: usize = 256;
/// The worker looks at least this often, for what another process queued.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// How much longer than an attempt its lease is.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// `Retry-After` is honoured up to here.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);
const LAST_RESULTS: Duration = Duration::from_secs(2);
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
const KEEP_DELIVERED: Duration = Duration::from_secs(7 * 24 * 3600);
const KEEP_KEYS: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const DELAYS: [Duration; 3] = [
        Duration::from_secs(10),
        Duration::from_secs(60),
        Duration::from_secs(360),
    ];

    fn after(status: u16, before: u32) -> AttemptResult {
        let answer = Answer {
            status,
            retry_after: None,
        };
        decide(Ok(answer), before, &DELAYS, clock::from_millis(0), 0.0)
    }

    fn retry_millis(result: &AttemptResult) -> i64 {
        match result {
            AttemptResult::Retry { at, .. } => at.as_millisecond(),
            other => panic!("{other:?} is no retry"),
        }
    }

    #[test]
    fn failures_of_the_endpoint_are_tried_three_times_more() {
        for status in [500, 503, 599, 408, 429] {
            assert_eq!(retry_millis(&after(status, 0)), 10_000);
            assert_eq!(retry_millis(&after(status, 1)), 60_000);
            assert_eq!(retry_millis(&after(status, 2)), 360_000);
            assert!(matches!(
                after(status, 3),
                AttemptResult::Dead { disable: false, .. }
            ));
        }
    }

    #[test]
    fn refusals_and_redirects_are_dead_at_once() {
        for status in [400, 401, 404, 422, 301, 302, 307] {
            assert!(matches!(
                after(status, 0),
                AttemptResult::Dead { disable: false, .. }
            ));
        }
        assert!(matches!(
            after(410, 0),
            AttemptResult::Dead { disable: true, .. }
        ));
    }

    #[test]
    fn success_is_any_2xx() {
        assert_eq!(after(204, 2), AttemptResult::Delivered { status: 204 });
    }

    #[test]
    fn retry_after_is_honoured_when_it_is_longer() {
        let answer = |seconds| {
            Ok(Answer {
                status: 503,
                retry_after: Some(Duration::from_secs(seconds)),
            })
        };
        let at = |seconds| {
            retry_millis(&decide(
                answer(seconds),
                0,
                &DELAYS,
                clock::from_millis(0),
                0.0,
            ))
        };
        assert_eq!(at(3), 10_000);
        assert_eq!(at(90), 90_000);
        assert_eq!(at(10_000_000), 86_400_000);
    }

    #[test]
    fn jitter_only_lengthens() {
        let error = Err(SendError::Timeout(SECOND));
        let result = decide(error, 0, &DELAYS, clock::from_millis(0), 1.0);
        assert_eq!(retry_millis(&result), 12_000);
    }

    #[test]
    fn private_addresses_are_not_tried_again() {
        let error = Err(SendError::Private {
            host: "intranet".to_owned(),
            address: [10, 0, 0, 1].into(),
        });
        let result = decide(error, 0, &DELAYS, clock::from_millis(0), 0.0);
        assert!(matches!(result, AttemptResult::Dead { .. }));
    }

    #[test]
    fn at_most_a_hundred_attempts_begin_within_a_second() {
        let mut endpoint = Endpoint::default();
        let mut begun = 0;
        for _ in 0..50 {
            let (room, _) = endpoint.room();
            for _ in 0..room {
                endpoint.begun.push_back(Instant::now());
                begun += 1;
            }
        }
        assert_eq!(begun, 100);
        let (room, wait) = endpoint.room();
        assert_eq!(room, 0);
        assert!(wait <= SECOND);
    }
}

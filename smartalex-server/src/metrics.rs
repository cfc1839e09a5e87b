//! Metrics in Prometheus' text format: the six that customers know by name, and our own.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::calls::record::{CallOutcome, Direction, TransferOutcome};
use crate::config::Node;
use crate::ids::{AgentId, TrunkId};

/// All metrics of a server. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Family<CallLabels, Counter>,
    durations: Family<AgentLabels, Histogram, fn() -> Histogram>,
    transfers: Family<TransferLabels, Counter>,
    registered: Family<TrunkLabels, Gauge>,
    active: Family<TrunkLabels, Gauge>,
    api: Family<ApiLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
    unrecorded: Counter,
    attempts: Family<AttemptLabels, Counter>,
    outbox_pending: Gauge,
    outbox_dead: Gauge,
    ledger_commit: Histogram,
}

impl Metrics {
    /// Metrics of the node that `node` describes, all at zero.
    pub fn new(node: &Node) -> Self {
        let mut metrics = Self {
            registry: Arc::new(Registry::default()),
            calls: Family::default(),
            durations: Family::new_with_constructor(call_durations),
            transfers: Family::default(),
            registered: Family::default(),
            active: Family::default(),
            api: Family::default(),
            refused: Family::default(),
            unrecorded: Counter::default(),
            attempts: Family::default(),
            outbox_pending: Gauge::default(),
            outbox_dead: Gauge::default(),
            ledger_commit: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
            ]),
        };
        metrics.registry = Arc::new(metrics.register(node));
        metrics
    }

    /// Everything in Prometheus' text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// A call ended, `duration` after it was answered.
    pub fn call_ended(
        &self,
        agent: Option<&AgentId>,
        outcome: CallOutcome,
        direction: Direction,
        duration: Duration,
    ) {
        let agent = agent_label(agent);
        self.calls
            .get_or_create(&CallLabels {
                agent: agent.clone(),
                outcome: outcome.name(),
                direction: direction.name(),
            })
            .inc();
        self.durations
            .get_or_create(&AgentLabels { agent })
            .observe(duration.as_secs_f64());
    }

    /// The outcome of a transfer is known.
    pub fn transfer_ended(&self, agent: Option<&AgentId>, outcome: TransferOutcome) {
        self.transfers
            .get_or_create(&TransferLabels {
                agent: agent_label(agent),
                outcome: outcome.name(),
            })
            .inc();
    }

    /// A trunk's PBX registered, or is registered no more.
    pub fn trunk_registered(&self, trunk: &TrunkId, registered: bool) {
        self.registered
            .get_or_create(&TrunkLabels::of(trunk))
            .set(i64::from(registered));
    }

    /// Calls on a trunk rose or fell by `by`.
    pub fn trunk_calls_moved(&self, trunk: &TrunkId, by: i64) {
        // A trunk that was deleted meanwhile does not come back for the end of its calls.
        if let Some(active) = self.active.get(&TrunkLabels::of(trunk)) {
            active.inc_by(by);
        }
    }

    /// A trunk exists: its gauges are shown from now on.
    pub fn trunk_added(&self, trunk: &TrunkId) {
        drop(self.registered.get_or_create(&TrunkLabels::of(trunk)));
        drop(self.active.get_or_create(&TrunkLabels::of(trunk)));
    }

    /// A trunk exists no more.
    pub fn trunk_removed(&self, trunk: &TrunkId) {
        self.registered.remove(&TrunkLabels::of(trunk));
        self.active.remove(&TrunkLabels::of(trunk));
    }

    /// A request of the API was answered; `endpoint` is its route, as in `/v1/calls/{id}`.
    pub fn api_request(&self, endpoint: &str, status: u16) {
        self.api
            .get_or_create(&ApiLabels {
                endpoint: endpoint.to_owned(),
                status,
            })
            .inc();
    }

    /// An INVITE was refused with `code`.
    pub fn call_refused(&self, code: u16) {
        self.refused.get_or_create(&RefusalLabels { code }).inc();
    }

    /// A refused INVITE left no record, because too many came at once.
    pub fn refusal_unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// An attempt to deliver a webhook ended with `result`.
    pub fn webhook_attempt(&self, result: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { result }).inc();
    }

    /// Deliveries that wait, and those that were given up.
    pub fn outbox(&self, pending: u64, dead: u64) {
        self.outbox_pending
            .set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.outbox_dead
            .set(i64::try_from(dead).unwrap_or(i64::MAX));
    }

    /// A transaction of the ledger took `duration`.
    pub fn ledger_commit(&self, duration: Duration) {
        self.ledger_commit.observe(duration.as_secs_f64());
    }

    fn register(&self, node: &Node) -> Registry {
        let mut all = Registry::with_prefix("smartalex");
        all.register("calls", "Calls that ended", self.calls.clone());
        all.register(
            "call_duration_seconds",
            "Seconds from the answer to the end of calls",
            self.durations.clone(),
        );
        all.register(
            "transfers",
            "Transfers whose outcome is known",
            self.transfers.clone(),
        );
        all.register(
            "trunk_registered",
            "Whether the trunk's PBX is registered",
            self.registered.clone(),
        );
        all.register(
            "trunk_active_calls",
            "Calls on the trunk now",
            self.active.clone(),
        );
        all.register("api_requests", "Requests of the API", self.api.clone());
        all.register(
            "invites_refused",
            "INVITEs that were refused",
            self.refused.clone(),
        );
        all.register(
            "refusals_unrecorded",
            "Refused INVITEs without a record, because too many came at once",
            self.unrecorded.clone(),
        );
        all.register(
            "webhook_attempts",
            "Attempts to deliver webhooks",
            self.attempts.clone(),
        );
        all.register(
            "webhooks_pending",
            "Deliveries that wait",
            self.outbox_pending.clone(),
        );
        all.register(
            "webhooks_dead_letters",
            "Deliveries that were given up",
            self.outbox_dead.clone(),
        );
        all.register(
            "ledger_commit_seconds",
            "Seconds that a transaction of call records takes",
            self.ledger_commit.clone(),
        );
        let info = prometheus_client::metrics::info::Info::new(vec![
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("node", node.id.clone()),
            ("region", node.region.clone().unwrap_or_default()),
        ]);
        all.register("build", "This server", info);
        all
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    agent: String,
    outcome: &'static str,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabels {
    agent: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransferLabels {
    agent: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrunkLabels {
    trunk: String,
}

impl TrunkLabels {
    fn of(trunk: &TrunkId) -> Self {
        Self {
            trunk: trunk.to_string(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    endpoint: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
}

/// Refused calls have no agent; the label stays, so that sums over it are complete.
fn agent_label(agent: Option<&AgentId>) -> String {
    agent.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn call_durations() -> Histogram {
    // From a hang-up in the greeting to the longest call there may be.
    Histogram::new([
        1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_trunk_does_not_come_back_for_the_end_of_its_calls() {
        let metrics = Metrics::new(&crate::config::Config::default().node);
        let trunk = TrunkId::fresh();
        metrics.trunk_added(&trunk);
        metrics.trunk_calls_moved(&trunk, 1);
        metrics.trunk_removed(&trunk);
        metrics.trunk_calls_moved(&trunk, -1);
        assert!(!metrics.encode().contains(trunk.as_str()));
    }

    #[test]
    fn the_six_metrics_have_their_exact_names_and_labels() {
        let metrics = Metrics::new(&crate::config::Config::default().node);
        let (agent, trunk) = (AgentId::fresh(), TrunkId::fresh());
        metrics.call_ended(
            Some(&agent),
            CallOutcome::Transferred,
            Direction::Inbound,
            Duration::from_secs(47),
        );
        metrics.transfer_ended(Some(&agent), TransferOutcome::Transferred);
        metrics.trunk_added(&trunk);
        metrics.trunk_registered(&trunk, true);
        metrics.trunk_calls_moved(&trunk, 1);
        metrics.api_request("/v1/calls", 200);
        let text = metrics.encode();
        for line in [
            format!(
                "smartalex_calls_total{{agent=\"{agent}\",outcome=\"transferred\",direction=\"inbound\"}} 1"
            ),
            format!("smartalex_call_duration_seconds_count{{agent=\"{agent}\"}} 1"),
            format!("smartalex_call_duration_seconds_sum{{agent=\"{agent}\"}} 47"),
            format!("smartalex_transfers_total{{agent=\"{agent}\",outcome=\"transferred\"}} 1"),
            format!("smartalex_trunk_registered{{trunk=\"{trunk}\"}} 1"),
            format!("smartalex_trunk_active_calls{{trunk=\"{trunk}\"}} 1"),
            "smartalex_api_requests_total{endpoint=\"/v1/calls\",status=\"200\"} 1".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
}

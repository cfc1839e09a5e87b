//! The directory: trunks, numbers, agents and extensions as an immutable snapshot.
//! Calls read it without a lock; every change of the configuration swaps it whole.

pub mod names;
mod number;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

pub use names::{Found, Names};
pub use number::normal;

use crate::agents::Agent;
use crate::ids::{AgentId, TrunkId, WorkspaceId};
use crate::metrics::Metrics;
use crate::secrets::{Cell, Secret, Vault};
use crate::store::{Store, StoreError};
use crate::tenants::Workspace;
use crate::trunks::{Trunk, TrunkAuth};

/// The present snapshot, and how it is made anew.
#[derive(Debug)]
pub struct Directory {
    present: ArcSwap<Snapshot>,
    /// One rebuild at a time: a slow one must not put an older state over a newer one.
    rebuilding: tokio::sync::Mutex<()>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self {
            present: ArcSwap::from_pointee(Snapshot::default()),
            rebuilding: tokio::sync::Mutex::new(()),
        }
    }

    /// The present snapshot; it does not change in the caller's hands.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.present.load_full()
    }

    /// Reads the store and swaps the snapshot.
    ///
    /// # Errors
    /// When the store cannot be read; the old snapshot stays then.
    pub async fn reload(
        &self,
        store: &dyn Store,
        vault: &Vault,
        metrics: &Metrics,
    ) -> Result<(), StoreError> {
        let _alone = self.rebuilding.lock().await;
        let workspaces = store.workspaces().await?;
        let agents = store.agents(None).await?;
        let trunks = store.trunks(None).await?;
        let mut lines = Vec::with_capacity(trunks.len());
        for trunk in trunks {
            let extensions = store.extensions(&trunk.id).await?;
            lines.push((trunk, Names::new(extensions)));
        }
        let next = Snapshot::build(workspaces, agents, lines, vault);
        let before = self.present.swap(Arc::new(next));
        let now = self.present.load();
        for id in before
            .trunks
            .keys()
            .filter(|id| !now.trunks.contains_key(*id))
        {
            metrics.trunk_removed(id);
        }
        for id in now.trunks.keys() {
            metrics.trunk_added(id);
        }
        Ok(())
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

/// All that admission and calls need to know, at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    workspaces: HashMap<WorkspaceId, Arc<Workspace>>,
    agents: HashMap<AgentId, Arc<Agent>>,
    trunks: HashMap<TrunkId, Arc<Line>>,
    by_username: HashMap<String, Arc<Line>>,
    /// Networks of trunks that authenticate by address alone; the narrowest first.
    by_source: Vec<(IpNet, Arc<Line>)>,
    by_did: HashMap<(WorkspaceId, String), Arc<Line>>,
    /// Numbers of trunks that authenticate by address alone.
    by_address: HashSet<String>,
}

/// A trunk with all that belongs to it, its password open.
#[derive(Debug)]
pub struct Line {
    /// The trunk.
    pub trunk: Trunk,
    /// Its workspace; `read_only` and `wallet_empty` are answered 403.
    pub workspace: Arc<Workspace>,
    /// The agent that answers, if one is linked.
    pub agent: Option<Arc<Agent>>,
    /// Its digest password; absent with `ip`, or when the vault cannot open it.
    pub password: Option<Secret>,
    /// Its extensions, by number and name.
    pub extensions: Arc<Names>,
}

impl Snapshot {
    /// The workspace with this id.
    pub fn workspace(&self, id: &WorkspaceId) -> Option<&Arc<Workspace>> {
        self.workspaces.get(id)
    }

    /// The agent with this id.
    pub fn agent(&self, id: &AgentId) -> Option<&Arc<Agent>> {
        self.agents.get(id)
    }

    /// The trunk with this id.
    pub fn trunk(&self, id: &TrunkId) -> Option<&Arc<Line>> {
        self.trunks.get(id)
    }

    /// All trunks, in no order.
    pub fn trunks(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.trunks.values()
    }

    /// The trunk (`digest` or `both`) with this digest user; case matters.
    pub fn trunk_by_username(&self, username: &str) -> Option<&Arc<Line>> {
        self.by_username.get(username)
    }

    /// The trunks that authenticate by address alone and take calls from `source`, the one with
    /// the narrowest network first.
    pub fn trunks_by_source(&self, source: IpAddr) -> impl Iterator<Item = &Arc<Line>> {
        let source = source.to_canonical();
        self.by_source
            .iter()
            .filter(move |(net, _)| net.contains(&source))
            .map(|(_, line)| line)
    }

    /// The trunk that a call from `source` to `did` is on by address: one that has the number,
    /// else the one with the narrowest network.
    pub fn trunk_by_source(&self, source: IpAddr, did: &str) -> Option<&Arc<Line>> {
        let number = normal(did);
        let has_number = |line: &&Arc<Line>| {
            let dids = &line.trunk.dids;
            dids.iter()
                .any(|did| number.as_deref() == Some(did.digits.as_str()))
        };
        self.trunks_by_source(source)
            .find(has_number)
            .or_else(|| self.trunks_by_source(source).next())
    }

    /// Whether `number` is routed to a trunk that authenticates by address alone.
    pub fn is_number_by_address(&self, number: &str) -> bool {
        normal(number).is_some_and(|number| self.by_address.contains(&number))
    }

    /// The trunk of `workspace` that `number`, in whatever form it was dialled, is routed to.
    pub fn did(&self, workspace: &WorkspaceId, number: &str) -> Option<&Arc<Line>> {
        self.by_did.get(&(workspace.clone(), normal(number)?))
    }

    fn build(
        workspaces: Vec<Workspace>,
        agents: Vec<Agent>,
        trunks: Vec<(Trunk, Names)>,
        vault: &Vault,
    ) -> Self {
        let mut snapshot = Self::default();
        for workspace in workspaces {
            snapshot
                .workspaces
                .insert(workspace.id.clone(), Arc::new(workspace));
        }
        for agent in agents {
            snapshot.agents.insert(agent.id.clone(), Arc::new(agent));
        }
        for (trunk, names) in trunks {
            snapshot.add_line(trunk, names, vault);
        }
        snapshot
            .by_source
            .sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        snapshot
    }

    fn add_line(&mut self, trunk: Trunk, names: Names, vault: &Vault) {
        let Some(workspace) = self.workspaces.get(&trunk.workspace) else {
            return;
        };
        let password = trunk.password.as_deref().and_then(|sealed| {
            vault
                .open_text(password_cell(&trunk.id), sealed)
                .inspect_err(|error| {
                    tracing::error!(trunk = %trunk.id, %error, "the trunk's password cannot be opened: its calls will be refused");
                })
                .ok()
        });
        let agent = trunk
            .agent
            .as_ref()
            .and_then(|id| self.agents.get(id))
            .cloned();
        let line = Arc::new(Line {
            workspace: workspace.clone(),
            agent,
            password,
            extensions: Arc::new(names),
            trunk,
        });
        let trunk = &line.trunk;
        if let (TrunkAuth::Digest | TrunkAuth::Both, Some(username)) = (trunk.auth, &trunk.username)
        {
            self.by_username.insert(username.clone(), line.clone());
        }
        if trunk.auth == TrunkAuth::Ip {
            for net in &trunk.allowed_ips {
                self.by_source.push((*net, line.clone()));
            }
            let numbers = trunk.dids.iter().map(|did| did.digits.clone());
            self.by_address.extend(numbers);
        }
        for did in &trunk.dids {
            self.by_did
                .insert((trunk.workspace.clone(), did.digits.clone()), line.clone());
        }
        self.trunks.insert(trunk.id.clone(), line);
    }
}

/// Where a trunk's password is sealed.
pub fn password_cell(trunk: &TrunkId) -> Cell<'_> {
    Cell {
        table: "trunks",
        row: trunk.as_str(),
        column: "password",
    }
}

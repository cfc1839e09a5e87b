//! The machine that users drive: transactions, dialogs and requests of one node's signalling.
//! Bytes and time go in, bytes and events come out; see the crate's front page for the loop.

mod address;
mod alarm;
mod answer;
pub(crate) mod arena;
mod cancel;
mod challenge;
mod client;
mod command;
mod compose;
mod config;
mod dialogs;
mod entropy;
mod event;
mod failure;
mod flow;
mod outgoing;
mod receive;
mod response;
mod server;
mod within;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

pub use arena::{ClientTx, DialogId, ServerTx};
pub use command::{Body, Counts, EndpointError, OutgoingRequest, Reply};
pub use config::{Config, TimerConfig};
pub use entropy::Entropy;
pub use event::{Ended, Event, Failure, Input, Output, Query, QueryId};
pub use flow::{Flow, Target, Transport, UnknownTransport};

use crate::dialog::Dialog;
use crate::message::Request;
use crate::timer::Timers;
use alarm::Alarm;
use arena::{Arena, WireTx};
use client::WireTransaction;
use entropy::{FingerprintMap, HashKey};
use outgoing::{Asked, Outgoing};
use server::ServerTransaction;

/// SIP signalling as a pure function of time and bytes.
///
/// An endpoint never panics on what the network sends, never blocks, and holds no more than its
/// [`Config`] allows.
pub struct Endpoint {
    config: Arc<Config>,
    entropy: Box<dyn Entropy>,
    key: HashKey,
    listening: Vec<(Transport, SocketAddr)>,
    timers: Timers<Alarm>,
    outputs: VecDeque<Pending>,
    servers: Arena<ServerTx, ServerTransaction>,
    server_keys: FingerprintMap<ServerTx>,
    merge_keys: FingerprintMap<ServerTx>,
    wires: Arena<WireTx, WireTransaction>,
    wire_keys: FingerprintMap<WireTx>,
    outgoing: Arena<ClientTx, Outgoing>,
    dialogs: Arena<DialogId, Dialog>,
    dialog_keys: FingerprintMap<DialogId>,
    queries: BTreeMap<QueryId, Asked>,
    last_query: u64,
}

impl Endpoint {
    /// Makes an endpoint that holds nothing yet.
    pub fn new(config: Arc<Config>, mut entropy: Box<dyn Entropy>) -> Self {
        let key = HashKey::new(&mut *entropy);
        Self {
            config,
            entropy,
            key,
            listening: Vec::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            servers: Arena::new(),
            server_keys: FingerprintMap::default(),
            merge_keys: FingerprintMap::default(),
            wires: Arena::new(),
            wire_keys: FingerprintMap::default(),
            outgoing: Arena::new(),
            dialogs: Arena::new(),
            dialog_keys: FingerprintMap::default(),
            queries: BTreeMap::new(),
            last_query: 0,
        }
    }

    /// Tells which addresses the application listens on.
    ///
    /// They become Via and Contact of what starts here, unless [`Config::public_address`] is set.
    /// Called once the sockets are bound, before the first input; wildcard addresses should have
    /// been replaced by reachable ones.
    pub fn listening(&mut self, local: &[(Transport, SocketAddr)]) {
        self.listening = local.to_vec();
    }

    /// Takes one input at the time `now`, which must not go backwards.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Received { flow, bytes } => self.receive(now, flow, bytes),
            Input::Timeout => self.sound_alarms(now),
            Input::FlowFailed { flow, cause } => self.fail_flow(now, flow, &cause),
            Input::Resolved { query, targets } => self.take_targets(now, query, targets),
        }
    }

    /// Takes the next output. Poll until `None` after each input and command, and let the
    /// application act on an event before polling on. What must be sent comes before the event that
    /// tells of it.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.outputs.pop_front()? {
                Pending::Output(output) => return Some(output),
                Pending::Trying(tx) => {
                    if let Some((flow, bytes)) = self.trying(tx) {
                        return Some(Output::Transmit { flow, bytes });
                    }
                }
            }
        }
    }

    /// When [`Input::Timeout`] is due; `None` when nothing waits for time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// A dialog, as long as it is held.
    pub fn dialog(&self, id: DialogId) -> Option<&Dialog> {
        self.dialogs.get(id)
    }

    /// The dialog that answers to this INVITE made, or that the request is in.
    pub fn dialog_of(&self, tx: ServerTx) -> Option<DialogId> {
        self.servers.get(tx)?.dialog
    }

    /// The request behind a handle, while it may still be answered.
    pub fn request_of(&self, tx: ServerTx) -> Option<&Request> {
        self.servers.get(tx)?.request.as_ref()
    }

    /// How much is held.
    pub fn counts(&self) -> Counts {
        Counts {
            server_transactions: self.servers.len(),
            client_transactions: self.wires.len(),
            requests: self.outgoing.len(),
            dialogs: self.dialogs.len(),
            timers: self.timers.len(),
            queries: self.queries.len(),
        }
    }

    /// What the endpoint was configured with.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.outputs
            .push_back(Pending::Output(Output::Transmit { flow, bytes }));
    }

    fn tell(&mut self, event: Event) {
        self.outputs
            .push_back(Pending::Output(Output::Event(event)));
    }

    fn has_room_for_output(&self) -> bool {
        self.outputs.len() < self.config.max_outputs
    }

    fn transactions(&self) -> usize {
        self.servers.len() + self.wires.len()
    }

    fn is_full(&self) -> bool {
        self.transactions() >= self.config.max_transactions
    }

    // Requests inside dialogs may use as much again: a call that was let in can be carried through.
    fn is_overfull(&self) -> bool {
        self.transactions() >= self.config.max_transactions.saturating_mul(2)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

// What waits to be polled.
enum Pending {
    Output(Output),
    // The 100 to an INVITE, unless it has been answered by the time it is polled.
    Trying(ServerTx),
}

#[cfg(test)]
mod tests;

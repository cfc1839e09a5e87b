//! Requests of ours, from the command to the last event: where to, how often, and giving up.
//! One may go through several client transactions: another target, or credentials.

use std::collections::VecDeque;
use std::time::Instant;

use super::address::Hop;
use super::arena::WireTx;
use super::client::Owner;
use super::entropy::{Fingerprint, draw_hex, draw_u64, tag};
use super::event::{Failure, Output, Query};
use super::{
    Body, ClientTx, DialogId, Endpoint, EndpointError, Flow, OutgoingRequest, Pending, QueryId,
    Target, Transport,
};
use crate::auth::Credentials;
use crate::dialog::RouteSet;
use crate::header::{Header, NameAddr, Route};
use crate::method::Method;
use crate::name::Name;
use crate::timer::TimerId;
use crate::uri::Uri;

/// A request of ours.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) scope: Scope,
    pub(super) headers: Vec<(Name, String)>,
    pub(super) body: Option<Body>,
    /// Authorization and Proxy-Authorization, once challenged.
    pub(super) authorization: Vec<(Name, String)>,
    /// How often a 401 and a 407 have been answered.
    pub(super) tries: [u8; 2],
    pub(super) seq: u32,
    pub(super) wire: Option<WireTx>,
    pub(super) flow: Option<Flow>,
    /// Where else it may be sent, best first.
    pub(super) targets: VecDeque<Target>,
    pub(super) queries: Vec<QueryId>,
    pub(super) patience: Option<TimerId>,
    /// It is being cancelled, and fails for this reason.
    pub(super) giving_up: Option<Failure>,
    pub(super) cancel_sent: bool,
    /// The endpoint's own: the application hears nothing of it.
    pub(super) silent: bool,
    /// The last event is out; kept for the retransmissions of a 2xx.
    pub(super) done: bool,
    /// Early dialogs that responses to this INVITE made.
    pub(super) forks: Vec<DialogId>,
    /// ACKs to 2xx, by dialog.
    pub(super) acks: Vec<Acked>,
}

/// Whether a request is inside a dialog.
pub(super) enum Scope {
    Within(DialogId),
    Fresh(Box<Fresh>),
}

/// What a request outside dialogs needs to be written (again).
pub(super) struct Fresh {
    pub(super) uri: Uri,
    pub(super) from: NameAddr,
    pub(super) to: NameAddr,
    pub(super) call_id: String,
    pub(super) contact: Option<String>,
    pub(super) routes: RouteSet,
    pub(super) credentials: Option<Credentials>,
}

/// The ACK that one dialog's 2xx gets, each time it comes.
pub(super) struct Acked {
    pub(super) dialog: Fingerprint,
    pub(super) sent: Option<(Flow, bytes::Bytes)>,
}

/// What a question to the resolver was asked for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// A request of ours.
    Request(ClientTx),
    /// The ACK to a 2xx that made this dialog.
    Ack(ClientTx, DialogId),
}

impl Outgoing {
    pub(super) fn new(method: Method, scope: Scope, seq: u32) -> Self {
        Self {
            method,
            scope,
            headers: Vec::new(),
            body: None,
            authorization: Vec::new(),
            tries: [0, 0],
            seq,
            wire: None,
            flow: None,
            targets: VecDeque::new(),
            queries: Vec::new(),
            patience: None,
            giving_up: None,
            cancel_sent: false,
            silent: false,
            done: false,
            forks: Vec::new(),
            acks: Vec::new(),
        }
    }

    /// The dialog that it is inside of.
    pub(super) fn within(&self) -> Option<DialogId> {
        match self.scope {
            Scope::Within(dialog) => Some(dialog),
            Scope::Fresh(_) => None,
        }
    }
}

impl Endpoint {
    /// Sends a request outside any dialog. Its course shows as `Provisional`, and exactly one of
    /// `Final` and `Failed`; the latter may be among the outputs already when this returns.
    pub fn request(
        &mut self,
        now: Instant,
        request: OutgoingRequest,
    ) -> Result<ClientTx, EndpointError> {
        if matches!(request.method, Method::Ack | Method::Cancel | Method::Bye) {
            return Err(EndpointError::MethodNotAllowed(request.method));
        }
        let invite = request.method == Method::Invite;
        if self.is_full() || (invite && self.dialogs.len() >= self.config.max_dialogs) {
            return Err(EndpointError::Full);
        }
        let (routes, headers): (Vec<_>, Vec<_>) = request
            .headers
            .into_iter()
            .partition(|(name, _)| *name == Name::Route);
        let mut hops = Vec::new();
        for (_, value) in &routes {
            hops.push(Route::parse(value)?);
        }
        let tag = tag(draw_u64(&mut *self.entropy));
        let fresh = Fresh {
            uri: request.uri,
            from: request.from.without_param("tag").with_tag(&tag)?,
            to: request.to,
            call_id: request
                .call_id
                .unwrap_or_else(|| draw_hex(&mut *self.entropy) + &draw_hex(&mut *self.entropy)),
            contact: request.contact,
            routes: RouteSet::preloaded(hops),
            credentials: request.credentials,
        };
        //= RFC 3261 8.1.1.5
        // "The sequence number value MUST be expressible as a 32-bit unsigned integer and MUST be
        // less than 2**31."
        let seq = match request.cseq {
            Some(seq) => seq,
            None => self.first_seq(),
        };
        let mut outgoing = Outgoing::new(request.method, Scope::Fresh(Box::new(fresh)), seq);
        outgoing.headers = headers;
        outgoing.body = request.body;
        let tx = self.outgoing.insert(outgoing);
        let sent = match request.target {
            Some(target) => {
                let flow = self.flow_to(target);
                self.send_on(now, tx, flow)
            }
            None => self.send_by_uri(now, tx),
        };
        self.or_forget(tx, sent)
    }

    /// The command that made this request failed: it never existed.
    pub(super) fn or_forget(
        &mut self,
        tx: ClientTx,
        sent: Result<(), EndpointError>,
    ) -> Result<ClientTx, EndpointError> {
        match sent {
            Ok(()) => Ok(tx),
            Err(error) => {
                self.drop_outgoing(tx);
                Err(error)
            }
        }
    }

    /// Sends it where its URI or route points.
    pub(super) fn send_by_uri(&mut self, now: Instant, tx: ClientTx) -> Result<(), EndpointError> {
        let outgoing = self.outgoing.get(tx).ok_or(EndpointError::Gone)?;
        let (next_hop, fallback) = match &outgoing.scope {
            Scope::Fresh(fresh) => (fresh.routes.plan(&fresh.uri).next_hop, None),
            Scope::Within(id) => {
                let dialog = self.dialogs.get(*id).ok_or(EndpointError::Gone)?;
                if dialog.path.pin.is_some() {
                    let flow = dialog.path.flow;
                    return self.send_on(now, tx, flow);
                }
                (
                    dialog.routes.plan(&dialog.remote_target).next_hop,
                    Some(dialog.path.flow),
                )
            }
        };
        match self.hop(&next_hop) {
            Hop::Flow(flow) => {
                let free = fallback.is_none() && next_hop.transport().is_none();
                if free && flow.transport == Transport::Udp {
                    self.send_by_size(now, tx, flow)
                } else {
                    self.send_on(now, tx, flow)
                }
            }
            Hop::Name {
                host,
                port,
                transport,
                secure,
            } => {
                // Written once for nothing, so that what cannot be written is told at once.
                let flow = fallback.unwrap_or_else(|| self.flow_to(nowhere()));
                self.compose(tx, flow, "z9hG4bK-trial")?;
                self.ask(Asked::Request(tx), host, port, transport, secure);
                let at = now + self.config.timers.lifetime();
                self.be_patient(tx, at);
                Ok(())
            }
            Hop::Nowhere => match fallback {
                Some(flow) => self.send_on(now, tx, flow),
                None => Err(EndpointError::Unroutable(next_hop.as_str().to_owned())),
            },
        }
    }

    //= RFC 3261 18.1.1
    // "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the
    // path MTU is unknown, the request MUST be sent using an RFC 2914 [43] congestion controlled
    // transport protocol, such as TCP." And back to UDP should that fail.
    fn send_by_size(
        &mut self,
        now: Instant,
        tx: ClientTx,
        flow: Flow,
    ) -> Result<(), EndpointError> {
        let tcp = Target::tcp(flow.remote);
        let listening = self
            .listening
            .iter()
            .any(|(transport, _)| *transport == Transport::Tcp);
        if listening && self.compose(tx, flow, "z9hG4bK-trial")?.len() > LARGEST_DATAGRAM {
            if let Some(outgoing) = self.outgoing.get_mut(tx) {
                outgoing.targets.push_front(Target::udp(flow.remote));
            }
            let flow = self.flow_to(tcp);
            return self.send_on(now, tx, flow);
        }
        self.send_on(now, tx, flow)
    }

    /// Asks the resolver on behalf of a request; the question is dropped with it.
    pub(super) fn ask(
        &mut self,
        asked: Asked,
        host: String,
        port: Option<u16>,
        transport: Option<Transport>,
        secure: bool,
    ) {
        self.last_query = self.last_query.wrapping_add(1);
        let id = QueryId(self.last_query);
        let (Asked::Request(tx) | Asked::Ack(tx, _)) = asked;
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        outgoing.queries.push(id);
        self.queries.insert(id, asked);
        let query = Query {
            id,
            host,
            port,
            transport,
            secure,
        };
        self.outputs
            .push_back(Pending::Output(Output::Resolve(query)));
    }

    /// The resolver has answered.
    pub(super) fn take_targets(&mut self, now: Instant, query: QueryId, targets: Vec<Target>) {
        let asked = self.queries.remove(&query);
        if let Some(Asked::Request(tx) | Asked::Ack(tx, _)) = asked
            && let Some(outgoing) = self.outgoing.get_mut(tx)
        {
            outgoing.queries.retain(|open| *open != query);
        }
        match asked {
            Some(Asked::Request(tx)) => self.send_to_first(now, tx, targets),
            Some(Asked::Ack(tx, dialog)) => self.send_ack(tx, dialog, targets.first().copied()),
            None => {}
        }
    }

    fn send_to_first(&mut self, now: Instant, tx: ClientTx, targets: Vec<Target>) {
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return;
        };
        if let Some(timer) = outgoing.patience.take() {
            self.timers.cancel(timer);
        }
        let fallback = outgoing
            .within()
            .and_then(|id| self.dialogs.get(id))
            .map(|d| d.path.flow);
        let mut targets: VecDeque<_> = targets.into_iter().take(MOST_TARGETS).collect();
        let flow = targets
            .pop_front()
            .map(|target| self.flow_to(target))
            .or(fallback);
        if let Some(outgoing) = self.outgoing.get_mut(tx) {
            outgoing.targets = targets;
        }
        match flow {
            Some(flow) => {
                if let Err(error) = self.send_on(now, tx, flow) {
                    self.fail(now, tx, Failure::Transport(error.to_string()));
                }
            }
            None => self.fail(now, tx, Failure::Unresolved),
        }
    }

    /// Sends it over a flow, in a client transaction.
    pub(super) fn send_on(
        &mut self,
        now: Instant,
        tx: ClientTx,
        flow: Flow,
    ) -> Result<(), EndpointError> {
        let outgoing = self.outgoing.get(tx).ok_or(EndpointError::Gone)?;
        let method = outgoing.method.clone();
        let fields = {
            let (call_id, tag) = match &outgoing.scope {
                Scope::Fresh(fresh) => (fresh.call_id.as_str(), fresh.from.tag()),
                Scope::Within(id) => {
                    let dialog = self.dialogs.get(*id).ok_or(EndpointError::Gone)?;
                    (dialog.call_id(), dialog.local.tag())
                }
            };
            self.fields_key(call_id, tag.unwrap_or_default(), outgoing.seq, &method)
        };
        let wire = self.open_client(
            now,
            Owner::Request(tx),
            &method,
            flow,
            fields,
            |this, branch| this.compose(tx, flow, &branch.text()),
        )?;
        if let Some(outgoing) = self.outgoing.get_mut(tx) {
            outgoing.wire = Some(wire);
            outgoing.flow = Some(flow);
        }
        Ok(())
    }

    /// One attempt got no answer: the next target, or the end (RFC 3263 4.3).
    pub(super) fn attempt_failed(&mut self, now: Instant, tx: ClientTx, cause: Failure) {
        let Some(outgoing) = self.outgoing.get_mut(tx).filter(|out| !out.done) else {
            return;
        };
        if let Some(given) = outgoing.giving_up.clone() {
            self.fail(now, tx, given);
            return;
        }
        if !self.try_next_target(now, tx) {
            self.fail(now, tx, cause);
        }
    }

    /// Sends it to the next target, if there is one.
    pub(super) fn try_next_target(&mut self, now: Instant, tx: ClientTx) -> bool {
        while let Some(target) = self
            .outgoing
            .get_mut(tx)
            .and_then(|out| out.targets.pop_front())
        {
            let flow = self.flow_to(target);
            if self.send_on(now, tx, flow).is_ok() {
                return true;
            }
        }
        false
    }

    /// A client transaction is over.
    pub(super) fn wire_closed(&mut self, tx: ClientTx, wire: WireTx) {
        let Some(outgoing) = self
            .outgoing
            .get_mut(tx)
            .filter(|out| out.wire == Some(wire))
        else {
            return;
        };
        outgoing.wire = None;
        if outgoing.done {
            self.drop_outgoing(tx);
        }
    }

    /// Forgets a request and what it holds.
    pub(super) fn drop_outgoing(&mut self, tx: ClientTx) {
        let Some(outgoing) = self.outgoing.remove(tx) else {
            return;
        };
        if let Some(timer) = outgoing.patience {
            self.timers.cancel(timer);
        }
        for query in outgoing.queries {
            self.queries.remove(&query);
        }
    }
}

fn nowhere() -> Target {
    Target::udp(std::net::SocketAddr::from(([0, 0, 0, 0], 0)))
}

// RFC 3261 18.1.1, with an unknown path MTU.
const LARGEST_DATAGRAM: usize = 1300;

// More addresses than this for one name are not tried.
const MOST_TARGETS: usize = 8;

//! The connections of a driver: which there are, how they are found again, when there are too many.
//! Each runs as a task of its own; this table, in the driver's task, is all that knows them.

mod config;
mod connection;
mod inward;
mod outward;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sip_core::endpoint::{Flow, Transport};
use sip_core::message::ParseError;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

pub use config::StreamConfig;

use crate::guard::bucket_of;
use crate::observer::DropReason;
use crate::shared::Shared;
use crate::udp::canonical;
use connection::{Closed, Connection};

/// Connections that the kernel completes before we accept them.
const BACKLOG: i32 = 1024;
/// How long to wait when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener or a connection tells the driver.
pub(crate) enum StreamEvent {
    Accepted {
        stream: TcpStream,
        remote: SocketAddr,
    },
    Opened {
        connection: u64,
        local: SocketAddr,
    },
    Message {
        flow: Flow,
        bytes: Bytes,
    },
    /// What came cannot be cut into messages any further; the connection closes after an answer.
    Broken {
        flow: Flow,
        error: ParseError,
    },
    /// The peer sends no more, but may still read.
    HalfClosed {
        connection: u64,
    },
    Closed {
        connection: u64,
        cause: String,
        dropped: Option<DropReason>,
    },
}

/// All connections of one driver.
pub(crate) struct Streams {
    shared: Arc<Shared>,
    events: mpsc::Sender<StreamEvent>,
    table: HashMap<u64, Entry>,
    /// The connection to use for "any connection to this address": the youngest.
    by_remote: HashMap<SocketAddr, u64>,
    /// Incoming connections by source.
    per_source: HashMap<IpAddr, usize>,
    last: u64,
    /// The listeners' own addresses, where they are not wildcards: connections start there.
    sources: Vec<IpAddr>,
}

/// What the table knows of a connection. Dropping it closes the connection after its last write.
struct Entry {
    flow: Flow,
    queue: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
    task: AbortHandle,
    /// The source that it counts for, when it was accepted.
    counts_for: Option<IpAddr>,
    /// A message went over it, either way. Until then the endpoint knows nothing of it.
    used: bool,
    /// A message was sent over it under this flow, whose connection is 0.
    used_as: Option<Flow>,
}

/// Flows that have failed with one connection, and why.
pub(crate) struct Broken {
    pub(crate) flows: Vec<Flow>,
    pub(crate) cause: String,
}

impl Streams {
    pub(crate) fn new(
        shared: Arc<Shared>,
        events: mpsc::Sender<StreamEvent>,
        listeners: &[SocketAddr],
    ) -> Self {
        let ips = listeners.iter().map(SocketAddr::ip);
        Self {
            shared,
            events,
            table: HashMap::new(),
            by_remote: HashMap::new(),
            per_source: HashMap::new(),
            last: 0,
            sources: ips.filter(|ip| !ip.is_unspecified()).collect(),
        }
    }

    /// Takes a new incoming connection, or closes it when there are too many.
    pub(crate) fn accepted(
        &mut self,
        stream: TcpStream,
        remote: SocketAddr,
        tasks: &mut JoinSet<()>,
    ) {
        let source = bucket_of(remote.ip());
        let from_source = self.per_source.get(&source).copied().unwrap_or_default();
        let limits = &self.shared.streams;
        let refused = if self.table.len() >= limits.connections {
            Some(DropReason::TooManyConnections)
        } else if from_source >= limits.per_source {
            Some(DropReason::TooManyFromSource)
        } else {
            None
        };
        if let Some(why) = refused {
            self.shared.dropped(Transport::Tcp, remote, why);
            return;
        }
        // Only a connection that is gone already has no local address.
        let Ok(local) = stream.local_addr() else {
            return;
        };
        self.shared.counters.accepted();
        *self.per_source.entry(source).or_default() += 1;
        let flow = self.next_flow(canonical(local), remote);
        let (connection, queue, queued) = self.connection(flow, false);
        let events = self.events.clone();
        let task = tasks.spawn(async move {
            let closed = connection.run(stream).await;
            report(events, flow.connection, closed).await;
        });
        tracing::debug!(peer = %remote, connection = flow.connection, "connection accepted");
        self.insert(Entry {
            flow,
            queue,
            queued,
            task,
            counts_for: Some(source),
            used: false,
            used_as: None,
        });
    }

    /// A connection of ours is open: its real local address is known.
    pub(crate) fn opened(&mut self, connection: u64, local: SocketAddr) {
        if let Some(entry) = self.table.get_mut(&connection) {
            entry.flow.local = local;
            self.shared.counters.connected();
            tracing::debug!(peer = %entry.flow.remote, connection, "connection opened");
        }
    }

    /// Sends over the connection that the flow names, over any to its address, or over a new one.
    /// Never waits; the error is the cause for a `FlowFailed` of this same flow.
    pub(crate) fn send(
        &mut self,
        flow: Flow,
        bytes: Bytes,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), String> {
        if flow.transport == Transport::Tls {
            return Err("this build has no TLS".to_owned());
        }
        let connection = match flow.connection {
            0 => match self.by_remote.get(&flow.remote) {
                Some(connection) => *connection,
                None => self.open(flow, tasks)?,
            },
            connection => connection,
        };
        let Some(entry) = self.table.get_mut(&connection) else {
            return Err("the connection is closed".to_owned());
        };
        entry.used = true;
        if flow.connection == 0 {
            entry.used_as = Some(flow);
        }
        let length = bytes.len();
        let waiting = entry.queued.fetch_add(length, Ordering::Relaxed) + length;
        if waiting > self.shared.streams.write_queue {
            let remote = entry.flow.remote;
            self.shared
                .dropped(Transport::Tcp, remote, DropReason::NotReading);
            entry.task.abort();
            // What else was sent over it fails when the driver hears of its end, below.
            let cause = format!("the peer does not read: {waiting} bytes wait");
            let events = self.events.clone();
            let closed = Closed::because(cause.clone());
            tasks.spawn(report(events, connection, closed));
            return Err(cause);
        }
        // The task has ended and its last event is on the way here.
        entry
            .queue
            .send(bytes)
            .map_err(|_| "the connection is closed".to_owned())
    }

    /// A message came over it.
    pub(crate) fn heard(&mut self, connection: u64) {
        if let Some(entry) = self.table.get_mut(&connection) {
            entry.used = true;
        }
    }

    /// No new messages for "any connection to this address" go over this one.
    pub(crate) fn half_closed(&mut self, connection: u64) {
        if let Some(entry) = self.table.get(&connection) {
            let remote = entry.flow.remote;
            if self.by_remote.get(&remote) == Some(&connection) {
                self.by_remote.remove(&remote);
            }
        }
    }

    /// A connection has ended: forgets it and tells which flows have failed.
    pub(crate) fn closed(
        &mut self,
        connection: u64,
        cause: String,
        dropped: Option<DropReason>,
    ) -> Option<Broken> {
        self.half_closed(connection);
        let entry = self.table.remove(&connection)?;
        if let Some(source) = entry.counts_for
            && let Some(count) = self.per_source.get_mut(&source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
        self.shared.counters.set_connections(self.table.len());
        if let Some(why) = dropped {
            self.shared.dropped(Transport::Tcp, entry.flow.remote, why);
        }
        tracing::debug!(peer = %entry.flow.remote, connection, %cause, "connection closed");
        // An endpoint looks through all it holds for a failed flow. Who only connects and goes away,
        // a thousand times a second, must not make it do so.
        let flow = entry.used.then_some(entry.flow);
        let flows = [flow, entry.used_as].into_iter().flatten();
        Some(Broken {
            flows: flows.collect(),
            cause,
        })
    }

    /// Closes every connection, each after its last write.
    pub(crate) fn close_all(&mut self) {
        self.table.clear();
        self.by_remote.clear();
        self.shared.counters.set_connections(0);
    }

    fn open(&mut self, flow: Flow, tasks: &mut JoinSet<()>) -> Result<u64, String> {
        let limits = &self.shared.streams;
        if self.table.len() >= limits.connections {
            let why = DropReason::TooManyConnections;
            self.shared.dropped(Transport::Tcp, flow.remote, why);
            return Err("too many connections".to_owned());
        }
        let connect_timeout = limits.connect_timeout;
        let source = self.sources.iter().copied();
        let source = source
            .clone()
            .find(|ip| *ip == flow.local.ip())
            .or_else(|| {
                source
                    .clone()
                    .find(|ip| ip.is_ipv4() == flow.remote.is_ipv4())
            });
        let ours = self.next_flow(flow.local, flow.remote);
        let (mut connection, queue, queued) = self.connection(ours, true);
        let events = self.events.clone();
        let task = tasks.spawn(async move {
            let id = ours.connection;
            let connected = connect(source, ours.remote);
            let closed = match tokio::time::timeout(connect_timeout, connected).await {
                Ok(Ok((stream, local))) => {
                    connection.flow.local = local;
                    let opened = StreamEvent::Opened {
                        connection: id,
                        local,
                    };
                    let _ = events.send(opened).await;
                    connection.run(stream).await
                }
                Ok(Err(error)) => {
                    Closed::because(format!("cannot connect to tcp {}: {error}", ours.remote))
                }
                Err(_) => Closed::because(format!(
                    "cannot connect to tcp {}: no answer within {} s",
                    ours.remote,
                    connect_timeout.as_secs_f32()
                )),
            };
            report(events, id, closed).await;
        });
        self.insert(Entry {
            flow: ours,
            queue,
            queued,
            task,
            counts_for: None,
            used: false,
            used_as: None,
        });
        Ok(ours.connection)
    }

    fn next_flow(&mut self, local: SocketAddr, remote: SocketAddr) -> Flow {
        self.last += 1;
        Flow {
            transport: Transport::Tcp,
            local,
            remote,
            connection: self.last,
        }
    }

    fn connection(
        &self,
        flow: Flow,
        ours: bool,
    ) -> (Connection, mpsc::UnboundedSender<Bytes>, Arc<AtomicUsize>) {
        // Bounded by bytes, in `send`: what counts is memory, not the number of messages.
        let (sender, queue) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let connection = Connection {
            flow,
            shared: self.shared.clone(),
            events: self.events.clone(),
            queue,
            queued: queued.clone(),
            ours,
        };
        (connection, sender, queued)
    }

    fn insert(&mut self, entry: Entry) {
        let connection = entry.flow.connection;
        self.by_remote.insert(entry.flow.remote, connection);
        self.table.insert(connection, entry);
        self.shared.counters.set_connections(self.table.len());
    }
}

/// Binds a listener. Needs a tokio runtime.
pub(crate) fn listen(addr: SocketAddr, dual_stack: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    // A restart must not wait for the old connections' TIME_WAIT. Another listener is still refused.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until the driver ends.
pub(crate) async fn accept(listener: TcpListener, events: mpsc::Sender<StreamEvent>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                prepare(&stream);
                let remote = canonical(remote);
                if events
                    .send(StreamEvent::Accepted { stream, remote })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            // The peer was gone before we came.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; raise the limit of open files");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connect(
    source: Option<IpAddr>,
    remote: SocketAddr,
) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = source.filter(|ip| ip.is_ipv4() == remote.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(remote).await?;
    prepare(&stream);
    let local = stream.local_addr()?;
    Ok((stream, local))
}

/// Options for every connection: small messages leave at once, dead peers are noticed.
fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10));
    // Neither is needed to talk: a system that refuses them still serves its calls.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

async fn report(events: mpsc::Sender<StreamEvent>, connection: u64, closed: Closed) {
    let Closed { cause, dropped } = closed;
    let closed = StreamEvent::Closed {
        connection,
        cause,
        dropped,
    };
    // No driver any more: nobody left to tell.
    let _ = events.send(closed).await;
}

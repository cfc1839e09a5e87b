//! How a driver starts: addresses, bounds, observers, then all sockets at once or none.
//! Every failure is found here, before the first message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use sip_core::endpoint::{Config, Endpoint, Entropy, Transport};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::task::Task;
use super::{Handle, Handler, Running};
use crate::counters::Counters;
use crate::entropy::SystemEntropy;
use crate::error::StartError;
use crate::guard::{GuardConfig, SharedGuard};
use crate::observer::Observer;
use crate::resolve::{Families, Resolver};
use crate::shared::Shared;
use crate::stream::{self, StreamConfig, Streams};
use crate::udp::{Datagrams, UdpPort};

/// Commands that may wait for the driver.
const COMMANDS: usize = 16_384;
/// Messages of connections that may wait for the driver.
const STREAM_EVENTS: usize = 1_024;

/// Where everything starts: [`Driver::builder`].
#[derive(Debug)]
pub struct Driver;

impl Driver {
    /// Begins a driver for an endpoint with this configuration.
    pub fn builder(config: Arc<Config>) -> Builder {
        Builder {
            config,
            udp: Vec::new(),
            tcp: Vec::new(),
            guard: GuardConfig::default(),
            streams: StreamConfig::default(),
            observers: Vec::new(),
            entropy: Box::new(SystemEntropy),
        }
    }
}

/// A driver that is not running yet.
pub struct Builder {
    config: Arc<Config>,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    guard: GuardConfig,
    streams: StreamConfig,
    observers: Vec<Arc<dyn Observer>>,
    entropy: Box<dyn Entropy>,
}

impl Builder {
    /// Listens on UDP. May be called several times; port 0 takes a free one. `[::]` takes IPv4 as
    /// well, unless an IPv4 address with the same port is given too.
    pub fn udp(mut self, addr: SocketAddr) -> Self {
        self.udp.push(addr);
        self
    }

    /// Listens on TCP. Without any TCP address the driver still opens connections of its own.
    pub fn tcp(mut self, addr: SocketAddr) -> Self {
        self.tcp.push(addr);
        self
    }

    /// Sets the budget of a source.
    pub fn guard(mut self, guard: GuardConfig) -> Self {
        self.guard = guard;
        self
    }

    /// Sets the limits of TCP connections.
    pub fn streams(mut self, streams: StreamConfig) -> Self {
        self.streams = streams;
        self
    }

    /// Adds someone who watches. May be called several times.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Replaces the operating system's random source, for a test that wants the same tags again.
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// Binds all sockets and starts the task. Needs a tokio runtime around it.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the address that failed, why, and what to do; no socket stays open.
    pub fn start<H: Handler>(self, handler: H) -> Result<Running<H>, StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        if self.udp.is_empty() && self.tcp.is_empty() {
            return Err(StartError::NoAddress);
        }
        let mut ports = Vec::new();
        for &addr in &self.udp {
            let port = UdpPort::bind(addr, dual_stack(addr, &self.udp));
            let port = port.map_err(|error| StartError::listen(Transport::Udp, addr, error))?;
            tracing::info!(addr = %port.local(), kernel_buffer = port.kernel_buffer(),
                "listening for SIP over udp");
            ports.push(port);
        }
        let mut listeners = Vec::new();
        for &addr in &self.tcp {
            let failed = |error| StartError::listen(Transport::Tcp, addr, error);
            let listener = stream::listen(addr, dual_stack(addr, &self.tcp)).map_err(failed)?;
            let local = listener.local_addr().map_err(failed)?;
            tracing::info!(addr = %local, "listening for SIP over tcp");
            listeners.push((local, listener));
        }

        let mut local: Vec<_> = ports
            .iter()
            .map(|port| (Transport::Udp, port.local()))
            .collect();
        local.extend(listeners.iter().map(|(addr, _)| (Transport::Tcp, *addr)));
        let local: Arc<[_]> = local.into();

        let mut endpoint = Endpoint::new(self.config.clone(), self.entropy);
        endpoint.listening(&reachable(&local));
        let counters = Arc::new(Counters::default());
        let guard = SharedGuard::new(&self.guard);
        let shared = Arc::new(Shared {
            limits: self.config.limits,
            streams: self.streams,
            guard: guard.clone(),
            counters: counters.clone(),
            observers: self.observers,
        });
        let (commands, command_queue) = mpsc::channel(COMMANDS);
        let (events, event_queue) = mpsc::channel(STREAM_EVENTS);
        let (stop, stopped) = oneshot::channel();
        let (resolver, answers) = Resolver::new(families(&local));
        let tcp: Vec<_> = listeners.iter().map(|(addr, _)| *addr).collect();
        let streams = Streams::new(shared.clone(), events.clone(), &tcp);
        let mut acceptors = JoinSet::new();
        for (_, listener) in listeners {
            acceptors.spawn(stream::accept(listener, events.clone()));
        }
        let task = Task {
            endpoint,
            handler,
            udp: Datagrams::new(ports, shared.clone()),
            streams,
            resolver,
            shared,
            tasks: JoinSet::new(),
            acceptors,
            commands: command_queue,
            events: event_queue,
            answers,
            stopped,
        };
        let handle = Handle::new(commands, counters, guard, local);
        Ok(Running::new(handle, stop, runtime.spawn(task.run())))
    }
}

/// Should an IPv6 wildcard take IPv4 too? Not when that port of IPv4 is asked for separately.
fn dual_stack(addr: SocketAddr, all: &[SocketAddr]) -> bool {
    addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && !all
            .iter()
            .any(|other| other.is_ipv4() && other.port() == addr.port())
}

/// The families that at least one listener serves. An IPv6 wildcard counts for both: if it does not
/// take IPv4 then another listener does.
fn families(local: &[(Transport, SocketAddr)]) -> Families {
    let has = |wanted: fn(&SocketAddr) -> bool| local.iter().any(|(_, addr)| wanted(addr));
    Families {
        v4: has(|addr| addr.is_ipv4() || addr.ip().is_unspecified()),
        v6: has(SocketAddr::is_ipv6),
    }
}

/// Addresses that can stand in Via and Contact: in place of a wildcard, the address from which the
/// kernel would reach the outside.
fn reachable(local: &[(Transport, SocketAddr)]) -> Vec<(Transport, SocketAddr)> {
    let mut reachable = Vec::new();
    for &(transport, addr) in local {
        if !addr.ip().is_unspecified() {
            reachable.push((transport, addr));
            continue;
        }
        // Documentation addresses (RFC 5737, RFC 3849): nothing is sent, only a route looked up.
        let v4 = || {
            outward(
                Ipv4Addr::new(192, 0, 2, 1).into(),
                Ipv4Addr::LOCALHOST.into(),
            )
        };
        let outside = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let v6 = || outward(outside.into(), Ipv6Addr::LOCALHOST.into());
        let is_separate = local
            .iter()
            .any(|(other, a)| *other == transport && a.is_ipv4() && a.port() == addr.port());
        if addr.is_ipv4() || !is_separate {
            reachable.push((transport, SocketAddr::new(v4(), addr.port())));
        }
        if addr.is_ipv6() {
            reachable.push((transport, SocketAddr::new(v6(), addr.port())));
        }
    }
    reachable
}

/// Our address on the way to `outside`; `otherwise` when there is no way.
fn outward(outside: IpAddr, otherwise: IpAddr) -> IpAddr {
    let any: IpAddr = if outside.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let route = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((outside, 9))?;
        socket.local_addr()
    };
    route().map_or(otherwise, |addr| addr.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_become_addresses_that_a_peer_could_call() {
        let local = [
            (Transport::Udp, "0.0.0.0:5060".parse().unwrap()),
            (Transport::Tcp, "127.0.0.1:5062".parse().unwrap()),
        ];
        let reachable = reachable(&local);
        assert_eq!(reachable.len(), 2);
        assert_eq!(reachable[1], local[1]);
        assert_eq!(reachable[0].1.port(), 5060);
        assert!(!reachable[0].1.ip().is_unspecified());
    }

    #[test]
    fn an_ipv6_wildcard_stands_for_both_families_unless_ipv4_is_separate() {
        let both: SocketAddr = "[::]:5060".parse().unwrap();
        let v4: SocketAddr = "0.0.0.0:5060".parse().unwrap();
        assert!(dual_stack(both, &[both]));
        assert!(!dual_stack(both, &[both, v4]));
        let kinds = |local: &[(Transport, SocketAddr)]| {
            let reachable = reachable(local);
            reachable
                .iter()
                .map(|(_, addr)| addr.is_ipv4())
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&[(Transport::Udp, both)]), [true, false]);
        assert_eq!(
            kinds(&[(Transport::Udp, both), (Transport::Udp, v4)]),
            [false, true]
        );
    }
}

//! The UDP sockets of a driver: all received in turn, each answer sent from where it was called.
//! What comes out has passed the guard and looks like SIP.

mod port;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use sip_core::endpoint::{Flow, Transport};

use crate::guard::Admission;
use crate::observer::{Direction, DropReason};
use crate::shared::Shared;
use crate::sniff::{Kind, kind};
use port::{Batch, Datagram, Sent};

pub(crate) use port::{UdpPort, canonical};

/// All UDP sockets of one driver.
pub(crate) struct Datagrams {
    ports: Vec<UdpPort>,
    batch: Batch,
    shared: Arc<Shared>,
    /// The socket that is asked first, so that a busy one cannot starve the others.
    turn: usize,
}

impl Datagrams {
    pub(crate) fn new(ports: Vec<UdpPort>, shared: Arc<Shared>) -> Self {
        Self {
            ports,
            batch: Batch::new(),
            shared,
            turn: 0,
        }
    }

    /// Sends what waits, then receives one batch from the first socket that has something.
    /// Messages are appended to `received`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        received: &mut Vec<(Flow, Bytes)>,
    ) -> Poll<()> {
        for port in &mut self.ports {
            // Pending registers the waker; whether it is flushed changes nothing here.
            let _ = port.poll_flush(cx);
        }
        for offset in 0..self.ports.len() {
            let at = (self.turn + offset) % self.ports.len();
            let Some(port) = self.ports.get(at) else {
                continue;
            };
            let shared = &self.shared;
            let got = port.poll_receive(cx, &mut self.batch, |datagram| {
                if let Some(message) = admit(shared, now, &datagram) {
                    received.push(message);
                }
            });
            match got {
                Poll::Pending => {}
                Poll::Ready(result) => {
                    if let Err(error) = result {
                        tracing::warn!(local = %port.local(), %error, "cannot receive over udp");
                    }
                    self.turn = at + 1;
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }

    /// Sends a message from the socket that the flow names, or from one that fits. Never waits; the
    /// error is the cause for a `FlowFailed` of this flow.
    pub(crate) fn send(&mut self, flow: &Flow, bytes: &Bytes) -> Result<(), String> {
        let remote = flow.remote;
        let named = self
            .ports
            .iter()
            .position(|port| serves(port, flow.local) && port.reaches(remote));
        let fitting = || self.ports.iter().position(|port| port.reaches(remote));
        let port = named.or_else(fitting).and_then(|at| self.ports.get_mut(at));
        let Some(port) = port else {
            self.shared
                .dropped(Transport::Udp, remote, DropReason::Unsendable);
            let family = if remote.is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(format!("no udp socket for {family}"));
        };
        match port.send(flow.local, remote, bytes) {
            Sent::Accepted => Ok(()),
            Sent::QueueFull => {
                // As if the network had lost it: whoever needs it sends it again.
                self.shared
                    .dropped(Transport::Udp, remote, DropReason::SendQueueFull);
                Ok(())
            }
            Sent::Failed(error) => {
                self.shared
                    .dropped(Transport::Udp, remote, DropReason::Unsendable);
                Err(format!("cannot send to udp {remote}: {error}"))
            }
        }
    }

    /// Sends what waits. Pending while something waits.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = false;
        for port in &mut self.ports {
            waiting |= port.poll_flush(cx).is_pending();
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// Is `local` an address of this socket?
fn serves(port: &UdpPort, local: SocketAddr) -> bool {
    let bound = port.local();
    bound.port() == local.port() && (bound.ip() == local.ip() || bound.ip().is_unspecified())
}

/// The message in a datagram, unless it is a keepalive, junk, or too much.
fn admit(shared: &Shared, now: Instant, datagram: &Datagram<'_>) -> Option<(Flow, Bytes)> {
    let flow = Flow {
        transport: Transport::Udp,
        local: datagram.local,
        remote: datagram.remote,
        connection: 0,
    };
    if let Admission::Over { .. } = shared.guard.admit(now, flow.remote.ip()) {
        shared.dropped(Transport::Udp, flow.remote, DropReason::OverBudget);
        return None;
    }
    match kind(datagram.bytes) {
        // A copy of its own: a slice would pin the whole batch for as long as a header is kept.
        Kind::Sip => Some((flow, Bytes::copy_from_slice(datagram.bytes))),
        Kind::Keepalive => {
            shared.keepalive(Direction::Received, &flow);
            None
        }
        Kind::Junk => {
            shared.guard.charge_garbage(now, flow.remote.ip());
            shared.dropped(Transport::Udp, flow.remote, DropReason::NotSip);
            None
        }
    }
}

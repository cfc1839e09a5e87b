//! What the driver and the tasks of its connections have in common.
//! Held in one `Arc`; everything in it may be used from any task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use sip_core::endpoint::{Flow, Transport};
use sip_core::message::Limits;

use crate::counters::Counters;
use crate::guard::SharedGuard;
use crate::observer::{Direction, DropReason, Observer};
use crate::stream::StreamConfig;
use crate::trace;

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) streams: StreamConfig,
    pub(crate) guard: SharedGuard,
    pub(crate) counters: Arc<Counters>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
}

impl Shared {
    /// Counts and shows one message that is about to be parsed, or was handed to a socket.
    pub(crate) fn message(&self, direction: Direction, flow: &Flow, bytes: &[u8]) {
        match direction {
            Direction::Received => self.counters.received(flow.transport, bytes.len()),
            Direction::Sent => self.counters.sent(flow.transport, bytes.len()),
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            let call_id = trace::call_id(bytes).unwrap_or_default();
            let line = trace::first_line(bytes);
            match direction {
                Direction::Received => {
                    tracing::debug!(call_id, transport = %flow.transport, peer = %flow.remote,
                        local = %flow.local, bytes = bytes.len(), "received {line}");
                }
                Direction::Sent => {
                    tracing::debug!(call_id, transport = %flow.transport, peer = %flow.remote,
                        local = %flow.local, bytes = bytes.len(), "sent {line}");
                }
            }
        }
        if !self.observers.is_empty() {
            let at = SystemTime::now();
            for observer in &self.observers {
                observer.message(at, direction, flow, bytes);
            }
        }
    }

    /// Counts and shows something that goes no further.
    pub(crate) fn dropped(&self, transport: Transport, peer: SocketAddr, why: DropReason) {
        self.counters.dropped(why);
        // One line per packet of a flood would be a flood of its own: this is the lowest level, the
        // counters tell the rest.
        tracing::trace!(%transport, %peer, reason = why.label(), "dropped");
        for observer in &self.observers {
            observer.dropped(transport, peer, why);
        }
    }

    pub(crate) fn keepalive(&self, direction: Direction, flow: &Flow) {
        if direction == Direction::Received {
            self.counters.keepalive();
        }
        for observer in &self.observers {
            observer.keepalive(direction, flow);
        }
    }
}

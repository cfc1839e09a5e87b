//! Flows that fail: what was waiting on them is told, what can go another way does.
//! Scans everything held; connections break far more rarely than messages come.

use std::net::SocketAddr;
use std::time::Instant;

use super::client::ClientInput;
use super::{DialogId, Endpoint, Flow, ServerTx, Transport};
use crate::dialog::Pin;

impl Endpoint {
    /// Sending over a flow failed, or its connection broke.
    pub(super) fn fail_flow(&mut self, now: Instant, failed: Flow, cause: &str) {
        tracing::debug!(remote = %failed.remote, transport = %failed.transport, cause, "flow failed");
        let hit = |flow: &Flow| {
            flow.transport == failed.transport
                && flow.remote == failed.remote
                && flow.connection == failed.connection
        };
        let wires: Vec<_> = self
            .wires
            .iter()
            .filter(|(_, wire)| hit(&wire.flow))
            .map(|(id, _)| id)
            .collect();
        if failed.transport != Transport::Udp {
            self.detach_servers(hit);
            self.detach_dialogs(hit);
        }
        for wire in wires {
            self.step_client(now, wire, ClientInput::Broken(cause));
        }
    }

    //= RFC 3261 18.2.2
    // "If that connection is no longer open, the server SHOULD open a connection to the IP address
    // in the "received" parameter, if present, using the port in the "sent-by" value"
    fn detach_servers(&mut self, hit: impl Fn(&Flow) -> bool) {
        let hits: Vec<ServerTx> = self
            .servers
            .iter()
            .filter(|(_, server)| server.reply_to.connection != 0 && hit(&server.reply_to))
            .map(|(id, _)| id)
            .collect();
        for tx in hits {
            if let Some(server) = self.servers.get_mut(tx) {
                server.reply_to.connection = 0;
                if let Some(request) = &server.request {
                    let transport = server.reply_to.transport;
                    let port = request.via().port().unwrap_or(transport.default_port());
                    server.reply_to.remote = SocketAddr::new(server.reply_to.remote.ip(), port);
                }
            }
        }
    }

    // A dialog outlives its connection: the next request goes where the target says.
    fn detach_dialogs(&mut self, hit: impl Fn(&Flow) -> bool) {
        let hits: Vec<DialogId> = self
            .dialogs
            .iter()
            .filter(|(_, dialog)| hit(&dialog.path.flow))
            .map(|(id, _)| id)
            .collect();
        for id in hits {
            if let Some(dialog) = self.dialogs.get_mut(id) {
                dialog.path.flow.connection = 0;
                if dialog.path.pin == Some(Pin::Peer) {
                    dialog.path.pin = None;
                }
                if let Some(answer) = &mut dialog.answer
                    && hit(&answer.flow)
                {
                    answer.flow.connection = 0;
                }
            }
        }
    }
}

//! What is done when a deadline comes: one arm per kind of timer.
//! Everything that waits for time in an endpoint is listed here.

use std::time::Instant;

use super::arena::WireTx;
use super::{ClientTx, DialogId, Endpoint, ServerTx};
use crate::transaction::Timer;

/// Names what a deadline is for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Alarm {
    /// A timer of a server transaction.
    Server(ServerTx, Timer),
    /// An INVITE has waited [`trying_after`](super::Config::trying_after) for the application.
    Trying(ServerTx),
    /// A timer of a client transaction.
    Client(WireTx, Timer),
    /// A request of ours has waited long enough: for the resolver, for a final answer to INVITE, or
    /// for the answer after a CANCEL.
    Patience(ClientTx),
    /// A 2xx without ACK is to be sent again.
    Answer(DialogId),
    /// A 2xx has had no ACK for 64*T1.
    NoAck(DialogId),
    /// A dialog has outlived its BYE long enough.
    Linger(DialogId),
}

impl Endpoint {
    /// Carries out what is due. Stops early when the outputs are not being polled; the rest stays
    /// due.
    pub(super) fn sound_alarms(&mut self, now: Instant) {
        while self.has_room_for_output() {
            let Some(alarm) = self.timers.pop_due(now) else {
                break;
            };
            match alarm {
                Alarm::Server(tx, timer) => self.server_timer(now, tx, timer),
                Alarm::Trying(tx) => {
                    if let Some((flow, bytes)) = self.trying(tx) {
                        self.transmit(flow, bytes);
                    }
                }
                Alarm::Client(wire, timer) => self.client_timer(now, wire, timer),
                Alarm::Patience(tx) => self.lose_patience(now, tx),
                Alarm::Answer(dialog) => self.repeat_answer(now, dialog),
                Alarm::NoAck(dialog) => self.give_up_on_ack(now, dialog),
                Alarm::Linger(dialog) => self.forget_dialog(dialog),
            }
        }
    }
}

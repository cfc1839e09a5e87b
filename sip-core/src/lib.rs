//! SIP as a pure function of time and bytes: messages, transactions, dialogs, digest.
//! No socket, no task, no clock and no random source of its own: they come in as arguments.
//!
//! # The contract
//!
//! An [`Endpoint`] is one node's signalling: every transaction, every dialog, both sides of every
//! call. It is driven, never waits, and does three things:
//!
//! * It takes [`Input`]s: a message that arrived, a timeout that is due, a flow that failed, an
//!   answer of the resolver. And commands: [`respond`](Endpoint::respond),
//!   [`request`](Endpoint::request), [`in_dialog`](Endpoint::in_dialog),
//!   [`cancel`](Endpoint::cancel), [`hang_up`](Endpoint::hang_up)…
//! * It gives [`Output`]s: bytes to transmit, [`Event`]s for the application, names to resolve.
//!   After each input and each command, poll until there are none. Act on an event before polling
//!   on: an INVITE that is answered or challenged right away costs no `100 Trying`.
//! * It names the time at which it wants [`Input::Timeout`] next.
//!
//! Retransmissions, the ACK, the answer to CANCEL and BYE, credentials for a challenge, forked
//! answers, and when a dialog is over: all of it happens inside. What the application sees of a
//! request of its own is any number of `Provisional` and exactly one `Final` or `Failed`; of a
//! dialog that it knows, exactly one `Ended`.
//!
//! # The loop
//!
//! One thread, one socket, one endpoint that answers every call and lets the caller hang up:
//!
//! ```no_run
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use bytes::Bytes;
//! use sip_core::endpoint::{Body, Flow, Reply, Transport};
//! use sip_core::{Config, Endpoint, Entropy, Event, Input, Output, Status};
//!
//! # struct System;
//! # impl Entropy for System { fn fill(&mut self, _: &mut [u8]) {} }
//! # fn describe() -> Body { Body::sdp("v=0\r\n") }
//! fn main() -> std::io::Result<()> {
//!     let socket = UdpSocket::bind("192.0.2.2:5060")?;
//!     let local = socket.local_addr()?;
//!     let mut endpoint = Endpoint::new(Arc::new(Config::default()), Box::new(System));
//!     endpoint.listening(&[(Transport::Udp, local)]);
//!     let mut buffer = [0; 65_535];
//!     loop {
//!         // What it wants done.
//!         while let Some(output) = endpoint.poll_output() {
//!             match output {
//!                 Output::Transmit { flow, bytes } => {
//!                     socket.send_to(&bytes, flow.remote)?;
//!                 }
//!                 Output::Event(Event::Incoming { tx, .. }) => {
//!                     let reply = Reply::new(Status::OK).body(describe());
//!                     endpoint.respond(Instant::now(), tx, reply).ok();
//!                 }
//!                 _ => {}
//!             }
//!         }
//!         // Wait for a message, or for the time it named.
//!         let wait = endpoint.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
//!         socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
//!         let input = match socket.recv_from(&mut buffer) {
//!             Ok((length, remote)) => {
//!                 let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
//!                 Input::Received { flow, bytes: Bytes::copy_from_slice(&buffer[..length]) }
//!             }
//!             Err(_) => Input::Timeout,
//!         };
//!         endpoint.handle_input(Instant::now(), input);
//!     }
//! }
//! ```
//!
//! # Time
//!
//! Time is only ever the argument `now`. It must not go backwards; it may jump. An endpoint that is
//! not driven does not age: timers that have become due meanwhile fire, in order, at the next
//! [`Input::Timeout`]. A `Timeout` that comes early is harmless. So all of RFC 3261's 32-second
//! timers are tested in microseconds (see the `testing` feature), and a trace can be replayed.
//!
//! # Randomness
//!
//! Branches, tags, Call-IDs and hash keys come from the [`Entropy`] that the endpoint is given. The
//! same entropy, inputs and times give the same bytes.
//!
//! # Bounds and panics
//!
//! Everything that the network can make grow is bounded by [`Config`], which says for each bound
//! what happens at it. Nothing that the network sends makes this crate panic. Commands on what is
//! over return [`EndpointError::Gone`](endpoint::EndpointError::Gone): handles are `Copy`,
//! generational, and may be kept.
//!
//! # Rooms
//!
//! [`message`] [`header`] [`uri`] [`method`] [`status`] [`name`] are the words, and know nothing of
//! state. [`transaction`] holds the four machines of RFC 3261 17 as tables, [`dialog`] what two user
//! agents remember of each other, [`auth`] digest on both sides, [`registrar`] the bindings of a
//! domain, and [`endpoint`] drives them all.

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod error;
pub mod header;
pub mod message;
pub mod method;
pub mod name;
pub mod registrar;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timer;
pub mod transaction;
pub mod uri;

pub use endpoint::{Config, Endpoint, Entropy, Event, Input, Output};
pub use message::{
    Limits, Message, ParseError, Request, RequestBuilder, Response, ResponseBuilder,
};
pub use method::Method;
pub use name::Name;
pub use status::Status;
pub use uri::Uri;

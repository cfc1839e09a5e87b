//! The loop: wait for one thing, feed it to the endpoint, send and tell all that comes out.
//! Nothing in here waits while there is something to send, and nothing blocks.

use std::future::{pending, poll_fn};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::Status;
use sip_core::endpoint::{Endpoint, Event, Flow, Input, Output, Transport};
use sip_core::message::ParseError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::Handler;
use super::handle::Job;
use crate::observer::Direction;
use crate::resolve::{Answer, Resolver};
use crate::shared::Shared;
use crate::stream::{StreamEvent, Streams};
use crate::udp::Datagrams;

/// Outputs handled before other inputs get their turn again: what answers to one message is a
/// handful, so this is met only by a handler that feeds on its own events.
const OUTPUTS: usize = 10_000;
/// How long the last messages may take to leave at shutdown.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) struct Task<H> {
    pub(super) endpoint: Endpoint,
    pub(super) handler: H,
    pub(super) udp: Datagrams,
    pub(super) streams: Streams,
    pub(super) resolver: Resolver,
    pub(super) shared: std::sync::Arc<Shared>,
    /// Connections and lookups; aborted when the driver is dropped.
    pub(super) tasks: JoinSet<()>,
    pub(super) acceptors: JoinSet<()>,
    pub(super) commands: mpsc::Receiver<Job<H>>,
    pub(super) events: mpsc::Receiver<StreamEvent>,
    pub(super) answers: mpsc::UnboundedReceiver<Answer>,
    pub(super) stopped: oneshot::Receiver<()>,
}

/// What the loop was woken by.
enum Wake<H> {
    Stop,
    Datagrams,
    Stream(StreamEvent),
    Command(Job<H>),
    Answer(Answer),
    /// A timer, or work that was put off.
    Time,
}

impl<H: Handler> Task<H> {
    pub(super) async fn run(mut self) {
        let mut received = Vec::new();
        let mut unfinished = false;
        loop {
            let wake = self.wake(&mut received, unfinished).await;
            let now = clock();
            match wake {
                Wake::Stop => break,
                Wake::Datagrams => {
                    for (flow, bytes) in received.drain(..) {
                        self.receive(now, flow, bytes);
                    }
                }
                Wake::Stream(event) => self.stream(now, event),
                Wake::Command(job) => job(&mut self.endpoint, &mut self.handler, now),
                Wake::Answer(answer) => self.answer(now, answer),
                Wake::Time => {}
            }
            self.timers(now);
            unfinished = !self.drain(now);
        }
        self.finish().await;
    }

    async fn wake(&mut self, received: &mut Vec<(Flow, Bytes)>, unfinished: bool) -> Wake<H> {
        let timers = [self.endpoint.poll_timeout(), self.handler.poll_timeout()];
        let due = timers.into_iter().flatten().min();
        let Self {
            udp,
            tasks,
            commands,
            events,
            answers,
            stopped,
            ..
        } = self;
        loop {
            let timer = async {
                match due {
                    _ if unfinished => tokio::task::yield_now().await,
                    Some(due) => sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                _ = &mut *stopped => return Wake::Stop,
                () = poll_fn(|cx| udp.poll(cx, clock(), received)) => return Wake::Datagrams,
                Some(event) = events.recv() => return Wake::Stream(event),
                Some(job) = commands.recv() => return Wake::Command(job),
                Some(answer) = answers.recv() => return Wake::Answer(answer),
                () = timer => return Wake::Time,
                // Nothing to do but to forget the task.
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    fn timers(&mut self, now: Instant) {
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint.handle_input(now, Input::Timeout);
        }
        if self.handler.poll_timeout().is_some_and(|due| due <= now) {
            self.handler.timeout(&mut self.endpoint, now);
        }
    }

    fn receive(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.shared.message(Direction::Received, &flow, &bytes);
        self.endpoint
            .handle_input(now, Input::Received { flow, bytes });
        // One message at a time: the answer to the first leaves before the second is looked at.
        self.drain(now);
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        match event {
            StreamEvent::Message { flow, bytes } => {
                self.streams.heard(flow.connection);
                self.receive(now, flow, bytes);
            }
            StreamEvent::Broken { flow, error } => self.broken(now, flow, &error),
            StreamEvent::Accepted { stream, remote } => {
                self.streams.accepted(stream, remote, &mut self.tasks);
            }
            StreamEvent::Opened { connection, local } => self.streams.opened(connection, local),
            StreamEvent::HalfClosed { connection } => self.streams.half_closed(connection),
            StreamEvent::Closed {
                connection,
                cause,
                dropped,
            } => {
                if let Some(broken) = self.streams.closed(connection, cause, dropped) {
                    for flow in broken.flows {
                        self.failed(now, flow, broken.cause.clone());
                    }
                }
            }
        }
    }

    /// Answers what a stream broke off with, as the endpoint does with a whole message that does not
    /// parse, and leaves the same record.
    fn broken(&mut self, now: Instant, flow: Flow, error: &ParseError) {
        self.streams.half_closed(flow.connection);
        let product = self.endpoint.config().product.clone();
        let reply = error.reply(&product.unwrap_or_default());
        let status = reply.is_some().then(|| error.status());
        if let Some(reply) = reply {
            self.transmit(now, flow, reply);
        }
        let refused = Event::Refused {
            flow,
            status,
            cause: error.to_string(),
            method: error.method(),
            call_id: error.call_id(),
            from: error.from(),
            to: error.to(),
        };
        self.handler.event(&mut self.endpoint, now, refused);
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        let Answer { query, targets } = answer;
        self.endpoint
            .handle_input(now, Input::Resolved { query, targets });
    }

    fn failed(&mut self, now: Instant, flow: Flow, cause: String) {
        self.endpoint
            .handle_input(now, Input::FlowFailed { flow, cause });
    }

    /// Sends and tells all that the endpoint has to say; false when there may be more.
    fn drain(&mut self, now: Instant) -> bool {
        for _ in 0..OUTPUTS {
            match self.endpoint.poll_output() {
                Some(Output::Transmit { flow, bytes }) => self.transmit(now, flow, bytes),
                Some(Output::Event(event)) => {
                    self.charge(now, &event);
                    self.handler.event(&mut self.endpoint, now, event);
                }
                Some(Output::Resolve(query)) => {
                    self.shared.counters.lookup();
                    if let Some(answer) = self.resolver.resolve(&query, &mut self.tasks) {
                        self.answer(now, answer);
                    }
                }
                // `Output` may grow; what this driver does not know it cannot do.
                Some(_) => {}
                None => return true,
            }
        }
        false
    }

    fn transmit(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        let sent = match flow.transport {
            Transport::Udp => self.udp.send(&flow, &bytes),
            Transport::Tcp | Transport::Tls => {
                self.streams.send(flow, bytes.clone(), &mut self.tasks)
            }
        };
        match sent {
            Ok(()) => self.shared.message(Direction::Sent, &flow, &bytes),
            Err(cause) => {
                let call_id = crate::trace::call_id(&bytes).unwrap_or_default();
                tracing::info!(call_id, transport = %flow.transport, peer = %flow.remote, cause,
                    "not sent");
                // A datagram with an answer fails alone; all else that goes this way may fail too.
                if flow.transport != Transport::Udp || !bytes.starts_with(b"SIP/") {
                    self.failed(now, flow, cause);
                }
            }
        }
    }

    /// A source whose messages do not parse has less budget for the next.
    fn charge(&self, now: Instant, event: &Event) {
        if let Event::Refused { flow, status, .. } = event
            && matches!(*status, None | Some(Status::BAD_REQUEST))
        {
            self.shared.guard.charge_garbage(now, flow.remote.ip());
        }
    }

    /// The last commands, the last messages, then everything is closed.
    async fn finish(mut self) {
        self.acceptors.shutdown().await;
        self.commands.close();
        let now = clock();
        while let Ok(job) = self.commands.try_recv() {
            job(&mut self.endpoint, &mut self.handler, now);
            self.drain(now);
        }
        self.streams.close_all();
        let Self {
            mut udp,
            mut tasks,
            events,
            answers,
            ..
        } = self;
        // Their tasks must not wait for us to hear the end of the story.
        drop((events, answers));
        let farewell = async {
            poll_fn(|cx| udp.poll_flush(cx)).await;
            while tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tasks.shutdown().await;
        }
        tracing::debug!("SIP driver ended");
    }
}

/// Now, on tokio's clock, so that a paused one is obeyed.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

//! The life of one connection: a task that cuts the stream into messages and writes ours.
//! It ends when the peer closes, breaks a rule or stalls, and always says why.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sip_core::endpoint::Flow;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::StreamEvent;
use super::inward::Inward;
use super::outward::Outward;
use crate::observer::DropReason;
use crate::shared::Shared;

/// What is read from the socket at once. SIP messages are mostly smaller.
const READ: usize = 4096;

/// One open connection. The driver holds the sending end of `queue`; when it drops that, the
/// connection closes once everything in the queue is written.
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Sender<StreamEvent>,
    pub(super) queue: mpsc::UnboundedReceiver<Bytes>,
    /// Bytes in `queue` and in writing. The driver adds, this task subtracts.
    pub(super) queued: Arc<AtomicUsize>,
    /// We opened it, so keeping it alive is our part (RFC 5626 4.4.1).
    pub(super) ours: bool,
}

/// Why a connection ended; the text goes to the endpoint and the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) cause: String,
    pub(super) dropped: Option<DropReason>,
}

impl Connection {
    /// Serves the connection until it ends.
    pub(super) async fn run<S>(mut self, stream: S) -> Closed
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.serve(stream).await {
            Ok(never) => match never {},
            Err(closed) => closed,
        }
    }

    async fn serve<S>(&mut self, stream: S) -> Result<Infallible, Closed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; READ];
        let start = Instant::now();
        let mut inward = Inward::new(self.flow, self.shared.clone(), self.ours, start);
        let mut outward = Outward::new(self.flow, self.shared.clone(), self.ours, start);
        let mut queue_open = true;
        loop {
            let now = Instant::now();
            inward.advance(now, &mut outward)?;
            let wake = inward.due(now, &outward)?.min(outward.due(now, &inward)?);
            if !queue_open && !outward.is_writing() {
                // Told to close, and all is written. The peer may still be there: say good-bye.
                let _ = writer.shutdown().await;
                return Err(Closed::because("closed by us"));
            }
            // Reading, writing and handing over go on side by side: a peer that does not read must
            // not keep us from hearing it, nor a busy driver from writing.
            tokio::select! {
                permit = self.events.reserve(), if inward.has_news() => {
                    let Ok(permit) = permit else {
                        return Err(Closed::because("the driver has ended"));
                    };
                    if let Some(event) = inward.take() {
                        permit.send(event);
                    }
                }
                read = reader.read(&mut buffer), if inward.may_read() => match read {
                    Ok(0) => {
                        inward.end(Instant::now());
                        let ended = StreamEvent::HalfClosed { connection: self.flow.connection };
                        let _ = self.events.send(ended).await;
                    }
                    Ok(length) => inward.push(buffer.get(..length).unwrap_or_default()),
                    Err(error) => return Err(inward.broken(&error)),
                },
                written = writer.write_buf(outward.current()), if outward.is_writing() => {
                    match written {
                        Ok(0) => return Err(Closed::because("the peer closed the connection")),
                        Ok(length) => {
                            let counted = outward.progress(Instant::now(), length);
                            self.queued.fetch_sub(counted, Ordering::Relaxed);
                        }
                        Err(error) => return Err(inward.broken(&error)),
                    }
                }
                message = self.queue.recv(), if queue_open && !outward.is_writing() => {
                    match message {
                        Some(bytes) => outward.begin(bytes, Instant::now()),
                        None => queue_open = false,
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
    }
}

impl Closed {
    /// An end that nobody is to blame for.
    pub(super) fn because(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            dropped: None,
        }
    }

    /// An end by which something was lost.
    pub(super) fn dropping(why: DropReason, cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            dropped: Some(why),
        }
    }

    /// An end that the operating system reported.
    pub(super) fn broken(error: &io::Error) -> Self {
        Self::because(match error.kind() {
            io::ErrorKind::ConnectionReset => "the peer reset the connection".to_owned(),
            io::ErrorKind::BrokenPipe => "the peer closed the connection".to_owned(),
            io::ErrorKind::TimedOut => "the peer does not answer any more".to_owned(),
            _ => format!("connection broke: {error}"),
        })
    }
}

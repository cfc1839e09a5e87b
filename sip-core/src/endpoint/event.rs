//! What goes into an endpoint and what comes out of it.
//! Every event names what the application may do next in its documentation.

use bytes::Bytes;

use super::{ClientTx, DialogId, Flow, ServerTx, Target, Transport};
use crate::message::{Request, Response};
use crate::status::Status;

/// Something that happened outside the endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// One whole message arrived: a datagram, or what a
    /// [`Framer`](crate::message::stream::Framer) cut from a stream.
    Received {
        /// Where it came from and which of our addresses it was sent to.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// The time of [`Endpoint::poll_timeout`](super::Endpoint::poll_timeout) has come. Harmless when
    /// it has not.
    Timeout,
    /// Sending failed or a connection broke.
    FlowFailed {
        /// The flow as it was given in [`Output::Transmit`], or that of the broken connection.
        flow: Flow,
        /// What the operating system said.
        cause: String,
    },
    /// The answer to [`Output::Resolve`].
    Resolved {
        /// The question.
        query: QueryId,
        /// Where to send, best first; empty when the name could not be resolved.
        targets: Vec<Target>,
    },
}

/// Something that the endpoint wants done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// Tell the application.
    Event(Event),
    /// Look a host up (RFC 3263) and answer with [`Input::Resolved`].
    Resolve(Query),
}

/// Names one question to the resolver.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueryId(pub(crate) u64);

/// A host to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Names the question in its answer.
    pub id: QueryId,
    /// The host name; never a literal address.
    pub host: String,
    /// The port, when the URI names one.
    pub port: Option<u16>,
    /// The transport, when the URI names one.
    pub transport: Option<Transport>,
    /// The URI's scheme is `sips`: only TLS will do.
    pub secure: bool,
}

/// Something that the application is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request outside any dialog: INVITE, REGISTER, OPTIONS, or anything else. Answer it with
    /// [`respond`](super::Endpoint::respond), [`challenge`](super::Endpoint::challenge),
    /// [`refuse_stateless`](super::Endpoint::refuse_stateless) or
    /// [`forget`](super::Endpoint::forget).
    Incoming {
        /// The request's handle.
        tx: ServerTx,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Request,
    },
    /// The caller gave up. The endpoint has answered 200 to the CANCEL and 487 to the INVITE; there
    /// is nothing left to answer.
    Cancelled {
        /// The INVITE's handle, now gone.
        tx: ServerTx,
        /// The CANCEL.
        request: Request,
    },
    /// The ACK to our 2xx arrived: the dialog, or the re-INVITE, is complete.
    Confirmed {
        /// The dialog.
        dialog: DialogId,
        /// The ACK; with delayed offers it carries the answer.
        ack: Request,
    },
    /// A request inside a dialog: INFO, NOTIFY, REFER, re-INVITE, UPDATE, OPTIONS. It waits for
    /// [`respond`](super::Endpoint::respond). BYE does not come here, see [`Event::Ended`].
    InDialog {
        /// The request's handle.
        tx: ServerTx,
        /// Its dialog.
        dialog: DialogId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Request,
    },
    /// A 1xx to a request of ours, 100 excepted.
    Provisional {
        /// Our request.
        tx: ClientTx,
        /// The early dialog that it belongs to, or that of an in-dialog request.
        dialog: Option<DialogId>,
        /// The response.
        response: Response,
    },
    /// The final answer to a request of ours. The ACK of an INVITE is sent already.
    Final {
        /// Our request, now gone.
        tx: ClientTx,
        /// The dialog that a 2xx to INVITE made, or that of an in-dialog request.
        dialog: Option<DialogId>,
        /// The response.
        response: Response,
    },
    /// A request of ours ended without a final answer.
    Failed {
        /// Our request, now gone.
        tx: ClientTx,
        /// The dialog of an in-dialog request.
        dialog: Option<DialogId>,
        /// Why.
        cause: Failure,
    },
    /// A dialog that the application knew is over. Comes exactly once for each, and before the
    /// `Final` or `Failed` that ended it. NOTIFYs of an accepted REFER may still follow (RFC 5057).
    Ended {
        /// The dialog.
        dialog: DialogId,
        /// Why.
        why: Ended,
    },
    /// The endpoint refused or dropped a request on its own, for the record.
    Refused {
        /// Where it came from.
        flow: Flow,
        /// What was answered; `None` when it was dropped.
        status: Option<Status>,
        /// Why, lower-case.
        cause: String,
        /// The method, as far as it could be read.
        method: Option<String>,
        /// The Call-ID, as far as it could be read.
        call_id: Option<String>,
        /// The From header's value, as far as it could be read.
        from: Option<String>,
        /// The To header's value, as far as it could be read.
        to: Option<String>,
    },
}

/// Why a request of ours has no final answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody answered in time (Timer B or F, or [`Config::invite_timeout`](super::Config)).
    #[error("timed out")]
    Timeout,
    /// It could not be sent; the text is the operating system's.
    #[error("transport failed: {0}")]
    Transport(String),
    /// The host name has no address.
    #[error("host could not be resolved")]
    Unresolved,
    /// We cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The response could not be used, for the reason given.
    #[error("unusable response: {0}")]
    BadResponse(String),
}

/// Why a dialog ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The peer sent this BYE; it has been answered 200.
    RemoteBye(Box<Request>),
    /// Our BYE was answered, or nobody answered it.
    LocalBye,
    /// The peer never acknowledged our 2xx for 64*T1; a BYE has been sent.
    NoAck,
    /// The INVITE was refused with this status while the dialog was early, or a request inside the
    /// dialog was answered so that the peer no longer knows the dialog (481, 408).
    Rejected(Status),
    /// The INVITE was forked and another branch answered first.
    Forked,
    /// A request inside the dialog was never answered; a BYE has been sent.
    Timeout,
    /// The INVITE failed below SIP while the dialog was early, with this cause.
    Failed(Failure),
}

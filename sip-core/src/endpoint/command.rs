//! What the application hands to an endpoint's commands.
//! Plain data with public fields, and builders where most fields have defaults.

use bytes::Bytes;

use super::Target;
use crate::auth::Credentials;
use crate::error::{BuildError, HeaderError};
use crate::header::NameAddr;
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;
use crate::uri::Uri;

/// A message body and its `Content-Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Value of `Content-Type`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

impl Body {
    /// A body of any type.
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            content_type: content_type.into(),
            bytes: bytes.into(),
        }
    }

    /// A session description.
    pub fn sdp(bytes: impl Into<Bytes>) -> Self {
        Self::new("application/sdp", bytes)
    }
}

/// An answer to a request.
///
/// Via, From, To with its tag, Call-ID, CSeq, Record-Route, Contact, Server and Content-Length are
/// the endpoint's work; a Contact given here replaces its own.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: Status,
    /// The reason phrase; `None` takes the RFC's.
    pub reason: Option<String>,
    /// Further header fields, in order.
    pub headers: Vec<(Name, String)>,
    /// The body.
    pub body: Option<Body>,
}

impl Reply {
    /// An answer without further headers and body.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            reason: None,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Sets the reason phrase.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Adds a header field.
    pub fn header(mut self, name: Name, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}

/// A request outside any dialog.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// The method; INVITE makes dialogs.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// From without tag; the endpoint adds one.
    pub from: NameAddr,
    /// To without tag.
    pub to: NameAddr,
    /// Further header fields, in order. `Route` is taken as a preloaded route set.
    pub headers: Vec<(Name, String)>,
    /// The body.
    pub body: Option<Body>,
    /// Answers a 401 or 407, once, and once more when the nonce was stale.
    pub credentials: Option<Credentials>,
    /// Where to send it, whatever the URI says: an outbound proxy or a resolved address.
    pub target: Option<Target>,
    /// The Call-ID; `None` draws one. REGISTER refreshes keep theirs.
    pub call_id: Option<String>,
    /// The CSeq number; `None` starts low. REGISTER refreshes raise theirs.
    pub cseq: Option<u32>,
    /// The Contact header's value; `None` makes one for the methods that need it.
    pub contact: Option<String>,
}

impl OutgoingRequest {
    /// A request without further headers, body and credentials.
    pub fn new(method: Method, uri: Uri, from: NameAddr, to: NameAddr) -> Self {
        Self {
            method,
            uri,
            from,
            to,
            headers: Vec::new(),
            body: None,
            credentials: None,
            target: None,
            call_id: None,
            cseq: None,
            contact: None,
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: Name, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets where to send it.
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Sets the credentials.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }
}

/// How much an endpoint holds, for metrics and conservation checks.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Server transactions, lingering ones included.
    pub server_transactions: usize,
    /// Client transactions, lingering ones included.
    pub client_transactions: usize,
    /// Requests of ours, and INVITEs that still wait for retransmissions of their 2xx.
    pub requests: usize,
    /// Dialogs, early and lingering ones included.
    pub dialogs: usize,
    /// Armed timers.
    pub timers: usize,
    /// Questions to the resolver without answer.
    pub queries: usize,
}

impl Counts {
    /// True when nothing is held.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a command was refused. None of these come from the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The transaction, request or dialog is over.
    #[error("transaction or dialog is over")]
    Gone,
    /// The answer is not one that this request may have: a second final answer, a 1xx to a
    /// non-INVITE (RFC 4320), 100 (the endpoint's own), or a number outside 101..=699.
    #[error("status {0:?} is not possible here")]
    StatusNotAllowed(Status),
    /// The method is not one for this command: ACK, CANCEL and BYE have their own.
    #[error("{0} is not sent with this command")]
    MethodNotAllowed(Method),
    /// An INVITE is pending in this dialog, by us or by the peer (RFC 3261 14.1).
    #[error("an INVITE is pending in this dialog")]
    InvitePending,
    /// The dialog is early or ending, and this request needs a confirmed one.
    #[error("the dialog is not in a state for this request")]
    WrongState,
    /// `max_transactions` or `max_dialogs` is reached.
    #[error("endpoint is full")]
    Full,
    /// The URI's scheme or transport is not one that can be sent to, and no target was given.
    #[error("`{0}` cannot be routed")]
    Unroutable(String),
    /// An address or a Route given is malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The message cannot be written, for example because a value holds a line break.
    #[error("message cannot be built: {0}")]
    Build(#[from] BuildError),
}

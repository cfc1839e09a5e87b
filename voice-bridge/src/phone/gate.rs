//! Who may come in: every request outside a dialog passes here before anything is spent on it.
//! Runs in the driver, synchronously, before any task or call exists.

use std::any::Any;
use std::fmt;
use std::time::Instant;

use sip_core::auth::Authenticator;
use sip_core::endpoint::{Event, Flow, Reply};
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;

/// Decides about every request outside a dialog: INVITE, REGISTER, OPTIONS and all others.
///
/// It is called once per request, retransmissions excepted, in the task that drives all
/// signalling: it must not block.
pub trait Gate: Send + Sync {
    /// What is to become of this request.
    ///
    /// `auth` checks and makes digest challenges with the phone's own secret; it keeps no memory
    /// for strangers.
    fn admit(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        auth: &mut Authenticator,
    ) -> Verdict;

    /// The endpoint itself refused or dropped something ([`Event::Refused`]): for the record.
    fn refused(&self, event: &Event) {
        let _ = event;
    }
}

/// What is to become of a request.
#[non_exhaustive]
pub enum Verdict {
    /// An INVITE that comes in: it becomes a [`Ringing`](super::Ringing), which carries what is
    /// given here as its context. Any other method is answered 405.
    Pass(Box<dyn Any + Send>),
    /// 401 with a fresh challenge. Costs no memory: the request is forgotten with the answer.
    Challenge {
        /// The protection space that the challenge names.
        realm: String,
        /// The credentials were right and only their nonce too old (RFC 7616 3.3).
        stale: bool,
        /// The reason phrase, which should name the cause; empty takes the RFC's.
        reason: String,
    },
    /// This answer. A repetition of the request gets the same one without asking the gate again.
    Reply(Reply),
    /// This answer, and no memory of it: for strangers. A repetition asks the gate again.
    Refuse(Reply),
    /// No answer at all.
    Drop,
}

impl Verdict {
    /// Lets an INVITE in, without a context.
    pub fn pass() -> Self {
        Verdict::Pass(Box::new(()))
    }

    /// Answers with this status and nothing else.
    pub fn status(status: Status) -> Self {
        Verdict::Reply(Reply::new(status))
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass(_) => f.write_str("Pass"),
            Verdict::Challenge {
                realm,
                stale,
                reason,
            } => f
                .debug_struct("Challenge")
                .field("realm", realm)
                .field("stale", stale)
                .field("reason", reason)
                .finish(),
            Verdict::Reply(reply) => f.debug_tuple("Reply").field(reply).finish(),
            Verdict::Refuse(reply) => f.debug_tuple("Refuse").field(reply).finish(),
            Verdict::Drop => f.write_str("Drop"),
        }
    }
}

/// The gate of a phone that was given none: everybody may call.
#[derive(Copy, Clone, Debug, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn admit(
        &self,
        _now: Instant,
        request: &Request,
        _flow: &Flow,
        _auth: &mut Authenticator,
    ) -> Verdict {
        match request.method() {
            Method::Invite => Verdict::pass(),
            Method::Options => {
                Verdict::Reply(Reply::new(Status::OK).header(Name::Accept, "application/sdp"))
            }
            _ => Verdict::status(Status::METHOD_NOT_ALLOWED),
        }
    }
}

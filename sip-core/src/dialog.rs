//! Dialogs (RFC 3261 12): what two user agents remember of each other between requests.
//! The endpoint makes, drives and forgets them; the application looks at them.

pub mod route;
mod sequence;
mod usage;

use bytes::Bytes;

pub use route::{Plan, RouteSet};
pub(crate) use sequence::RemoteSequence;
pub(crate) use usage::ReferUsages;

use crate::auth::Credentials;
use crate::endpoint::{ClientTx, Flow, ServerTx};
use crate::header::NameAddr;
use crate::name::Name;
use crate::timer::TimerId;
use crate::uri::Uri;

/// One dialog, as the endpoint holds it.
#[derive(Debug)]
pub struct Dialog {
    pub(crate) role: Role,
    pub(crate) state: DialogState,
    pub(crate) call_id: Box<str>,
    pub(crate) local: NameAddr,
    pub(crate) remote: NameAddr,
    pub(crate) remote_target: Uri,
    pub(crate) routes: RouteSet,
    pub(crate) contact: Box<str>,
    pub(crate) path: Path,
    pub(crate) local_seq: u32,
    pub(crate) remote_seq: RemoteSequence,
    pub(crate) credentials: Option<Credentials>,
    /// The application knows the id and has not been told that the dialog ended.
    pub(crate) known: bool,
    /// The INVITE that makes this dialog and has no final answer yet.
    pub(crate) origin: Option<Origin>,
    /// Our 2xx that has no ACK yet.
    pub(crate) answer: Option<Answer>,
    /// Requests of the peer that the application has not answered.
    pub(crate) pending: Vec<ServerTx>,
    /// A re-INVITE or UPDATE of ours without final answer.
    pub(crate) our_offer: Option<ClientTx>,
    /// A re-INVITE or UPDATE of the peer without final answer.
    pub(crate) their_offer: Option<ServerTx>,
    /// `hang_up` came before the ACK: the BYE, with these headers, follows the ACK.
    pub(crate) bye_after_ack: Option<Vec<(Name, String)>>,
    /// REFERs that we sent and whose final NOTIFY is outstanding.
    pub(crate) refers_sent: ReferUsages,
    /// REFERs that we accepted and have not sent the final NOTIFY for.
    pub(crate) refers_taken: ReferUsages,
    pub(crate) linger: Option<TimerId>,
}

impl Dialog {
    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our address in this dialog, with our tag.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The peer's address in this dialog, with its tag if it has one.
    pub fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        self.local.tag().unwrap_or_default()
    }

    /// The peer's tag; empty for a peer of RFC 2543 that sends none.
    pub fn remote_tag(&self) -> &str {
        self.remote.tag().unwrap_or_default()
    }

    /// Where the peer wants to be reached: its last Contact.
    pub fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// The proxies on the way to the peer.
    pub fn routes(&self) -> &RouteSet {
        &self.routes
    }

    /// The value of our Contact.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// The path that the dialog's latest message took.
    pub fn flow(&self) -> &Flow {
        &self.path.flow
    }

    /// Who started it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How far it has come.
    pub fn state(&self) -> DialogState {
        self.state
    }

    /// The value of a Replaces header (RFC 3891) that names this dialog to our peer: what goes,
    /// escaped, into the Refer-To of an attended transfer.
    ///
    /// Its `to-tag` is the tag of whoever receives the INVITE with Replaces, which is the peer.
    pub fn replaces_header(&self) -> String {
        format!(
            "{};to-tag={};from-tag={}",
            self.call_id,
            non_empty(self.remote_tag()),
            non_empty(self.local_tag()),
        )
    }

    /// Call-ID, our tag, the peer's tag.
    pub(crate) fn identity(&self) -> (&str, &str, &str) {
        (self.call_id(), self.local_tag(), self.remote_tag())
    }

    /// True while something keeps the dialog although its call is over: REFER subscriptions
    /// (RFC 5057), or a re-INVITE of ours whose answer, should it be a 2xx, needs an ACK.
    pub(crate) fn has_usages(&self) -> bool {
        let refers = !self.refers_sent.is_empty() || !self.refers_taken.is_empty();
        refers || self.our_offer.is_some()
    }
}

/// Which side of a dialog we are.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// We sent the INVITE.
    Uac,
    /// We received the INVITE.
    Uas,
}

/// How far a dialog has come.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DialogState {
    /// A 1xx made it; the INVITE has no final answer.
    Early,
    /// A 2xx made or confirmed it.
    Confirmed,
    /// Our BYE is on its way.
    Terminating,
    /// The call is over; the NOTIFYs of a REFER are still expected (RFC 5057).
    Lingering,
}

/// How requests of ours in a dialog travel.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Path {
    /// Where the latest message came from or went to.
    pub(crate) flow: Flow,
    /// Use the flow whatever route set and target say, for this reason.
    pub(crate) pin: Option<Pin>,
}

/// Why a dialog's requests stay on one flow.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Pin {
    /// The peer is behind a NAT, or on a connection that it opened: the flow follows its requests.
    Peer,
    /// The next hop's name has been resolved.
    Resolved,
}

/// The INVITE whose final answer an early dialog waits for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// We received it.
    Received(ServerTx),
    /// We sent it.
    Sent(ClientTx),
}

/// A 2xx of ours that is sent again until its ACK arrives (RFC 3261 13.3.1.4).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) seq: u32,
    /// It answers the INVITE that made the dialog, not a re-INVITE.
    pub(crate) initial: bool,
    pub(crate) bytes: Bytes,
    pub(crate) flow: Flow,
    pub(crate) attempt: u32,
    pub(crate) retransmit: TimerId,
    pub(crate) deadline: TimerId,
}

//= RFC 3891 6.1
// A peer of RFC 2543 may have no tag; zero stands for it.
fn non_empty(tag: &str) -> &str {
    if tag.is_empty() { "0" } else { tag }
}

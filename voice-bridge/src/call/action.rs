//! What the call machine asks for, and what it tells: its outputs as data.
//! `phone::core` carries them out on the endpoint; a simulation does the same with no socket.

use std::time::Duration;

use rtp_media::sdp::Negotiated;
use sip_core::endpoint::{Body, Reply, ServerTx};
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;

use super::ending::Ending;
use super::referred::{ReferId, ReferOrder};

/// One thing that the machine wants done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Answer this request.
    Respond { tx: ServerTx, reply: Reply },
    /// Send no answer at all to this request.
    Forget { tx: ServerTx },
    /// Send a request in the call's dialog; its answer comes back under this purpose.
    Request {
        purpose: Purpose,
        method: Method,
        headers: Vec<(Name, String)>,
        body: Option<Body>,
    },
    /// Cancel the outgoing INVITE.
    Cancel,
    /// End the dialog with BYE.
    HangUp { headers: Vec<(Name, String)> },
    /// Count the packets that the peer has sent, and tell.
    Listen,
    /// Change what the media leg does.
    Media(MediaChange),
    /// Tell whoever holds the call.
    Notice(Notice),
}

/// Why a request was sent in the dialog, so that its answer finds its way.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// A re-INVITE of ours: hold or resume.
    Reinvite,
    /// A transfer's REFER.
    Refer,
    /// A NOTIFY about a REFER that we took.
    Notify(ReferId),
    /// A key in an INFO.
    Key,
}

/// What the media leg is to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum MediaChange {
    /// Begin (or go on with other terms: address, codec, direction).
    Apply(Negotiated),
    /// Stop, give the ports back.
    Stop,
}

/// News for whoever holds the call.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// A provisional answer to our INVITE.
    Progress { status: Status, reason: String },
    /// Our INVITE was answered.
    Answered,
    /// Our answer was acknowledged.
    Established,
    /// A key arrived in an INFO.
    Digit(char),
    /// The peer holds the call (`true`) or has taken it back.
    Held(bool),
    /// The answer to our own hold or resume.
    HoldAnswered(Result<(), Status>),
    /// The REFER of a transfer is on the wire, so long after the application asked for it.
    TransferSent { after: Duration },
    /// The peer's progress with a transfer.
    TransferProgress(Status),
    /// A transfer came to its outcome.
    TransferDone(refer_transfer::Outcome),
    /// A word that came after the outcome changed it.
    TransferAmended(refer_transfer::Outcome),
    /// The peer asks us to transfer ourselves.
    Refer { id: ReferId, order: ReferOrder },
    /// The call is over. Only news of its transfer may follow.
    Ended(Ending),
}

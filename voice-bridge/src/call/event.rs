//! What a call tells its holder, audio included.
//! Keys and marks come in the order they happened; audio is dropped rather than late.

use std::sync::Arc;
use std::time::Duration;

use rtp_media::net::Frame;
use sip_core::header::NameAddr;
use sip_core::message::Request;
use sip_core::status::Status;
use sip_core::uri::Uri;

use super::control::CallControl;
use super::ending::Ending;
use super::referred::{ReferId, ReferOrder};
use sip_core::endpoint::Reply;

/// One thing that happened in a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallEvent {
    /// 20 ms of the peer's voice.
    Heard(Frame),
    /// Our answer was acknowledged: the call stands.
    Established,
    /// The peer pressed a key: `0`–`9`, `*`, `#`, `A`–`D`, by RTP (RFC 4733) or INFO.
    Digit(char),
    /// The peer holds the call (`true`), or has taken it back. A held peer is not listening.
    Held(bool),
    /// The peer's answer to our own hold or resume.
    HoldAnswered(Result<(), Status>),
    /// Everything said before this mark has been played.
    MarkReached(String),
    /// This mark was cleared away with what was said before it.
    MarkCleared(String),
    /// Everything that was said has been played.
    PlayedOut,
    /// No audio packet has come for so long.
    NoAudio(Duration),
    /// Audio packets come again, or for the first time.
    AudioBack,
    /// The REFER of our transfer was sent.
    TransferSent {
        /// How long after it was asked for.
        after: Duration,
    },
    /// The peer's word on our transfer while it goes on (RFC 3515 2.4.5).
    TransferProgress(Status),
    /// Our transfer came to its outcome.
    TransferDone(refer_transfer::Outcome),
    /// A word that came after the outcome: it changes the record and nothing else.
    TransferAmended(refer_transfer::Outcome),
    /// The peer asks us to call somebody else. Dropping it declines with 603.
    Refer(IncomingRefer),
    /// The call is over. At most [`CallEvent::TransferDone`] or
    /// [`CallEvent::TransferAmended`] follow.
    Ended(Ending),
}

/// A REFER of the peer (RFC 3515): it wants us to call somebody else instead of it.
///
/// It must be decided within 20 s; dropped undecided, it is declined with 603.
#[derive(Debug)]
pub struct IncomingRefer {
    control: CallControl,
    id: ReferId,
    order: ReferOrder,
    decided: bool,
}

impl IncomingRefer {
    pub(super) fn new(control: CallControl, id: ReferId, order: ReferOrder) -> Self {
        Self {
            control,
            id,
            order,
            decided: false,
        }
    }

    /// Whom we are to call: the URI of Refer-To.
    pub fn target(&self) -> &Uri {
        self.order.refer_to.uri()
    }

    /// Refer-To as it came, display name and parameters included.
    pub fn refer_to(&self) -> &NameAddr {
        &self.order.refer_to
    }

    /// The whole request, for Referred-By, P-Asserted-Identity and the like.
    pub fn request(&self) -> &Request {
        &self.order.request
    }

    /// Takes it: 202, and the peer hears what the returned handle tells it.
    pub fn accept(mut self) -> ReferProgress {
        self.decided = true;
        let id = self.id;
        self.control.post(move |machine, now| {
            machine.accept_refer(now, id);
        });
        ReferProgress {
            control: self.control.clone(),
            id,
            finished: false,
        }
    }

    /// Declines it with this status, 300 to 699; 603 when the status is not one.
    pub fn refuse(mut self, status: Status) {
        let status = if status.is_failure() {
            status
        } else {
            Status::DECLINE
        };
        self.decline(status);
    }

    fn decline(&mut self, status: Status) {
        self.decided = true;
        let id = self.id;
        self.control
            .post(move |machine, _| machine.decline_refer(id, Reply::new(status)));
    }
}

impl Drop for IncomingRefer {
    fn drop(&mut self) {
        if !self.decided {
            self.decline(Status::DECLINE);
        }
    }
}

/// Tells the peer how its REFER goes, in NOTIFYs (RFC 3515 2.4.5); also after the call has ended.
///
/// Dropped without a final word, the peer is told 500.
#[derive(Debug)]
pub struct ReferProgress {
    control: CallControl,
    id: ReferId,
    finished: bool,
}

impl ReferProgress {
    /// A provisional status of the new call, such as 180.
    pub fn progress(&self, status: Status) {
        if status.is_provisional() {
            self.tell(status, status.reason());
        }
    }

    /// The last word: the new call's final status. The subscription ends with it.
    pub fn finish(mut self, status: Status) {
        self.finished = true;
        self.tell(status, status.reason());
    }

    /// Says nothing more, ever: the peer is left to its own timers.
    pub fn fall_silent(mut self) {
        self.finished = true;
    }

    fn tell(&self, status: Status, reason: &'static str) {
        let id = self.id;
        self.control.post(move |machine, _| {
            machine.notify_refer(id, status, reason);
        });
    }
}

impl Drop for ReferProgress {
    fn drop(&mut self) {
        if !self.finished {
            self.tell(
                Status::SERVER_INTERNAL_ERROR,
                Status::SERVER_INTERNAL_ERROR.reason(),
            );
        }
    }
}

/// The names of a call's marks, by the numbers that the leg knows them by.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    next: u64,
    names: std::collections::HashMap<u64, Arc<str>>,
}

impl Marks {
    /// A number for this name; `None` when too many are waiting.
    pub(crate) fn add(&mut self, name: &str) -> Option<u64> {
        if self.names.len() >= MAX_MARKS {
            return None;
        }
        self.next = self.next.wrapping_add(1);
        self.names.insert(self.next, name.into());
        Some(self.next)
    }

    /// The name of this number, which is then free.
    pub(crate) fn take(&mut self, id: u64) -> Option<String> {
        self.names.remove(&id).map(|name| name.to_string())
    }
}

/// Marks of one call that may wait to be reached.
const MAX_MARKS: usize = 1024;

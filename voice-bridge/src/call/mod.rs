//! One call: what is heard and said on it, and what becomes of it.
//! The machine is pure and split by subject; [`Call`] is its owner's end, [`CallControl`] its handle.

pub(crate) mod action;
mod control;
mod conversation;
mod ending;
mod event;
mod handover;
pub(crate) mod inbox;
mod info;
pub(crate) mod machine;
mod observer;
mod peer;
pub(crate) mod referred;
mod run;
mod state;
pub(crate) mod talk;
mod verbs;
pub(crate) mod voice;

use std::ops::Deref;

use rtp_media::net::{Frame, Stats};

pub use control::CallControl;
pub(crate) use control::Inner as ControlInner;
pub use conversation::{Conversation, Steering, TransferRules};
pub use ending::{EndCause, EndedBy, Ending};
pub(crate) use event::Marks;
pub use event::{CallEvent, IncomingRefer, ReferProgress};
pub use handover::TransferOrder;
pub use observer::{CallObserver, CallReport, ConversationStart, Spoken, TransferStart};
pub use state::{CallState, CallTimers};

use inbox::{Inbox, Item};

/// A call that is up. Dropping it hangs up.
///
/// All that [`CallControl`] can do, a call can do; [`Call::control`] gives a clone of it to other
/// tasks. What happens is read with [`Call::hear`] (audio), [`Call::event`] (all but audio) or
/// [`Call::next`] (everything in order).
#[derive(Debug)]
pub struct Call {
    control: CallControl,
    inbox: Inbox,
}

impl Call {
    pub(crate) fn new(control: CallControl, inbox: Inbox) -> Self {
        Self { control, inbox }
    }

    /// A handle that steers the call from elsewhere. It does not keep the call alive.
    pub fn control(&self) -> CallControl {
        self.control.clone()
    }

    /// The next 20 ms of the peer's voice; `None` when there will be no more. Other events are
    /// kept for [`Call::event`]. Cancel-safe.
    pub async fn hear(&mut self) -> Option<Frame> {
        self.inbox.hear(&self.control).await
    }

    /// The next event that is not audio; `None` when the call is over and forgotten. Audio waits
    /// for 200 ms and is then dropped, the oldest first. Cancel-safe.
    pub async fn event(&mut self) -> Option<CallEvent> {
        self.inbox.event(&self.control).await
    }

    /// The next event of any kind, audio included; `None` when the call is over and forgotten.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<CallEvent> {
        loop {
            match self.inbox.next(&self.control).await? {
                Item::Event(event) => return Some(event),
                Item::Notice(_) => {}
            }
        }
    }

    /// The counts of the media leg: its last ones when it is closed.
    pub fn stats(&self) -> Option<Stats> {
        self.control.stats().or_else(|| self.inbox.stats().cloned())
    }
}

impl Deref for Call {
    type Target = CallControl;

    fn deref(&self) -> &CallControl {
        &self.control
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.control.ending().is_none() {
            self.control
                .post(|machine, now| machine.hang_up(now, EndCause::Dropped));
        }
    }
}

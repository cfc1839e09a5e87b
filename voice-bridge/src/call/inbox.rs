//! What has happened in a call and was not looked at yet, from the machine and from the leg.
//! Owned by the call's holder; audio is dropped rather than kept, everything else is kept in order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use rtp_media::net::{Frame, LegEvent, LegEvents, Stats};
use tokio::sync::{mpsc, watch};

use super::action::Notice;
use super::control::CallControl;
use super::ending::{EndCause, Ending};
use super::event::{CallEvent, IncomingRefer};
use crate::phone::Link;

/// The receiving end of a call's news.
#[derive(Debug)]
pub(crate) struct Inbox {
    news: mpsc::Receiver<Notice>,
    ended: watch::Receiver<Option<Ending>>,
    leg: Option<LegEvents>,
    /// Audio that came while its holder asked for other events only.
    audio: VecDeque<Frame>,
    /// Other events that came while its holder listened.
    events: VecDeque<CallEvent>,
    /// The final counts of the leg.
    stats: Option<Stats>,
    told_end: bool,
    lost: Arc<AtomicU64>,
}

/// What the inbox gives out.
pub(crate) enum Item {
    Event(CallEvent),
    /// News that only a call in the making needs.
    Notice(Notice),
}

/// Makes the two ends of a call's news. The link fits into `PhoneCore`.
pub(crate) fn inbox() -> (Link, Inbox) {
    let (sender, news) = mpsc::channel(NEWS);
    let (over, ended) = watch::channel(None);
    let lost = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&lost);
    let link = move |notice: Notice| {
        let essential = matches!(
            notice,
            Notice::Ended(_)
                | Notice::TransferDone(_)
                | Notice::TransferAmended(_)
                | Notice::Answered
        );
        if let Notice::Ended(ending) = &notice {
            over.send_replace(Some(ending.clone()));
        }
        // What a peer can send at will leaves room for what must arrive.
        if (!essential && sender.capacity() <= RESERVED) || sender.try_send(notice).is_err() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let inbox = Inbox {
        news,
        ended,
        leg: None,
        audio: VecDeque::new(),
        events: VecDeque::new(),
        stats: None,
        told_end: false,
        lost,
    };
    (Box::new(link), inbox)
}

impl Inbox {
    /// Listens to this leg from now on.
    pub(crate) fn listen(&mut self, leg: LegEvents) {
        self.leg = Some(leg);
    }

    /// A view on how the call ended.
    pub(crate) fn ended(&self) -> watch::Receiver<Option<Ending>> {
        self.ended.clone()
    }

    /// The final counts of the leg, once it is closed.
    pub(crate) fn stats(&self) -> Option<&Stats> {
        self.stats.as_ref()
    }

    /// The next thing of any kind; `None` when nothing can follow any more. Cancel-safe.
    pub(crate) async fn next(&mut self, control: &CallControl) -> Option<Item> {
        if let Some(event) = self.events.pop_front() {
            return Some(Item::Event(event));
        }
        if let Some(frame) = self.audio.pop_front() {
            return Some(Item::Event(CallEvent::Heard(frame)));
        }
        poll_fn(|context| self.poll(context, control)).await
    }

    /// The next audio; `None` once the leg is closed. Other events are kept. Cancel-safe.
    pub(crate) async fn hear(&mut self, control: &CallControl) -> Option<Frame> {
        if let Some(frame) = self.audio.pop_front() {
            return Some(frame);
        }
        loop {
            // Without a leg no audio can come.
            self.leg.as_ref()?;
            match poll_fn(|context| self.poll(context, control)).await? {
                Item::Event(CallEvent::Heard(frame)) => return Some(frame),
                Item::Event(event) => self.keep(event),
                Item::Notice(_) => {}
            }
        }
    }

    /// The next thing that is not audio. Audio is kept for 200 ms. Cancel-safe.
    pub(crate) async fn event(&mut self, control: &CallControl) -> Option<CallEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        loop {
            match poll_fn(|context| self.poll(context, control)).await? {
                Item::Event(CallEvent::Heard(frame)) => {
                    if self.audio.len() >= AUDIO {
                        self.audio.pop_front();
                    }
                    self.audio.push_back(frame);
                }
                Item::Event(event) => return Some(event),
                Item::Notice(_) => {}
            }
        }
    }

    /// Waits for the leg's final counts, which come right after the end.
    pub(crate) async fn close(&mut self, control: &CallControl) -> Option<Stats> {
        while self.leg.is_some() {
            match poll_fn(|context| self.poll(context, control)).await {
                Some(Item::Event(event)) => self.keep(event),
                Some(Item::Notice(_)) => {}
                None => break,
            }
        }
        self.stats.clone()
    }

    fn keep(&mut self, event: CallEvent) {
        if self.events.len() >= KEPT {
            self.events.pop_front();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.events.push_back(event);
    }

    fn poll(&mut self, context: &mut Context<'_>, control: &CallControl) -> Poll<Option<Item>> {
        let closed = match self.news.poll_recv(context) {
            Poll::Ready(Some(notice)) => return Poll::Ready(Some(self.item(notice, control))),
            Poll::Ready(None) => true,
            Poll::Pending => false,
        };
        while let Some(leg) = &mut self.leg {
            match leg.poll_recv(context) {
                Poll::Ready(Some(LegEvent::Closed(stats))) => self.stats = Some(stats),
                Poll::Ready(Some(event)) => {
                    if let Some(event) = leg_event(event, control) {
                        return Poll::Ready(Some(Item::Event(event)));
                    }
                }
                Poll::Ready(None) => self.leg = None,
                Poll::Pending => break,
            }
        }
        if !closed {
            return Poll::Pending;
        }
        // The phone has forgotten the call. If it did not say why, it was shut down.
        if !self.told_end {
            self.told_end = true;
            let ending = self
                .ended
                .borrow()
                .clone()
                .unwrap_or_else(|| Ending::of(EndCause::ShutDown, None));
            return Poll::Ready(Some(Item::Event(CallEvent::Ended(ending))));
        }
        if self.leg.is_some() {
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    fn item(&mut self, notice: Notice, control: &CallControl) -> Item {
        Item::Event(match notice {
            Notice::Established => CallEvent::Established,
            Notice::Digit(digit) => CallEvent::Digit(digit),
            Notice::Held(held) => CallEvent::Held(held),
            Notice::HoldAnswered(result) => CallEvent::HoldAnswered(result),
            Notice::TransferProgress(status) => CallEvent::TransferProgress(status),
            Notice::TransferDone(outcome) => CallEvent::TransferDone(outcome),
            Notice::TransferAmended(outcome) => CallEvent::TransferAmended(outcome),
            Notice::Refer { id, order } => {
                CallEvent::Refer(IncomingRefer::new(control.clone(), id, order))
            }
            Notice::Ended(ending) => {
                self.told_end = true;
                CallEvent::Ended(ending)
            }
            Notice::TransferSent { after } => CallEvent::TransferSent { after },
            other @ (Notice::Progress { .. } | Notice::Answered) => return Item::Notice(other),
        })
    }
}

fn leg_event(event: LegEvent, control: &CallControl) -> Option<CallEvent> {
    Some(match event {
        LegEvent::Heard(frame) => CallEvent::Heard(frame),
        LegEvent::Digit { digit, .. } => CallEvent::Digit(digit),
        LegEvent::MarkReached(id) => CallEvent::MarkReached(control.marks(|marks| marks.take(id))?),
        LegEvent::MarkCleared(id) => CallEvent::MarkCleared(control.marks(|marks| marks.take(id))?),
        LegEvent::PlayedOut => CallEvent::PlayedOut,
        LegEvent::NoAudio { since } => CallEvent::NoAudio(since),
        LegEvent::AudioBack => CallEvent::AudioBack,
        _ => return None,
    })
}

/// News that may wait for the holder of a call.
const NEWS: usize = 256;
/// How many of those places are kept for what must arrive.
const RESERVED: usize = 16;
/// Audio kept while only other events are asked for: 200 ms.
const AUDIO: usize = 10;
/// Other events kept while only audio is asked for.
const KEPT: usize = 1024;

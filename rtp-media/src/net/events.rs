//! What a leg tells its owner, by a queue that needs no runtime.
//! The shard pushes, the owner polls; audio is bounded by age, everything else is kept.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::session::{Frame, SessionEvent, Stats};

/// Something that happened on a leg.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LegEvent {
    /// 20 ms of the peer's audio. At most 200 ms of it waits; then the oldest is dropped and
    /// counted in [`Stats::dropped_frames`].
    Heard(Frame),
    /// The peer pressed a key.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long, in milliseconds.
        duration_ms: u16,
    },
    /// All audio said before this mark has been sent.
    MarkReached(u64),
    /// This mark will not be reached: the queue was cleared, or held too many marks.
    MarkCleared(u64),
    /// Everything that was said has been sent.
    PlayedOut,
    /// The peer has sent no RTP for so long.
    NoAudio {
        /// Time since the last packet, or since the start.
        since: Duration,
    },
    /// RTP arrives again.
    AudioBack,
    /// The source that media is exchanged with from now on.
    LatchedTo(SocketAddr),
    /// The last event: the leg is closed, these are its counts.
    Closed(Stats),
}

impl LegEvent {
    pub(super) fn of(event: SessionEvent) -> LegEvent {
        match event {
            SessionEvent::Heard(frame) => LegEvent::Heard(frame),
            SessionEvent::Digit { digit, duration_ms } => LegEvent::Digit { digit, duration_ms },
            SessionEvent::MarkReached(id) => LegEvent::MarkReached(id),
            SessionEvent::MarkCleared(id) => LegEvent::MarkCleared(id),
            SessionEvent::PlayedOut => LegEvent::PlayedOut,
            SessionEvent::NoAudio { since } => LegEvent::NoAudio { since },
            SessionEvent::AudioBack => LegEvent::AudioBack,
            SessionEvent::LatchedTo(source) => LegEvent::LatchedTo(source),
        }
    }
}

/// The listening end of a leg. Dropping it does not close the leg: what it tells is then lost.
#[derive(Debug)]
pub struct LegEvents {
    queue: Arc<Queue>,
}

impl LegEvents {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// The next event, or `None` after [`LegEvent::Closed`] has been given out.
    ///
    /// Cancel-safe: an event is taken only by the poll that returns it.
    pub async fn recv(&mut self) -> Option<LegEvent> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`LegEvents::recv`], for hand-written futures. Only the last waker is woken.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<LegEvent>> {
        let mut inner = self.queue.lock();
        if let Some(event) = inner.take() {
            return Poll::Ready(Some(event));
        }
        if inner.closed {
            return Poll::Ready(None);
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The next event if one is waiting.
    pub fn try_recv(&mut self) -> Option<LegEvent> {
        self.queue.lock().take()
    }
}

impl Drop for LegEvents {
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        inner.abandoned = true;
        inner.events.clear();
        inner.heard = 0;
        inner.waker = None;
    }
}

/// The queue between a shard and the owner of a leg; also where the latest counts are left.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<LegEvent>,
    /// How many of `events` are audio.
    heard: usize,
    dropped_frames: u64,
    dropped_events: u64,
    stats: Stats,
    waker: Option<Waker>,
    closed: bool,
    abandoned: bool,
}

impl Inner {
    fn take(&mut self) -> Option<LegEvent> {
        let event = self.events.pop_front();
        if let Some(LegEvent::Heard(_)) = event {
            self.heard -= 1;
        }
        event
    }

    fn drop_oldest_audio(&mut self) {
        let audio = |event: &LegEvent| matches!(event, LegEvent::Heard(_));
        if let Some(oldest) = self.events.iter().position(audio) {
            self.events.remove(oldest);
            self.heard -= 1;
            self.dropped_frames += 1;
        }
    }

    fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.dropped_frames += self.dropped_frames;
        stats
    }
}

impl Queue {
    /// Adds events and wakes the owner; `fresh` is the newest state of the counts, if it is time.
    pub fn push(&self, events: impl Iterator<Item = LegEvent>, fresh: Option<Stats>) {
        let mut inner = self.lock();
        if let Some(stats) = fresh {
            inner.stats = stats;
        }
        if inner.closed || inner.abandoned {
            return;
        }
        let before = inner.events.len();
        for event in events {
            if let LegEvent::Heard(_) = event {
                if inner.heard >= MAX_HEARD {
                    inner.drop_oldest_audio();
                }
                inner.heard += 1;
            } else if inner.events.len() - inner.heard >= MAX_OTHER {
                inner.dropped_events += 1;
                continue;
            }
            inner.events.push_back(event);
        }
        let waker = (before != inner.events.len() || inner.heard == MAX_HEARD)
            .then(|| inner.waker.take())
            .flatten();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The last word, with the counts left here last: nothing is taken after it.
    pub fn close(&self) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.closed = true;
        if inner.dropped_events > 0 {
            tracing::warn!(
                dropped = inner.dropped_events,
                "leg events were lost: nobody listened"
            );
        }
        if !inner.abandoned {
            let stats = inner.stats();
            inner.events.push_back(LegEvent::Closed(stats));
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The counts as of the last time the shard left them here.
    pub fn stats(&self) -> Stats {
        self.lock().stats()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can panic half-way, so a poisoned queue is still whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 200 ms of audio in frames of 20 ms.
const MAX_HEARD: usize = 10;
/// Events that are not audio: far more than a person can key or an agent can mark unheard.
const MAX_OTHER: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    fn queue() -> (Arc<Queue>, LegEvents) {
        let queue = Arc::new(Queue::default());
        (Arc::clone(&queue), LegEvents::new(queue))
    }

    fn heard(timestamp: u32) -> LegEvent {
        LegEvent::Heard(Frame {
            timestamp,
            ..Frame::default()
        })
    }

    fn digit(digit: char) -> LegEvent {
        LegEvent::Digit {
            digit,
            duration_ms: 100,
        }
    }

    fn push(queue: &Queue, events: impl IntoIterator<Item = LegEvent>) {
        queue.push(events.into_iter(), None);
    }

    fn drain(events: &mut LegEvents) -> Vec<LegEvent> {
        std::iter::from_fn(|| events.try_recv()).collect()
    }

    #[test]
    fn of_audio_the_last_200_ms_are_kept_and_the_rest_is_counted() {
        let (queue, mut events) = queue();
        push(&queue, [digit('1')]);
        push(&queue, (0..25).map(heard));
        push(&queue, [digit('2')]);
        push(&queue, [heard(25)]);
        let mut expected = vec![digit('1')];
        expected.extend((16..25).map(heard));
        expected.extend([digit('2'), heard(25)]);
        assert_eq!(drain(&mut events), expected);
        assert_eq!(queue.stats().dropped_frames, 16);
    }

    #[test]
    fn what_is_not_audio_is_kept_up_to_a_bound() {
        let (queue, mut events) = queue();
        push(&queue, (0..MAX_OTHER as u64 + 5).map(LegEvent::MarkReached));
        push(&queue, [heard(1)]);
        queue.close();
        let drained = drain(&mut events);
        assert_eq!(drained.len(), MAX_OTHER + 2);
        assert_eq!(drained[MAX_OTHER], heard(1), "audio has its own bound");
        assert!(matches!(drained.last(), Some(LegEvent::Closed(_))));
    }

    #[test]
    fn the_last_word_is_closed_with_the_counts() {
        let (queue, mut events) = queue();
        let stats = Stats {
            packets_in: 7,
            ..Stats::default()
        };
        queue.push((0..11).map(heard), Some(stats));
        queue.close();
        push(&queue, [digit('9')]);
        queue.close();
        let mut last = None;
        while let Some(event) = events.try_recv() {
            last = Some(event);
        }
        let Some(LegEvent::Closed(stats)) = last else {
            panic!("{last:?}");
        };
        assert_eq!((stats.packets_in, stats.dropped_frames), (7, 1));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(events.poll_recv(&mut context), Poll::Ready(None));
    }

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_once_for_each_wait() {
        let (queue, mut events) = queue();
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        assert_eq!(events.poll_recv(&mut context), Poll::Pending);
        push(&queue, []);
        assert_eq!(bell.0.load(Ordering::Relaxed), 0, "nothing happened");
        push(&queue, [digit('1')]);
        push(&queue, [digit('2')]);
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert_eq!(
            events.poll_recv(&mut context),
            Poll::Ready(Some(digit('1')))
        );
        assert_eq!(
            events.poll_recv(&mut context),
            Poll::Ready(Some(digit('2')))
        );
        assert_eq!(events.poll_recv(&mut context), Poll::Pending);
        queue.close();
        assert_eq!(bell.0.load(Ordering::Relaxed), 2, "the end wakes too");
    }

    #[test]
    fn without_a_listener_nothing_piles_up() {
        let (queue, events) = queue();
        push(&queue, [digit('1')]);
        drop(events);
        push(&queue, (0..100).map(heard));
        queue.close();
        assert!(queue.lock().events.is_empty());
    }
}

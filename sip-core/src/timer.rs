//! Timers as data: a binary heap of deadlines with lazy deletion.
//! Cancelling forgets the slot; its heap entry is discarded when it surfaces.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use slab::Slab;

/// A set of armed deadlines, each carrying a key of type `K`.
///
/// Nothing here reads a clock: deadlines are compared with the `now` given to [`Timers::pop_due`].
#[derive(Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<Entry>>,
    armed: Slab<Armed<K>>,
    serial: u64,
}

impl<K: Copy> Timers<K> {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            armed: Slab::new(),
            serial: 0,
        }
    }

    /// Arms a deadline; `key` comes back from [`Timers::pop_due`] unless it is cancelled first.
    pub fn arm(&mut self, at: Instant, key: K) -> TimerId {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let slot = self.armed.insert(Armed { serial, key });
        self.heap.push(Reverse(Entry { at, serial, slot }));
        self.sweep();
        TimerId { slot, serial }
    }

    /// Forgets a deadline. An id that has fired or was cancelled before is ignored.
    pub fn cancel(&mut self, id: TimerId) {
        if self.is_armed(id) {
            self.armed.remove(id.slot);
            self.drop_stale_head();
        }
    }

    /// The earliest armed deadline.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes one key whose deadline is not after `now`; equal deadlines come in the order of arming.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let due = self
            .heap
            .peek()
            .is_some_and(|Reverse(entry)| entry.at <= now);
        if !due {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        // The head is never stale, see `drop_stale_head`.
        let armed = self.armed.try_remove(entry.slot)?;
        self.drop_stale_head();
        Some(armed.key)
    }

    /// How many deadlines are armed.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// True when no deadline is armed.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    fn is_armed(&self, id: TimerId) -> bool {
        self.armed
            .get(id.slot)
            .is_some_and(|armed| armed.serial == id.serial)
    }

    // Keeps the head alive, so that `next` can answer from `&self` and never too early.
    fn drop_stale_head(&mut self) {
        while let Some(Reverse(entry)) = self.heap.peek() {
            if self.is_armed(TimerId {
                slot: entry.slot,
                serial: entry.serial,
            }) {
                break;
            }
            self.heap.pop();
        }
    }

    // A cancelled deadline far in the future would stay in the heap until then: rebuild when the
    // dead outnumber the living, which costs O(1) per timer over time.
    fn sweep(&mut self) {
        if self.heap.len() > 2 * self.armed.len() + SLACK {
            let armed = &self.armed;
            self.heap.retain(|Reverse(entry)| {
                armed
                    .get(entry.slot)
                    .is_some_and(|armed| armed.serial == entry.serial)
            });
        }
    }
}

impl<K: Copy> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// Names one armed deadline.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TimerId {
    slot: usize,
    serial: u64,
}

#[derive(Debug)]
struct Armed<K> {
    serial: u64,
    key: K,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Instant,
    serial: u64,
    slot: usize,
}

// Dead entries that are tolerated before the heap is rebuilt.
const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::epoch;

    fn at(ms: u64) -> Instant {
        epoch() + Duration::from_millis(ms)
    }

    #[test]
    fn timers_fire_in_order_of_time_then_of_arming() {
        let mut timers = Timers::new();
        timers.arm(at(30), 'c');
        timers.arm(at(10), 'a');
        timers.arm(at(10), 'b');
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(10)), Some('a'));
        assert_eq!(timers.pop_due(at(10)), Some('b'));
        assert_eq!(timers.pop_due(at(10)), None);
        assert_eq!(timers.pop_due(at(40)), Some('c'));
        assert!(timers.is_empty());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_cancelled_timer_neither_fires_nor_shows_as_next() {
        let mut timers = Timers::new();
        let first = timers.arm(at(10), 1);
        timers.arm(at(20), 2);
        timers.cancel(first);
        timers.cancel(first);
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.pop_due(at(100)), Some(2));
        assert_eq!(timers.pop_due(at(100)), None);
    }

    #[test]
    fn an_old_id_does_not_cancel_the_timer_that_took_its_slot() {
        let mut timers = Timers::new();
        let old = timers.arm(at(10), 1);
        assert_eq!(timers.pop_due(at(10)), Some(1));
        timers.arm(at(20), 2);
        timers.cancel(old);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn the_heap_stays_bounded_when_every_timer_is_cancelled() {
        let mut timers = Timers::new();
        timers.arm(at(1), 0);
        for n in 1..10_000 {
            let id = timers.arm(at(1_000_000 + n), n);
            timers.cancel(id);
        }
        assert_eq!(timers.len(), 1);
        assert!(
            timers.heap.len() <= 2 + SLACK + 1,
            "{} entries",
            timers.heap.len()
        );
    }
}

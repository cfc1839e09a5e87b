//! A bounded store of messages by Call-ID, filled by observing a driver.
//! When it is full it forgets who was silent longest, and those who never called before those who did.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sip_core::endpoint::Flow;

use super::redact::{call_id, first_line, redact};
use crate::observer::{Direction, Observer};

/// Bounds of a [`Trace`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceConfig {
    /// Call-IDs remembered. Default 2,000.
    pub calls: usize,
    /// Messages kept of one Call-ID; of more, the oldest are forgotten and counted. Default 200.
    pub messages: usize,
    /// Bytes kept in all. Default 32 MiB.
    pub bytes: usize,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            calls: 2_000,
            messages: 200,
            bytes: 32 * 1024 * 1024,
        }
    }
}

/// One message as it was received or sent, secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: SystemTime,
    /// Which way.
    pub direction: Direction,
    /// Between which addresses.
    pub flow: Flow,
    /// The message after [`redact`].
    pub bytes: Bytes,
}

impl Entry {
    /// Its first line.
    pub fn first_line(&self) -> String {
        first_line(&self.bytes)
    }
}

/// A line with time and addresses, then the message.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.at.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or(Duration::ZERO);
        let (from, to) = match self.direction {
            Direction::Received => (self.flow.remote, self.flow.local),
            Direction::Sent => (self.flow.local, self.flow.remote),
        };
        let verb = match self.direction {
            Direction::Received => "received",
            Direction::Sent => "sent",
        };
        writeln!(
            f,
            "--- {}.{:06} {verb} {} {from} -> {to}, {} bytes",
            since.as_secs(),
            since.subsec_micros(),
            self.flow.transport,
            self.bytes.len()
        )?;
        writeln!(f, "{}", String::from_utf8_lossy(&self.bytes))
    }
}

/// The recent messages of recent calls. Give it to
/// [`Builder::observer`](crate::driver::Builder::observer) and keep a clone of its `Arc`.
#[derive(Debug)]
pub struct Trace {
    config: TraceConfig,
    // Locked for one message at a time: nobody holds it while doing anything slow.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<Arc<str>, Call>,
    /// Who is forgotten first: no INVITE seen before INVITE seen, then the longest silent.
    order: BTreeMap<(bool, u64), Arc<str>>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug, Default)]
struct Call {
    entries: VecDeque<Entry>,
    forgotten: u64,
    bytes: usize,
    rank: (bool, u64),
}

impl Trace {
    /// An empty trace.
    pub fn new(config: TraceConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
        }
    }

    /// The messages kept of a call, oldest first; empty when there are none.
    pub fn messages(&self, call_id: &str) -> Vec<Entry> {
        self.with(|state| match state.calls.get(call_id) {
            Some(call) => call.entries.iter().cloned().collect(),
            None => Vec::new(),
        })
    }

    /// The messages kept of a call as text, or `None` when there are none.
    pub fn text(&self, call_id: &str) -> Option<String> {
        use fmt::Write as _;

        let (entries, forgotten) = self.with(|state| {
            let call = state.calls.get(call_id)?;
            Some((call.entries.clone(), call.forgotten))
        })?;
        let mut text = String::new();
        // Writing to a String cannot fail.
        if forgotten > 0 {
            let _ = writeln!(text, "--- {forgotten} earlier messages are not kept");
        }
        for entry in &entries {
            let _ = write!(text, "{entry}");
        }
        Some(text)
    }

    /// Forgets a call, for example once its trace has been stored elsewhere.
    pub fn forget(&self, call_id: &str) {
        self.with(|state| state.forget(call_id));
    }

    /// Call-IDs kept now.
    pub fn calls(&self) -> usize {
        self.with(|state| state.calls.len())
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        // A panic elsewhere leaves at worst one message half counted.
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Trace {
    fn message(&self, at: SystemTime, direction: Direction, flow: &Flow, bytes: &[u8]) {
        let Some(call_id) = call_id(bytes) else {
            return;
        };
        let entry = Entry {
            at,
            direction,
            flow: *flow,
            bytes: Bytes::copy_from_slice(&redact(bytes)),
        };
        let is_call = bytes.starts_with(b"INVITE ");
        self.with(|state| state.add(&self.config, call_id, is_call, entry));
    }
}

impl State {
    fn add(&mut self, config: &TraceConfig, call_id: &str, is_call: bool, entry: Entry) {
        let key = match self.calls.get_key_value(call_id) {
            Some((key, _)) => key.clone(),
            None => Arc::from(call_id),
        };
        let call = self.calls.entry(key.clone()).or_default();
        self.order.remove(&call.rank);
        self.clock += 1;
        call.rank = (call.rank.0 || is_call, self.clock);
        self.order.insert(call.rank, key);
        let length = entry.bytes.len();
        call.entries.push_back(entry);
        call.bytes += length;
        self.bytes += length;
        while call.entries.len() > config.messages.max(1) {
            let gone = call
                .entries
                .pop_front()
                .map_or(0, |entry| entry.bytes.len());
            call.forgotten += 1;
            call.bytes -= gone;
            self.bytes -= gone;
        }
        while self.calls.len() > config.calls || self.bytes > config.bytes {
            let Some((_, oldest)) = self.order.first_key_value() else {
                return;
            };
            let oldest = oldest.clone();
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, call_id: &str) {
        if let Some(call) = self.calls.remove(call_id) {
            self.order.remove(&call.rank);
            self.bytes -= call.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use sip_core::endpoint::Transport;

    use super::*;

    #[test]
    fn a_call_is_kept_in_order_without_its_digest() {
        let trace = Trace::new(TraceConfig::default());
        see(
            &trace,
            "INVITE sip:a SIP/2.0\r\nCall-ID: x\r\nAuthorization: Digest response=\"dead\"",
        );
        see(&trace, "SIP/2.0 200 OK\r\ni: x");
        see(&trace, "SIP/2.0 200 OK\r\nCall-ID: y");
        let lines: Vec<_> = trace.messages("x").iter().map(Entry::first_line).collect();
        assert_eq!(lines, ["INVITE sip:a SIP/2.0", "SIP/2.0 200 OK"]);
        let text = trace.text("x").unwrap();
        assert!(
            text.contains("UDP 192.0.2.9:5060 -> 192.0.2.1:5060"),
            "{text}"
        );
        assert!(!text.contains("dead"), "{text}");
        assert_eq!(trace.text("z"), None);
        trace.forget("x");
        assert_eq!((trace.messages("x").len(), trace.calls()), (0, 1));
    }

    #[test]
    fn calls_messages_and_bytes_stay_within_their_bounds() {
        let trace = Trace::new(TraceConfig {
            calls: 10,
            messages: 3,
            bytes: 1_000,
        });
        for n in 0..1_000 {
            see(
                &trace,
                &format!("OPTIONS sip:a SIP/2.0\r\nCall-ID: {}", n % 37),
            );
            let (calls, bytes, order) =
                trace.with(|state| (state.calls.len(), state.bytes, state.order.len()));
            assert!(calls <= 10 && bytes <= 1_000 && order == calls);
        }
        for _ in 0..5 {
            see(&trace, "OPTIONS sip:a SIP/2.0\r\nCall-ID: long");
        }
        assert_eq!(trace.messages("long").len(), 3);
        assert!(
            trace
                .text("long")
                .unwrap()
                .starts_with("--- 2 earlier messages")
        );
    }

    #[test]
    fn a_flood_of_other_requests_does_not_wash_calls_away() {
        let trace = Trace::new(TraceConfig {
            calls: 10,
            ..TraceConfig::default()
        });
        see(&trace, "INVITE sip:a SIP/2.0\r\nCall-ID: call");
        for n in 0..1_000 {
            see(&trace, &format!("OPTIONS sip:a SIP/2.0\r\nCall-ID: {n}"));
        }
        assert_eq!(trace.messages("call").len(), 1);
        for n in 0..10 {
            see(
                &trace,
                &format!("INVITE sip:a SIP/2.0\r\nCall-ID: call {n}"),
            );
        }
        assert_eq!(
            trace.messages("call").len(),
            0,
            "the oldest call goes at last"
        );
    }

    fn see(trace: &Trace, message: &str) {
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.9:5060".parse().unwrap(),
            connection: 0,
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        trace.message(
            at,
            Direction::Received,
            &flow,
            format!("{message}\r\n\r\n").as_bytes(),
        );
    }
}

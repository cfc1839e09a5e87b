//! The recent SIP messages of each call, for whoever asks why it went wrong.
//! Bounded in calls, messages and bytes; credentials are masked before anything is kept.

mod redact;
mod ring;

pub use redact::{call_id, first_line, redact};
pub use ring::{Entry, Trace, TraceConfig};

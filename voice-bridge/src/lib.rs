//! A phone call joined to a voice agent: `Phone`, `Call`, `Agent`.
//! SIP and media come from the crates below; policy belongs to whoever builds on this.

pub mod agent;
pub mod call;
mod error;
pub mod fallback;
pub mod limits;
pub mod pace;
pub mod phone;
pub mod speech;
mod tls;
pub mod transcript;

pub use call::{Call, CallControl, CallEvent, CallState, EndCause, EndedBy, Ending};
pub use error::{AnswerError, CallError, CallFailed, StartError};
pub use limits::{LimitReached, Limits};
pub use phone::{Codecs, Gate, Line, OutgoingCall, Phone, Ringing, Verdict};

//! One transfer of a caller by SIP REFER, as a pure state machine: REFER, its answer, its
//! NOTIFYs, its deadlines, and in the end one honest [`Outcome`].
//!
//! The machine neither sends nor waits. Its owner, who has the dialog, feeds it what happens and
//! does what comes out:
//!
//! ```
//! use refer_transfer::{Input, Output, Target, Transfer, TransferConfig};
//! # use refer_transfer::{ConfirmedBy, TransferResult};
//! # use std::time::{Duration, Instant};
//!
//! # let now = Instant::now();
//! let target = Target::blind("sip:101@pbx.example.com".parse()?);
//! let mut transfer = Transfer::new(now, TransferConfig::default(), target, None);
//! let Some(Output::SendRefer { headers }) = transfer.poll_output() else { unreachable!() };
//! // … send REFER with these headers in the dialog; then the PBX answers and reports:
//! # let status = |code| sip_core::Status::new(code).unwrap();
//! transfer.handle_input(now, Input::Response { status: status(202), reason: "Accepted", refer_sub: None });
//! transfer.handle_input(now, Input::Notify {
//!     subscription_state: "terminated;reason=noresource",
//!     body: b"SIP/2.0 200 OK\r\n",
//! });
//! assert_eq!(transfer.poll_output(), Some(Output::HangUp));
//! let Some(Output::Done(outcome)) = transfer.poll_output() else { unreachable!() };
//! assert_eq!(outcome.result, TransferResult::Transferred);
//! assert_eq!(outcome.confirmed_by, ConfirmedBy::Pbx, "nobody asked the target itself");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is believed
//!
//! - The final status of a NOTIFY is the PBX's word, not the target's: PBXes report 200 while the
//!   phone still rings. It is recorded as [`ConfirmedBy::Pbx`]. Only a target that was called
//!   first and answered makes [`ConfirmedBy::Answered`].
//! - After the REFER was accepted the caller has usually left. Whether they are still here shows
//!   in their RTP and nowhere else: the owner reports it with [`Input::CallerHeard`], and a
//!   failure gives the caller back to the agent only on that evidence.
//! - Silence is no success: each state has its deadline, after which the outcome says what is not
//!   known.
//! - What comes late changes the record ([`Output::Amended`]) and nothing else.

mod machine;
mod notify;
mod outcome;
mod policy;

pub use machine::{Input, Output, Transfer};
pub use notify::{MAX_BODY, Notice, NoticeError};
pub use outcome::{ConfirmedBy, Outcome, TransferResult};
pub use policy::{Target, TransferConfig};

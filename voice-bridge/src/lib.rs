//! A phone call joined to a voice agent: [`Phone`], [`Call`], [`Agent`](agent::Agent).
//!
//! SIP and media come from the crates below; policy belongs to whoever builds on this one. A phone
//! answers its first call in fifteen lines:
//!
//! ```no_run
//! use voice_bridge::{CallError, Codecs, Phone};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut phone = Phone::builder().udp("0.0.0.0:5060").start().await?;
//! while let Some(ringing) = phone.accept().await {
//!     tokio::spawn(async move {
//!         let mut call = ringing.answer(Codecs::telephony()).await?;
//!         while let Some(frame) = call.hear().await {
//!             call.say(frame)?; // an echo
//!         }
//!         call.hang_up().await?;
//!         Ok::<(), CallError>(())
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a call
//!
//! A request that arrives meets the [`Gate`] first, before any task or memory is spent on it; the
//! gate challenges, refuses, or lets an INVITE in and attaches what it knows. What was let in comes
//! out of [`Phone::accept`] as a [`Ringing`], whose verbs consume it: `answer`, `ring`, `refuse`,
//! `ignore`. An answered call, and one placed with [`Line::call`], is a [`Call`]: hear and say,
//! keys, hold, transfer, hang up. Dropping a call hangs it up, dropping a call in the making cancels
//! it, dropping a phone closes its sockets; nothing is ever left to a finaliser.
//!
//! # A conversation
//!
//! [`Call::run`] lets an [`Agent`](agent::Agent) converse with the caller over a
//! [`Desk`](agent::Desk) until the call is over: within its [`Limits`], with a fallback voice when
//! the agent fails, with transfers by name, and with a [`CallObserver`](call::CallObserver) from
//! which a record is written:
//!
//! ```no_run
//! # async fn serve(ringing: voice_bridge::Ringing) -> Result<(), Box<dyn std::error::Error>> {
//! use voice_bridge::agent::{CallInfo, EmbeddedConfig, embedded};
//! use voice_bridge::call::{Conversation, TransferRules};
//! use voice_bridge::speech::Voice;
//! use voice_bridge::{Codecs, Limits};
//!
//! let voice = Voice::automatic();
//! let info = CallInfo::new("call_1", ringing.from_number(), ringing.to_number());
//! let agent = embedded(EmbeddedConfig::new(voice.clone(), Some("Good morning.".to_owned())));
//! let mut conversation = Conversation::new(agent, info)
//!     .limits(Limits::default())
//!     .transfers(TransferRules::to_domain("pbx.example.com"))
//!     .fallback(voice);
//! let ringing = ringing.ring().await?;
//! conversation.prepare().await?; // the caller hears ringing meanwhile
//! let report = ringing.answer(Codecs::telephony()).await?.run(conversation).await;
//! println!("{} after {} s", report.cause, report.talked.as_secs());
//! # Ok(())
//! # }
//! ```
//!
//! # What is pure
//!
//! The call machine, the phone's core with its gate, registrations and deadlines, the limits and
//! the embedded agent are functions of time and input, without a socket, a task or a clock. The
//! tests run two phones against each other on a simulated bad line, hundreds of seeds in a second.
//!
//! # Time and runtimes
//!
//! The async shell needs tokio. All instants are tokio's, so a paused clock is obeyed. Media runs in
//! threads of its own (see [`rtp_media::net`]); signalling runs in one task, where a gate must not
//! block.

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

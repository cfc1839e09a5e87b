//! What answers a call: the `Agent` trait, and the desk it sits at.
//! An agent never touches SIP or RTP; everything it can do goes over its [`Desk`].

mod desk;
mod directory;
mod embedded;
mod error;
mod heard;
mod media_streams;
mod request;

use futures_util::future::BoxFuture;

pub use desk::{CallOver, Desk, DeskServer, Ears, Mouth, Undelivered, desk};
pub use directory::{Directory, ExtensionEntry};
pub(crate) use embedded::named as embedded_as;
pub use embedded::{EmbeddedConfig, Patience, Script, embedded};
pub use error::AgentError;
pub use heard::{CallEnd, ClosingCause, Heard, TransferFailure, TransferNews, TransferStep};
pub use media_streams::{MediaStreamsConfig, media_streams};
pub use request::{
    CallInfo, DeskRequest, MessageTaken, ToolUse, TransferId, TransferRefused, TransferRequest,
};
pub use rtp_media::session::Frame;

/// One conversation partner for one call.
///
/// The life of an agent: it is made for a call, [`prepare`](Agent::prepare)d before the call is
/// answered (an error there refuses the call with 480, or brings the fallback prompt), and then
/// consumed by [`converse`](Agent::converse), which lasts as long as the agent takes part.
pub trait Agent: Send {
    /// A short name for logs and records, such as `embedded` or `media_streams`.
    fn name(&self) -> &str;

    /// Gets ready before the call is answered: connects, or renders the first words.
    ///
    /// The caller hears ringing meanwhile, so an implementation bounds its own time.
    ///
    /// # Errors
    /// Whatever makes the agent unable to take this call.
    fn prepare<'a>(&'a mut self, call: &'a CallInfo) -> BoxFuture<'a, Result<(), AgentError>> {
        let _ = call;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Takes part in the answered call until it ends or the agent has nothing more to do.
    ///
    /// Returning `Ok` leaves the call: the bridge hangs up if it is still there. Returning an
    /// error brings the fallback agent (see [`crate::fallback`]) to the same caller.
    fn converse(self: Box<Self>, desk: Desk) -> BoxFuture<'static, Result<(), AgentError>>;
}

//! Sockets and time for sessions: port pairs from a range, and the shard threads that serve them.
//! A leg is one call's media; its packets are read, played and written in one thread only.
//!
//! [`Media`] is the node's whole media plane. [`Media::open`] gives a [`Leg`] to command and
//! [`LegEvents`] to listen to; both work from any thread and any async runtime. The leg sends
//! nothing until [`Leg::start`] says what was negotiated. Dropping the [`Leg`] says goodbye to the
//! peer (RTCP BYE), closes the sockets and puts the ports into quarantine; [`LegEvents`] then
//! yields [`LegEvent::Closed`] with the final counts, and ends.
//!
//! ```no_run
//! # async fn call(negotiated: rtp_media::sdp::Negotiated) -> Result<(), Box<dyn std::error::Error>> {
//! use rtp_media::net::{LegEvent, Media, MediaConfig};
//!
//! let media = Media::start(MediaConfig::new("192.0.2.1".parse()?, 10_000..=19_999))?;
//! let (leg, mut events) = media.open(None)?;
//! // … leg.local() goes into the SDP, and what comes out of it:
//! leg.start(negotiated);
//! while let Some(event) = events.recv().await {
//!     if let LegEvent::Heard(frame) = event {
//!         leg.say(frame)?; // an echo
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
mod events;
mod leg;
mod media;
mod ports;
mod shard;

pub use crate::session::{DigitError, Frame, SayError, Stats};
pub use config::MediaConfig;
pub use error::{MediaError, OpenError};
pub use events::{LegEvent, LegEvents};
pub use leg::Leg;
pub use media::{Counts, Media};

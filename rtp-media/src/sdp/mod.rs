//! Session descriptions: RFC 8866 text, and the RFC 3264 bargain over one audio stream.
//! A pure function of text; nothing here knows a socket or a call.
//!
//! Three layers, each in files of its own:
//!
//! 1. [`SessionDescription`] is the text as data: [`SessionDescription::parse`] reads what a peer
//!    sent (tolerant where peers are known to stray, bounded everywhere) and `Display` writes it.
//! 2. [`offer`], [`answer`] and [`accept_answer`] strike the bargain: our codec order wins, only
//!    what was offered is answered, streams we do not take are refused with port 0.
//! 3. [`Exchange`] keeps the state that several bargains of one call share: the version of the
//!    `o=` line, and whether we hold the peer.
//!
//! ```
//! use rtp_media::sdp::{self, LocalMedia, SessionDescription};
//!
//! let offer = SessionDescription::parse(
//!     b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
//!       m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
//! )?;
//! let local = LocalMedia::new("198.51.100.1".parse()?, 10_000, 42);
//! let (answer, agreed) = sdp::answer(&local, &offer)?;
//! assert_eq!(agreed.payload_type, 0, "PCMU before PCMA: our order wins");
//! assert_eq!(agreed.telephone_event, Some(101));
//! assert!(answer.to_string().contains("m=audio 10000 RTP/AVP 0 101\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod description;
mod direction;
mod error;
mod exchange;
mod offer;
mod parse;
mod payloads;
mod refusal;
mod write;

pub use crate::codec::Codec;
pub use answer::{accept_answer, answer};
pub use description::{
    Attribute, Connection, MediaDescription, Origin, SessionDescription, Timing,
};
pub use direction::Direction;
pub use error::{SdpError, SdpErrorKind};
pub use exchange::Exchange;
pub use offer::{LocalMedia, Negotiated, offer};
pub use parse::{MAX_ATTRIBUTES, MAX_BYTES, MAX_FORMATS, MAX_LINE, MAX_LINES, MAX_MEDIA};
pub use refusal::Refusal;

//! RTP, codecs, jitter buffer, loss concealment and SDP for telephony.
//! Protocol without I/O; only `net` (feature) opens sockets.

pub mod codec;
pub mod conceal;
pub mod jitter;
#[cfg(feature = "net")]
pub mod net;
pub mod packet;
pub mod quality;
pub mod resample;
pub mod sdp;
pub mod session;

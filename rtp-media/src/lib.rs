//! RTP, codecs, jitter buffer, loss concealment and SDP for telephony.
//! Protocol without I/O; only `net` (feature) opens sockets.
//!
//! # What is here
//!
//! | room | what it does |
//! |---|---|
//! | [`sdp`] | reads and writes session descriptions, makes offers and answers |
//! | [`packet`] | RTP, RTCP and telephone-event, borrowed from their datagram |
//! | [`codec`] | G.711 µ-law and A-law |
//! | [`jitter`], [`conceal`], [`quality`] | what makes a stream of an unbroken sequence of samples out of packets that come late, twice, out of order or never |
//! | [`resample`] | 8, 16, 24 and 48 kHz |
//! | [`session`] | all of these together: one call's media, driven by its owner |
//! | `net` | port pairs and the threads that drive sessions over sockets |
//!
//! # Time
//!
//! Nothing outside `net` looks at a clock, opens a socket, starts a task or throws dice.
//! A [`Session`](session::Session) is told the time with each call, gets its random numbers in its
//! configuration, and hands out packets and events. The same calls give the same bytes, so whole
//! conversations over bad networks are tested in milliseconds, and a failure is a seed that can be
//! run again.
//!
//! A call's media in its owner's loop:
//!
//! 1. Datagrams go to [`Session::receive`](session::Session::receive) (RTP port) and
//!    [`Session::receive_rtcp`](session::Session::receive_rtcp) (RTCP port).
//! 2. Every 20 ms [`Session::tick`](session::Session::tick) hands out what to send.
//! 3. After each of these [`Session::poll_event`](session::Session::poll_event) is called until it
//!    gives nothing: 20 ms of heard audio, keys, marks, where the peer is, whether it is silent.
//! 4. [`Session::say`](session::Session::say) queues audio as fast as it comes; the session plays
//!    it in time. [`Session::mark`](session::Session::mark) tells when it was sent,
//!    [`Session::clear`](session::Session::clear) stops it.
//!
//! # Whom it trusts
//!
//! Nobody on the network. Parsers take any bytes without a panic, all lists and queues are
//! bounded, audio is taken from one source only, and what the peer claims (lengths, timestamps,
//! sequence numbers, sources) is believed once it repeats itself.

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

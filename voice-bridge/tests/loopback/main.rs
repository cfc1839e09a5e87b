//! Two phones on the loopback interface, with real signalling and real audio.
//! Each test starts its own phones on ports of their own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, whose helpers clippy does not know for such"
)]

mod admission;
mod audio;
mod conversations;
mod dialling;
mod registering;
mod stage;
mod transfers;

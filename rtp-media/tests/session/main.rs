//! Whole conversations between two sessions over networks good and bad, in virtual time.
//! Each file holds one theme; `world` is the network.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails may panic, also in its helpers"
)]

mod audio;
mod digits;
mod hostile;
mod play_out;
mod reports;
mod world;

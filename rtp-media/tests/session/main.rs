//! Whole conversations between two sessions over networks good and bad, in virtual time.
//! Each file holds one theme; `world` is the network.

mod audio;
mod digits;
mod hostile;
mod play_out;
mod reports;
mod world;

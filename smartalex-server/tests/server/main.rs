//! The server from outside: in its own process through the command line, and in this one over
//! loopback HTTP, with a receiver that webhooks are really sent to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that does not find what it looks for has failed"
)]

mod agents;
mod audit;
mod calls;
mod cli;
mod conventions;
mod extensions;
mod harness;
mod ledger;
mod lifecycle;
mod live;
mod trunks;
mod webhooks;

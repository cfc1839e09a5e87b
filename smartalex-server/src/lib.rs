//! The reference server as a library: configuration, directory, store, ledger, webhooks and API.
//! The binary is a thin `main`; tests and `demo` start [`serve::Server`] in their own process.

pub mod agents;
pub mod api;
pub mod app;
pub mod audit;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
pub mod directory;
pub mod drain;
pub mod ids;
pub mod metrics;
pub mod secrets;
pub mod serve;
pub mod sip;
pub mod start;
pub mod store;
pub mod tenants;
pub mod trunks;
pub mod webhooks;

//! A phone call joined to a voice agent: `Phone`, `Call`, `Agent`.
//! SIP and media come from the crates below; policy belongs to whoever builds on this.

pub mod agent;
pub mod fallback;
pub mod limits;
pub mod pace;
pub mod speech;
mod tls;
pub mod transcript;

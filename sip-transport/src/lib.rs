//! UDP and TCP for [`sip_core`]: the sockets, and the task that drives an endpoint.
//!
//! `sip_core` turns messages and times into messages and events and touches nothing. This crate
//! touches everything for it: it binds sockets, answers from the address that was called, cuts
//! streams into messages, keeps connections, looks hosts up, and shuts out floods before they cost
//! a parse. It knows no call and no policy.
//!
//! A [`driver::Driver`] runs one endpoint; a [`driver::Handler`] is the application on top of it.
//! This one says 200 to OPTIONS and refuses everything else:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use sip_core::endpoint::{Config, Event, Reply};
//! use sip_core::{Method, Status};
//! use sip_transport::driver::Driver;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let running = Driver::builder(Arc::new(Config::default()))
//!     .udp("0.0.0.0:5060".parse()?)
//!     .tcp("0.0.0.0:5060".parse()?)
//!     .start(|endpoint: &mut sip_core::endpoint::Endpoint, now, event| {
//!         if let Event::Incoming { tx, request, .. } = event {
//!             let status = match request.method() {
//!                 Method::Options => Status::OK,
//!                 _ => Status::NOT_IMPLEMENTED,
//!             };
//!             let _ = endpoint.respond(now, tx, Reply::new(status));
//!         }
//!     })?;
//! tokio::signal::ctrl_c().await?;
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! What was dropped and why is counted in [`counters::Counts`]; an [`observer::Observer`] sees every
//! message, and [`trace::Trace`] keeps the recent ones of each call without their credentials.

pub mod counters;
pub mod driver;
pub mod entropy;
pub mod error;
pub mod guard;
pub mod observer;
mod resolve;
mod shared;
mod sniff;
pub mod stream;
pub mod trace;
mod udp;

//! The SIP side of the server: who may call, and what becomes of a call.

use std::sync::Arc;

use crate::app::App;

/// The SIP side while it runs.
#[derive(Debug)]
pub struct Running {}

impl Running {
    /// Ends all calls and closes the sockets.
    pub async fn shutdown(self) {}
}

/// Why SIP could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
}

/// Starts to listen for calls.
///
/// # Errors
/// When a port is taken, with its address and what to do.
pub async fn start(app: Arc<App>) -> Result<Running, StartError> {
    app.set_sip_addresses(crate::app::SipAddresses {
        udp: app.config.sip.udp,
        tcp: app.config.sip.tcp,
    });
    Ok(Running {})
}

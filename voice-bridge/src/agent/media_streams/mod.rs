//! An agent on the far side of a WebSocket, spoken to in Media Streams messages.
//! We are the client: one connection for each call, made before the call is answered.

mod connect;
mod converse;
mod doer;
mod teller;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Agent, AgentError, CallInfo, Desk};
use connect::Socket;

/// Where an agent's server is and what it is told beyond the call itself.
#[derive(Clone)]
#[non_exhaustive]
pub struct MediaStreamsConfig {
    /// `ws://…` or `wss://…`.
    pub url: String,
    /// Headers of the opening handshake, such as `authorization`. Never logged.
    pub headers: Vec<(String, String)>,
    /// What the `start` message carries as custom parameters, beside `from`, `to`, `agentId`,
    /// `trunkId` and `sipCallId`.
    pub parameters: BTreeMap<String, String>,
    /// For the connection with its TLS and WebSocket handshakes; 5 s.
    pub connect_timeout: Duration,
    /// TLS settings for `wss`, where the web's root certificates are not the right ones.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl MediaStreamsConfig {
    /// A server by its address.
    pub fn new(url: impl Into<String>) -> Self {
        MediaStreamsConfig {
            url: url.into(),
            headers: Vec::new(),
            parameters: BTreeMap::new(),
            connect_timeout: Duration::from_secs(5),
            tls: None,
        }
    }

    /// Looks whether the address and headers can be used, without connecting.
    ///
    /// # Errors
    /// [`AgentError::Address`] that says what is wrong.
    pub fn check(&self) -> Result<(), AgentError> {
        connect::request(self).map(drop)
    }
}

impl fmt::Debug for MediaStreamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Path, query and headers often hold keys, and parameters what the operator wrote.
        f.debug_struct("MediaStreamsConfig")
            .field("url", &connect::origin(&self.url))
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// An agent for one call that is reached over a WebSocket.
///
/// [`prepare`](Agent::prepare) connects; when that fails the call should not be answered.
/// A connection that breaks during the call is not made anew: the error brings the fallback.
pub fn media_streams(config: MediaStreamsConfig) -> Box<dyn Agent> {
    Box::new(MediaStreams {
        config,
        socket: None,
    })
}

struct MediaStreams {
    config: MediaStreamsConfig,
    socket: Option<Socket>,
}

impl Agent for MediaStreams {
    fn name(&self) -> &str {
        "media_streams"
    }

    fn prepare<'a>(&'a mut self, call: &'a CallInfo) -> BoxFuture<'a, Result<(), AgentError>> {
        Box::pin(async {
            let connected = connect::connect(&self.config).await;
            if let Err(error) = &connected {
                tracing::warn!(
                    call_id = %call.call_id, sip_call_id = %call.sip_call_id, %error,
                    "agent could not be reached"
                );
            }
            self.socket = Some(connected?);
            Ok(())
        })
    }

    fn converse(mut self: Box<Self>, desk: Desk) -> BoxFuture<'static, Result<(), AgentError>> {
        Box::pin(async move {
            let socket = match self.socket.take() {
                Some(socket) => socket,
                // Nobody prepared it: then the caller waits for the connection in silence.
                None => connect::connect(&self.config).await?,
            };
            converse::converse(socket, desk, &self.config).await
        })
    }
}

//! Connects to an agent's server: TCP, TLS where the address says so, WebSocket.
//! What goes wrong is told in words that name the server but none of its secrets.

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::MediaStreamsConfig;
use crate::agent::AgentError;
use crate::tls;

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The largest message taken: a minute and a half of µ-law in base64.
const MAX_MESSAGE: usize = 1 << 20;

/// Connects within the configured time.
pub async fn connect(config: &MediaStreamsConfig) -> Result<Socket, AgentError> {
    let request = request(config)?;
    let url = origin(&config.url);
    let tls = match &config.tls {
        Some(tls) => std::sync::Arc::clone(tls),
        None => tls::client_config()
            .map(std::sync::Arc::new)
            .map_err(|error| AgentError::Address {
                url: url.clone(),
                cause: format!("TLS: {error}"),
            })?,
    };
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let connecting =
        connect_async_tls_with_config(request, Some(limits), true, Some(Connector::Rustls(tls)));
    match tokio::time::timeout(config.connect_timeout, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(failure(url, &error)),
        Err(_) => Err(AgentError::Timeout {
            what: "accept our connection",
            after: config.connect_timeout,
        }),
    }
}

/// The opening request, as far as it can be made without connecting.
pub fn request(config: &MediaStreamsConfig) -> Result<Request, AgentError> {
    let wrong = |cause: String| AgentError::Address {
        url: origin(&config.url),
        cause,
    };
    let uri: Uri = config
        .url
        .parse()
        .map_err(|error| wrong(format!("{error}")))?;
    if !matches!(uri.scheme_str(), Some("ws" | "wss")) {
        return Err(wrong("it begins with neither ws:// nor wss://".to_owned()));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host".to_owned()));
    }
    let mut request = uri
        .into_client_request()
        .map_err(|error| wrong(error.to_string()))?;
    for (name, value) in &config.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| wrong(format!("{name:?} is no header name")))?;
        // The value may be a secret: the message names only the header.
        let value: HeaderValue = value
            .parse()
            .map_err(|_| wrong(format!("the value of header {name} is not allowed")))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// Scheme, host and port: what may be logged of an address.
pub fn origin(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else {
        return "(not an address)".to_owned();
    };
    let scheme = uri.scheme_str().unwrap_or("?");
    let host = uri.host().unwrap_or("?");
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

fn failure(url: String, error: &Error) -> AgentError {
    match error {
        Error::Http(response) => AgentError::Refused {
            url,
            cause: format!("it answered {}", response.status()),
        },
        Error::Protocol(cause) => AgentError::Refused {
            url,
            cause: format!("it is no WebSocket server: {cause}"),
        },
        error => AgentError::Unreachable {
            url,
            cause: error.to_string(),
        },
    }
}

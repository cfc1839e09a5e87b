//! The HTTP client that webhooks are sent with. It resolves names itself, looks at every address
//! that it got, and connects to just those: a name that changes its mind between the look and
//! the connection (DNS rebinding) gains nothing. It follows no redirect and knows no proxy.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::LeasedDelivery;
use super::address::is_public;
use super::sign::Signatures;

/// Sends webhooks. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: HyperClient<HttpsConnector<Connector>, Full<Bytes>>,
    timeout: Duration,
}

/// An answer, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What `Retry-After` said in seconds, if it did.
    pub retry_after: Option<Duration>,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The URL is not one that can be sent to.
    #[error("the url cannot be used: {0}")]
    Url(String),
    /// The name leads into a private network.
    #[error(
        "{host} is at {address}, which is not a public address; webhooks.allow_private_addresses \
         would allow it"
    )]
    Private {
        /// The host of the URL.
        host: String,
        /// The first address that is not public.
        address: IpAddr,
    },
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The name does not resolve, nobody listens, TLS fails, the connection breaks.
    #[error("{0}")]
    Connection(String),
}

impl SendError {
    /// Whether trying again could help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Connection(_))
    }
}

impl Client {
    /// A client that gives each attempt `timeout`, and goes to private addresses only if it is
    /// allowed to.
    pub fn new(timeout: Duration, allow_private: bool) -> Result<Self, rustls::Error> {
        let provider = rustls::crypto::ring::default_provider();
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector { allow_private });
        let http = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .build(https);
        Ok(Self { http, timeout })
    }

    /// Sends `delivery` once; `seconds` is the time that `signatures` were made for.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        delivery: &LeasedDelivery,
        seconds: i64,
        signatures: &Signatures,
    ) -> Result<Answer, SendError> {
        let url = check_url(&delivery.url)?;
        let request = Request::post(url)
            .header("content-type", "application/json")
            .header("user-agent", USER_AGENT)
            .header("webhook-id", delivery.event.as_str())
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", &signatures.standard)
            .header("x-smartalex-signature", &signatures.own)
            .header("x-smartalex-event", delivery.kind.name())
            .header("x-smartalex-delivery", delivery.id.as_str())
            .body(Full::new(Bytes::from(delivery.body.clone())))
            .map_err(|error| SendError::Url(error.to_string()))?;
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError::Timeout(self.timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, SendError> {
        let response = self.http.request(request).await.map_err(explain)?;
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok())
                .and_then(retry_after),
        };
        // A short body is read to its end, so that the connection can serve again. What it says
        // does not matter, nor whether it breaks off.
        let _ = Limited::new(response.into_body(), LONGEST_BODY)
            .collect()
            .await;
        Ok(answer)
    }
}

/// The URL of a webhook, if it is one that can be sent to.
///
/// # Errors
/// When it is not `http://` or `https://` with a host, or carries a user.
pub fn check_url(url: &str) -> Result<Uri, SendError> {
    let wrong = |what: &str| SendError::Url(what.to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong("it has to begin with http:// or https://")),
    }
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it must not carry a user or password"));
    }
    if authority.host().is_empty() {
        return Err(wrong("it has no host"));
    }
    Ok(uri)
}

/// Looks up the host of `uri`; refuses it as a whole when one of its addresses is private and
/// that is not allowed.
///
/// # Errors
/// When it does not resolve, or leads into a private network.
pub async fn resolve(uri: &Uri, allow_private: bool) -> Result<Vec<SocketAddr>, SendError> {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((bare, port))
            .await
            .map_err(|error| SendError::Connection(format!("{bare} does not resolve: {error}")))?
            .take(MOST_ADDRESSES)
            .collect(),
    };
    if addresses.is_empty() {
        return Err(SendError::Connection(format!("{bare} has no address")));
    }
    match addresses.iter().find(|address| !is_public(address.ip())) {
        Some(address) if !allow_private => Err(SendError::Private {
            host: bare.to_owned(),
            address: address.ip(),
        }),
        _ => Ok(addresses),
    }
}

/// Seconds, or a date (RFC 9110 10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::from_secs(crate::clock::seconds_between(
        crate::clock::now(),
        date,
    )))
}

/// Our own error, if it is among the causes; otherwise the whole chain in one line.
fn explain(error: hyper_util::client::legacy::Error) -> SendError {
    let mut text = String::new();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<SendError>() {
            return own.clone();
        }
        if let Some(own) = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
            .and_then(|inner| inner.downcast_ref::<SendError>())
        {
            return own.clone();
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    SendError::Connection(text)
}

/// Connects to addresses that it has looked at.
#[derive(Debug, Clone, Copy)]
struct Connector {
    allow_private: bool,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let mut last = SendError::Connection("no address to connect to".to_owned());
            for address in resolve(&uri, allow_private).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        // One small request at a time: waiting for more to send gains nothing.
                        let _ = stream.set_nodelay(true);
                        return Ok(TokioIo::new(Stream(stream)));
                    }
                    Err(error) => last = SendError::Connection(format!("{address}: {error}")),
                }
            }
            Err(last)
        })
    }
}

/// A TCP stream that tells the client what it needs to know of it: nothing.
#[derive(Debug)]
struct Stream(TcpStream);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl tokio::io::AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

const USER_AGENT: &str = concat!("SmartAlex-Webhooks/", env!("CARGO_PKG_VERSION"));
const LONGEST_BODY: usize = 64 * 1024;
const MOST_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("soon"), None);
        // A date that has passed asks for no delay.
        assert_eq!(
            retry_after("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn urls_that_cannot_be_sent_to_are_refused() {
        for url in [
            "",
            "nowhere",
            "ftp://example.com/",
            "http://u:p@example.com/",
            "http:///x",
        ] {
            assert!(matches!(check_url(url), Err(SendError::Url(_))), "{url}");
        }
        assert!(check_url("https://example.com:8443/hook?x=1").is_ok());
    }

    #[tokio::test]
    async fn names_and_literals_of_private_networks_are_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://[::1]:8080/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost:9/",
            // Other spellings of 127.0.0.1, which getaddrinfo understands.
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
        ] {
            let uri = check_url(url).unwrap();
            let resolved = resolve(&uri, false).await;
            assert!(resolved.is_err(), "{url} resolved to {resolved:?}");
        }
        let local = check_url("http://127.0.0.1:8080/").unwrap();
        assert_eq!(
            resolve(&local, true).await.unwrap(),
            ["127.0.0.1:8080".parse().unwrap()]
        );
    }
}

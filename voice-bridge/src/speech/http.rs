//! Speech from a server: the text in a POST, a WAV file in the answer.
//! A template for the body fits servers that want JSON.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::wav::{self, Audio};
use super::{HttpVoice, MAX_WAV, VoiceError};
use crate::tls;

/// A client for one voice server; connections are kept.
pub struct Speaker {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    body: Option<String>,
    host: Arc<str>,
}

impl Speaker {
    /// Checks the settings; connects to nothing yet.
    pub fn new(settings: &HttpVoice) -> Result<Speaker, VoiceError> {
        let wrong = |cause: String| VoiceError::Settings { cause };
        let uri: Uri = settings
            .url
            .parse()
            .map_err(|error| wrong(format!("speech url {:?}: {error}", settings.url)))?;
        let host = uri
            .host()
            .ok_or_else(|| wrong(format!("speech url {:?} names no host", settings.url)))?;
        let host = Arc::from(host);
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong(format!(
                "speech url {:?} begins with neither http:// nor https://",
                settings.url
            )));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("audio/wav"));
        let kind = match &settings.body {
            Some(_) => "application/json",
            None => "text/plain; charset=utf-8",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in &settings.headers {
            let name: HeaderName = name
                .parse()
                .map_err(|_| wrong(format!("speech header {name:?} is no header name")))?;
            // The value may be a secret: the message names only the header.
            let value: HeaderValue = value
                .parse()
                .map_err(|_| wrong(format!("value of speech header {name} is not allowed")))?;
            headers.insert(name, value);
        }
        if let Some(body) = &settings.body
            && !body.contains(TEXT)
        {
            return Err(wrong(format!("speech body does not contain {TEXT}")));
        }
        let tls = tls::client_config().map_err(|error| wrong(format!("TLS: {error}")))?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Speaker {
            client: Client::builder(TokioExecutor::new()).build(connector),
            uri,
            headers,
            body: settings.body.clone(),
            host,
        })
    }

    /// The host, as part of the voice's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Asks for a text's audio.
    pub async fn speak(&self, text: &str) -> Result<Audio, VoiceError> {
        let failed = |cause: String| VoiceError::Server {
            host: self.host.to_string(),
            cause,
        };
        let body = match &self.body {
            Some(template) => template.replace(TEXT, &serde_json::Value::from(text).to_string()),
            None => text.to_owned(),
        };
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| failed(causes(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_WAV)
            .collect()
            .await
            .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => VoiceError::TooLong { limit: MAX_WAV },
                None => failed(causes(error.as_ref())),
            })?
            .to_bytes();
        if !status.is_success() {
            let said = body.get(..body.len().min(200)).unwrap_or_default();
            return Err(failed(format!(
                "answered {status}: {}",
                String::from_utf8_lossy(said)
            )));
        }
        tokio::task::spawn_blocking(move || wav::parse(&body))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|source| VoiceError::Wav {
                from: self.host.to_string(),
                source,
            })
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither path nor headers: both may hold a key.
        f.debug_struct("Speaker")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// What stands for the text in a body; replaced by a JSON string, quotes included.
const TEXT: &str = "{text}";

/// An error with what lies beneath it: the outermost one often says only "client error".
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        text = format!("{text}: {cause}");
        inner = cause.source();
    }
    text
}

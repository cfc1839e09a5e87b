//! What every request under `/v1` passes: who is it, may it go on, how much is left.
//! Also counts every answer by route.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::LARGEST_BODY;
use super::auth::Caller;
use super::error::{ApiError, ErrorKind};
use super::limit::{Limits, Quota};
use crate::app::App;
use crate::secrets::{API_KEY_PREFIX, api_key_hash};

/// The state of [`guard`].
#[derive(Debug, Clone)]
pub(super) struct Guard {
    app: Arc<App>,
    limits: Arc<Limits>,
}

impl Guard {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            limits: Arc::new(Limits::new()),
        }
    }
}

/// Authenticates, limits, counts.
pub(super) async fn guard(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let endpoint = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let (quota, admitted) = admit(&guard, &mut request).await;
    let mut response = match admitted {
        Ok(()) => shaped(next.run(request).await),
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", HeaderValue::from(quota.limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(quota.remaining));
    headers.insert("ratelimit-reset", HeaderValue::from(quota.reset));
    if response.status().as_u16() == 429 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(quota.reset.max(1)));
    }
    guard
        .app
        .metrics
        .api_request(&endpoint, response.status().as_u16());
    response
}

/// An error that the framework made (a path that is not UTF-8, a body that is too long) in the
/// shape that all errors have.
fn shaped(response: Response) -> Response {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let error = match status.as_u16() {
        413 => ErrorKind::TooLarge.because(format!("the body has more than {LARGEST_BODY} bytes")),
        415 => ErrorKind::WrongType.because("the body has a type that this path does not take"),
        400..500 => ErrorKind::Malformed.because("the path or the body cannot be read"),
        _ => ErrorKind::Server.because("the request could not be answered"),
    };
    error.into_response()
}

async fn admit(guard: &Guard, request: &mut Request) -> (Quota, Result<(), ApiError>) {
    let caller = match authenticate(&guard.app, request.headers()).await {
        Ok(caller) => caller,
        Err(error) => {
            // Those who are nobody share one limit: they take nothing from customers.
            let quota = guard.limits.take(None);
            let error = if quota.exceeded { too_many() } else { error };
            return (quota, Err(error));
        }
    };
    let quota = guard.limits.take(Some(&caller.workspace));
    if quota.exceeded {
        return (quota, Err(too_many()));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let read_only = guard
        .app
        .directory
        .snapshot()
        .workspace(&caller.workspace)
        .is_some_and(|workspace| workspace.read_only);
    if changes && read_only {
        let error = ErrorKind::Forbidden.because("the workspace is read-only");
        return (quota, Err(error));
    }
    request.extensions_mut().insert(caller);
    (quota, Ok(()))
}

async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refused = |message: &str| ErrorKind::Unauthorized.because(message);
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| refused("the header \"Authorization: Bearer KEY\" is missing"))?;
    let key = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .filter(|key| key.starts_with(API_KEY_PREFIX))
        .ok_or_else(|| refused("the header has to be \"Authorization: Bearer sak_…\""))?;
    // Looked up by hash: how long it takes tells nothing about keys that come near.
    let found = app.store.api_key(&api_key_hash(key)).await?;
    match found {
        Some(key) if key.revoked_at.is_none() => Ok(Caller {
            workspace: key.workspace,
            key: key.id,
            role: key.role,
        }),
        Some(_) => Err(refused("the API key was revoked")),
        None => Err(refused("the API key is unknown")),
    }
}

fn too_many() -> ApiError {
    ErrorKind::RateLimited.because("too many requests; wait as long as Retry-After says")
}

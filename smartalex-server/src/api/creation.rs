//! Creating things: with an `Idempotency-Key`, the same request again gets the same answer.
//! The answer is kept in the transaction that made the thing, so neither is there alone.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::error::{ApiError, ErrorKind};
use crate::app::App;
use crate::audit::AuditEntry;
use crate::clock;
use crate::ids::WorkspaceId;
use crate::secrets::Cell;
use crate::store::{Change, Conflict, Idempotent, StoreError};

/// A request that makes something.
#[derive(Debug)]
pub(super) struct Creation {
    key: Option<String>,
    request: [u8; 32],
}

impl Creation {
    /// Looks at the key of a request; gives the kept answer when it was answered before.
    ///
    /// # Errors
    /// When the key cannot be used, or was used for another request.
    pub(super) async fn begin(
        app: &App,
        caller: &Caller,
        (method, uri): (&Method, &Uri),
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Result<Self, Response>, ApiError> {
        let creation = Self {
            key: read_key(headers)?,
            request: digest(method, uri, body),
        };
        match creation.kept(app, &caller.workspace).await? {
            Some(answer) => Ok(Err(answer)),
            None => Ok(Ok(creation)),
        }
    }

    /// What goes into the store with the thing that is made: audit entry and answer.
    pub(super) fn change(
        &self,
        app: &App,
        audit: AuditEntry,
        status: StatusCode,
        answer: &Value,
    ) -> Result<Change, ApiError> {
        let Some(key) = &self.key else {
            return Ok(Change::new(audit));
        };
        // The answer may hold a password or signing secret: it is sealed like one.
        let body = app.vault.seal(cell(key), answer.to_string().as_bytes())?;
        Ok(Change {
            audit,
            idempotent: Some(Idempotent {
                key: key.clone(),
                request: self.request,
                status: status.as_u16(),
                body,
                at: clock::now(),
            }),
        })
    }

    /// The answer of the request after `result` of the store: if another request with the same
    /// key was first, its answer.
    pub(super) async fn finish(
        &self,
        app: &App,
        caller: &Caller,
        result: Result<(), StoreError>,
        (status, answer): (StatusCode, Value),
    ) -> Result<Response, ApiError> {
        match result {
            Ok(()) => Ok(json(status, answer.to_string().into_bytes())),
            Err(StoreError::Conflict(Conflict::IdempotencyKey)) => {
                match self.kept(app, &caller.workspace).await? {
                    Some(answer) => Ok(answer),
                    None => Err(ErrorKind::Conflict
                        .because("a request with this idempotency key is being answered")),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn kept(&self, app: &App, workspace: &WorkspaceId) -> Result<Option<Response>, ApiError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let Some(kept) = app.store.idempotent(workspace, key).await? else {
            return Ok(None);
        };
        if kept.request != self.request {
            return Err(ErrorKind::Invalid
                .because("this Idempotency-Key was used for another request; take a new one"));
        }
        let body = app.vault.open(cell(key), &kept.body)?;
        let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
        let mut response = json(status, body.to_vec());
        response
            .headers_mut()
            .insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok(Some(response))
    }
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|key| (1..=255).contains(&key.len()))
        .map(|key| Some(key.to_owned()))
        .ok_or_else(|| {
            ErrorKind::Malformed.because("Idempotency-Key has to be 1 to 255 visible characters")
        })
}

fn digest(method: &Method, uri: &Uri, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(method.as_str());
    hash.update([0]);
    hash.update(uri.path());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

fn cell(key: &str) -> Cell<'_> {
    Cell {
        table: "idempotency",
        row: key,
        column: "body",
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

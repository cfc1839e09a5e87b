//! The one table of API errors: status and code of each; nothing else invents one.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::control::ControlError;
use crate::secrets::VaultError;
use crate::store::StoreError;

macro_rules! table {
    ($($(#[$doc:meta])* $kind:ident = $status:literal $code:literal,)+) => {
        /// What went wrong with a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)+ }

        impl ErrorKind {
            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)+ }
            }

            /// The word in `error.code`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)+ }
            }
        }
    };
}

table! {
    /// The request cannot be read: JSON, query or header.
    Malformed = 400 "invalid_request",
    /// It can be read, but a value in it cannot be used.
    Invalid = 422 "invalid_request",
    /// The body has a type that this path does not take.
    WrongType = 415 "invalid_request",
    /// The body is too large.
    TooLarge = 413 "invalid_request",
    /// The path does not take this method.
    MethodNotAllowed = 405 "invalid_request",
    /// No key, or one that is unknown or revoked.
    Unauthorized = 401 "unauthorized",
    /// The key may not do this.
    Forbidden = 403 "forbidden",
    /// There is no such thing.
    NotFound = 404 "not_found",
    /// There is no such call.
    CallNotFound = 404 "call_not_found",
    /// It collides with what exists.
    Conflict = 409 "conflict",
    /// Too many requests.
    RateLimited = 429 "rate_limited",
    /// A fault of the server.
    Server = 500 "server_error",
}

impl ErrorKind {
    /// An error of this kind; `message` names the cause and the fix.
    pub fn because(self, message: impl Into<String>) -> ApiError {
        ApiError {
            kind: self,
            message: message.into(),
            details: Vec::new(),
        }
    }
}

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// Its kind: status and code.
    pub kind: ErrorKind,
    /// What went wrong, in words.
    pub message: String,
    /// What is wrong with each field or row, when there is more to say.
    pub details: Vec<Detail>,
}

/// What is wrong with one field, or one cell of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// The row, counted from 1 with the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// The column of a CSV file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The field of a JSON body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ApiError {
    /// The same error with what is wrong in detail.
    #[must_use]
    pub fn with(mut self, details: Vec<Detail>) -> Self {
        self.details = details;
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let error = json!({
            "code": self.kind.code(),
            "message": self.message,
            "status": status,
        });
        let error = if self.details.is_empty() {
            error
        } else {
            super::with(error, json!({ "details": self.details }))
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if self.kind == ErrorKind::Unauthorized {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"smartalex\""),
            );
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(what) => {
                ErrorKind::Conflict.because(format!("{what} exists already"))
            }
            error => {
                // What the database says is for the operator, not for the client.
                tracing::error!(%error, "a request failed");
                ErrorKind::Server.because("the store did not answer; try again later")
            }
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        tracing::error!(%error, "a request failed");
        ErrorKind::Server.because("a secret could not be sealed or opened")
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NotLive => ErrorKind::Conflict.because("the call is over"),
            ControlError::UnknownTarget { target, nearest } => {
                let message = if nearest.is_empty() {
                    format!("no extension of the trunk is called {target:?}")
                } else {
                    format!(
                        "no extension of the trunk is called {target:?}; near to it: {}",
                        nearest.join(", ")
                    )
                };
                ErrorKind::Invalid.because(message)
            }
            ControlError::Busy(cause) => ErrorKind::Conflict.because(cause),
        }
    }
}

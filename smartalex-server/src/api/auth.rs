//! Who makes a request, and what it may do: extractors that handlers ask for by role.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::{ApiError, ErrorKind};
use crate::ids::{ApiKeyId, WorkspaceId};
use crate::tenants::Role;

/// Who makes a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) workspace: WorkspaceId,
    pub(super) key: ApiKeyId,
    pub(super) role: Role,
}

/// A caller that may read.
#[derive(Debug)]
pub(super) struct Reader(pub(super) Caller);

/// A caller that may act on live calls.
#[derive(Debug)]
pub(super) struct Controller(pub(super) Caller);

/// A caller that may change the configuration.
#[derive(Debug)]
pub(super) struct Admin(pub(super) Caller);

fn caller_with(parts: &Parts, role: Role) -> Result<Caller, ApiError> {
    // The guard put it there; a route outside of it would be a fault of ours, answered safely.
    let caller = parts
        .extensions
        .get::<Caller>()
        .ok_or_else(|| ErrorKind::Unauthorized.because("not authenticated"))?;
    if caller.role >= role {
        Ok(caller.clone())
    } else {
        Err(ErrorKind::Forbidden.because(format!(
            "this needs an API key with the role {}; this one has {}",
            role.name(),
            caller.role.name()
        )))
    }
}

macro_rules! extracted_by_role {
    ($($extractor:ident needs $role:ident),+) => { $(
        impl<S: Send + Sync> FromRequestParts<S> for $extractor {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                caller_with(parts, Role::$role).map(Self)
            }
        }
    )+ };
}

extracted_by_role!(Reader needs Read, Controller needs Control, Admin needs Admin);

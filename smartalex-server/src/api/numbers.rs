//! `/v1/phone-numbers`: which number leads to which trunk and agent.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::auth::Reader;
use super::error::ApiError;
use super::params::Params;
use super::{many, piece};
use crate::app::App;
use crate::ids::{AgentId, TrunkId};

#[derive(Debug, Serialize)]
struct PhoneNumber {
    number: String,
    trunk_id: TrunkId,
    agent_id: Option<AgentId>,
}

/// `GET /v1/phone-numbers`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let mut numbers = Vec::new();
    for trunk in app.store.trunks(Some(&caller.workspace)).await? {
        for did in trunk.dids {
            numbers.push(PhoneNumber {
                number: did.number,
                trunk_id: trunk.id.clone(),
                agent_id: trunk.agent.clone(),
            });
        }
    }
    let found = piece(numbers, page);
    Ok(many(&found.items, found.total, page))
}

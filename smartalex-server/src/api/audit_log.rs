//! `/v1/audit-log`: who changed what, and when.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::auth::Reader;
use super::csv_text;
use super::error::ApiError;
use super::many;
use super::params::Params;
use crate::app::App;
use crate::clock;
use crate::store::{AuditFilter, Page};

/// `GET /v1/audit-log`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, ApiError> {
    let actor = params.take("actor")?;
    let event_type = params.take("event_type")?;
    let (from, to) = params.time_range()?;
    let as_csv = csv_text::is_asked(&mut params, &headers)?;
    let page = params.page_if_asked()?;
    params.finish()?;
    let filter = AuditFilter {
        actor,
        event_type,
        from,
        to,
    };
    if !as_csv {
        let page = page.unwrap_or(Page {
            page: 1,
            per_page: 20,
        });
        let found = app
            .store
            .audit_log(&caller.workspace, &filter, page)
            .await?;
        return Ok(many(&found.items, found.total, page));
    }
    // Configurations change seldom: all that there is, or the page that was asked for.
    let page = page.unwrap_or(Page {
        page: 1,
        per_page: MOST_ROWS,
    });
    let found = app
        .store
        .audit_log(&caller.workspace, &filter, page)
        .await?;
    let header = ["id", "timestamp", "actor", "event_type", "target", "detail"];
    let rows =
        std::iter::once(header.map(Into::into).to_vec()).chain(found.items.iter().map(|entry| {
            vec![
                entry.id.as_str().into(),
                clock::rfc3339(entry.at).into(),
                entry.actor.as_str().into(),
                entry.event_type.as_str().into(),
                entry.target.as_str().into(),
                entry.detail.as_str().into(),
            ]
        }));
    let text = csv_text::rows(rows);
    Ok(csv_text::answer("audit-log", Body::from(text)))
}

const MOST_ROWS: u32 = 100_000;

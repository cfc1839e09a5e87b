//! The HTTP API: a file per resource, one table of errors, one way to authenticate.
//! Every route under `/v1` passes the guard: authenticated, counted against the rate limit.

mod agents;
mod audit_log;
mod auth;
mod calls;
mod creation;
mod csv_text;
mod error;
mod extensions;
mod fields;
mod guard;
mod health;
mod limit;
mod live;
mod numbers;
mod params;
mod trunk_fields;
mod trunk_view;
mod trunks;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::{Value, json};

pub use error::{ApiError, ErrorKind};

use crate::app::App;
use crate::store::{Page, Paged};

/// All routes of `app`.
pub fn router(app: Arc<App>) -> Router {
    let v1 = Router::new()
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/active", get(calls::active))
        .route("/v1/calls/{id}", get(calls::show))
        .route("/v1/calls/{id}/transfer", post(live::transfer))
        .route("/v1/calls/{id}/hangup", post(live::hang_up))
        .route("/v1/calls/{id}/dtmf", post(live::send_digits))
        .route("/v1/calls/{id}/transfers/{transfer}", get(calls::transfer))
        .route("/v1/trunks", get(trunks::list).post(trunks::create))
        .route(
            "/v1/trunks/{id}",
            get(trunks::show)
                .patch(trunks::change)
                .delete(trunks::delete),
        )
        .route("/v1/trunks/{id}/suspend", post(trunks::suspend))
        .route("/v1/trunks/{id}/reactivate", post(trunks::reactivate))
        .route("/v1/trunks/{id}/rotate-credentials", post(trunks::rotate))
        .route(
            "/v1/trunks/{id}/extensions",
            get(extensions::list)
                .post(extensions::create)
                .put(extensions::put_csv),
        )
        .route(
            "/v1/trunks/{id}/extensions/{extension}",
            get(extensions::show)
                .patch(extensions::change)
                .delete(extensions::delete),
        )
        .route("/v1/agents", get(agents::list).post(agents::create))
        .route(
            "/v1/agents/{id}",
            get(agents::show)
                .patch(agents::change)
                .delete(agents::delete),
        )
        .route("/v1/phone-numbers", get(numbers::list))
        .route("/v1/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/v1/webhooks/dead-letters", get(webhooks::dead_letters))
        .route(
            "/v1/webhooks/dead-letters/{id}/replay",
            post(webhooks::replay),
        )
        .route(
            "/v1/webhooks/{id}",
            get(webhooks::show).delete(webhooks::delete),
        )
        .route("/v1/webhooks/{id}/deliveries", get(webhooks::deliveries))
        .route("/v1/audit-log", get(audit_log::list))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(axum::middleware::from_fn_with_state(
            guard::Guard::new(app.clone()),
            guard::guard,
        ));
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(v1)
        .with_state(app)
}

async fn not_found() -> ApiError {
    ErrorKind::NotFound.because("there is nothing at this path")
}

async fn method_not_allowed() -> ApiError {
    ErrorKind::MethodNotAllowed.because("this path does not take this method")
}

/// One object: `{"data":{…}}`.
fn one(value: impl Serialize) -> Value {
    json!({ "data": value })
}

/// The object `value` with the fields of the object `more`.
fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}

/// A piece of a list: `{"data":[…],"meta":{"total":…,"page":…,"per_page":…}}`.
fn many<T: Serialize>(items: &[T], total: u64, page: Page) -> Response {
    axum::Json(json!({
        "data": items,
        "meta": { "total": total, "page": page.page, "per_page": page.per_page },
    }))
    .into_response()
}

/// A piece of a list that is whole in memory.
fn piece<T>(all: Vec<T>, page: Page) -> Paged<T> {
    let total = all.len() as u64;
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    Paged {
        items: all
            .into_iter()
            .skip(skip)
            .take(page.per_page as usize)
            .collect(),
        total,
    }
}

/// Largest body of a request, in bytes: 500 rows of CSV with room to spare.
const LARGEST_BODY: usize = 1024 * 1024;

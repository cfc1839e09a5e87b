//! `/metrics`, `/healthz` and `/readyz`: for machines that watch this one, without a key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;

/// All metrics in the text format of Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.encode()).into_response()
}

/// The process lives.
pub(super) async fn alive() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// The server takes calls: SIP listens, the store answers, nothing drains.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let listens = app.sip_addresses() != crate::app::SipAddresses::default();
    let reason = if app.drain.is_draining() {
        "draining"
    } else if !listens {
        "starting"
    } else if app.store.ping().await.is_err() {
        "the store does not answer"
    } else {
        return Json(json!({ "status": "ready" })).into_response();
    };
    let body = Json(json!({ "status": "not_ready", "reason": reason }));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

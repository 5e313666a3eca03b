//! What who runs the service looks at, on a loopback port.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// `/metrics`, `/healthz`: the process is alive; `/readyz`: it takes questions. A store that is away changes neither: the
/// forge answers, and a service without replicas that are ready would answer nobody.
pub fn router(metrics: Metrics, drains: watch::Receiver<bool>) -> Router {
    let ready = move || {
        let drains = *drains.borrow();
        async move { if drains { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ready\n") } }
    };
    Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(metrics)
}

async fn text(State(metrics): State<Metrics>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text())
}

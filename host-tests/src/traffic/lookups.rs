//! A lookup service (`lookup.api: v1`) that answers when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// What a running job's token begins with; no other is known.
const RUNNING: &str = "glcbt-64_running";

/// The service. It ends with the runtime that it was started in.
#[derive(Clone)]
pub struct Lookups {
    port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    mode: watch::Sender<Mode>,
    tokens: AtomicU64,
    /// How many questions are answered at a time, and how long each takes.
    pace: OnceLock<(Semaphore, Duration)>,
}

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Answer,
    Silent,
    Broken,
}

impl Lookups {
    /// Starts it at a free port, in the runtime of the caller. It answers.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            mode: watch::Sender::new(Mode::Answer),
            tokens: AtomicU64::new(0),
            pace: OnceLock::new(),
        });
        let router = Router::new().route("/jobscope/v1/lookup", post(answer)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { port, inner })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often it was asked whose a token is.
    #[must_use]
    pub fn tokens_asked(&self) -> u64 {
        self.inner.tokens.load(Ordering::Relaxed)
    }

    /// Takes questions from now on and says nothing.
    pub fn fall_silent(&self) {
        self.inner.mode.send_replace(Mode::Silent);
    }

    /// Answers so many questions at a time from now on, each after so long. Once.
    pub fn slow_down(&self, at_once: usize, time: Duration) {
        self.inner.pace.get_or_init(|| (Semaphore::new(at_once), time));
    }

    /// Answers, also those who wait.
    pub fn answer(&self) {
        self.inner.mode.send_replace(Mode::Answer);
    }

    /// Answers 503, also to those who wait.
    pub fn break_down(&self) {
        self.inner.mode.send_replace(Mode::Broken);
    }

    /// The token of a running job of `dana`'s in `apps/web`; each name is another job.
    #[must_use]
    pub fn running(number: u64) -> String {
        format!("{RUNNING}{number:012}")
    }
}

async fn answer(State(inner): State<Arc<Inner>>, Json(question): Json<Value>) -> Response {
    if question["token"].is_string() {
        inner.tokens.fetch_add(1, Ordering::Relaxed);
    }
    let mut mode = inner.mode.subscribe();
    let mode = mode.wait_for(|mode| *mode != Mode::Silent).await.map_or(Mode::Broken, |mode| *mode);
    if mode == Mode::Broken {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some((room, time)) = inner.pace.get() {
        // Who does not wait any longer leaves his place.
        let _place = room.acquire().await;
        sleep(*time).await;
    }
    let Some(token) = question["token"].as_str() else {
        return Json(target(&question["target"])).into_response();
    };
    let number = token.strip_prefix(RUNNING).and_then(|number| number.parse::<u64>().ok());
    Json(match number {
        Some(number) => json!({"version": 1, "token": "running", "job": {"id": number + 1,
            "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}),
        None => json!({"version": 1, "token": "unknown"}),
    })
    .into_response()
}

/// What a target is to every job: a project that admits it, or nothing where the path begins with `none/`.
fn target(asked: &Value) -> Value {
    let path = asked["path"].as_str().or(asked["paths"][0].as_str()).unwrap_or("libs/common");
    if path.starts_with("none/") {
        return json!({"version": 1, "target": null});
    }
    json!({"version": 1, "role": "maintainer", "external": false, "admission": "group",
        "target": {"id": 102, "path": path, "visibility": "private", "push_by_job_token": false}})
}

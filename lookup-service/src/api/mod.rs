//! `v1`, spoken to Envoys. Knows no forge: what is asked goes to the flights, what ended to the store.

pub mod answers;
pub mod questions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use policy::bindings::{Cursor, Moment};
use policy::facts::{JobId, Secret};
use policy::failure::Failure;
use policy::webhook::BODY_LIMIT as WEBHOOK_LIMIT;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::clock;
use crate::feed;
use crate::flights::{Answered, Flights, Known};
use crate::metrics::Metrics;
use crate::place::Malformed;
use crate::secrets::is_one_of;
use crate::store::{Changes, Store};
use crate::subject::keys;
use crate::webhooks::{Delivery, Event, Refused};

/// The largest question: a token of 8 KiB and what stands around it, or a thousand numbers.
const BODY_LIMIT: usize = 64 << 10;

/// How many webhooks come in at a time.
pub const MOST_HOOKS: usize = 64;

/// How long a question may take to come in.
const BODY_PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait for news.
const LONGEST_WAIT: u64 = 60;

/// What the API works with.
pub struct Api {
    /// Who may ask: one token, or two while one takes the other's place.
    pub callers: Vec<Secret>,
    /// The flights.
    pub flights: Arc<Flights>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the process is about to end.
    pub drains: watch::Receiver<bool>,
    /// How many questions are answered at a time.
    pub questions: Semaphore,
    /// How many polls wait at a time.
    pub polls: Semaphore,
    /// How many webhooks come in at a time: whoever reaches the port may send one, and takes no place of a caller's.
    pub hooks: Semaphore,
}

/// The routes of `v1`. Every one of them is behind the token, but that for webhooks, which have secrets of their own.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/jobscope/v1/lookup", post(lookup))
        .route("/jobscope/v1/ended", post(ended))
        .route("/jobscope/v1/changes", get(changes))
        .route("/jobscope/v1/forge", get(forge))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such path in v1") })
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED, "not this method") })
        .layer(middleware::from_fn_with_state(Arc::clone(&api), admit))
        // What a forge or a CI sends has a secret of its own, and no caller's token.
        .route("/jobscope/v1/hooks/{from}", post(webhook))
        .with_state(api)
}

/// Lets callers in who have the token, and tells everybody to keep nothing.
async fn admit(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let mut response = if is_caller(&api.callers, request.headers()) {
        next.run(request).await
    } else {
        refusal(StatusCode::UNAUTHORIZED, "expected `authorization: Bearer` with the token of a caller")
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the one field `authorization` has a caller's token.
fn is_caller(callers: &[Secret], headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Some((scheme, token)) = field.as_bytes().split_at_checked(b"Bearer ".len()) else { return false };
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return false;
    }
    is_one_of(callers, token)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn refusal(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({"version": 1, "error": why}))
}

fn unavailable(why: &str) -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// Reads a body of bounded size in bounded time.
async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Response> {
    match timeout(BODY_PATIENCE, to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body.to_vec()),
        Ok(Err(_)) => {
            let why = format!("expected a whole body of at most {} KiB", limit >> 10);
            Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, &why))
        }
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come within 5 s")),
    }
}

fn malformed(malformed: &Malformed) -> Response {
    let body = json!({"version": 1, "error": malformed.to_string(), "path": malformed.path});
    answer(StatusCode::BAD_REQUEST, &body)
}

async fn lookup(State(api): State<Arc<Api>>, body: Body) -> Response {
    let (began, arrived) = (Instant::now(), clock::now());
    let Ok(_permit) = api.questions.try_acquire() else {
        api.metrics.asked("any", "busy", began.elapsed());
        return unavailable("as many questions as may be are being answered");
    };
    let body = match read(body, BODY_LIMIT).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let question = match questions::question(&body) {
        Ok(question) => question,
        Err(why) => {
            api.metrics.asked("any", "malformed", began.elapsed());
            return malformed(&why);
        }
    };
    // What was asked is not kept longer than it takes to ask.
    drop(body);
    let asked = api.flights.ask(&question.fact, question.max_age).await;
    let said = asked.and_then(|answered| said(&answered, arrived, question.ask).ok_or(Failure::Doubt));
    let outcome = said.as_ref().map_or_else(|failure| failure.code(), |_| "answered");
    api.metrics.asked(question.ask, outcome, began.elapsed());
    said.map_or_else(|failure| failed(failure, api.flights.pause()), |body| answer(StatusCode::OK, &body))
}

/// What `v1` says of what is known, with its age when the question came.
fn said(answered: &Answered, arrived: Moment, ask: &str) -> Option<Value> {
    let mut body = match &answered.known {
        Known::Token(state) => answers::token(state)?,
        Known::Found(found) => answers::found(found, ask == "holders")?,
    };
    // Who holds something is asked of the forge each time.
    if ask != "holders" {
        let age = clock::milliseconds(arrived.since(answered.since)).div_ceil(1000);
        body.as_object_mut()?.insert("age".into(), json!(age));
    }
    Some(body)
}

/// A failure is never a "no". Nor is it a 429 where the forge has had too much: what is remembered is told all the while, and
/// whoever is told 429 asks nothing.
fn failed(failure: Failure, pause: Option<Duration>) -> Response {
    let mut response = unavailable(&format!("{}: {}", failure.code(), failure.text()));
    if let (Failure::LookupThrottled, Some(pause)) = (failure, pause) {
        let seconds = clock::milliseconds(pause).div_ceil(1000).max(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn ended(State(api): State<Arc<Api>>, body: Body) -> Response {
    let Ok(_permit) = api.questions.try_acquire() else {
        return unavailable("as many questions as may be are being answered");
    };
    let jobs = match read(body, BODY_LIMIT).await.map(|body| questions::ended(&body)) {
        Ok(Ok(jobs)) => jobs,
        Ok(Err(why)) => return malformed(&why),
        Err(refusal) => return refusal,
    };
    match api.store.end(&jobs).await {
        Ok(()) => {
            api.metrics.ended("report", jobs.len());
            answer(StatusCode::OK, &json!({"version": 1}))
        }
        Err(error) => {
            api.metrics.store_failed("end");
            tracing::warn!(%error, jobs = jobs.len(), "ends were not remembered");
            unavailable("the ends are not safe; tell them again")
        }
    }
}

async fn webhook(
    State(api): State<Arc<Api>>,
    Path(from): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(_permit) = api.hooks.try_acquire() else {
        api.metrics.delivered("busy");
        return unavailable("as many reports as may be are coming in");
    };
    let body = match read(body, WEBHOOK_LIMIT).await {
        Ok(body) => body,
        Err(refusal) => {
            api.metrics.delivered("unread");
            return refusal;
        }
    };
    let query = query.as_deref().unwrap_or_default();
    let (outcome, response) = match api.flights.reported(&from, &Delivery { headers: &headers, query, body: &body }) {
        Ok(event) => take(&api, event).await,
        Err(Refused::Unauthorized) => {
            ("unauthorized", refusal(StatusCode::UNAUTHORIZED, "expected a report with the secret of its webhook"))
        }
        Err(Refused::Malformed(why)) => ("malformed", malformed(&why)),
    };
    api.metrics.delivered(outcome);
    response
}

/// Remembers what a report tells; what became of it, and what is answered.
async fn take(api: &Api, event: Event<JobId>) -> (&'static str, Response) {
    let (outcome, stored) = match &event {
        Event::Ended(job) => ("ended", api.store.end(&[*job]).await),
        Event::Changed(subjects) => ("changed", api.store.change(&keys(subjects)).await),
        Event::Nothing => ("ignored", Ok(())),
    };
    if let Err(error) = stored {
        api.metrics.store_failed(if outcome == "ended" { "end" } else { "change" });
        tracing::warn!(%error, outcome, "a report was not remembered");
        return ("failed", unavailable("the report is not safe; send it again"));
    }
    api.metrics.ended("webhook", usize::from(outcome == "ended"));
    (outcome, answer(StatusCode::OK, &json!({"version": 1})))
}

async fn changes(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Response {
    let (wait, after) = match poll(query.as_deref().unwrap_or_default()) {
        Ok(poll) => poll,
        Err(why) => return malformed(&why),
    };
    let Ok(_permit) = api.polls.try_acquire() else { return unavailable("as many polls as may be are waiting") };
    let _waiting = Waiting::at(&api.metrics);
    match feed::poll(&*api.store, after.as_ref(), wait, api.drains.clone()).await {
        Ok(Changes::Since(ended, cursor)) => {
            let ended: Vec<u64> = ended.iter().map(|job| job.0).collect();
            answer(StatusCode::OK, &json!({"version": 1, "cursor": cursor.as_str(), "ended": ended}))
        }
        Ok(Changes::Lost) => refusal(StatusCode::GONE, "the cursor is not known; begin without one"),
        Err(error) => {
            api.metrics.store_failed("changes");
            tracing::warn!(%error, "the list of ended jobs is not to be had");
            unavailable("the list of ended jobs is not to be had")
        }
    }
}

/// Reads `wait=25&after=c-41`. A member that is not known is passed over, one that stands twice is not.
fn poll(query: &str) -> Result<(Duration, Option<Cursor>), Malformed> {
    let member = |name: &str| {
        let mut found = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(known, _)| *known == name);
        match (found.next(), found.next()) {
            (one, None) => Ok(one.map(|(_, value)| value)),
            (_, Some(_)) => Err(Malformed::of(name, "one value", "several")),
        }
    };
    let wait = member("wait")?.ok_or_else(|| Malformed::of("wait", "seconds", "nothing"))?;
    let wait = wait.parse().ok().filter(|wait| *wait >= 1);
    let wait: u64 = wait.ok_or_else(|| Malformed::of("wait", "whole seconds, 1 or more", "something else"))?;
    let cursor = |after| Cursor::parse(after).ok_or_else(|| Malformed::of("after", "a cursor", "something else"));
    Ok((Duration::from_secs(wait.min(LONGEST_WAIT)), member("after")?.map(cursor).transpose()?))
}

async fn forge(State(api): State<Arc<Api>>) -> Response {
    match api.flights.version().await {
        Ok(version) => {
            let version = format!("{}.{}", version.0, version.1);
            answer(StatusCode::OK, &json!({"version": 1, "forge_version": version}))
        }
        Err(failure) => failed(failure, api.flights.pause()),
    }
}

/// A poll that waits, as long as this lives.
struct Waiting<'a>(&'a Metrics);

impl<'a> Waiting<'a> {
    fn at(metrics: &'a Metrics) -> Self {
        metrics.polls.inc();
        Self(metrics)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.polls.dec();
    }
}

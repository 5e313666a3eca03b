//! Calls of a forge: within the budget, again where they did not reach it, and none while it wants to be left alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::bindings::Moment;
use policy::failure::Failure;
use policy::lookup::{Answer, Call, Principal, pause};
use serde_json::Value;

use super::budget::Budget;
use super::client::{Client, Response};
use crate::clock;
use crate::metrics::Metrics;

/// How long everybody waits after the forge has had too much of one job's user.
const OF_ONE: Duration = Duration::from_secs(2);

/// How a forge is called.
#[derive(Debug, Clone)]
pub struct Manner {
    /// How long the calls of one look may take together.
    pub timeout: Duration,
    /// How often a call that did not reach it is sent again.
    pub retries: u32,
    /// The most calls a second.
    pub max_per_second: usize,
}

/// Calls of one forge.
pub(super) struct Calls {
    client: Client,
    budget: Arc<Budget>,
    manner: Manner,
    /// Until when it is left alone.
    paused: Mutex<Moment>,
    metrics: Metrics,
}

impl Calls {
    pub(super) fn new(client: Client, budget: Arc<Budget>, manner: Manner, metrics: Metrics) -> Self {
        Self { client, budget, manner, paused: Mutex::new(Moment(0)), metrics }
    }

    /// Sends a call within the budget, and again where it did not reach the forge.
    pub(super) async fn send(&self, call: &Call) -> Response {
        for attempt in 0_u32.. {
            if self.pause().is_some() {
                return Response::throttled();
            }
            self.budget.take().await;
            // It may have had too much while this one waited for its turn.
            if self.pause().is_some() {
                return Response::throttled();
            }
            let response = self.client.send(call).await;
            self.metrics.called(response.status);
            if let Some(pause) = pause(response.status, response.retry_after.as_deref()) {
                let pause = if call.principal == Principal::Job { pause.min(OF_ONE) } else { pause };
                let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
                *paused = (*paused).max(clock::now().after(pause));
            }
            if response.status.is_some() || attempt >= self.manner.retries {
                return response;
            }
            tokio::time::sleep(self.manner.timeout / 20).await;
        }
        Response::default()
    }

    /// For how long the forge wants to be left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        let until = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        Some(until.since(clock::now())).filter(|left| !left.is_zero())
    }

    /// What is done within the time that one look has.
    pub(super) async fn in_time<T>(&self, done: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::time::timeout(self.manner.timeout, done).await.unwrap_or(Err(Failure::LookupTimeout))
    }
}

/// The JSON that an API answered, where it did.
pub(super) fn body(answer: &Answer<'_>) -> Result<Value, Failure> {
    match answer.status {
        Some(200 | 201) => serde_json::from_slice(answer.body).map_err(|_| Failure::LookupAnswer),
        None | Some(502 | 503) => Err(Failure::LookupUnreachable),
        Some(401 | 403) => Err(Failure::LookupRights),
        Some(429) => Err(Failure::LookupThrottled),
        Some(504) => Err(Failure::LookupTimeout),
        Some(_) => Err(Failure::LookupAnswer),
    }
}

//! GitLab, asked as the filter asks it.

mod client;
mod jobs;

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use policy::Config;
use policy::bindings::Moment;
use policy::facts::{JobId, ProjectId, Secret, Version};
use policy::failure::Failure;
use policy::lookup::{Account, Answer, Call, Fact, Flight, PartKey, Principal, Progress, pause, version};

pub use client::Client;
use client::Response;

use super::budget::Budget;
use super::{AtHand, Forge, Landed, Recalled, Reply, Status};
use crate::clock;
use crate::metrics::Metrics;

/// How long everybody waits after the forge has had too much of one job's user.
const OF_ONE: Duration = Duration::from_secs(2);

/// A GitLab.
pub struct Gitlab {
    config: Config,
    credential: Secret,
    account: Account,
    client: Client,
    budget: Budget,
    /// How long the calls of one look may take together.
    timeout: Duration,
    retries: u32,
    /// Until when it is left alone.
    paused: Mutex<Moment>,
    metrics: Metrics,
}

/// What a GitLab is asked with.
pub struct Settings {
    /// What is looked up, as the filter is told.
    pub config: Config,
    /// The service account's token.
    pub credential: Secret,
    /// How long the calls of one look may take together.
    pub timeout: Duration,
    /// How often a call that did not reach it is sent again.
    pub retries: u32,
    /// The most calls a second.
    pub max_per_second: usize,
}

impl Gitlab {
    /// A GitLab behind a client.
    #[must_use]
    pub fn new(settings: Settings, client: Client, metrics: Metrics) -> Self {
        let Settings { config, credential, timeout, retries, max_per_second } = settings;
        let budget = Budget::new(max_per_second);
        let account = Account::Token(credential.clone());
        Self { config, credential, account, client, budget, timeout, retries, paused: Mutex::new(Moment(0)), metrics }
    }

    /// Sends a call within the budget, and again where it did not reach the forge.
    async fn send(&self, call: &Call) -> Response {
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
            if response.status.is_some() || attempt >= self.retries {
                return response;
            }
            tokio::time::sleep(self.timeout / 20).await;
        }
        Response::default()
    }

    async fn fly(&self, fact: Fact, recalled: &Recalled) -> Result<Landed, Failure> {
        let began = clock::now();
        let (mut flight, progress) = self.start(fact, recalled);
        let mut under_way = FuturesUnordered::new();
        let mut next = progress;
        loop {
            match next {
                Progress::Landed(value) => return Ok(landed(&flight, value?, began)),
                Progress::Going(calls) => {
                    under_way.extend(calls.into_iter().map(|(number, call)| async move {
                        let response = self.send(&call).await;
                        (number, response)
                    }));
                }
            }
            let Some((number, response)) = under_way.next().await else { return Err(Failure::Doubt) };
            next = flight.answer(number, &response.answer());
        }
    }

    fn start(&self, fact: Fact, recalled: &Recalled) -> (Flight, Progress) {
        let recall = |part: &PartKey| recalled.get(&part.hash).cloned();
        Flight::start(&self.config, Some(&self.account), fact, &recall)
    }

    /// What is done within the time that one look has.
    async fn in_time<T>(&self, done: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::time::timeout(self.timeout, done).await.unwrap_or(Err(Failure::LookupTimeout))
    }
}

fn landed(flight: &Flight, value: policy::lookup::Value, began: Moment) -> Landed {
    Landed { value, learned: flight.learned(), since: flight.confirmed(began).oldest() }
}

impl Forge for Gitlab {
    fn at_hand(&self, fact: &Fact, recalled: &Recalled) -> AtHand {
        let parts = RefCell::new(Vec::new());
        let recall = |part: &PartKey| {
            parts.borrow_mut().push(*part);
            recalled.get(&part.hash).cloned()
        };
        // Whatever it would have sent is dropped with it.
        let (flight, progress) = Flight::start(&self.config, Some(&self.account), fact.clone(), &recall);
        match progress {
            Progress::Landed(Ok(value)) => AtHand::Whole(Box::new(landed(&flight, value, clock::now()))),
            Progress::Landed(Err(failure)) => AtHand::Failed(failure),
            Progress::Going(_) => AtHand::Parts(parts.into_inner()),
        }
    }

    fn look<'a>(&'a self, fact: Fact, recalled: &'a Recalled) -> Reply<'a, Landed> {
        self.in_time(self.fly(fact, recalled)).boxed()
    }

    fn version(&self) -> Reply<'_, Version> {
        let ask = async {
            let response = self.send(&version::ask(&self.config, &self.account)).await;
            version::read(&self.config, &response.answer())
        };
        self.in_time(ask).boxed()
    }

    fn status(&self, job: JobId, project: ProjectId) -> Reply<'_, Status> {
        let ask = async move {
            let call = jobs::ask_status(&self.config.forge.relative_url_root, &self.credential, job, project);
            jobs::read_status(job, &self.send(&call).await.answer())
        };
        self.in_time(ask).boxed()
    }

    fn running(&self) -> Reply<'_, Vec<JobId>> {
        async {
            let mut running = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let call = jobs::ask_running(&self.config.forge.relative_url_root, &self.credential, after.as_deref());
                let page = self.in_time(async { jobs::read_running(&self.send(&call).await.answer()) }).await?;
                running.extend(page.jobs);
                // A page that leads to itself would be read for ever.
                if page.next.is_none() || page.next == after {
                    return Ok(running);
                }
                after = page.next;
            }
        }
        .boxed()
    }

    fn pause(&self) -> Option<Duration> {
        let until = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        Some(until.since(clock::now())).filter(|left| !left.is_zero())
    }
}

impl Response {
    fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            next_page: self.next_page.as_deref(),
            location: self.location.as_deref(),
            body: &self.body,
        }
    }

    fn throttled() -> Self {
        Self { status: Some(429), ..Self::default() }
    }
}

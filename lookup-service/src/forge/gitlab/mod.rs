//! GitLab, asked as the filter asks it.

mod jobs;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::{Authority, Scheme};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use policy::Config;
use policy::bindings::Moment;
use policy::facts::{JobId, ProjectId, Secret, Version};
use policy::failure::Failure;
use policy::lookup::{Account, Fact, Flight, PartKey, Progress, version};
use rustls::ClientConfig;

use super::budget::Budget;
use super::calls::{Calls, Manner};
use super::client::Client;
use super::{AtHand, Forge, Landed, Page, Recalled, Reply, Status, Terms};
use crate::clock;
use crate::metrics::Metrics;
use crate::webhooks::{self, Delivery, Event, Refused};

/// A GitLab.
pub struct Gitlab {
    config: Config,
    credential: Secret,
    webhook_secrets: Vec<Secret>,
    account: Account,
    calls: Calls,
}

/// What a GitLab is asked with.
pub struct Settings {
    /// Its scheme and authority.
    pub address: (Scheme, Authority),
    /// How it is spoken to in TLS.
    pub tls: ClientConfig,
    /// What is looked up, as the filter is told.
    pub config: Config,
    /// The service account's token.
    pub credential: Secret,
    /// What its reports have.
    pub webhook_secrets: Vec<Secret>,
    /// How it is called.
    pub manner: Manner,
}

impl Gitlab {
    /// The GitLab of these settings.
    #[must_use]
    pub fn new(settings: Settings, metrics: Metrics) -> Self {
        let Settings { address: (scheme, authority), tls, config, credential, webhook_secrets, manner } = settings;
        let client = Client::new(scheme, authority, tls, manner.timeout / 2);
        let budget = Arc::new(Budget::new(manner.max_per_second));
        let account = Account::Token(credential.clone());
        Self { config, credential, webhook_secrets, account, calls: Calls::new(client, budget, manner, metrics) }
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
                        let response = self.calls.send(&call).await;
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
}

fn landed(flight: &Flight, value: policy::lookup::Value, began: Moment) -> Landed {
    Landed { value, learned: flight.learned(), since: flight.confirmed(began).oldest(), terms: Terms::default() }
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
        self.calls.in_time(self.fly(fact, recalled)).boxed()
    }

    fn version(&self) -> Reply<'_, Version> {
        let ask = async {
            let response = self.calls.send(&version::ask(&self.config, &self.account)).await;
            version::read(&self.config, &response.answer())
        };
        self.calls.in_time(ask).boxed()
    }

    fn status(&self, job: JobId, project: ProjectId) -> Reply<'_, Status> {
        let ask = async move {
            let call = jobs::ask_status(&self.config.forge.relative_url_root, &self.credential, job, project);
            jobs::read_status(job, &self.calls.send(&call).await.answer())
        };
        self.calls.in_time(ask).boxed()
    }

    fn running<'a>(&'a self, after: Option<&'a str>) -> Reply<'a, Option<Page>> {
        let ask = async move {
            let call = jobs::ask_running(&self.config.forge.relative_url_root, &self.credential, after);
            jobs::read_running(&self.calls.send(&call).await.answer()).map(Some)
        };
        self.calls.in_time(ask).boxed()
    }

    fn reported(&self, from: &str, delivery: &Delivery<'_>) -> Result<Event<JobId>, Refused> {
        if from == "gitlab" {
            webhooks::gitlab::read(&self.webhook_secrets, delivery)
        } else {
            Err(Refused::Unauthorized)
        }
    }

    fn pause(&self) -> Option<Duration> {
        self.calls.pause()
    }
}

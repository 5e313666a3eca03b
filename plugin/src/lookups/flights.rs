//! Lookups under way, one per fact and worker.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::Config;
use policy::bindings::{Confirmed, Freshness, Moment};
use policy::decision::Failure;
use policy::facts::{Hash, Job, JobId, Known};
use policy::lookup::{Answer, Call, Fact, Flight, PartKey, Progress, Value};

use super::throttle::Throttle;
use super::{chance, send};
use crate::host::Host;
use crate::setup::Setup;

/// The most lookups of one worker at a time: as many requests as Envoy has under way to a cluster unless it is told
/// otherwise. Who asks for one more is told to come back, and memory does not grow with what clients send.
const MOST: usize = 1024;

/// The most lookups of what one job asks for. What lies beyond is told to come back, so that no job takes the place of all
/// others.
const MOST_OF_ONE: usize = 64;

/// The most calls of one job's lookups at a time. What lies beyond waits its turn: clusters let some hundred calls
/// through, and these are everybody's.
const CALLS_OF_ONE: usize = 16;

/// How long a fact whose lookup failed is at least not looked up in the background, and at most twice that: a lookup
/// service that is away is not called by every request.
const REST: Duration = Duration::from_secs(5);

/// Whether somebody waits for a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    Awaited,
    Background,
}

/// The lookups of one worker.
#[derive(Debug)]
pub(crate) struct Flights {
    under_way: BTreeMap<Hash, UnderWay>,
    /// Calls that were sent, by the host's numbers.
    sent: BTreeMap<u32, Departure>,
    /// Calls that are to be sent as soon as the root context is entered.
    departing: Vec<Departure>,
    /// Calls that are to be sent when others of their job were answered, the oldest first.
    queued: Vec<Departure>,
    /// Calls that did not reach the service, and when they are sent again.
    delayed: Vec<(Moment, Departure)>,
    /// Facts whose lookup failed, and until when nobody looks them up in the background.
    resting: BTreeMap<Hash, Moment>,
    /// When a forge that has had too much is asked again.
    throttle: Throttle,
    seed: u64,
}

#[derive(Debug)]
struct UnderWay {
    flight: Flight,
    /// Whose target is looked up; none while a token is.
    job: Option<JobId>,
    asked: Moment,
    /// A call that could not be sent.
    failed: Option<Failure>,
}

/// A call, which flight it belongs to, and how often it was sent before.
#[derive(Debug)]
struct Departure {
    key: Hash,
    job: Option<JobId>,
    number: usize,
    call: Call,
    attempt: u32,
}

/// A flight that is over.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) key: Hash,
    pub(crate) result: Result<Value, Failure>,
    /// When it was asked: the fact is as old as that.
    pub(crate) asked: Moment,
    /// What was learned of parts.
    pub(crate) learned: Vec<(PartKey, Known)>,
    /// How old what was found is, which may be composed of older parts.
    pub(crate) confirmed: Confirmed,
}

/// What an answer brought.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing that anybody waits for.
    Nothing,
    /// The job of the token with this hash is known, while its circumstances are still asked for.
    Job(Hash, Job),
    /// A flight is over.
    Landed(Box<Landing>),
}

impl Flights {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            under_way: BTreeMap::new(),
            sent: BTreeMap::new(),
            departing: Vec::new(),
            queued: Vec::new(),
            delayed: Vec::new(),
            resting: BTreeMap::new(),
            throttle: Throttle::default(),
            seed,
        }
    }

    /// Looks a fact up unless that is under way, of parts that are at least as fresh as `least`. `Some` when nothing must be
    /// asked for it, or nothing can be.
    pub(crate) fn ask<H: Host>(
        &mut self,
        setup: &Setup<H>,
        fact: Fact,
        urgency: Urgency,
        least: Freshness,
        now: Moment,
    ) -> Option<Landing> {
        let key = fact.key();
        if self.under_way.contains_key(&key) {
            return None;
        }
        // What is only refreshed waits for better times.
        let refused = |failure| (urgency == Urgency::Awaited).then(|| Landing::failed(key, failure, now));
        if urgency == Urgency::Background
            && self.resting.get(&key).is_some_and(|until| !until.has_come(REST.saturating_mul(2), now))
        {
            return None;
        }
        let job = match &fact {
            Fact::Token(_) => None,
            Fact::Target(job, _) => Some(job.id),
        };
        if self.under_way.len() >= MOST || self.has_its_share(job) {
            return refused(Failure::LookupBusy);
        }
        let recall = |part: &PartKey| setup.store.part(part, least, now);
        let (flight, progress) = Flight::start(&setup.config, setup.credential.as_ref(), fact, &recall);
        match progress {
            Progress::Landed(result) => Some(Landing::of(key, &flight, result, now)),
            Progress::Going(_) if self.throttle.pause(&key, now).is_some() => refused(Failure::LookupThrottled),
            Progress::Going(calls) => {
                self.send_all(key, job, calls);
                self.under_way.insert(key, UnderWay { flight, job, asked: now, failed: None });
                None
            }
        }
    }

    /// Whether as many targets of a job are being looked up as may be.
    fn has_its_share(&self, job: Option<JobId>) -> bool {
        job.is_some() && self.under_way.values().filter(|under_way| under_way.job == job).count() >= MOST_OF_ONE
    }

    /// Whether this fact is being looked up.
    pub(crate) fn holds(&self, key: &Hash) -> bool {
        self.under_way.contains_key(key)
    }

    /// Whether calls are to be sent.
    pub(crate) fn has_departures(&self) -> bool {
        !self.departing.is_empty()
    }

    /// Sends what is to be sent. On the root context alone: the answers are delivered to the context that sends.
    pub(crate) fn depart(&mut self, host: &impl Host, config: &Config, now: Moment) {
        let mut departing = std::mem::take(&mut self.queued);
        departing.append(&mut self.departing);
        departing.extend(self.delayed.extract_if(.., |(then, _)| *then <= now).map(|(_, departure)| departure));
        let mut calls: BTreeMap<JobId, usize> = BTreeMap::new();
        for job in self.sent.values().filter(|_| !departing.is_empty()).filter_map(|departure| departure.job) {
            let calls = calls.entry(job).or_default();
            *calls = calls.saturating_add(1);
        }
        for departure in departing {
            let Some(under_way) = self.under_way.get_mut(&departure.key) else { continue };
            if self.throttle.pause(&departure.key, now).is_some() {
                under_way.failed = Some(Failure::LookupThrottled);
                continue;
            }
            if let Some(calls) = departure.job.map(|job| calls.entry(job).or_default()) {
                if *calls >= CALLS_OF_ONE {
                    self.queued.push(departure);
                    continue;
                }
                *calls = calls.saturating_add(1);
            }
            match send(host, config, &departure.call, patience(config, under_way.asked, now)) {
                Some(id) => {
                    self.sent.insert(id, departure);
                }
                None => {
                    let key = departure.key;
                    if !self.delay(config, departure, now)
                        && let Some(under_way) = self.under_way.get_mut(&key)
                    {
                        under_way.failed = Some(Failure::LookupUnreachable);
                    }
                }
            }
        }
    }

    /// Takes the answer to a call; `is_lost` when it says no more than that the call did not reach the service. Calls
    /// that it leads to are to be sent next.
    pub(crate) fn answer(
        &mut self,
        config: &Config,
        call: u32,
        answer: &Answer<'_>,
        is_lost: bool,
        now: Moment,
    ) -> News {
        let Some(departure) = self.sent.remove(&call) else { return News::Nothing };
        let (key, number) = (departure.key, departure.number);
        if is_lost && self.delay(config, departure, now) {
            return News::Nothing;
        }
        // A flight that landed early leaves answers behind that nobody waits for.
        let Some(under_way) = self.under_way.get_mut(&key) else { return News::Nothing };
        let (was_known, job) = (under_way.flight.job().is_some(), under_way.job);
        match under_way.flight.answer(number, answer) {
            Progress::Landed(result) => {
                self.land(key, result, now).map_or(News::Nothing, |landing| News::Landed(Box::new(landing)))
            }
            Progress::Going(calls) => {
                let known = under_way.flight.job().filter(|_| !was_known).cloned();
                self.send_all(key, job, calls);
                known.map_or(News::Nothing, |job| News::Job(key, job))
            }
        }
    }

    /// The answer that comes to a call says that it was too much.
    pub(crate) fn throttle(&mut self, call: u32, pause: Duration, now: Moment) {
        if let Some(departure) = self.sent.get(&call) {
            self.throttle.note(departure.key, &departure.call, pause, now);
        }
    }

    /// For how long a fact is not asked for, because the forge has had too much.
    pub(crate) fn pause(&self, key: &Hash, now: Moment) -> Option<Duration> {
        self.throttle.pause(key, now)
    }

    /// Flights that are over without an answer having come: nothing could be sent, or their answers were lost.
    pub(crate) fn overdue(&mut self, config: &Config, now: Moment) -> Vec<Landing> {
        let patience = config.lookup.timeout.saturating_mul(4);
        let failed = |under_way: &UnderWay| {
            // Where the clock was set back, nobody knows how long it has been.
            let is_lost = now < under_way.asked || now.since(under_way.asked) > patience;
            under_way.failed.or_else(|| is_lost.then_some(Failure::LookupTimeout))
        };
        let over: Vec<(Hash, Failure)> =
            self.under_way.iter().filter_map(|(key, under_way)| Some((*key, failed(under_way)?))).collect();
        over.into_iter().filter_map(|(key, failure)| self.land(key, Err(failure), now)).collect()
    }

    fn send_all(&mut self, key: Hash, job: Option<JobId>, calls: Vec<(usize, Call)>) {
        let departures = calls.into_iter().map(|(number, call)| Departure { key, job, number, call, attempt: 0 });
        self.departing.extend(departures);
    }

    /// Has a call that did not reach the service sent again after a while, unless it was sent often enough or its
    /// flight ends before.
    fn delay(&mut self, config: &Config, mut departure: Departure, now: Moment) -> bool {
        let Some(under_way) = self.under_way.get(&departure.key) else { return false };
        let pause = config.lookup.timeout.checked_div(20).unwrap_or_default();
        let then = now.after(self.jittered(pause, &departure.key, now));
        let is_worth_it = departure.attempt < config.lookup.retries && then < under_way.asked.after(whole(config));
        if is_worth_it {
            departure.attempt = departure.attempt.saturating_add(1);
            self.delayed.push((then, departure));
        }
        is_worth_it
    }

    fn land(&mut self, key: Hash, result: Result<Value, Failure>, now: Moment) -> Option<Landing> {
        let under_way = self.under_way.remove(&key)?;
        // What was still to be sent, or comes in late, belongs to no flight that may begin next.
        self.sent.retain(|_, departure| departure.key != key);
        self.departing.retain(|departure| departure.key != key);
        self.queued.retain(|departure| departure.key != key);
        self.delayed.retain(|(_, departure)| departure.key != key);
        match &result {
            Ok(_) => {
                self.resting.remove(&key);
            }
            Err(_) => self.rest(key, now),
        }
        Some(Landing::of(key, &under_way.flight, result, under_way.asked))
    }

    /// Keeps a fact from being looked up in the background for a while.
    fn rest(&mut self, key: Hash, now: Moment) {
        if self.resting.len() >= MOST {
            self.resting.retain(|_, until| !until.has_come(REST.saturating_mul(2), now));
        }
        if self.resting.len() < MOST {
            let until = now.after(self.jittered(REST, &key, now));
            self.resting.insert(key, until);
        }
    }

    /// A time from `least` to twice that, so that workers and proxies do not all come back at once.
    fn jittered(&self, least: Duration, key: &Hash, now: Moment) -> Duration {
        let milliseconds = u64::try_from(least.as_millis()).unwrap_or(u64::MAX);
        let chance = chance(self.seed, (key, now.0));
        least.saturating_add(Duration::from_millis(chance.checked_rem(milliseconds).unwrap_or_default()))
    }
}

impl Landing {
    fn of(key: Hash, flight: &Flight, result: Result<Value, Failure>, asked: Moment) -> Self {
        Self { key, result, asked, learned: flight.learned(), confirmed: flight.confirmed(asked) }
    }

    fn failed(key: Hash, failure: Failure, asked: Moment) -> Self {
        let (learned, confirmed) = (Vec::new(), Confirmed::at(asked));
        Self { key, result: Err(failure), asked, learned, confirmed }
    }
}

/// How long the calls of a flight may take together. A little less than `lookup.timeout`, so that who waits for the
/// flight is answered within it.
fn whole(config: &Config) -> Duration {
    config.lookup.timeout.saturating_sub(config.lookup.timeout.checked_div(10).unwrap_or_default())
}

/// How long a call of a flight that began then may take.
fn patience(config: &Config, asked: Moment, now: Moment) -> Duration {
    whole(config).saturating_sub(now.since(asked)).max(Duration::from_millis(1))
}

//! Lookups under way, one per fact and worker.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::Config;
use policy::bindings::{Freshness, Moment};
use policy::choices::Api;
use policy::facts::{Hash, Job, JobId};
use policy::failure::Failure;
use policy::lookup::{Answer, Fact, Flight, PartKey, Progress, Value};
use policy::request::TraceContext;

use super::departures::{Departure, Departures};
use super::landing::Landing;
use super::throttle::Throttle;
use super::{chance, send};
use crate::counters::Counted;
use crate::host::Host;
use crate::setup::Setup;

/// The most lookups of one worker at a time: as many requests as Envoy has under way to a cluster unless it is told
/// otherwise. Who asks for one more is told to come back, and memory does not grow with what clients send.
const MOST: usize = 1024;

/// The most lookups of what one job asks for. What lies beyond is told to come back, so that no job takes the place of all
/// others.
const MOST_OF_ONE: usize = 64;

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
    departures: Departures,
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
    /// What ties its calls to the request that started it.
    context: TraceContext,
    /// A call that could not be sent.
    failed: Option<Failure>,
}

/// What an answer brought to a flight.
#[derive(Debug)]
pub(crate) enum News {
    /// The job of the token with this hash is known, while its circumstances are still asked for.
    Job(Hash, Box<Job>),
    /// A flight is over.
    Landed(Box<Landing>),
}

impl Flights {
    pub(crate) fn new(seed: u64) -> Self {
        let (under_way, resting) = (BTreeMap::new(), BTreeMap::new());
        Self { under_way, departures: Departures::default(), resting, throttle: Throttle::default(), seed }
    }

    /// Looks a fact up unless that is under way, of parts that are at least as fresh as `least`. `Some` when nothing must be
    /// asked for it, or nothing can be. `context` tells which request starts it, and is asked where calls are to be sent.
    pub(crate) fn ask<H: Host>(
        &mut self,
        setup: &Setup<H>,
        fact: Fact,
        urgency: Urgency,
        least: Freshness,
        context: &dyn Fn() -> TraceContext,
        now: Moment,
    ) -> Option<Landing> {
        let key = setup.store.hashes.of(&fact);
        if self.under_way.contains_key(&key) {
            return None;
        }
        // What is only refreshed waits for better times.
        let refused = |failure: Failure| match urgency {
            Urgency::Awaited => Some(Landing::failed(key, failure, now)),
            Urgency::Background => {
                setup.counters.one(Counted::Limits, &[failure.code()]);
                None
            }
        };
        let rests = |until: &Moment| !until.has_come(REST.saturating_mul(2), now);
        if urgency == Urgency::Background && self.resting.get(&key).is_some_and(rests) {
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
        let max_age = max_age(setup, &fact, least, now);
        let (flight, progress) = Flight::start_taking(max_age, &setup.config, setup.account.as_ref(), fact, &recall);
        match progress {
            Progress::Landed(result) => Some(Landing::of(key, &flight, result, now)),
            Progress::Going(_) if self.throttle.pause(&key, now).is_some() => refused(Failure::LookupThrottled),
            Progress::Going(calls) => {
                self.departures.add(key, job, calls);
                self.under_way.insert(key, UnderWay { flight, job, asked: now, context: context(), failed: None });
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

    /// What ties the calls for this fact to the request that started them.
    pub(crate) fn context(&self, key: &Hash) -> TraceContext {
        self.under_way.get(key).map_or(TraceContext::NONE, |under_way| under_way.context.clone())
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// Whether calls are to be sent.
    pub(crate) fn has_departures(&self) -> bool {
        self.departures.has_some()
    }

    /// Sends what is to be sent.
    pub(crate) fn depart<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) {
        let due = self.departures.take_due(now);
        if due.is_empty() {
            return;
        }
        let mut shares = self.departures.shares();
        for mut departure in due {
            departure.flights.retain(|(key, _)| {
                let Some(under_way) = self.under_way.get_mut(key) else { return false };
                let is_paused = self.throttle.pause(key, now).is_some();
                if is_paused {
                    under_way.failed = Some(Failure::LookupThrottled);
                }
                !is_paused
            });
            let Some(asked) = self.asked(&departure) else { continue };
            if !shares.take(departure.job) {
                self.departures.queue(departure);
                continue;
            }
            // What several flights ask at once is sent for the first of them.
            let context = departure.flights.first().map_or(TraceContext::NONE, |(key, _)| self.context(key));
            match send(host, setup, &departure.call, &context, patience(&setup.config, asked, now)) {
                Some(number) => self.departures.sent(number, departure, now),
                None => {
                    for (key, _) in
                        self.delay(&setup.config, departure, now).map(|lost| lost.flights).unwrap_or_default()
                    {
                        if let Some(under_way) = self.under_way.get_mut(&key) {
                            under_way.failed = Some(Failure::LookupUnreachable);
                        }
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
    ) -> Vec<News> {
        let Some((sent, departure)) = self.departures.answered(call) else { return Vec::new() };
        let Some(departure) = (if is_lost { self.delay(config, departure, now) } else { Some(departure) }) else {
            return Vec::new();
        };
        let said = || {
            let status = answer.status.map_or_else(|| "no answer".into(), |status| format!("status {status}"));
            format!("{}: {status} after {} ms", departure.call.outline(), now.since(sent).as_millis())
        };
        departure
            .flights
            .iter()
            .filter_map(|(key, number)| self.take(config, *key, *number, answer, &said, now))
            .collect()
    }

    /// Takes the answer to a flight's call of this number; `said` tells of it where it ends the flight badly.
    fn take(
        &mut self,
        config: &Config,
        key: Hash,
        number: usize,
        answer: &Answer<'_>,
        said: &impl Fn() -> String,
        now: Moment,
    ) -> Option<News> {
        let under_way = self.under_way.get_mut(&key)?;
        let (was_known, job) = (under_way.flight.job().is_some(), under_way.job);
        match under_way.flight.answer(number, answer) {
            Progress::Landed(result) => {
                let said = result.is_err().then(said);
                let landing = self.land(config, key, result, now)?;
                Some(News::Landed(Box::new(Landing { said, ..landing })))
            }
            Progress::Going(calls) => {
                let known = under_way.flight.job().filter(|_| !was_known).cloned();
                self.departures.add(key, job, calls);
                known.map(|job| News::Job(key, Box::new(job)))
            }
        }
    }

    /// The answer that comes to a call says that it was too much.
    pub(crate) fn throttle(&mut self, call: u32, pause: Duration, now: Moment) {
        let Some(departure) = self.departures.under_way(call) else { return };
        for (key, _) in &departure.flights {
            self.throttle.note(*key, &departure.call, pause, now);
        }
    }

    /// For how long a fact is not asked for, because the forge has had too much.
    pub(crate) fn pause(&self, key: &Hash, now: Moment) -> Option<Duration> {
        self.throttle.pause(key, now)
    }

    /// Flights that are over without an answer having come: nothing could be sent, or their answers were lost.
    pub(crate) fn overdue(&mut self, config: &Config, now: Moment) -> Vec<Landing> {
        let patience = config.lookup.timeout.saturating_mul(4);
        self.departures.forget_lost(patience, now);
        let failed = |under_way: &UnderWay| {
            // Where the clock was set back, nobody knows how long it has been.
            let is_lost = now < under_way.asked || now.since(under_way.asked) > patience;
            under_way.failed.or_else(|| is_lost.then_some(Failure::LookupTimeout))
        };
        let over: Vec<(Hash, Failure)> =
            self.under_way.iter().filter_map(|(key, under_way)| Some((*key, failed(under_way)?))).collect();
        over.into_iter().filter_map(|(key, failure)| self.land(config, key, Err(failure), now)).collect()
    }

    /// When the last of those flights began that wait for a call; none when none does.
    fn asked(&self, departure: &Departure) -> Option<Moment> {
        departure.flights.iter().filter_map(|(key, _)| Some(self.under_way.get(key)?.asked)).max()
    }

    /// Has a call that did not reach the service sent again after a while. Gives it back where it was sent often enough, or
    /// its flights end before.
    fn delay(&mut self, config: &Config, mut departure: Departure, now: Moment) -> Option<Departure> {
        let pause = config.lookup.timeout.checked_div(20).unwrap_or_default();
        let then = now.after(self.jittered(pause, &departure.flights, now));
        let is_in_time = self.asked(&departure).is_some_and(|asked| then < asked.after(whole(config)));
        if departure.attempt >= config.lookup.retries || !is_in_time {
            return Some(departure);
        }
        departure.attempt = departure.attempt.saturating_add(1);
        self.departures.delay(then, departure);
        None
    }

    fn land(&mut self, config: &Config, key: Hash, result: Result<Value, Failure>, now: Moment) -> Option<Landing> {
        let under_way = self.under_way.remove(&key)?;
        self.departures.forget(&key);
        let kind = if under_way.job.is_some() { "target" } else { "token" };
        let landing = Landing { kind, ..Landing::of(key, &under_way.flight, result, under_way.asked) };
        // What is due as it comes is from a memory: the forge is away, and would be asked by every request.
        if landing.result.is_ok() && landing.freshness(config, landing.asked) < Freshness::Stale {
            self.resting.remove(&key);
        } else {
            self.rest(key, now);
        }
        Some(landing)
    }

    /// Keeps a fact from being looked up in the background for a while.
    fn rest(&mut self, key: Hash, now: Moment) {
        if self.resting.len() >= MOST {
            self.resting.retain(|_, until| !until.has_come(REST.saturating_mul(2), now));
        }
        if self.resting.len() < MOST {
            let until = now.after(self.jittered(REST, key, now));
            self.resting.insert(key, until);
        }
    }

    /// A time from `least` to twice that, so that workers and proxies do not all come back at once.
    fn jittered(&self, least: Duration, what: impl std::hash::Hash, now: Moment) -> Duration {
        let milliseconds = u64::try_from(least.as_millis()).unwrap_or(u64::MAX);
        let chance = chance(self.seed, (what, now.0));
        least.saturating_add(Duration::from_millis(chance.checked_rem(milliseconds).unwrap_or_default()))
    }
}

/// How old an answer may be by the service's own memory. None of what GitLab says is, and nothing by which a request would be
/// denied: what was granted counts at once.
fn max_age<H: Host>(setup: &Setup<H>, fact: &Fact, least: Freshness, now: Moment) -> Duration {
    match fact {
        _ if setup.config.lookup.api != Api::V1 || least == Freshness::New => Duration::ZERO,
        Fact::Token(token) if !setup.store.takes_memory(&setup.store.hashes.of_token(token), now) => Duration::ZERO,
        Fact::Token(_) => setup.config.bindings.max_age(),
        Fact::Target(..) => setup.config.lifetimes.max_age(),
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

//! Lookups that end, deadlines that pass, and the requests that waited.
//!
//! Everything here runs on the root context and acts for streams by making them the effective context. A stream that
//! left is no longer among those who wait: to wake one that is gone is to touch freed memory of the host.

use std::time::Duration;

use policy::bindings::{Freshness, Moment};
use policy::decision::{self, Facts, Failure, Step};
use policy::facts::{Hash, Job, Token};
use policy::lookup::{Answer, Fact, Value, target_key};
use policy::request::{Malformed, Protocol, Refused};

use crate::flights::{Landing, News};
use crate::host::{self, Level};
use crate::judging::{Recalled, host_failed};
use crate::shared::{Now, Parked, Setup, Shared};
use crate::stream::BODY_PATIENCE;

impl Shared {
    /// Sends what is to be sent; on the root context.
    pub(crate) fn depart(&self) {
        // Without the time nothing has a deadline; what is to be sent waits for it.
        let (Some(setup), Ok(now)) = (self.setup(), host::now()) else { return };
        self.flights.borrow_mut().depart(&setup.config, now);
        self.errands.borrow_mut().depart(&setup.config, now);
    }

    /// The answer that comes to a call says that it was too much; on the root context. Without the time nobody knows when
    /// it is no longer.
    pub(crate) fn throttle(&self, call: u32, pause: Duration) {
        if let Ok(now) = host::now() {
            self.flights.borrow_mut().throttle(call, pause, now);
        }
    }

    /// Takes the answer to a call; on the root context. `is_lost` when the call did not reach the service.
    pub(crate) fn answer(&self, call: u32, answer: &Answer<'_>, is_lost: bool) {
        let Some(setup) = self.setup() else { return };
        let is_errand = self.errands.borrow_mut().answer(call, answer.status);
        if is_errand || self.following.borrow_mut().answer(&setup, call, answer) {
            self.depart();
            return;
        }
        // Without the time nothing is sent again or asked ahead, and nobody waits the longer for that.
        let clock = host::now();
        let (is_lost, now) = (is_lost && clock.is_ok(), clock.unwrap_or(Moment(0)));
        let news = self.flights.borrow_mut().answer(&setup.config, call, answer, is_lost, now);
        match news {
            News::Landed(landing) => self.land(&setup, *landing),
            News::Job(job, waiting) if clock.is_ok() => self.ask_ahead(&setup, &job, &waiting, now),
            News::Job(..) | News::Nothing => {}
        }
        self.depart();
    }

    /// Has looked up what requests need of targets as soon as their job is known, beside what is still asked of it.
    fn ask_ahead(&self, setup: &Setup, job: &Job, waiting: &[u32], now: Moment) {
        let mut needed = Vec::new();
        for parked in
            waiting.iter().filter_map(|stream| self.parked.borrow().get(stream).map(|one| one.request.clone()))
        {
            let known = Facts { token: Some(Token::Running(job.clone())), targets: Vec::new() };
            let recalled = self.recall(setup, &parked, known, Freshness::Fresh, now);
            let Ok(Recalled { facts, .. }) = recalled else { continue };
            if let Step::NeedsTargets(job, targets) = policy::decide(&setup.config, &parked, &facts) {
                needed.extend(targets.into_iter().map(|target| Fact::Target(job.clone(), target)));
            }
        }
        for fact in needed {
            let _ = self.ask(setup, fact, None, Freshness::Fresh, now);
        }
    }

    /// Has a fact looked up, of parts that are no older than `least`, and lets `waiter` wait for it. `Some` when it is there at once, because all its parts are
    /// remembered, or is not to be had.
    pub(crate) fn ask(
        &self,
        setup: &Setup,
        fact: Fact,
        waiter: Option<u32>,
        least: Freshness,
        now: Moment,
    ) -> Option<Result<(Value, Freshness), Failure>> {
        let landing = self.flights.borrow_mut().ask(setup, fact, waiter, least, now)?;
        Some(learn(setup, landing, now))
    }

    /// A fact is there, or is not to be had: remembers it, and wakes those who wait.
    pub(crate) fn land(&self, setup: &Setup, mut landing: Landing) {
        let (waiting, key, asked) = (std::mem::take(&mut landing.waiting), landing.key, landing.asked);
        let now = match host::now() {
            Ok(now) => now,
            Err(error) => {
                host::log(Level::Error, &format!("jobscope: the proxy does not tell the time: {error:?}"));
                self.wake_all(setup, &waiting, asked, |_| Err(Failure::Host));
                return;
            }
        };
        match learn(setup, landing, now) {
            Err(failure) => self.wake_all(setup, &waiting, now, |_| Err(failure)),
            Ok((value, freshness)) => self.wake_all(setup, &waiting, now, |parked| {
                parked.missing.retain(|missing| *missing != key);
                parked.learn(key, &value, freshness);
                Ok(())
            }),
        }
    }

    /// Gives each of those who wait the news, and has those that miss nothing more go on or be answered.
    pub(crate) fn wake_all(
        &self,
        setup: &Setup,
        waiting: &[u32],
        now: Moment,
        tell: impl Fn(&mut Parked) -> Result<(), Failure>,
    ) {
        for stream in waiting {
            let Some(mut parked) = self.parked.borrow_mut().remove(stream) else { continue };
            let told = tell(&mut parked);
            if told.is_ok() && !parked.missing.is_empty() {
                self.parked.borrow_mut().insert(*stream, parked);
                continue;
            }
            // A stream that left is no longer among those who wait, so this context lives.
            if let Err(error) = host::act_as(*stream) {
                host::log(Level::Error, &format!("jobscope: a waiting request is gone: {error:?}"));
                continue;
            }
            let outcome = match told {
                Ok(()) => match self.recall_after_wait(setup, &mut parked, now) {
                    Ok(()) => self.step(setup, *stream, parked, now),
                    Err(error) => {
                        let failed = host_failed(setup, parked.request.protocol, error);
                        self.carry_out(*stream, None, &failed)
                    }
                },
                Err(failure) => self.miss(setup, *stream, &parked, failure),
            };
            self.release(*stream, &outcome);
        }
        let _ = host::act_as(self.root);
        self.depart();
    }

    /// Lets a request go that waited, if that is what was decided. It is the effective context.
    fn release(&self, stream: u32, outcome: &Now) {
        let (Now::Forward(_) | Now::NotAJob) = outcome else { return };
        self.released.borrow_mut().insert(stream);
        if let Err(error) = host::resume_request() {
            host::log(Level::Error, &format!("jobscope: a request cannot be resumed: {error:?}"));
        }
    }

    /// Answers those who have waited too long, and lands flights that nobody will answer; on the root context.
    pub(crate) fn tick(&self) {
        let Some(setup) = self.setup() else { return };
        // Without the time there are no deadlines; every request that asks for it is refused meanwhile.
        let Ok(now) = host::now() else { return };
        self.depart();
        self.following.borrow_mut().tick(&setup, now);
        self.errands.borrow_mut().tick(&setup.config, now);
        let overdue = self.flights.borrow_mut().overdue(&setup.config, now);
        for landing in overdue {
            self.land(&setup, landing);
        }
        let late: Vec<u32> = self
            .parked
            .borrow()
            .iter()
            .filter(|(_, parked)| parked.deadline.has_come(setup.config.lookup.timeout, now))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in &late {
            self.flights.borrow_mut().leave(*stream);
        }
        self.wake_all(&setup, &late, now, |_| Err(Failure::LookupTimeout));
        let slow: Vec<(u32, Protocol)> = self
            .bodies
            .borrow()
            .iter()
            .filter(|(_, (_, deadline))| deadline.has_come(BODY_PATIENCE, now))
            .map(|(stream, (protocol, _))| (*stream, *protocol))
            .collect();
        for (stream, protocol) in slow {
            self.bodies.borrow_mut().remove(&stream);
            if host::act_as(stream).is_ok() {
                let refused = Refused { protocol, malformed: Malformed::BodyTimeout };
                let outcome = self.carry_out(stream, None, &decision::refused(&setup.config, refused));
                self.release(stream, &outcome);
            }
        }
        let _ = host::act_as(self.root);
    }
}

/// Remembers what a flight brought, and tells what holds now, and how old it is.
fn learn(setup: &Setup, landing: Landing, now: Moment) -> Result<(Value, Freshness), Failure> {
    let Landing { key, result, asked, learned, confirmed, .. } = landing;
    let value = result.inspect_err(|failure| {
        host::log(Level::Warn, &format!("jobscope: a lookup failed: {}: {}", failure.code(), failure.text()));
    })?;
    let remembered = match value {
        Value::Token(token) => setup
            .store
            .learn_token(key, token, asked, now)
            .map(|learned| learned.map(|token| (Value::Token(token), Freshness::New))),
        Value::Target(found) => {
            let mut parts = learned.into_iter();
            let parts = parts.try_for_each(|(part, known)| setup.store.learn_part(part, known, asked, now));
            let target = parts.and_then(|()| setup.store.learn_target(key, &found, confirmed, now));
            target.map(|()| Ok((Value::Target(found), setup.config.lifetimes.of_all(&confirmed, now))))
        }
    };
    remembered.unwrap_or_else(|error| {
        host::log(Level::Error, &format!("jobscope: a fact cannot be remembered: {error:?}"));
        Err(Failure::Host)
    })
}

impl Parked {
    /// Takes a fact of this age; a target's is filed under the target, for every access that means it.
    pub(crate) fn learn(&mut self, key: Hash, value: &Value, freshness: Freshness) {
        self.oldest = self.oldest.max(freshness);
        let found = match value {
            Value::Token(token) => {
                self.facts.token = Some(token.clone());
                return;
            }
            Value::Target(found) => found,
        };
        let Some(Token::Running(job)) = &self.facts.token else { return };
        let targets = self.request.accesses.iter().map(|access| &access.target);
        for target in targets.filter(|target| target_key(job, target) == key) {
            if !self.facts.targets.iter().any(|(known, _)| known == target) {
                self.facts.targets.push((target.clone(), found.clone()));
            }
        }
    }
}

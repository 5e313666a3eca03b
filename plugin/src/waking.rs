//! Lookups that end, deadlines that pass, and the requests that waited.
//!
//! Everything here runs on the root context and acts for streams by making them the effective context. A stream that
//! left is no longer among those who wait: to wake one that is gone is to touch freed memory of the host.

use std::time::Duration;

use policy::bindings::{Freshness, Moment};
use policy::decision::{self, Facts, Failure, Step};
use policy::facts::{Job, Token};
use policy::lookup::{Answer, Fact, Value};

use crate::crowd::{Awaited, Landed, Woken};
use crate::flights::{Landing, News};
use crate::host::{self, HostError, Level};
use crate::journal;
use crate::judging::Recalled;
use crate::shared::{Now, Setup, Shared};
use crate::ticks::AT_ONCE;

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
            News::Landed(landing) => self.land(&setup, *landing, clock),
            News::Job(job, waiting) if clock.is_ok() => self.ask_ahead(&setup, &job, &waiting, now),
            News::Job(..) | News::Nothing => {}
        }
        self.wake(&setup);
    }

    /// Has looked up what requests need of targets as soon as their job is known, beside what is still asked of it.
    fn ask_ahead(&self, setup: &Setup, job: &Job, waiting: &[u32], now: Moment) {
        let mut needed = Vec::new();
        for stream in waiting {
            let Some(parked) = self.crowd.borrow().parked(*stream).map(|one| one.request.clone()) else { continue };
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

    /// Has a fact looked up, of parts that are no older than `least`, and lets `waiter` wait for it. `Some` when it is there
    /// at once, because all its parts are remembered, or is not to be had.
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

    /// A fact is there, or is not to be had: remembers it, and has those told who wait.
    fn land(&self, setup: &Setup, mut landing: Landing, now: Result<Moment, HostError>) {
        let (waiting, key) = (std::mem::take(&mut landing.waiting), landing.key);
        let result = match now {
            Ok(now) => learn(setup, landing, now),
            Err(error) => {
                journal::note(Level::Error, "the proxy does not tell the time", &format!("{error:?}"));
                Err(Failure::Host)
            }
        };
        self.crowd.borrow_mut().tell(waiting, Landed { key, result });
    }

    /// Has those go on or be answered for whom there is news, and no more than one call of the host may; the others
    /// follow at once.
    fn wake(&self, setup: &Setup) {
        let now = host::now();
        for _ in 0..AT_ONCE {
            let Some((stream, woken)) = self.crowd.borrow_mut().wake() else { break };
            // A stream that left is no longer among those who wait, so this context lives.
            if let Err(error) = host::act_as(stream) {
                journal::note(Level::Error, "a waiting request is gone", &format!("{error:?}"));
                continue;
            }
            let outcome = self.wake_one(setup, stream, woken, now);
            self.release(stream, &outcome);
        }
        let _ = host::act_as(self.root);
        self.depart();
        self.ticks.hurry(self.crowd.borrow().has_news());
    }

    /// Decides on a request that waits no longer. It is the effective context.
    fn wake_one(&self, setup: &Setup, stream: u32, woken: Woken, now: Result<Moment, HostError>) -> Now {
        match woken {
            Woken::WithFacts(mut parked) => {
                let recalled = now.and_then(|now| self.recall_after_wait(setup, &mut parked, now).map(|()| now));
                match recalled {
                    Ok(now) => self.step(setup, stream, *parked, now),
                    Err(error) => self.host_fails(setup, stream, &parked, error),
                }
            }
            Woken::WithoutFacts(parked, failure) => {
                self.flights.borrow_mut().leave(&parked.missing, stream);
                self.miss(setup, stream, &parked, failure)
            }
            // What is nobody's so far is looked through as the rest of it passes.
            Woken::Crowded(Awaited { is_nobodys: true, .. }) | Woken::WithoutBody(Awaited { is_nobodys: true, .. }) => {
                Now::NotAJob
            }
            Woken::Crowded(Awaited { late, .. }) => {
                let failed = decision::failed(&setup.config, late.protocol, Failure::Busy);
                self.carry_out(setup, stream, None, &failed)
            }
            Woken::WithoutBody(Awaited { late, .. }) => self.refuse_at_once(setup, stream, late),
        }
    }

    /// Lets a request go that waited, if that is what was decided. It is the effective context.
    fn release(&self, stream: u32, outcome: &Now) {
        let (Now::Forward(_) | Now::NotAJob) = outcome else { return };
        self.crowd.borrow_mut().release(stream);
        if let Err(error) = host::resume_request() {
            journal::note(Level::Error, "a request cannot be resumed", &format!("{error:?}"));
        }
    }

    /// Answers those who have waited too long, and lands flights that nobody will answer; on the root context.
    pub(crate) fn tick(&self) {
        let Some(setup) = self.setup() else { return };
        // Without the time there are no deadlines; every request that asks for it is refused meanwhile.
        let Ok(now) = host::now() else { return };
        journal::sum_up(now);
        self.depart();
        self.following.borrow_mut().tick(&setup, now);
        self.errands.borrow_mut().tick(&setup.config, now);
        let overdue = self.flights.borrow_mut().overdue(&setup.config, now);
        for landing in overdue {
            self.land(&setup, landing, Ok(now));
        }
        self.crowd.borrow_mut().expire(setup.config.lookup.timeout, now);
        self.wake(&setup);
    }
}

/// Remembers what a flight brought, and tells what holds now, and how old it is.
fn learn(setup: &Setup, landing: Landing, now: Moment) -> Result<(Value, Freshness), Failure> {
    let Landing { key, result, asked, learned, confirmed, .. } = landing;
    let value = result.inspect_err(|failure| {
        journal::note(Level::Warn, failure.code(), failure.text());
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
        journal::note(Level::Error, "a fact cannot be remembered", &format!("{error:?}"));
        Err(Failure::Host)
    })
}

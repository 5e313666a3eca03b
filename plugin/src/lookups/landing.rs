//! Answers to calls, and what they bring: facts that are remembered, and news for those who wait for them.

use policy::Config;
use policy::bindings::{self, Confirmed, Freshness, Moment};
use policy::decision::{Facts, Step};
use policy::facts::{Hash, Job, Known, Token};
use policy::failure::Failure;
use policy::lookup::{self, Answer, Fact, Flight, PartKey, Value};
use policy::request::TraceContext;

use super::flights::{News, Urgency};
use crate::counters::Counted;
use crate::exchange::{Landed, Recalled};
use crate::host::{Buffer, Host, Level, Map, Result};
use crate::setup::Setup;
use crate::ticks::AT_ONCE;
use crate::worker::Worker;

/// The largest answer that is read; the largest that a forge gives is a page of a hundred projects. Read JSON takes many
/// times its size, and memory that the filter once had stays its own.
const ANSWER_LIMIT: usize = 4 << 20;

/// A fact and how old it is, or why it is not to be had.
pub(crate) type Found = std::result::Result<(Value, Freshness), Failure>;

/// What a flight brought.
type Outcome = std::result::Result<Value, Failure>;

/// A flight that is over.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) key: Hash,
    pub(crate) result: Outcome,
    /// When it was asked: the fact is as old as that.
    pub(crate) asked: Moment,
    /// What was learned of parts.
    pub(crate) learned: Vec<(PartKey, Known)>,
    /// How old what was found is, which may be composed of older parts.
    pub(crate) confirmed: Confirmed,
    /// `token` or `target`.
    pub(crate) kind: &'static str,
    /// The answer by which it failed, for a log.
    pub(crate) said: Option<String>,
}

impl Landing {
    pub(super) fn of(key: Hash, flight: &Flight, result: Outcome, asked: Moment) -> Self {
        let (learned, confirmed) = (flight.learned(), flight.confirmed(asked));
        Self { key, result, asked, learned, confirmed, kind: "target", said: None }
    }

    pub(super) fn failed(key: Hash, failure: Failure, asked: Moment) -> Self {
        let (learned, confirmed) = (Vec::new(), Confirmed::at(asked));
        Self { key, result: Err(failure), asked, learned, confirmed, kind: "target", said: None }
    }

    /// How old what was found was at a moment. An end does not grow old.
    pub(crate) fn freshness(&self, config: &Config, at: Moment) -> Freshness {
        match &self.result {
            Ok(Value::Token(Token::Ended(_))) | Err(_) => Freshness::New,
            Ok(Value::Token(_)) => bindings::freshness(&config.bindings, self.confirmed.oldest(), at),
            Ok(Value::Target(_)) => config.lifetimes.of_all(&self.confirmed, at),
        }
    }
}

impl<H: Host> Worker<H> {
    /// A call was answered. Without headers it failed, and then there is nothing to read.
    pub fn answered(&mut self, call: u32, has_headers: bool, body_size: usize) {
        let Some(setup) = self.setup.clone() else { return };
        let headers = has_headers.then(|| self.host.headers(Map::CallResponse).ok()).flatten();
        let fields = headers.as_ref().and_then(|headers| headers.fields().ok()).unwrap_or_default();
        let field = |name: &str| fields.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value);
        let status = field(":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        // Of a longer one no part is an answer.
        let body = if (1..=ANSWER_LIMIT).contains(&body_size) {
            self.host.buffer(Buffer::CallResponseBody, 0, body_size).unwrap_or_default()
        } else {
            Vec::new()
        };
        let answer = Answer { status, next_page: field("x-next-page"), location: field("location"), body: &body };
        // Without the time nobody knows when a forge that had too much is asked again, nothing is sent again or asked
        // ahead, and nobody waits the longer for that.
        let clock = self.host.now();
        if let (Some(pause), Ok(now)) = (lookup::pause(status, field("retry-after")), clock) {
            self.flights.throttle(call, pause, now);
        }
        if self.errands.answer(&setup, call, status)
            || self.following.answer(&self.host, &setup, call, &answer)
            || self.ends.answer(&self.host, &setup, call, &answer)
        {
            self.depart();
            return;
        }
        if self.versions.answer(&setup, call, &answer, clock) || self.expiries.answer(&setup, call, &answer, clock) {
            return;
        }
        // No answer came, or Envoy speaks for a service that it did not reach: what came from one has this field.
        let is_lost = clock.is_ok()
            && status.is_none_or(|status| matches!(status, 502 | 503))
            && field("x-envoy-upstream-service-time").is_none();
        let now = clock.unwrap_or(Moment(0));
        for news in self.flights.answer(&setup.config, call, &answer, is_lost, now) {
            match news {
                News::Landed(landing) => self.land(&setup, *landing, clock),
                News::Job(token, job) if clock.is_ok() => self.ask_ahead(&setup, token, &job, now),
                News::Job(..) => {}
            }
        }
        self.wake(&setup);
    }

    /// Has looked up what requests need of targets as soon as the job of their token is known, beside what is still asked
    /// of it.
    fn ask_ahead(&mut self, setup: &Setup<H>, token: Hash, job: &Job, now: Moment) {
        let mut needed = Vec::new();
        for parked in self.crowd.waiting_for(&token).take(AT_ONCE) {
            let known = Facts { token: Some(Token::Running(job.clone())), ..Facts::default() };
            let recalled = Recalled::of(setup, &parked.request, known, None, Freshness::Fresh, now);
            if let Ok(Recalled { step: Step::NeedsTargets(job, targets), .. }) = recalled {
                needed.extend(targets.into_iter().map(|target| Fact::Target(job.clone(), target)));
            }
        }
        let context = self.flights.context(&token);
        self.refresh(setup, needed, &|| context.clone(), now);
    }

    /// Has facts looked up for which nobody waits.
    pub(crate) fn refresh(
        &mut self,
        setup: &Setup<H>,
        due: Vec<Fact>,
        context: &dyn Fn() -> TraceContext,
        now: Moment,
    ) {
        for fact in due {
            let _ = self.ask(setup, fact, Urgency::Background, Freshness::Fresh, context, now);
        }
    }

    /// Has a fact looked up, of parts that are no older than `least`. `Some` when it is there at once, because all its
    /// parts are remembered, or is not to be had.
    pub(crate) fn ask(
        &mut self,
        setup: &Setup<H>,
        fact: Fact,
        urgency: Urgency,
        least: Freshness,
        context: &dyn Fn() -> TraceContext,
        now: Moment,
    ) -> Option<Found> {
        let landing = self.flights.ask(setup, fact, urgency, least, context, now)?;
        Some(self.learn(setup, landing, now))
    }

    /// A fact is there, or is not to be had: remembers it, and has those told who wait.
    pub(crate) fn land(&mut self, setup: &Setup<H>, landing: Landing, now: Result<Moment>) {
        let key = landing.key;
        let is_new = landing.freshness(&setup.config, landing.asked) == Freshness::New;
        let outcome = landing.result.as_ref().map_or_else(|failure| failure.code(), |_| "answered");
        setup.counters.one(Counted::Lookups, &[landing.kind, outcome]);
        if let Ok(Value::Token(Token::Ended(_))) = landing.result {
            setup.counters.one(Counted::Ends, &["lookup"]);
        }
        let found = match now {
            Ok(now) => {
                setup.counters.time(Counted::LookupTime, &[landing.kind], now.since(landing.asked));
                self.learn(setup, landing, now)
            }
            Err(error) => {
                self.journal.note(Level::Error, "the proxy does not tell the time", error);
                Err(Failure::Host)
            }
        };
        self.crowd.tell(Landed { key, found, is_new });
    }

    /// Remembers what a flight brought, and tells what holds now, and how old it is.
    fn learn(&self, setup: &Setup<H>, landing: Landing, now: Moment) -> Found {
        let (then, by_now) = (landing.freshness(&setup.config, landing.asked), landing.freshness(&setup.config, now));
        let Landing { key, result, asked, learned, confirmed, said, .. } = landing;
        let value = result.inspect_err(|failure| {
            let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
            self.journal.note(Level::Warn, failure.code(), format_args!("{}{said}", failure.text()));
        })?;
        let remembered = match value {
            Value::Token(token) => setup
                .store
                .learn_token(key, token, asked, confirmed.oldest(), now)
                .map(|learned| learned.map(|token| (Value::Token(token), then))),
            Value::Target(found) => {
                let mut parts = learned.into_iter();
                let parts = parts.try_for_each(|(part, known)| setup.store.learn_part(part, known, asked, now));
                let target = parts.and_then(|()| setup.store.learn_target(key, &found, confirmed, asked, now));
                target.map(|()| Ok((Value::Target(found), by_now)))
            }
        };
        remembered.unwrap_or_else(|error| {
            self.journal.note(Level::Error, "a fact cannot be remembered", error);
            Err(Failure::Host)
        })
    }
}

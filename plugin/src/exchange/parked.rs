//! A request that is decided on, as far as its facts are there: what is known of it, and what it waits for.

use policy::bindings::{Freshness, Moment, Remembered};
use policy::decision::{Decision, Facts, Step};
use policy::facts::{Hash, Token};
use policy::failure::Failure;
use policy::lookup::{Fact, Value};
use policy::memo::Hashes;
use policy::request::{Claim, JobRequest};

use super::Next;
use super::crowd::Landed;
use super::recalled::Recalled;
use crate::host::{Host, Result};
use crate::setup::Setup;

/// A request that is decided on, as far as its facts are there.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) request: JobRequest,
    pub(super) facts: Facts,
    /// How old the oldest of them is.
    pub(super) oldest: Freshness,
    /// The facts that it waits for.
    pub(super) missing: Vec<Hash>,
    pub(super) deadline: Moment,
    /// What it would be denied, while facts are looked up once more.
    pub(super) denial: Denial,
}

/// What a request would be denied, while the facts that say so are looked up once more.
#[derive(Debug)]
pub(super) enum Denial {
    /// Nothing yet.
    None,
    /// It would be denied from facts that are due: these deny nothing.
    Due,
    /// It is denied so, and by these facts, where the lookup fails.
    Known(Box<(Decision, Facts)>),
}

impl Parked {
    /// This was decided on it.
    pub(super) fn decided(self, decision: Decision) -> Next {
        Next::decided(decision, self.request.protocol, Some((self.request, self.facts)))
    }

    pub(super) fn into_case(self) -> (JobRequest, Facts) {
        (self.request, self.facts)
    }

    /// Takes a fact that it waits for; `None` while it waits for more.
    pub(super) fn hear(&mut self, hashes: &Hashes, landed: &Landed) -> Option<std::result::Result<(), Failure>> {
        let key = landed.key;
        if !self.missing.contains(&key) {
            return None;
        }
        match &landed.found {
            Ok((value, freshness)) => {
                self.missing.retain(|missing| *missing != key);
                // What was under way when it looked again may be from before: then it asks for itself.
                if landed.is_new || !self.looks_again() {
                    self.learn(hashes, key, value, *freshness);
                }
                self.missing.is_empty().then_some(Ok(()))
            }
            Err(failure) => Some(Err(*failure)),
        }
    }

    /// Takes a fact of this age; a target's is filed under the target, for every access that means it.
    pub(super) fn learn(&mut self, hashes: &Hashes, key: Hash, value: &Value, freshness: Freshness) {
        self.oldest = self.oldest.max(freshness);
        let found = match value {
            Value::Token(token) => {
                self.facts.token = Some(token.clone());
                return;
            }
            Value::Target(found) => found,
        };
        let Some(Token::Running(job)) = &self.facts.token else { return };
        let asked = self.request.accesses.iter().map(|access| access.target.clone());
        let mut meant: Vec<_> =
            asked.chain(self.facts.held()).filter(|target| hashes.of_target(job, target) == key).collect();
        meant.retain(|target| !self.facts.targets.iter().any(|(known, _)| known == target));
        meant.dedup();
        self.facts.targets.extend(meant.into_iter().map(|target| (target, found.clone())));
    }

    /// Looks again at what is remembered, for a request that waited: its token may be known now, and so its targets; or its
    /// job may have ended meanwhile. Gives what has grown old.
    pub(super) fn recall_again<H: Host>(&mut self, setup: &Setup<H>, now: Moment) -> Result<(Step, Vec<Fact>)> {
        if let Remembered::New(ended @ Token::Ended(_)) = setup.store.credential(&self.request, None, now)?.remembered {
            self.facts.token = Some(ended);
        }
        // Where its time is up, or the clock was set, nobody knows how old those are by now that it had when it came.
        let is_late = self.deadline.has_come(setup.config.lookup.timeout, now);
        let known = if is_late { Facts::default() } else { std::mem::take(&mut self.facts) };
        let recalled = Recalled::of(setup, &self.request, known, None, self.denial.least(), now)?;
        (self.facts, self.oldest) = (recalled.facts, self.oldest.max(recalled.oldest));
        Ok((recalled.step, recalled.due))
    }

    /// Has the facts by which a request would be denied looked up once more, so that what a maintainer has just granted is
    /// not refused for as long as a fact lasts.
    pub(super) fn look_again<H: Host>(&mut self, setup: &Setup<H>, decision: Decision, now: Moment) -> Result<Step> {
        let is_due = self.oldest > Freshness::Fresh;
        let known = std::mem::take(&mut self.facts);
        self.denial = if is_due { Denial::Due } else { Denial::Known(Box::new((decision, known))) };
        let recalled = Recalled::of(setup, &self.request, Facts::default(), None, Freshness::New, now)?;
        (self.facts, self.oldest) = (recalled.facts, recalled.oldest);
        Ok(recalled.step)
    }

    /// Whether a decision denies by facts that are to be looked up once more before they do.
    pub(super) fn is_doubtful(&self, decision: &Decision) -> bool {
        // What cannot be read is refused whoever it is.
        let is_unread = matches!(self.request.claim, Claim::Unread(_));
        !is_unread && decision.denies() && self.oldest > Freshness::New && !self.looks_again()
    }

    pub(super) fn looks_again(&self) -> bool {
        !matches!(self.denial, Denial::None)
    }
}

impl Denial {
    /// How old the facts may be by which the request is decided.
    pub(super) fn least(&self) -> Freshness {
        match self {
            Self::None => Freshness::Fresh,
            Self::Due | Self::Known(_) => Freshness::New,
        }
    }
}

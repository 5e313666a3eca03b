//! What is remembered of what a request asks, and what is decided from that.

use policy::bindings::{Freshness, Moment, Remembered, Stripe};
use policy::decision::{Ages, Facts, Step};
use policy::facts::{Hash, Token};
use policy::lookup::Fact;
use policy::request::JobRequest;

use crate::host::{Host, Result};
use crate::setup::Setup;

/// What was remembered.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(super) facts: Facts,
    /// How old the oldest of it is.
    pub(super) oldest: Freshness,
    /// What has grown old, and is to be looked up again.
    pub(super) due: Vec<Fact>,
    /// Until when all of it stays as it is.
    pub(super) until: Moment,
    /// Which version says that nothing of whose it is was taken back.
    pub(super) stripe: Option<Stripe>,
    /// How old each of it is.
    pub(super) ages: Ages,
    /// What is decided from it, or what is missing.
    pub(crate) step: Step,
}

impl Recalled {
    /// `facts`, and what is remembered besides, where it is as fresh as `least`. The hash of the request's token may be known.
    pub(crate) fn of<H: Host>(
        setup: &Setup<H>,
        request: &JobRequest,
        facts: Facts,
        token: Option<Hash>,
        least: Freshness,
        now: Moment,
    ) -> Result<Self> {
        let (due, until, step) = (Vec::new(), Moment(u64::MAX), Step::NeedsToken);
        let mut recalled =
            Self { facts, oldest: Freshness::New, due, until, stripe: None, ages: Ages::default(), step };
        if recalled.facts.token.is_none() {
            let credential = setup.store.credential(request, token, now)?;
            (recalled.until, recalled.ages.token) = (credential.until, credential.age);
            recalled.stripe = Some(credential.stripe);
            let known = match credential.remembered {
                Remembered::New(token) => Some((token, Freshness::New)),
                Remembered::Fresh(token) => Some((token, Freshness::Fresh)),
                Remembered::Stale(token) => Some((token, Freshness::Stale)),
                Remembered::Announced | Remembered::Nothing => None,
            };
            if let Some((token, freshness)) = known {
                let serves = recalled.take(freshness, least, || Fact::Token(request.token.clone()));
                recalled.facts.token = serves.then_some(token);
            }
        }
        if let Some(Token::Running(job)) = &recalled.facts.token
            && request.names_a_job()
        {
            recalled.facts.dependencies = setup.store.dependencies(job.id, now)?;
        }
        // As often as the rules ask for targets that are remembered: each round adds some, so it ends.
        loop {
            let step = policy::decide(&setup.config, request, &recalled.facts);
            let Step::NeedsTargets(job, targets) = &step else { return Ok(Self { step, ..recalled }) };
            let count = recalled.facts.targets.len();
            for target in targets {
                let Some(known) = setup.store.target(&setup.store.hashes.of_target(job, target), now)? else {
                    continue;
                };
                if recalled.take(known.freshness, least, || Fact::Target(job.clone(), target.clone())) {
                    recalled.facts.targets.push((target.clone(), known.found));
                    recalled.until = recalled.until.min(known.until);
                    recalled.ages.targets.push((target.clone(), known.ages));
                }
            }
            if recalled.facts.targets.len() == count {
                return Ok(Self { step, ..recalled });
            }
        }
    }

    /// Notes how old a fact is, and tells whether it serves where nothing older than `least` does.
    fn take(&mut self, freshness: Freshness, least: Freshness, fact: impl FnOnce() -> Fact) -> bool {
        if freshness == Freshness::Stale {
            self.due.push(fact());
        }
        let serves = freshness <= least;
        if serves {
            self.oldest = self.oldest.max(freshness);
        }
        serves
    }
}

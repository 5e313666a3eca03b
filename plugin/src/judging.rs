//! Judging a request: what is remembered, what is missing, and the decision.

use policy::bindings::{Freshness, Moment, Quota, Remembered};
use policy::decision::{self, Cause, Decision, Facts, Failure, Step};
use policy::facts::Token;
use policy::lookup::{Fact, target_key};
use policy::request::{Claim, JobRequest, Refused};

use crate::carrying::Case;
use crate::crowd::Parked;
use crate::host::{self, HostError, Level};
use crate::journal;
use crate::shared::{Now, Setup, Shared};

/// How often a decision may ask for facts: for the token and for targets, and for both once more before it denies.
const ROUNDS: usize = 6;

impl Shared {
    /// Judges a job's request, whose head has so many bytes, with what is remembered; what is missing is looked up, and the
    /// request waits for it.
    pub(crate) fn judge(&self, setup: &Setup, stream: u32, request: JobRequest, head: usize) -> Now {
        let recall = |now| self.recall(setup, &request, Facts::default(), Freshness::Stale, now);
        let (Recalled { facts, oldest, due }, now) =
            match host::now().and_then(|now| recall(now).map(|recalled| (recalled, now))) {
                Ok(recalled) => recalled,
                Err(error) => {
                    journal::note(Level::Error, "the host refused a call", &format!("{error:?}"));
                    return self.fail(setup, stream, (&request, &Facts::default()), Failure::Host);
                }
            };
        let deadline = now.after(setup.config.lookup.timeout);
        let parked = Parked { request, facts, oldest, missing: Vec::new(), deadline, head, denial: Denial::None };
        let becomes = self.step(setup, stream, parked, now);
        let looks_again = self.crowd.borrow().parked(stream).is_some_and(Parked::looks_again);
        self.refresh(setup, if looks_again { Vec::new() } else { due }, now);
        becomes
    }

    /// Refuses a request that cannot be read, and whose head has so many bytes: once it is known whose it is, where a token
    /// can be made out.
    pub(crate) fn refuse(&self, setup: &Setup, stream: u32, refused: Refused, head: usize) -> Now {
        match refused.into_request() {
            Ok(request) => self.judge(setup, stream, request, head),
            Err(refused) => self.carry_out(setup, stream, None, &decision::refused(&setup.config, &refused)),
        }
    }

    /// The same where it cannot wait: it waited for its body, or some of it went on already.
    pub(crate) fn refuse_at_once(&self, setup: &Setup, stream: u32, refused: Refused) -> Now {
        match refused.into_request() {
            Ok(request) => {
                let recall = |now| self.recall(setup, &request, Facts::default(), Freshness::Stale, now);
                let facts = host::now().and_then(recall).map(|recalled| recalled.facts).unwrap_or_default();
                self.fail(setup, stream, (&request, &facts), Failure::Doubt)
            }
            Err(refused) => self.carry_out(setup, stream, None, &decision::refused(&setup.config, &refused)),
        }
    }

    /// Has facts looked up again for which nobody waits. Who looks again asks for all of it, and for nothing that is older.
    fn refresh(&self, setup: &Setup, due: Vec<Fact>, now: Moment) {
        for fact in due {
            let _ = self.ask(setup, fact, None, Freshness::Fresh, now);
        }
    }

    /// Decides, or has the missing facts looked up.
    pub(crate) fn step(&self, setup: &Setup, stream: u32, mut parked: Parked, now: Moment) -> Now {
        // A fact may be there at once, composed of what is remembered: the token first, then its targets.
        for _ in 0..ROUNDS {
            let missing = match policy::decide(&setup.config, &parked.request, &parked.facts) {
                Step::Decided(decision) if parked.is_doubtful(&decision) => {
                    match self.look_again(setup, &mut parked, decision, now) {
                        Ok(()) => continue,
                        Err(error) => return self.host_fails(setup, stream, &parked, error),
                    }
                }
                Step::Decided(decision) => return self.carry_out(setup, stream, Some(parked.case()), &decision),
                Step::NotAJob => return Now::NotAJob,
                _ if !self.crowd.borrow().has_room() => {
                    return self.miss(setup, stream, &parked, Failure::LookupBusy);
                }
                Step::NeedsToken => match self.admit(setup, &parked.request, now) {
                    Ok(()) => vec![Fact::Token(parked.request.token.clone())],
                    Err(failure) => return self.fail(setup, stream, parked.case(), failure),
                },
                Step::NeedsTargets(job, targets) => {
                    targets.into_iter().map(|target| Fact::Target(job.clone(), target)).collect()
                }
            };
            for fact in missing {
                let key = fact.key();
                match self.ask(setup, fact, Some(stream), parked.denial.least(), now) {
                    None => parked.missing.push(key),
                    Some(Ok((value, freshness))) => parked.learn(key, &value, freshness),
                    Some(Err(failure)) => {
                        self.flights.borrow_mut().leave(&parked.missing, stream);
                        return self.miss(setup, stream, &parked, failure);
                    }
                }
            }
            if !parked.missing.is_empty() {
                self.crowd.borrow_mut().await_facts(stream, parked);
                return Now::Waits;
            }
        }
        self.fail(setup, stream, parked.case(), Failure::Doubt)
    }

    /// Has the facts by which a request would be denied looked up once more, so that what a maintainer has just granted is
    /// not refused for as long as a fact lasts.
    fn look_again(&self, setup: &Setup, parked: &mut Parked, decision: Decision, now: Moment) -> Result<(), HostError> {
        let is_due = parked.oldest > Freshness::Fresh;
        let known = std::mem::take(&mut parked.facts);
        parked.denial = if is_due { Denial::Due } else { Denial::Known(Box::new((decision, known))) };
        let Recalled { facts, oldest, .. } =
            self.recall(setup, &parked.request, Facts::default(), Freshness::New, now)?;
        (parked.facts, parked.oldest) = (facts, oldest);
        Ok(())
    }

    /// Decides on a request for which a fact is not to be had.
    pub(crate) fn miss(&self, setup: &Setup, stream: u32, parked: &Parked, failure: Failure) -> Now {
        match &parked.denial {
            Denial::Known(known) => {
                let (decision, facts) = &**known;
                self.carry_out(setup, stream, Some((&parked.request, facts)), decision)
            }
            Denial::None | Denial::Due => self.fail(setup, stream, parked.case(), failure),
        }
    }

    /// Decides on a request for which the host refused a call.
    pub(crate) fn host_fails(&self, setup: &Setup, stream: u32, parked: &Parked, error: HostError) -> Now {
        journal::note(Level::Error, "the host refused a call", &format!("{error:?}"));
        self.fail(setup, stream, parked.case(), Failure::Host)
    }

    fn fail(&self, setup: &Setup, stream: u32, case: Case<'_>, failure: Failure) -> Now {
        let (request, facts) = case;
        let mut failed = decision::missed(&setup.config, request, facts, failure);
        if failed.cause == Cause::Failure(Failure::LookupThrottled) {
            let pause = host::now().ok().and_then(|now| self.flights.borrow().pause(&request.token.hash(), now));
            failed = failed.retry_after(pause);
        }
        self.carry_out(setup, stream, Some(case), &failed)
    }

    /// Whether a token may be looked up: where nothing is known of it, this is one lookup more of its source's. The
    /// stream is the effective context.
    fn admit(&self, setup: &Setup, request: &JobRequest, now: Moment) -> Result<(), Failure> {
        let token = request.token.hash();
        if self.flights.borrow().holds(&token) {
            return Ok(());
        }
        let counted = host::property(["source", "address"])
            .map(|address| Quota::of(&setup.config.lookup, &address))
            .and_then(|quotas| setup.store.count_unknown(&token, &quotas, now));
        match counted {
            Ok(None) => Ok(()),
            Ok(Some(over)) => Err(over),
            Err(error) => {
                journal::note(Level::Error, "a lookup cannot be counted", &format!("{error:?}"));
                Err(Failure::Host)
            }
        }
    }

    /// Looks again at what is remembered, for a request that waited: its token may be known now, and so its targets; or its
    /// job may have ended meanwhile.
    pub(crate) fn recall_after_wait(&self, setup: &Setup, parked: &mut Parked, now: Moment) -> Result<(), HostError> {
        if let Remembered::New(ended @ Token::Ended(_)) = setup.store.credential(&parked.request, now)? {
            parked.facts.token = Some(ended);
        }
        let known = std::mem::take(&mut parked.facts);
        let least = parked.denial.least();
        let Recalled { facts, oldest, due } = self.recall(setup, &parked.request, known, least, now)?;
        (parked.facts, parked.oldest) = (facts, parked.oldest.max(oldest));
        self.refresh(setup, if parked.looks_again() { Vec::new() } else { due }, now);
        Ok(())
    }

    /// Adds what is remembered to `facts`, where it is as fresh as `least`.
    pub(crate) fn recall(
        &self,
        setup: &Setup,
        request: &JobRequest,
        facts: Facts,
        least: Freshness,
        now: Moment,
    ) -> Result<Recalled, HostError> {
        let mut recalled = Recalled { facts, oldest: Freshness::New, due: Vec::new() };
        if recalled.facts.token.is_none() {
            let known = match setup.store.credential(request, now)? {
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
        // As often as the rules ask for targets that are remembered: each round adds some, so it ends.
        while let Step::NeedsTargets(job, targets) = policy::decide(&setup.config, request, &recalled.facts) {
            let known = recalled.facts.targets.len();
            for target in targets {
                let Some((found, freshness)) = setup.store.target(&target_key(&job, &target), now)? else { continue };
                if recalled.take(freshness, least, || Fact::Target(job.clone(), target.clone())) {
                    recalled.facts.targets.push((target, found));
                }
            }
            if recalled.facts.targets.len() == known {
                break;
            }
        }
        Ok(recalled)
    }
}

/// What was remembered.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) facts: Facts,
    /// How old the oldest of it is.
    oldest: Freshness,
    /// What has grown old, and is to be looked up again.
    due: Vec<Fact>,
}

impl Recalled {
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

/// What a request would be denied, while the facts that say so are looked up once more.
#[derive(Debug)]
pub(crate) enum Denial {
    /// Nothing yet.
    None,
    /// It would be denied from facts that are due: these deny nothing.
    Due,
    /// It is denied so where the lookup fails.
    Known(Box<(Decision, Facts)>),
}

impl Parked {
    fn case(&self) -> Case<'_> {
        (&self.request, &self.facts)
    }

    /// Whether a decision denies by facts that are to be looked up once more before they do.
    fn is_doubtful(&self, decision: &Decision) -> bool {
        // What cannot be read is refused whoever it is.
        let is_unread = matches!(self.request.claim, Claim::Unread(_));
        !is_unread && decision.denies() && self.oldest > Freshness::New && !self.looks_again()
    }

    fn looks_again(&self) -> bool {
        !matches!(self.denial, Denial::None)
    }
}

impl Denial {
    /// How old the facts may be by which the request is decided.
    fn least(&self) -> Freshness {
        match self {
            Self::None => Freshness::Fresh,
            Self::Due | Self::Known(_) => Freshness::New,
        }
    }
}

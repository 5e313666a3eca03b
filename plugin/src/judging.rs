//! Judging a request: what is remembered, what is missing, and the decision.

use policy::bindings::{Freshness, Moment, Quota, Remembered};
use policy::decision::{self, Decision, Facts, Failure, Step};
use policy::facts::Token;
use policy::lookup::{Fact, target_key};
use policy::request::{JobRequest, Protocol};

use crate::crowd::Parked;
use crate::host::{self, HostError, Level};
use crate::journal;
use crate::shared::{Now, Setup, Shared};

/// How often a decision may ask for facts: for the token, and for targets.
const ROUNDS: usize = 3;

impl Shared {
    /// Judges a job's request, whose head has so many bytes, with what is remembered; what is missing is looked up, and the request waits for it.
    pub(crate) fn judge(&self, setup: &Setup, stream: u32, request: JobRequest, head: usize) -> Now {
        let recalled = host::now().and_then(|now| Ok((self.recall_for(setup, &request, now)?, now)));
        let (facts, now) = match recalled {
            Ok(recalled) => recalled,
            Err(error) => return self.carry_out(stream, None, &host_failed(setup, request.protocol, error)),
        };
        let deadline = now.after(setup.config.lookup.timeout);
        self.step(setup, stream, Parked { request, facts, missing: Vec::new(), deadline, head }, now)
    }

    /// Facts for a request. Old ones may allow it; to deny it they are looked up first, so that what a maintainer has
    /// just granted is not refused for as long as an old fact lasts.
    fn recall_for(&self, setup: &Setup, request: &JobRequest, now: Moment) -> Result<Facts, HostError> {
        let (facts, oldest) = self.recall(setup, request, Facts::default(), Freshness::Stale, now)?;
        let denies = |facts| matches!(policy::decide(&setup.config, request, facts), Step::Decided(decision) if decision.denies());
        if oldest == Freshness::Fresh || !denies(&facts) {
            return Ok(facts);
        }
        Ok(self.recall(setup, request, Facts::default(), Freshness::Fresh, now)?.0)
    }

    /// Decides, or has the missing facts looked up.
    pub(crate) fn step(&self, setup: &Setup, stream: u32, mut parked: Parked, now: Moment) -> Now {
        // A fact may be there at once, composed of what is remembered: the token first, then its targets.
        for _ in 0..ROUNDS {
            let missing = match policy::decide(&setup.config, &parked.request, &parked.facts) {
                Step::Decided(decision) => return self.carry_out(stream, Some(&parked.request), &decision),
                Step::NotAJob => return Now::NotAJob,
                _ if !self.crowd.borrow().has_room() => {
                    return self.fail(setup, stream, &parked.request, Failure::LookupBusy);
                }
                Step::NeedsToken => match self.admit(setup, &parked.request, now) {
                    Ok(()) => vec![Fact::Token(parked.request.token.clone())],
                    Err(failure) => return self.fail(setup, stream, &parked.request, failure),
                },
                Step::NeedsTargets(job, targets) => {
                    targets.into_iter().map(|target| Fact::Target(job.clone(), target)).collect()
                }
            };
            for fact in missing {
                let key = fact.key();
                match self.ask(setup, fact, Some(stream), now) {
                    None => parked.missing.push(key),
                    Some(Ok(value)) => parked.learn(key, &value),
                    Some(Err(failure)) => {
                        self.flights.borrow_mut().leave(&parked.missing, stream);
                        return self.fail(setup, stream, &parked.request, failure);
                    }
                }
            }
            if !parked.missing.is_empty() {
                self.crowd.borrow_mut().await_facts(stream, parked);
                return Now::Waits;
            }
        }
        self.fail(setup, stream, &parked.request, Failure::Doubt)
    }

    fn fail(&self, setup: &Setup, stream: u32, request: &JobRequest, failure: Failure) -> Now {
        self.carry_out(stream, None, &decision::failed(&setup.config, request.protocol, failure))
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
        if let Remembered::Fresh(ended @ Token::Ended(_)) = setup.store.credential(&parked.request, now)? {
            parked.facts.token = Some(ended);
        }
        let known = std::mem::take(&mut parked.facts);
        parked.facts = self.recall(setup, &parked.request, known, Freshness::Fresh, now)?.0;
        Ok(())
    }

    /// Adds what is remembered to `facts`, and tells how old the oldest of it is. What has grown old is looked up again,
    /// and nobody waits for that; it counts only where `least` is content with it.
    pub(crate) fn recall(
        &self,
        setup: &Setup,
        request: &JobRequest,
        mut facts: Facts,
        least: Freshness,
        now: Moment,
    ) -> Result<(Facts, Freshness), HostError> {
        let refresh = |fact| drop(self.ask(setup, fact, None, now));
        let mut oldest = Freshness::Fresh;
        if facts.token.is_none() {
            match setup.store.credential(request, now)? {
                Remembered::Fresh(token) => facts.token = Some(token),
                Remembered::Stale(token) => {
                    refresh(Fact::Token(request.token.clone()));
                    oldest = Freshness::Stale;
                    facts.token = (least == Freshness::Stale).then_some(token);
                }
                Remembered::Announced | Remembered::Nothing => {}
            }
        }
        // As often as the rules ask for targets that are remembered: each round adds some, so it ends.
        while let Step::NeedsTargets(job, targets) = policy::decide(&setup.config, request, &facts) {
            let known = facts.targets.len();
            for target in targets {
                let Some((found, freshness)) = setup.store.target(&target_key(&job, &target), now)? else { continue };
                if freshness == Freshness::Stale {
                    refresh(Fact::Target(job.clone(), target.clone()));
                    oldest = Freshness::Stale;
                }
                if freshness == Freshness::Fresh || least == Freshness::Stale {
                    facts.targets.push((target, found));
                }
            }
            if facts.targets.len() == known {
                break;
            }
        }
        Ok((facts, oldest))
    }
}

/// The decision when the host refused a call.
pub(crate) fn host_failed(setup: &Setup, protocol: Protocol, error: HostError) -> Decision {
    journal::note(Level::Error, "the host refused a call", &format!("{error:?}"));
    decision::failed(&setup.config, protocol, Failure::Host)
}

//! Judging a request: what is remembered, what is missing, and the decision.

use policy::bindings::{Freshness, Moment};
use policy::decision::{self, Decision, Facts, Failure, Step};
use policy::lookup::{Fact, target_key};
use policy::request::{JobRequest, Protocol};

use crate::host::{self, HostError, Level};
use crate::shared::{Now, Parked, Setup, Shared};
use crate::store::Remembered;

impl Shared {
    /// Judges a job's request with what is remembered; what is missing is looked up, and the request waits for it.
    pub(crate) fn judge(&self, setup: &Setup, stream: u32, request: JobRequest) -> Now {
        let recalled = host::now().and_then(|now| Ok((self.recall_for(setup, &request, now)?, now)));
        let (facts, now) = match recalled {
            Ok(recalled) => recalled,
            Err(error) => return self.carry_out(stream, None, &host_failed(setup, request.protocol, error)),
        };
        let deadline = now.after(setup.config.lookup.timeout);
        self.step(setup, stream, Parked { request, facts, missing: Vec::new(), deadline }, now)
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
        let missing = match policy::decide(&setup.config, &parked.request, &parked.facts) {
            Step::Decided(decision) => return self.carry_out(stream, Some(&parked.request), &decision),
            Step::NotAJob => return Now::NotAJob,
            Step::NeedsToken => vec![Fact::Token(parked.request.token.clone())],
            Step::NeedsTargets(job, targets) => {
                targets.into_iter().map(|target| Fact::Target(job.clone(), target)).collect()
            }
        };
        parked.missing = missing.iter().map(Fact::key).collect();
        self.parked.borrow_mut().insert(stream, parked);
        let mut flights = self.flights.borrow_mut();
        for fact in missing {
            flights.ask(&setup.config, setup.credential.as_ref(), fact, Some(stream), now);
        }
        Now::Waits
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
        let refresh = |fact| self.flights.borrow_mut().ask(&setup.config, setup.credential.as_ref(), fact, None, now);
        let mut oldest = Freshness::Fresh;
        if facts.token.is_none() {
            match setup.store.token(&request.token.hash(), now)? {
                Remembered::Fresh(token) => facts.token = Some(token),
                Remembered::Stale(token) => {
                    refresh(Fact::Token(request.token.clone()));
                    oldest = Freshness::Stale;
                    facts.token = (least == Freshness::Stale).then_some(token);
                }
                Remembered::Nothing => {}
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
fn host_failed(setup: &Setup, protocol: Protocol, error: HostError) -> Decision {
    host::log(Level::Error, &format!("jobscope: the host refused a call: {error:?}"));
    decision::failed(&setup.config, protocol, Failure::Host)
}

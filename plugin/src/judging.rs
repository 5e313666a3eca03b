//! Judging a request: what is remembered, what is missing, and the decision.

use policy::bindings::{Freshness, Moment};
use policy::decision::{self, Decision, Facts, Failure, Step};
use policy::facts::Token;
use policy::lookup::{Fact, target_key};
use policy::request::{JobRequest, Protocol};

use crate::host::{self, HostError, Level};
use crate::shared::{Now, Parked, Setup, Shared};
use crate::store::Remembered;

impl Shared {
    /// Judges a job's request with what is remembered; what is missing is looked up, and the request waits for it.
    pub(crate) fn judge(&self, setup: &Setup, stream: u32, request: JobRequest) -> Now {
        let recalled = host::now().and_then(|now| Ok((self.recall(setup, &request, now)?, now)));
        let (facts, now) = match recalled {
            Ok(recalled) => recalled,
            Err(error) => return self.carry_out(stream, None, &host_failed(setup, request.protocol, error)),
        };
        let deadline = now.after(setup.config.lookup.timeout);
        self.step(setup, stream, Parked { request, facts, missing: Vec::new(), deadline }, now)
    }

    /// Decides, or has the missing facts looked up.
    pub(crate) fn step(&self, setup: &Setup, stream: u32, mut parked: Parked, now: Moment) -> Now {
        let missing = match policy::decide(&setup.config, &parked.request, &parked.facts) {
            Step::Decided(decision) => return self.carry_out(stream, Some(&parked.request), &decision),
            Step::NeedsToken => vec![Fact::Token(parked.request.token.clone())],
            Step::NeedsTargets(job, targets) => {
                targets.into_iter().map(|target| Fact::Target(job.clone(), target)).collect()
            }
        };
        parked.missing = missing.iter().map(Fact::key).collect();
        self.parked.borrow_mut().insert(stream, parked);
        let mut flights = self.flights.borrow_mut();
        for fact in missing {
            flights.ask(&setup.config, &setup.credential, fact, Some(stream), now);
        }
        Now::Waits
    }

    /// What is remembered and still serves. What has grown old is looked up again, and nobody waits for that.
    pub(crate) fn recall(&self, setup: &Setup, request: &JobRequest, now: Moment) -> Result<Facts, HostError> {
        let mut facts = Facts::default();
        let refresh = |fact| self.flights.borrow_mut().ask(&setup.config, &setup.credential, fact, None, now);
        match setup.store.token(&request.token.hash(), now)? {
            Remembered::Fresh(token) => facts.token = Some(token),
            Remembered::Stale(token) => {
                refresh(Fact::Token(request.token.clone()));
                facts.token = Some(token);
            }
            Remembered::Nothing => {}
        }
        // As often as the rules ask for targets that are remembered: each round adds some, so it ends.
        while let Step::NeedsTargets(job, targets) = policy::decide(&setup.config, request, &facts) {
            let known = facts.targets.len();
            for target in targets {
                if let Some((found, freshness)) = setup.store.target(&target_key(&job, &target), now)? {
                    if freshness == Freshness::Stale {
                        refresh(Fact::Target(job.clone(), target.clone()));
                    }
                    facts.targets.push((target.key(), found));
                }
            }
            if facts.targets.len() == known {
                break;
            }
        }
        Ok(facts)
    }

    pub(crate) fn recall_with(&self, setup: &Setup, parked: &Parked, now: Moment) -> Result<Facts, HostError> {
        let mut facts = parked.facts.clone();
        if let (Some(Token::Running(_)), true) = (&facts.token, facts.targets.is_empty())
            && let Step::NeedsTargets(job, targets) = policy::decide(&setup.config, &parked.request, &facts)
        {
            for target in targets {
                if let Some((found, _)) = setup.store.target(&target_key(&job, &target), now)? {
                    facts.targets.push((target.key(), found));
                }
            }
        }
        Ok(facts)
    }
}

/// The decision when the host refused a call.
fn host_failed(setup: &Setup, protocol: Protocol, error: HostError) -> Decision {
    host::log(Level::Error, &format!("jobscope: the host refused a call: {error:?}"));
    decision::failed(&setup.config, protocol, Failure::Host)
}

//! Judging a request: what is remembered, what is missing, and the decision.

use std::rc::Rc;

use policy::bindings::{Freshness, Moment, Quota, Stripe};
use policy::decision::{self, Cause, Facts, Step};
use policy::failure::Failure;
use policy::lookup::Fact;
use policy::memo::{Asked, Kept};
use policy::request::{Body, Claim, Head, JobRequest, Refused, TraceContext};

use super::Next;
use super::parked::{Denial, Parked};
use super::recalled::Recalled;
use crate::host::{Host, HostError, Level, Map, Result};
use crate::lookups::Urgency;
use crate::setup::Setup;
use crate::worker::Worker;

/// How often a decision may ask for facts: for the token, for who holds what is asked and for targets, and for all of it once
/// more before it denies.
const ROUNDS: usize = 8;

impl<H: Host> Worker<H> {
    /// Under what a decision on a job's request is kept.
    pub(super) fn asked(&self, setup: &Setup<H>, request: &JobRequest) -> Option<Asked> {
        self.memo.asked(&setup.config, request, &setup.store.hashes)
    }

    /// Judges a job's request as the same was a moment ago, or anew.
    pub(super) fn judge(&mut self, setup: &Setup<H>, request: JobRequest, asked: Option<Asked>) -> Next {
        let now = match self.host.now() {
            Ok(now) => now,
            Err(error) => return self.host_fails(setup, (request, Facts::default()), error),
        };
        let Some(asked) = asked else { return self.judge_anew(setup, request, None, now) };
        if let Some(next) = self.decided_before(setup, asked, now) {
            return next;
        }
        let stripe = match request.claim {
            // Only a row tells from whose token it was made, and did when the same was asked before.
            Claim::Minted(_) => self.memo.stripe(asked),
            Claim::Marked | Claim::Unmarked(_) | Claim::Unread(_) => Some(setup.store.stripe(&asked.token)),
        };
        // The version comes before what it is the version of.
        let version = stripe.and_then(|stripe| Some((stripe, setup.store.version(stripe)?)));
        self.judge_anew(setup, request, Some(Place { asked, version }), now)
    }

    /// What was decided on it, if that still holds.
    pub(super) fn decided_before(&mut self, setup: &Setup<H>, asked: Asked, now: Moment) -> Option<Next> {
        let kept = self.memo.find(asked, now)?;
        let holds = kept.version.is_some_and(|version| setup.store.version(kept.stripe) == Some(version));
        holds.then(|| Next::decided(Rc::clone(&kept.decision), kept.protocol, None))
    }

    /// Judges a job's request with what is remembered; what is missing is looked up, and the request waits for it.
    fn judge_anew(&mut self, setup: &Setup<H>, request: JobRequest, place: Option<Place>, now: Moment) -> Next {
        let token = place.as_ref().map(|place| place.asked.token);
        let recalled = Recalled::of(setup, &request, Facts::default(), token, Freshness::Stale, now);
        let Recalled { facts, oldest, due, until, stripe, ages, step } = match recalled {
            Ok(recalled) => recalled,
            Err(error) => return self.host_fails(setup, (request, Facts::default()), error),
        };
        let is_remembered = matches!(step, Step::Decided(_));
        let context = (!due.is_empty()).then(|| self.context(&request));
        let deadline = now.after(setup.config.lookup.timeout);
        let parked = Parked { request, facts, oldest, missing: Vec::new(), deadline, denial: Denial::None };
        let is_final = matches!(&step, Step::Decided(decision) if !parked.is_doubtful(decision));
        let mut next = self.step(setup, Box::new(parked), step, now);
        if let (true, Next::Decided(decided)) = (is_final, &mut next) {
            decided.ages = Some(ages);
        }
        if let (Some(Place { asked, version }), Some(stripe), true) = (place, stripe, is_remembered)
            && let Next::Decided(decided) = &next
            && let Some((request, _)) = &decided.case
        {
            let (decision, protocol) = (Rc::clone(&decided.decision), decided.protocol);
            let version = version.filter(|(read, _)| *read == stripe).map(|(_, version)| version);
            let kept = Kept { decision, protocol, stripe, version, made: now, until };
            self.memo.keep(&setup.config, request, asked, kept);
        }
        // Who looks again asks for all of it, and for nothing that is older.
        if let Some(context) = context
            && !matches!(&next, Next::AwaitsFacts(parked) if parked.looks_again())
        {
            self.refresh(setup, due, &context, now);
        }
        next
    }

    /// Judges a request again that waited, and whose facts are there.
    pub(super) fn judge_again(&mut self, setup: &Setup<H>, mut parked: Box<Parked>, now: Result<Moment>) -> Next {
        let recalled = now.and_then(|now| parked.recall_again(setup, now).map(|(step, due)| (step, due, now)));
        match recalled {
            Ok((step, due, now)) => {
                if !parked.looks_again() {
                    self.refresh(setup, due, &self.context(&parked.request), now);
                }
                self.step(setup, parked, step, now)
            }
            Err(error) => self.host_fails(setup, parked.into_case(), error),
        }
    }

    /// Refuses a request that cannot be read: once it is known whose it is, where a token can be made out.
    pub(super) fn refuse(&mut self, setup: &Setup<H>, refused: Refused) -> Next {
        match refused.into_request() {
            Ok(request) => {
                let asked = self.asked(setup, &request);
                self.judge(setup, request, asked)
            }
            Err(refused) => refuse_unknown(setup, &refused),
        }
    }

    /// The same where it cannot wait: it waited for its body, or some of it went on already.
    pub(super) fn refuse_at_once(&self, setup: &Setup<H>, refused: Refused) -> Next {
        match refused.into_request() {
            Ok(request) => {
                let recall = |now| Recalled::of(setup, &request, Facts::default(), None, Freshness::Stale, now);
                let facts = self.host.now().and_then(recall).map(|recalled| recalled.facts).unwrap_or_default();
                self.fail(setup, (request, facts), Failure::Doubt)
            }
            Err(refused) => refuse_unknown(setup, &refused),
        }
    }

    /// Carries on with what was decided, or has the missing facts looked up.
    fn step(&mut self, setup: &Setup<H>, mut parked: Box<Parked>, mut step: Step, now: Moment) -> Next {
        // A fact may be there at once, composed of what is remembered: the token first, then its targets.
        for _ in 0..ROUNDS {
            let missing = match step {
                Step::Decided(decision) if parked.is_doubtful(&decision) => {
                    match parked.look_again(setup, decision, now) {
                        Ok(again) => {
                            step = again;
                            continue;
                        }
                        Err(error) => return self.host_fails(setup, parked.into_case(), error),
                    }
                }
                Step::Decided(decision) => return parked.decided(decision),
                Step::NotAJob => return Next::Passes,
                _ if !self.crowd.has_room() => return self.miss(setup, parked, Failure::LookupBusy),
                Step::NeedsToken => match self.admit(setup, &parked.request, now) {
                    Ok(()) => vec![Fact::Token(parked.request.token.clone())],
                    Err(failure) => return self.fail(setup, parked.into_case(), failure),
                },
                Step::NeedsTargets(job, targets) => {
                    targets.into_iter().map(|target| Fact::Target(job.clone(), target)).collect()
                }
            };
            let context = self.context(&parked.request);
            for fact in missing {
                let key = setup.store.hashes.of(&fact);
                let found = match self.crowd.has_room_for(&key) {
                    true => self.ask(setup, fact, Urgency::Awaited, parked.denial.least(), &context, now),
                    false => Some(Err(Failure::LookupBusy)),
                };
                match found {
                    None => parked.missing.push(key),
                    Some(Ok((value, freshness))) => parked.learn(&setup.store.hashes, key, &value, freshness),
                    Some(Err(failure)) => return self.miss(setup, parked, failure),
                }
            }
            if !parked.missing.is_empty() {
                return Next::AwaitsFacts(parked);
            }
            step = policy::decide(&setup.config, &parked.request, &parked.facts);
        }
        self.fail(setup, parked.into_case(), Failure::Doubt)
    }

    /// Decides on a request for which a fact is not to be had.
    pub(super) fn miss(&self, setup: &Setup<H>, mut parked: Box<Parked>, failure: Failure) -> Next {
        match std::mem::replace(&mut parked.denial, Denial::None) {
            Denial::Known(known) => {
                let (decision, facts) = *known;
                Parked { facts, ..*parked }.decided(decision)
            }
            Denial::None | Denial::Due => self.fail(setup, parked.into_case(), failure),
        }
    }

    fn fail(&self, setup: &Setup<H>, case: (JobRequest, Facts), failure: Failure) -> Next {
        let (request, facts) = case;
        let mut failed = decision::missed(&setup.config, &request, &facts, failure);
        if failed.cause == Cause::Failure(Failure::LookupThrottled) {
            let token = setup.store.hashes.of_token(&request.token);
            let pause = self.host.now().ok().and_then(|now| self.flights.pause(&token, now));
            failed = failed.retry_after(pause);
        }
        Next::decided(failed, request.protocol, Some((request, facts)))
    }

    /// Whether a token may be looked up: where nothing is known of it, this is one lookup more of its source's.
    fn admit(&self, setup: &Setup<H>, request: &JobRequest, now: Moment) -> std::result::Result<(), Failure> {
        let token = setup.store.hashes.of_token(&request.token);
        if self.flights.holds(&token) {
            return Ok(());
        }
        let counted = self
            .host
            .source_address()
            .map(|address| Quota::of(&setup.config.lookup, &address))
            .and_then(|quotas| setup.store.count_unknown(&token, &quotas, now));
        match counted {
            Ok(None) => Ok(()),
            Ok(Some(over)) => Err(over),
            Err(error) => {
                self.journal.note(Level::Error, "a lookup cannot be counted", error);
                Err(Failure::Host)
            }
        }
    }

    /// What ties lookups to the request that the host acts for. Its head is asked for once a call goes out, and only then.
    fn context(&self, request: &JobRequest) -> impl Fn() -> TraceContext + use<H> {
        let (host, token) = (self.host.clone(), request.token.clone());
        move || {
            let headers = host.headers(Map::Request).ok();
            let fields = headers.as_ref().and_then(|headers| headers.fields().ok()).unwrap_or_default();
            TraceContext::of(&Head::new(&fields, Body::None), &token)
        }
    }

    /// Decides on a request for which the host refused a call.
    fn host_fails(&self, setup: &Setup<H>, case: (JobRequest, Facts), error: HostError) -> Next {
        self.journal.note(Level::Error, "the host refused a call", error);
        self.fail(setup, case, Failure::Host)
    }
}

/// Refuses a request of which nobody can tell whose it is.
fn refuse_unknown<H: Host>(setup: &Setup<H>, refused: &Refused) -> Next {
    Next::decided(decision::refused(&setup.config, refused), refused.protocol, None)
}

/// Where to keep a decision.
struct Place {
    asked: Asked,
    /// A version that was read before anything else.
    version: Option<(Stripe, u32)>,
}

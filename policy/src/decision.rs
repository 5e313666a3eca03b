//! One request, judged: what was decided, by which rule, for which reason, and what to carry out.
//!
//! A job's request goes on only with a [`Grant`], and only this room makes one.

mod concern;
mod evidence;
mod judged;
mod shape;
mod slot;
mod unasked;
mod why;

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::access::{Access, Action, Protocol, TargetRef};
use crate::choices::{Kind, Mode, UnlistedEndpoints};
use crate::config::{Concern, Config};
use crate::facts::{Found, GroupRef, Holders, Invalid, Job, JobId, Origin, ProjectId, Role, Standing, Token};
use crate::failure::Failure;
use crate::reply::{self, Reply};
use crate::request::{Bare, Claim, JobRequest, Malformed, Refused};
use crate::rules::{self, RULES, Reason, Ruling, Verdict};

pub use evidence::{Evidence, evidence};
use judged::{Judged, judge, looks_at_target};
pub use shape::{FIELDS, SHAPE};
use slot::exchanged;
pub use slot::{SLOT_FIELD, Slot, WITHHELD, names_login};
pub use unasked::facts_without_lookup;
pub use why::{Ages, why};

/// What is known when a decision is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who the token is.
    pub token: Option<Token>,
    /// What is known of targets. Of a target that stands here more than once any may be true: the strictest counts.
    pub targets: Vec<(TargetRef, Found)>,
    /// The jobs whose artifacts the forge named when it handed the job out. They are known where the request
    /// [names a job](JobRequest::names_a_job), and that was seen.
    pub dependencies: Vec<JobId>,
}

/// The verdict of a request that goes on because it may.
const ALLOW: &str = "allow";

/// The verdict of a request that goes on although a rule that is only observed denies it.
const OBSERVED: &str = "observe-deny";

/// The verdict of a request that is answered here.
const DENY: &str = "deny";

/// A decision, or what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Decided.
    Decided(Decision),
    /// The credential is somebody else's: the request is not a job's, and the forge answers.
    NotAJob,
    /// Nobody has said yet who the token is.
    NeedsToken,
    /// Nobody has looked at these targets yet; at least one.
    NeedsTargets(Job, Vec<TargetRef>),
}

/// Why a request was not simply allowed, in all of the families of [`Cause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A rule said so.
    Rule(Reason),
    /// The request cannot be read.
    Malformed(Malformed),
    /// The facts, the host or we failed.
    Failure(Failure),
}

impl Cause {
    /// The stable machine code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Rule(reason) => reason.code(),
            Self::Malformed(malformed) => malformed.code(),
            Self::Failure(failure) => failure.code(),
        }
    }
}

/// The right to let one request go on. Made by a decision alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grant {
    path: Option<Vec<u8>>,
    without: Vec<String>,
    slot: Option<Slot>,
}

impl Grant {
    /// The request target to forward instead of the one that came.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.path.as_deref()
    }

    /// The names of the header fields to remove before it is forwarded.
    #[must_use]
    pub fn without(&self) -> &[String] {
        &self.without
    }

    /// Which credential the proxy adds to it then, if any.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        self.slot
    }
}

/// What to do with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Forward(Grant),
    /// It is answered here.
    Reply(Reply),
}

/// What a decision says in logs. Texts are printable ASCII; `-` stands for what there is none of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The job's number.
    pub job: String,
    /// The user's name.
    pub user: String,
    /// The origin's path.
    pub origin: String,
    /// The target's path.
    pub target: String,
    /// What was asked.
    pub action: &'static str,
    /// `allow`, `deny`, or `observe-deny` for what would have been denied.
    pub verdict: &'static str,
    /// The reason's code.
    pub reason: &'static str,
    /// The rule's id, and behind a colon that of the configuration's rule; `-` where none was asked.
    pub rule: Cow<'static, str>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// What to log.
    pub record: Record,
    /// Why.
    pub cause: Cause,
}

impl Decision {
    /// The same, and the client comes back after this time, where it is known.
    #[must_use]
    pub fn retry_after(mut self, pause: Option<Duration>) -> Self {
        if let (Outcome::Reply(reply), Some(pause)) = (&mut self.outcome, pause) {
            reply.retry_after = Some(pause.as_secs().max(1));
        }
        self
    }

    /// Whether it denies, also where that is only observed.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.record.verdict != ALLOW
    }
}

/// Decides on a job's request, or says what is missing.
#[must_use]
pub fn decide(config: &Config, request: &JobRequest, facts: &Facts) -> Step {
    let job = match (&facts.token, request.claim) {
        // Nobody can be asked: it was not seen being made, so it is a person's, unless it may be a job's by what it says.
        (None, Claim::Minted(_)) if !request.may_be_jobs(&config.forge) => return Step::NotAJob,
        // What says of itself that it was made from a job's token is nobody else's, whatever a service makes of it.
        (Some(Token::Invalid(Invalid::Foreign | Invalid::Unknown)), Claim::Unmarked(malformed))
            if config.forge.kind == Kind::Gitea && request.may_be_jobs(&config.forge) =>
        {
            let decision = malformed.map(|malformed| unread(config, request, facts, malformed));
            return Step::Decided(decision.unwrap_or_else(|| unrecorded(config, request)));
        }
        (Some(Token::Invalid(Invalid::Foreign)), Claim::Unmarked(_) | Claim::Minted(_)) => return Step::NotAJob,
        (None | Some(Token::Invalid(_) | Token::Ended(_)), Claim::Marked) if request.is_runners_report() => {
            return Step::Decided(reported(request, facts.token.as_ref()));
        }
        (None, Claim::Marked | Claim::Unmarked(_) | Claim::Unread(_)) => return Step::NeedsToken,
        (_, Claim::Unmarked(Some(malformed)) | Claim::Minted(Some(malformed)) | Claim::Unread(malformed)) => {
            return Step::Decided(unread(config, request, facts, malformed));
        }
        (None | Some(Token::Forgotten), _) => return Step::Decided(unrecorded(config, request)),
        (Some(Token::Running(job)), _) => job,
        (Some(Token::Invalid(invalid)), _) => {
            return Step::Decided(refuse_token(config, request, Reason::of_invalid(*invalid), None));
        }
        (Some(Token::Ended(job)), _) => {
            return Step::Decided(refuse_token(config, request, Reason::TokenEnded, job.as_ref()));
        }
    };
    let exchanged = match exchanged(config, request, job) {
        Ok(exchanged) => exchanged,
        Err(reason) => return Step::Decided(refuse_exchange(config, request, reason, job)),
    };
    let (facts, missing) = facts.completed(config, job, request);
    let facts = &*facts;
    if !missing.is_empty() {
        return Step::NeedsTargets(job.clone(), missing);
    }
    let judged: Vec<Judged<'_>> = request.accesses.iter().map(|access| judge(config, job, access, facts)).collect();
    Step::Decided(combine(config, request, job, exchanged, &judged))
}

impl Facts {
    /// Whose token it is, also when that job has ended.
    fn job(&self) -> Option<&Job> {
        match self.token.as_ref()? {
            Token::Running(job) => Some(job),
            Token::Ended(job) => job.as_ref(),
            Token::Invalid(_) | Token::Forgotten => None,
        }
    }

    /// What may be true of a target; nothing while it is not known.
    fn found<'a>(&'a self, target: &'a TargetRef) -> impl Iterator<Item = &'a Found> {
        // An image that is in no project's path: nobody needs to be asked.
        let is_nowhere = matches!(target, TargetRef::Image(candidates) if candidates.is_empty());
        let known = self.targets.iter().filter(move |(known, _)| known == target).map(|(_, found)| found);
        is_nowhere.then_some(&Found::Nothing).into_iter().chain(known)
    }

    /// The projects that hold what an access asks of a group, once that is known.
    fn holders<'a>(&'a self, access: &'a Access) -> Option<&'a Holders> {
        self.found(&access.target).find_map(|found| match found {
            Found::Holders(holders) => Some(holders),
            Found::Standing(_) | Found::Nothing => None,
        })
    }

    /// The projects that hold what is asked of groups, as far as they are known: they are targets as well.
    pub fn held(&self) -> impl Iterator<Item = TargetRef> {
        let holders = self.targets.iter().filter_map(|(_, found)| match found {
            Found::Holders(holders) => Some(holders.looked_at()),
            Found::Standing(_) | Found::Nothing => None,
        });
        holders.flatten().copied().map(TargetRef::Id)
    }

    /// What is known of a project by its number; `None` where there is none.
    fn standing(&self, project: ProjectId) -> Option<&Standing> {
        let target = TargetRef::Id(project);
        self.targets.iter().filter(|(known, _)| *known == target).find_map(|(_, found)| match found {
            Found::Standing(standing) => Some(standing),
            Found::Holders(_) | Found::Nothing => None,
        })
    }

    /// The targets that the rules look at and of which nothing is known, each once.
    fn missing(&self, config: &Config, request: &JobRequest) -> Vec<TargetRef> {
        let mut missing: Vec<TargetRef> = Vec::new();
        let mut note = |target: &TargetRef| {
            if self.found(target).next().is_none() && !missing.contains(target) {
                missing.push(target.clone());
            }
        };
        for access in request.accesses.iter().filter(|access| looks_at_target(config, access)) {
            note(&access.target);
            let holders = self.holders(access).map(Holders::looked_at).unwrap_or_default();
            holders.iter().for_each(|project| note(&TargetRef::Id(*project)));
        }
        missing
    }

    /// With what the configuration says of targets, and what is known of the missing ones without asking anybody; and those
    /// that are still missing.
    fn completed(&self, config: &Config, job: &Job, request: &JobRequest) -> (Cow<'_, Self>, Vec<TargetRef>) {
        let (mut facts, mut missing) = (Cow::Borrowed(self), self.missing(config, request));
        for target in &missing {
            if let Some(found) = facts_without_lookup(config, job, target) {
                facts.to_mut().targets.extend(found.into_iter().map(|found| (target.clone(), found)));
            }
        }
        // What was added may name others.
        if let Cow::Owned(facts) = &facts {
            missing = facts.missing(config, request);
        }
        if config.facts.are_configured() && !facts.targets.is_empty() {
            for (_, found) in &mut facts.to_mut().targets {
                unasked::fill(config, job, found);
            }
        }
        (facts, missing)
    }
}

/// Which of what is asked speaks for the whole: the weightiest that is denied, first where that is carried out; else what
/// would have been; else the weightiest that is allowed.
fn speaker(config: &Config, request: &JobRequest, judged: &[Judged<'_>]) -> Option<usize> {
    let is_hoped = |at: usize| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
    let each = || judged.iter().enumerate();
    let weight = |(_, one): &(usize, &Judged<'_>)| one.question.access.action;
    let denied = each()
        .filter(|(at, one)| !one.is_allowed() && !is_hoped(*at))
        .max_by_key(|(at, one)| (one.is_enforced_denial(config), weight(&(*at, *one))));
    let observed = || each().filter(|(_, one)| one.observed.is_some()).max_by_key(weight);
    let allowed = || each().filter(|(_, one)| one.is_allowed()).max_by_key(weight);
    denied.or_else(observed).or_else(allowed).map(|(at, _)| at)
}

/// All that is asked must be allowed, but for what a client merely hopes for. What is allowed goes on as `exchanged` says.
fn combine(
    config: &Config,
    request: &JobRequest,
    job: &Job,
    exchanged: Option<Grant>,
    judged: &[Judged<'_>],
) -> Decision {
    let is_hoped = |at: usize| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
    let each = || judged.iter().enumerate();
    let Some(one) = speaker(config, request, judged).and_then(|at| judged.get(at)) else {
        return failed(config, request.protocol, Failure::Doubt);
    };
    let speaks = one.speaks();
    let (Verdict::Allow(reason) | Verdict::Deny(reason)) = speaks.verdict;
    let mut record = Record {
        job: job.id.0.to_string(),
        user: user_name(job),
        origin: job.origin.path.to_string(),
        target: target_name(one.question.access, Some(&job.origin), one.question.standing),
        action: one.question.access.action.name(),
        verdict: ALLOW,
        reason: reason.code(),
        rule: rule_name(speaks, one.written),
    };
    let cause = Cause::Rule(reason);
    let action = one.question.access.action;
    let is_stripped = action == Action::Unlisted && config.forge.unlisted_endpoints == UnlistedEndpoints::Strip;
    if (one.is_allowed() && action == Action::ReadPublic) || (!one.is_allowed() && is_stripped) {
        return strip(config, request, record);
    }
    // A team enforces project by project: where no target that is enforced denies it, the request goes on.
    if one.is_allowed() || !each().any(|(at, one)| one.is_enforced_denial(config) && !is_hoped(at)) {
        if one.observed.is_some() || !one.is_allowed() {
            record.verdict = OBSERVED;
        } else if let Some(grant) = exchanged {
            return Decision { outcome: Outcome::Forward(grant), record, cause };
        }
        // What a client merely hopes for of a target that is enforced stays out; nothing is changed in what is observed.
        let goes_on = |at: usize| judged.get(at).is_some_and(|one| !one.is_enforced_denial(config));
        let narrowed = || request.scopes.as_ref().and_then(|scopes| scopes.narrowed(goes_on));
        let path = if config.mode == Mode::Observe { None } else { narrowed() };
        return Decision { outcome: Outcome::Forward(Grant { path, ..Grant::default() }), record, cause };
    }
    let known = one
        .question
        .standing
        .filter(|standing| rules::may_know(job.user.as_ref(), standing))
        .map(|known| &known.target);
    let subject = match (known.map(|target| (&target.path, target.id)), looks_at_target(config, one.question.access)) {
        (Some((Some(target), id)), _) => reply::Subject::Known { origin: &job.origin, target, id },
        // What does not depend on a target hides nothing.
        (None, false) => reply::Subject::None,
        (Some((None, _)) | None, _) => reply::Subject::Hidden,
    };
    let denied = reply::Denied {
        protocol: request.protocol,
        kind: config.forge.kind,
        answers: config.forge.answers,
        action,
        role: one.question.need.role,
        reason,
        written: one.written,
    };
    let decision = denial(Mode::Enforce, record, cause, reply::rule(&denied, &subject));
    match &request.bare {
        // Go asks for every path above a package, and goes on at an anonymous visitor's answer.
        Some(bare) if action == Action::GoGet => {
            Decision { outcome: Outcome::Forward(without_token(bare)), ..decision }
        }
        _ => decision,
    }
}

fn rule_name(ruling: Ruling, written: Option<&str>) -> Cow<'static, str> {
    let id = RULES.get(ruling.rule).map_or("-", |rule| rule.id);
    written.map_or(Cow::Borrowed(id), |written| Cow::Owned(alloc::format!("{id}:{written}")))
}

fn without_token(bare: &Bare) -> Grant {
    Grant { path: bare.path.clone(), without: bare.headers.clone(), slot: None }
}

/// A job whose token the forge does not know asks for something to which no credential is added.
fn refuse_exchange(config: &Config, request: &JobRequest, reason: Reason, job: &Job) -> Decision {
    let record = token_record(request, reason.code(), Some(job));
    let denied = reply::Denied {
        protocol: request.protocol,
        kind: config.forge.kind,
        answers: config.forge.answers,
        action: request.accesses.first().map_or(Action::Unlisted, |access| access.action),
        role: Role::None,
        reason,
        written: None,
    };
    let mode = concern::of_request(config, request, Some(job));
    denial(mode, record, Cause::Rule(reason), reply::rule(&denied, &reply::Subject::None))
}

/// An endpoint that no job token is for gets the request without one.
fn strip(config: &Config, request: &JobRequest, record: Record) -> Decision {
    let reason = if request.bare.is_some() { Reason::Stripped } else { Reason::TokenInBody };
    let record = Record { reason: reason.code(), ..record };
    let cause = Cause::Rule(reason);
    let mode = config.mode_of(Concern::Unlisted);
    match (&request.bare, mode) {
        (Some(bare), Mode::Enforce) => Decision { outcome: Outcome::Forward(without_token(bare)), record, cause },
        // Nothing is changed while decisions are only observed.
        (Some(_), Mode::Observe) | (None, _) => {
            let denied = reply::Denied {
                protocol: request.protocol,
                kind: config.forge.kind,
                answers: config.forge.answers,
                action: Action::Unlisted,
                role: Role::None,
                reason,
                written: None,
            };
            denial(mode, record, cause, reply::rule(&denied, &reply::Subject::None))
        }
    }
}

fn target_name(access: &Access, origin: Option<&Origin>, standing: Option<&Standing>) -> String {
    let own = origin.filter(|_| access.target == TargetRef::Own).map(|origin| &origin.path);
    let path = standing.and_then(|standing| standing.target.path.as_ref()).or(own).map(ToString::to_string);
    path.or_else(|| written_target(&access.target)).unwrap_or_else(|| "-".into())
}

/// A target in the words of the request, where it names one.
fn written_target(target: &TargetRef) -> Option<String> {
    match target {
        TargetRef::Path(path) => Some(path.to_string()),
        TargetRef::Id(id) => Some(alloc::format!("#{}", id.0)),
        TargetRef::Group(path) => Some(alloc::format!("group {path}")),
        TargetRef::Held(holding) => Some(match &holding.group {
            GroupRef::Path(path) => alloc::format!("group {path}"),
            GroupRef::Namespace(path) => alloc::format!("namespace {path}"),
            GroupRef::Id(id) => alloc::format!("group #{}", id.0),
        }),
        TargetRef::Job(job) | TargetRef::ProjectOfJob(job) => Some(alloc::format!("job #{}", job.0)),
        TargetRef::Image(candidates) => candidates.first().map(ToString::to_string),
        TargetRef::Own | TargetRef::None => None,
    }
}

/// A runner reports on a job that is not known to run. That takes nobody's right, and only the forge can tell whether the
/// report is still to count: it has each by the job's number, and compares the token.
fn reported(request: &JobRequest, token: Option<&Token>) -> Decision {
    let job = if let Some(Token::Ended(job)) = token { job.as_ref() } else { None };
    let record = token_record(request, Reason::RunnerReport.code(), job);
    let outcome = Outcome::Forward(Grant::default());
    Decision { outcome, record, cause: Cause::Rule(Reason::RunnerReport) }
}

fn refuse_token(config: &Config, request: &JobRequest, reason: Reason, job: Option<&Job>) -> Decision {
    let record = token_record(request, reason.code(), job);
    let mode = concern::of_request(config, request, job);
    denial(mode, record, Cause::Rule(reason), reply::token(request.protocol, reason))
}

/// What is recorded where the token decides, and not what is asked.
fn token_record(request: &JobRequest, reason: &'static str, job: Option<&Job>) -> Record {
    let access = request.accesses.first();
    let mut record = bare_record(access.map_or("-", |access| access.action.name()), reason);
    if let Some(job) = job {
        record.job = job.id.0.to_string();
        record.user = user_name(job);
        record.origin = job.origin.path.to_string();
    }
    if let Some(access) = access {
        record.target = target_name(access, job.map(|job| &job.origin), None);
    }
    record
}

/// A job's, or perhaps one, of which it is not remembered whose: the client is to get another one. How, a registry says
/// in the challenge that it answers to a request without a credential.
fn unrecorded(config: &Config, request: &JobRequest) -> Decision {
    let decision = refuse_token(config, request, Reason::TokenUnrecorded, None);
    // Nothing is changed while decisions are only observed.
    if request.protocol != Protocol::Registry || matches!(decision.outcome, Outcome::Forward(_)) {
        return decision;
    }
    let grant = Grant { without: alloc::vec!["authorization".into()], ..Grant::default() };
    Decision { outcome: Outcome::Forward(grant), ..decision }
}

fn user_name(job: &Job) -> String {
    job.user.as_ref().map_or_else(|| "-".into(), |user| user.name.clone())
}

/// The decision on a request that cannot be read, and of which nobody knows whose it is.
#[must_use]
pub fn refused(config: &Config, refused: &Refused) -> Decision {
    let Refused { protocol, malformed, .. } = *refused;
    denial(
        config.mode_of(Concern::Unreadable),
        bare_record("-", malformed.code()),
        Cause::Malformed(malformed),
        reply::malformed(protocol, malformed),
    )
}

/// The decision on a request that cannot be read, and of which that may be known.
fn unread(config: &Config, request: &JobRequest, facts: &Facts, malformed: Malformed) -> Decision {
    let record = token_record(request, malformed.code(), facts.job());
    let mode = config.mode_of(Concern::Unreadable);
    denial(mode, record, Cause::Malformed(malformed), reply::malformed(request.protocol, malformed))
}

/// The decision on a request when a fact about it cannot be had, or something failed here. What cannot be read is
/// refused for that, whoever it is.
#[must_use]
pub fn missed(config: &Config, request: &JobRequest, facts: &Facts, failure: Failure) -> Decision {
    if let Claim::Unread(malformed) = request.claim {
        return unread(config, request, facts, malformed);
    }
    let record = token_record(request, failure.code(), facts.job());
    // Who asks too much must not choose what is only observed.
    let mode = if failure.is_of_too_much() { config.mode } else { concern::of_request(config, request, facts.job()) };
    denial(mode, record, Cause::Failure(failure), reply::failure(request.protocol, failure))
}

/// The decision when nothing is known of a request, and the host or we failed. It may be about a project that is enforced,
/// whatever else is only observed.
#[must_use]
pub fn failed(config: &Config, protocol: Protocol, failure: Failure) -> Decision {
    let record = bare_record("-", failure.code());
    denial(config.mode, record, Cause::Failure(failure), reply::failure(protocol, failure))
}

fn bare_record(action: &'static str, reason: &'static str) -> Record {
    let none = || String::from("-");
    Record {
        job: none(),
        user: none(),
        origin: none(),
        target: none(),
        action,
        verdict: ALLOW,
        reason,
        rule: "-".into(),
    }
}

fn denial(mode: Mode, mut record: Record, cause: Cause, reply: Reply) -> Decision {
    let (outcome, verdict) = match mode {
        Mode::Enforce => (Outcome::Reply(reply), DENY),
        Mode::Observe => (Outcome::Forward(Grant::default()), OBSERVED),
    };
    record.verdict = verdict;
    Decision { outcome, record, cause }
}

#[cfg(test)]
mod tests;

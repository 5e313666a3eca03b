//! One request, judged: what was decided, by which rule, for which reason, and what to carry out.
//!
//! A job's request goes on only with a [`Grant`], and only this room makes one.

mod seen;
mod unasked;

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::access::{Access, Action, Protocol, Sought, TargetRef};
use crate::choices::{Mode, PackageIndexes, UnlistedEndpoints};
use crate::config::Config;
use crate::facts::{Found, GroupRef, Holders, Invalid, Job, JobId, ProjectId, Role, Standing, Token};
pub use crate::failure::Failure;
use crate::reply::{self, Reply};
use crate::request::{Bare, Claim, JobRequest, Malformed, Refused};
use crate::rules::{self, Effect, Held, Question, RULES, Reach, Reason, Ruling, Verdict, Walk};

pub use seen::Seen;
pub use unasked::facts_without_lookup;

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
    /// The rules that were tried, where it came to that, and what each said.
    pub walk: Option<Walk>,
    /// What the rules saw of the target, where there is one.
    pub seen: Option<Seen>,
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

    /// The facts and the way of the rules, in one line for logs: `role=guest ...; login: more is asked than a login; ...`.
    /// Empty where no rule was asked.
    #[must_use]
    pub fn why(&self) -> String {
        let Some(walk) = self.walk else { return String::new() };
        let facts = self.seen.iter().map(ToString::to_string);
        let tried = walk.tried().map(|(rule, answer)| alloc::format!("{}: {}", rule.id, answer.why(rule)));
        facts.chain(tried).collect::<Vec<_>>().join("; ")
    }
}

/// Decides on a job's request, or says what is missing.
#[must_use]
pub fn decide(config: &Config, request: &JobRequest, facts: &Facts) -> Step {
    let job = match (&facts.token, request.claim) {
        // Nobody can be asked: it was not seen being made, so it is a person's, unless it may be a job's by what it says.
        (None, Claim::Minted(_)) if !request.may_be_jobs(&config.forge) => return Step::NotAJob,
        (Some(Token::Invalid(Invalid::Foreign)), Claim::Unmarked(_) | Claim::Minted(_)) => return Step::NotAJob,
        (None | Some(Token::Invalid(_) | Token::Ended(_)), Claim::Marked) if request.is_runners_report() => {
            return Step::Decided(reported(request, facts.token.as_ref()));
        }
        (None, Claim::Marked | Claim::Unmarked(_)) => return Step::NeedsToken,
        (_, Claim::Unmarked(Some(malformed)) | Claim::Minted(Some(malformed))) => {
            return Step::Decided(refused(config, Refused { protocol: request.protocol, malformed }));
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
    let facts = &*facts.completed(config, job, request);
    let missing = facts.missing(config, request);
    if !missing.is_empty() {
        return Step::NeedsTargets(job.clone(), missing);
    }
    let judged: Vec<Judged<'_>> = request.accesses.iter().map(|access| judge(config, job, access, facts)).collect();
    Step::Decided(combine(config, request, job, &judged))
}

impl Facts {
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

    /// With what the configuration says of targets, and what is known of the missing ones without asking anybody.
    fn completed(&self, config: &Config, job: &Job, request: &JobRequest) -> Cow<'_, Self> {
        let mut facts = Cow::Borrowed(self);
        for target in self.missing(config, request) {
            if let Some(found) = facts_without_lookup(config, job, &target) {
                facts.to_mut().targets.extend(found.into_iter().map(|found| (target.clone(), found)));
            }
        }
        if config.facts.are_configured() && !facts.targets.is_empty() {
            for (_, found) in &mut facts.to_mut().targets {
                unasked::fill(config, job, found);
            }
        }
        facts
    }
}

/// One thing asked, judged.
struct Judged<'a> {
    question: Question<'a>,
    /// What is carried out.
    ruling: Ruling,
    /// The denial of a rule that is only observed: what would have been, were it enforced.
    observed: Option<Ruling>,
    /// The rule of the configuration behind the ruling that speaks.
    written: Option<&'a str>,
}

impl Judged<'_> {
    fn is_allowed(&self) -> bool {
        matches!(self.ruling.verdict, Verdict::Allow(_))
    }

    /// Whether decisions on its target are only observed. A team enforces project by project.
    fn is_observed(&self, config: &Config) -> bool {
        let path = self.question.standing.and_then(|to| to.target.path.as_ref());
        path.is_some_and(|path| config.observe.targets.hold(path))
    }

    /// What is recorded: what would have been denied, else what was decided.
    fn speaks(&self) -> Ruling {
        self.observed.unwrap_or(self.ruling)
    }
}

/// Judges an access by the strictest of what may be true of its target.
fn judge<'a>(config: &'a Config, job: &'a Job, access: &'a Access, facts: &'a Facts) -> Judged<'a> {
    let strictness =
        |one: &Judged<'_>| (!one.is_allowed() && !one.is_observed(config), !one.is_allowed(), one.observed.is_some());
    let each = standings(config, access, facts)
        .into_iter()
        .map(|(held, standing)| judge_one(config, question(config, job, access, held, standing, &facts.dependencies)));
    each.reduce(|one, other| if strictness(&other) > strictness(&one) { other } else { one })
        .unwrap_or_else(|| judge_one(config, question(config, job, access, Held::Unknown, None, &facts.dependencies)))
}

fn judge_one<'a>(config: &'a Config, question: Question<'a>) -> Judged<'a> {
    let mut ruling = rules::judge(&question, &[]);
    let mut observed = None;
    // A rule that is observed denies nothing, but the rules behind it still do.
    let mut skipped: Vec<usize> = Vec::new();
    let is_observed = |ruling: &Ruling| {
        config.observe.rules.contains(&ruling.rule)
            || question.written.behind(ruling.verdict).is_some_and(|rule| rule.mode == Mode::Observe)
    };
    while matches!(ruling.verdict, Verdict::Deny(_)) && is_observed(&ruling) {
        observed = observed.or(Some(ruling));
        skipped.push(ruling.rule);
        ruling = rules::judge(&question, &skipped);
    }
    // Behind the role stands nothing but the last row, which is there for what nobody thought of.
    if observed.is_some() && ruling.verdict == Verdict::Deny(Reason::NothingMatched) {
        ruling.verdict = Verdict::Allow(Reason::LeftToForge);
    }
    if matches!(ruling.verdict, Verdict::Deny(_)) {
        observed = None;
    }
    let speaks = observed.unwrap_or(ruling);
    let written = question.written.behind(speaks.verdict).map(|rule| rule.id);
    Judged { question, ruling, observed, written }
}

/// What may stand where an access points to, and each that holds what it asks of a group; `None` for nothing there.
fn standings<'a>(config: &Config, access: &'a Access, facts: &'a Facts) -> Vec<(Held, Option<&'a Standing>)> {
    if !looks_at_target(config, access) {
        return Vec::new();
    }
    let mut standings = Vec::new();
    for found in facts.found(&access.target) {
        match found {
            Found::Standing(standing) => standings.push((Held::ByEach, Some(standing))),
            Found::Nothing => standings.push((Held::ByEach, None)),
            Found::Holders(Holders::All(projects)) if projects.is_empty() => standings.push((Held::ByNobody, None)),
            Found::Holders(Holders::All(projects)) => {
                standings.extend(projects.iter().map(|project| (Held::ByEach, facts.standing(*project))));
            }
            Found::Holders(Holders::TooMany(one)) => {
                standings.push((Held::ByTooMany, one.and_then(|project| facts.standing(project))));
            }
        }
    }
    standings
}

fn question<'a>(
    config: &'a Config,
    job: &'a Job,
    access: &'a Access,
    held: Held,
    standing: Option<&'a Standing>,
    dependencies: &'a [JobId],
) -> Question<'a> {
    let need = rules::needed(access, standing.map(|standing| &standing.target));
    let path = match need.reach {
        // The rules of the configuration know projects and no groups.
        Reach::AboveOrigin | Reach::Agents => Some(&job.origin.path),
        Reach::Admitted
        | Reach::Own
        | Reach::OwnWhateverRole
        | Reach::AdmittedOrOwn
        | Reach::WhereSet
        | Reach::Sources
        | Reach::Never
        | Reach::Itself
        | Reach::Nothing => standing.and_then(|standing| standing.target.path.as_ref()),
    };
    let written = config.access.say(job, path, access.action);
    let crate::config::Forge { dependency_proxy, kubernetes_agent, version, .. } = config.forge;
    let (entries, package_indexes) = (config.entries, config.package_indexes);
    Question {
        job,
        access,
        need,
        held,
        standing,
        dependencies,
        written,
        entries,
        dependency_proxy,
        kubernetes_agent,
        package_indexes,
        version,
    }
}

/// Whether the rules look at the target of an access at all.
fn looks_at_target(config: &Config, access: &Access) -> bool {
    let need = rules::need(access.action);
    match need.reach {
        Reach::Nothing | Reach::Itself | Reach::Never | Reach::AboveOrigin | Reach::Agents => false,
        Reach::Admitted
        | Reach::Own
        | Reach::OwnWhateverRole
        | Reach::AdmittedOrOwn
        | Reach::WhereSet
        | Reach::Sources => access.target.is_single() || (need.effect == Effect::Read && asks_holders(config, access)),
    }
}

/// Whether it is looked up who holds what an access asks of a group.
fn asks_holders(config: &Config, access: &Access) -> bool {
    let TargetRef::Held(holding) = &access.target else { return false };
    let is_asked = holding.sought != Sought::Everything || config.package_indexes == PackageIndexes::AllAdmitted;
    is_asked && config.facts.looked_up().next().is_some()
}

/// All that is asked must be allowed, but for what a client merely hopes for.
fn combine(config: &Config, request: &JobRequest, job: &Job, judged: &[Judged<'_>]) -> Decision {
    let is_hoped = |at: usize| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
    let each = || judged.iter().enumerate();
    // The weightiest thing that is denied speaks for the whole; else what would have been; else the weightiest that is
    // allowed.
    let weight = |(_, one): &(usize, &Judged<'_>)| one.question.access.action;
    let denied = each().filter(|(at, one)| !one.is_allowed() && !is_hoped(*at)).max_by_key(weight);
    let observed = || each().filter(|(_, one)| one.observed.is_some()).max_by_key(weight);
    let allowed = || each().filter(|(_, one)| one.is_allowed()).max_by_key(weight);
    let Some((_, one)) = denied.or_else(observed).or_else(allowed) else {
        return failed(config, request.protocol, Failure::Doubt);
    };
    let speaks = one.speaks();
    let (Verdict::Allow(reason) | Verdict::Deny(reason)) = speaks.verdict;
    let mut record = Record {
        job: job.id.0.to_string(),
        user: user_name(job),
        origin: job.origin.path.to_string(),
        target: target_name(one.question.access, job, one.question.standing),
        action: one.question.access.action.name(),
        verdict: ALLOW,
        reason: reason.code(),
        rule: rule_name(speaks, one.written),
    };
    let cause = Cause::Rule(reason);
    let walk = Some(speaks.walk);
    let seen = one.question.standing.map(|standing| Seen::of(standing, one.question.access.action));
    // Where none of the targets is enforced yet, the request goes on.
    let is_denied = |(at, one): &(usize, &Judged<'_>)| !one.is_allowed() && !is_hoped(*at);
    let action = one.question.access.action;
    if one.is_allowed() && action == Action::ReadPublic {
        return Decision { walk, ..strip(config, request, record) };
    }
    if one.is_allowed() || each().filter(is_denied).all(|(_, one)| one.is_observed(config)) {
        if one.observed.is_some() || !one.is_allowed() {
            record.verdict = OBSERVED;
        }
        // What a client merely hopes for of a target that is enforced stays out; nothing is changed in what is observed.
        let goes_on = |at: usize| judged.get(at).is_some_and(|one| one.is_allowed() || one.is_observed(config));
        let narrowed = || request.scopes.as_ref().and_then(|scopes| scopes.narrowed(goes_on));
        let path = if config.mode == Mode::Observe { None } else { narrowed() };
        return Decision { outcome: Outcome::Forward(Grant { path, without: Vec::new() }), record, cause, walk, seen };
    }
    if action == Action::Unlisted && config.forge.unlisted_endpoints == UnlistedEndpoints::Strip {
        return Decision { walk, ..strip(config, request, record) };
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
        answers: config.forge.answers,
        action,
        role: one.question.need.role,
        reason,
        written: one.written,
    };
    let decision = Decision { walk, seen, ..denial(config, record, cause, reply::rule(&denied, &subject)) };
    match (&request.bare, config.mode) {
        // Go asks for every path above a package, and goes on at an anonymous visitor's answer.
        (Some(bare), Mode::Enforce) if action == Action::GoGet => {
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
    Grant { path: bare.path.clone(), without: bare.headers.clone() }
}

/// An endpoint that no job token is for gets the request without one.
fn strip(config: &Config, request: &JobRequest, record: Record) -> Decision {
    let reason = if request.bare.is_some() { Reason::Stripped } else { Reason::TokenInBody };
    let record = Record { reason: reason.code(), ..record };
    let cause = Cause::Rule(reason);
    match (&request.bare, config.mode) {
        (Some(bare), Mode::Enforce) => {
            Decision { outcome: Outcome::Forward(without_token(bare)), record, cause, walk: None, seen: None }
        }
        // Nothing is changed while decisions are only observed.
        (Some(_), Mode::Observe) | (None, _) => {
            let denied = reply::Denied {
                protocol: request.protocol,
                answers: config.forge.answers,
                action: Action::Unlisted,
                role: Role::None,
                reason,
                written: None,
            };
            denial(config, record, cause, reply::rule(&denied, &reply::Subject::None))
        }
    }
}

fn target_name(access: &Access, job: &Job, standing: Option<&Standing>) -> String {
    match (standing.and_then(|standing| standing.target.path.as_ref()), &access.target) {
        (Some(path), _) => path.to_string(),
        (None, TargetRef::Own) => job.origin.path.to_string(),
        (None, target) => written_target(target).unwrap_or_else(|| "-".into()),
    }
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
    let record = token_record(request, Reason::RunnerReport, job);
    let named = request.accesses.first().and_then(|access| written_target(&access.target));
    let record = Record { target: named.unwrap_or(record.target), ..record };
    let outcome = Outcome::Forward(Grant::default());
    Decision { outcome, record, cause: Cause::Rule(Reason::RunnerReport), walk: None, seen: None }
}

fn refuse_token(config: &Config, request: &JobRequest, reason: Reason, job: Option<&Job>) -> Decision {
    let record = token_record(request, reason, job);
    denial(config, record, Cause::Rule(reason), reply::token(request.protocol, reason))
}

/// What is recorded where the token decides, and not what is asked.
fn token_record(request: &JobRequest, reason: Reason, job: Option<&Job>) -> Record {
    let access = request.accesses.first();
    let mut record = bare_record(access.map_or("-", |access| access.action.name()), reason.code());
    if let (Some(job), Some(access)) = (job, access) {
        record.job = job.id.0.to_string();
        record.user = user_name(job);
        record.origin = job.origin.path.to_string();
        record.target = target_name(access, job, None);
    }
    record
}

/// A job's, or perhaps one, of which it is not remembered whose: the client is to get another one. How, a registry says
/// in the challenge that it answers to a request without a credential.
fn unrecorded(config: &Config, request: &JobRequest) -> Decision {
    let decision = refuse_token(config, request, Reason::TokenUnrecorded, None);
    // Nothing is changed while decisions are only observed.
    if request.protocol != Protocol::Registry || config.mode == Mode::Observe {
        return decision;
    }
    let grant = Grant { path: None, without: alloc::vec!["authorization".into()] };
    Decision { outcome: Outcome::Forward(grant), ..decision }
}

fn user_name(job: &Job) -> String {
    job.user.as_ref().map_or_else(|| "-".into(), |user| user.name.clone())
}

/// The decision on a request that cannot be read.
#[must_use]
pub fn refused(config: &Config, refused: Refused) -> Decision {
    let record = bare_record("-", refused.malformed.code());
    denial(config, record, Cause::Malformed(refused.malformed), reply::malformed(refused.protocol, refused.malformed))
}

/// The decision when a fact cannot be had, or the host or we failed.
#[must_use]
pub fn failed(config: &Config, protocol: Protocol, failure: Failure) -> Decision {
    let record = bare_record("-", failure.code());
    denial(config, record, Cause::Failure(failure), reply::failure(protocol, failure))
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

fn denial(config: &Config, mut record: Record, cause: Cause, reply: Reply) -> Decision {
    let (outcome, verdict) = match config.mode {
        Mode::Enforce => (Outcome::Reply(reply), "deny"),
        Mode::Observe => (Outcome::Forward(Grant::default()), OBSERVED),
    };
    record.verdict = verdict;
    Decision { outcome, record, cause, walk: None, seen: None }
}

#[cfg(test)]
mod tests;

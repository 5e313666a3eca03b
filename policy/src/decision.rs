//! One request, judged: what was decided, by which rule, for which reason, and what to carry out.
//!
//! A job's request goes on only with a [`Grant`], and only this room makes one.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::coded::coded;
use crate::config::{Config, Mode, UnlistedEndpoints};
use crate::facts::{Found, Job, Standing, Token};
use crate::reply::{self, Reply};
use crate::request::{Access, Action, Claim, JobRequest, Malformed, Protocol, Refused, TargetRef};
use crate::rules::{self, Question, RULES, Reach, Reason, Rule, Ruling, Verdict};

/// What is known when a decision is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who the token is.
    pub token: Option<Token>,
    /// What is known of targets.
    pub targets: Vec<(TargetRef, Found)>,
}

/// The verdict of a request that goes on because it may.
const ALLOW: &str = "allow";

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

coded! {
    /// What failed on our side of the wire. Each fails closed.
    Failure {
        LookupTimeout "lookup.timeout" "the token lookup did not answer in time"
        LookupUnreachable "lookup.unreachable" "the token lookup cannot be reached"
        LookupAnswer "lookup.answer" "the token lookup answered something else than facts"
        LookupRights "lookup.rights" "the service account may not read what the lookup needs"
        NotConfigured "configuration.missing" "the filter has no configuration"
        Host "host.failed" "the proxy refused a call"
        Doubt "internal.doubt" "the filter met a state that it does not know"
    }
}

/// The right to let one request go on. Made by a decision alone.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The rule's id; `-` where none was asked.
    pub rule: &'static str,
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
    /// How many rules were asked.
    asked: usize,
}

impl Decision {
    /// Whether it denies, also where that is only observed.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.record.verdict != ALLOW
    }

    /// The rules that were asked, in order; the last one answered, the others did not apply.
    #[must_use]
    pub fn walk(&self) -> &'static [Rule] {
        RULES.get(..self.asked).unwrap_or(RULES)
    }
}

/// Decides on a job's request, or says what is missing.
#[must_use]
pub fn decide(config: &Config, request: &JobRequest, facts: &Facts) -> Step {
    let job = match (&facts.token, request.claim) {
        (None, _) => return Step::NeedsToken,
        (Some(Token::Foreign), Claim::Unmarked(_)) => return Step::NotAJob,
        (Some(_), Claim::Unmarked(Some(malformed))) => {
            return Step::Decided(refused(config, Refused { protocol: request.protocol, malformed }));
        }
        (Some(Token::Running(job)), _) => job,
        // What says of itself that it is a job's, and is no job's, is nobody's.
        (Some(Token::Unknown | Token::Foreign), _) => {
            return Step::Decided(refuse_token(config, request, Reason::TokenUnknown, None));
        }
        (Some(Token::Ended(job)), _) => {
            return Step::Decided(refuse_token(config, request, Reason::TokenEnded, job.as_ref()));
        }
        (Some(Token::UserRefused), _) => {
            return Step::Decided(refuse_token(config, request, Reason::UserRefused, None));
        }
    };
    let found = |target: &TargetRef| {
        // An image that is in no project's path: nobody needs to be asked.
        if matches!(target, TargetRef::Image(candidates) if candidates.is_empty()) {
            return Some(&Found::Nothing);
        }
        facts.targets.iter().find(|(known, _)| known == target).map(|(_, found)| found)
    };
    let mut missing: Vec<TargetRef> = Vec::new();
    for access in request.accesses.iter().filter(|access| looks_at_target(access)) {
        if found(&access.target).is_none() && !missing.contains(&access.target) {
            missing.push(access.target.clone());
        }
    }
    if !missing.is_empty() {
        return Step::NeedsTargets(job.clone(), missing);
    }
    let rulings: Vec<(Ruling, Option<&Standing>)> = request
        .accesses
        .iter()
        .map(|access| {
            let standing = match found(&access.target) {
                Some(Found::Standing(standing)) if looks_at_target(access) => Some(standing),
                _ => None,
            };
            let question = Question { job, access, need: rules::need(access.action), standing };
            (rules::judge(&question), standing)
        })
        .collect();
    Step::Decided(combine(config, request, job, &rulings))
}

/// Whether the rules look at the target of an access at all.
fn looks_at_target(access: &Access) -> bool {
    match rules::need(access.action).reach {
        Reach::Nothing | Reach::Itself | Reach::Never => false,
        Reach::Admitted
        | Reach::Own
        | Reach::OwnWhateverRole
        | Reach::AdmittedOrOwn
        | Reach::OwnIfSet
        | Reach::Sources => access.target.is_single(),
    }
}

/// All that is asked must be allowed, but for what a client merely hopes for.
fn combine(config: &Config, request: &JobRequest, job: &Job, rulings: &[(Ruling, Option<&Standing>)]) -> Decision {
    let is_allowed = |at: usize| matches!(rulings.get(at), Some((Ruling { verdict: Verdict::Allow(_), .. }, _)));
    let is_hoped = |at: usize| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
    let judged = request.accesses.iter().zip(rulings).enumerate();
    // The weightiest thing that is denied speaks for the whole; else the weightiest that is allowed.
    let denied = judged.clone().filter(|(at, _)| !is_allowed(*at) && !is_hoped(*at));
    let allowed = judged.filter(|(at, _)| is_allowed(*at));
    let weightiest = denied.max_by_key(|(_, (access, _))| access.action);
    let speaks = weightiest.or_else(|| allowed.max_by_key(|(_, (access, _))| access.action));
    let Some((_, (access, (ruling, standing)))) = speaks else {
        return failed(config, request.protocol, Failure::Doubt);
    };
    let (Verdict::Allow(reason) | Verdict::Deny(reason)) = ruling.verdict;
    let record = Record {
        job: job.id.0.to_string(),
        user: user_name(job),
        origin: job.origin.path.to_string(),
        target: target_name(access, job, *standing),
        action: access.action.name(),
        verdict: ALLOW,
        reason: reason.code(),
        rule: RULES.get(ruling.rule).map_or("-", |rule| rule.id),
    };
    let asked = ruling.rule.saturating_add(1);
    match ruling.verdict {
        Verdict::Allow(_) => {
            let path = request.scopes.as_ref().and_then(|scopes| scopes.narrowed(is_allowed));
            Decision {
                outcome: Outcome::Forward(Grant { path, without: Vec::new() }),
                record,
                cause: Cause::Rule(reason),
                asked,
            }
        }
        Verdict::Deny(_)
            if access.action == Action::Unlisted && config.forge.unlisted_endpoints == UnlistedEndpoints::Strip =>
        {
            strip(config, request, record, asked)
        }
        Verdict::Deny(_) => {
            let may_know = standing.is_some_and(|standing| rules::may_know(job.user.as_ref(), standing));
            let subject = match (standing, may_know) {
                (Some(standing), true) => reply::Subject::Known { origin: &job.origin, target: &standing.target },
                // What does not depend on a target hides nothing.
                (None, _) if !looks_at_target(access) => reply::Subject::None,
                _ => reply::Subject::Hidden,
            };
            denial(config, record, Cause::Rule(reason), asked, reply::rule(request.protocol, reason, &subject))
        }
    }
}

/// An endpoint that no job token is for gets the request without one.
fn strip(config: &Config, request: &JobRequest, record: Record, asked: usize) -> Decision {
    let reason = if request.bare.is_some() { Reason::Stripped } else { Reason::TokenInBody };
    let record = Record { reason: reason.code(), ..record };
    let cause = Cause::Rule(reason);
    match (&request.bare, config.mode) {
        (Some(bare), Mode::Enforce) => {
            let grant = Grant { path: bare.path.clone(), without: bare.headers.clone() };
            Decision { outcome: Outcome::Forward(grant), record, cause, asked }
        }
        // Nothing is changed while decisions are only observed.
        (Some(_), Mode::Observe) | (None, _) => {
            denial(config, record, cause, asked, reply::rule(request.protocol, reason, &reply::Subject::None))
        }
    }
}

fn target_name(access: &Access, job: &Job, standing: Option<&Standing>) -> String {
    match (standing, &access.target) {
        (Some(standing), _) => standing.target.path.to_string(),
        (None, TargetRef::Own) => job.origin.path.to_string(),
        (None, TargetRef::Path(path)) => path.to_string(),
        (None, TargetRef::Id(id)) => alloc::format!("#{}", id.0),
        (None, TargetRef::Group(path)) => alloc::format!("group {path}"),
        (None, TargetRef::Namespace(path)) => alloc::format!("namespace {path}"),
        (None, TargetRef::GroupId(id)) => alloc::format!("group #{}", id.0),
        (None, TargetRef::Job(job) | TargetRef::ProjectOfJob(job)) => alloc::format!("job #{}", job.0),
        (None, TargetRef::Image(candidates)) => candidates.first().map_or_else(|| "-".into(), ToString::to_string),
        (None, TargetRef::None) => "-".into(),
    }
}

fn refuse_token(config: &Config, request: &JobRequest, reason: Reason, job: Option<&Job>) -> Decision {
    let access = request.accesses.first();
    let mut record = bare_record(access.map_or("-", |access| access.action.name()), reason.code());
    if let (Some(job), Some(access)) = (job, access) {
        record.job = job.id.0.to_string();
        record.user = user_name(job);
        record.origin = job.origin.path.to_string();
        record.target = target_name(access, job, None);
    }
    denial(config, record, Cause::Rule(reason), 0, reply::token(request.protocol, reason))
}

fn user_name(job: &Job) -> String {
    job.user.as_ref().map_or_else(|| "-".into(), |user| user.name.clone())
}

/// The decision on a request that cannot be read.
#[must_use]
pub fn refused(config: &Config, refused: Refused) -> Decision {
    let record = bare_record("-", refused.malformed.code());
    denial(
        config,
        record,
        Cause::Malformed(refused.malformed),
        0,
        reply::malformed(refused.protocol, refused.malformed),
    )
}

/// The decision when a fact cannot be had, or the host or we failed.
#[must_use]
pub fn failed(config: &Config, protocol: Protocol, failure: Failure) -> Decision {
    let record = bare_record("-", failure.code());
    denial(config, record, Cause::Failure(failure), 0, reply::failure(protocol, failure))
}

fn bare_record(action: &'static str, reason: &'static str) -> Record {
    let none = || String::from("-");
    Record { job: none(), user: none(), origin: none(), target: none(), action, verdict: ALLOW, reason, rule: "-" }
}

fn denial(config: &Config, mut record: Record, cause: Cause, asked: usize, reply: Reply) -> Decision {
    let (outcome, verdict) = match config.mode {
        Mode::Enforce => (Outcome::Reply(reply), "deny"),
        Mode::Observe => (Outcome::Forward(Grant { path: None, without: Vec::new() }), "observe-deny"),
    };
    record.verdict = verdict;
    Decision { outcome, record, cause, asked }
}

#[cfg(test)]
mod tests;

//! Why a decision fell as it did, as data for logs: what was asked, what was known and since when, and what each rule
//! said. It is made by judging once more: a decision that nobody wants explained costs nothing for it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::{Map, Value, json};

use super::judged::{Judged, judge};
use super::shape::SHAPE_VERSION;
use super::{ALLOW, DENY, Facts, OBSERVED, evidence, speaker, written_target};
use crate::access::{Access, TargetRef};
use crate::choices::Mode;
use crate::config::{Config, RuleKind, Source};
use crate::facts::{
    Admission, Affiliation, Grants, Job, Level, Lifetime, Link, Outbound, Role, Standing, Token, Visibility,
};
use crate::request::JobRequest;
use crate::rules::{self, Effect, Need, Needed, Open, Reason, Verdict};

/// The most that is told of what is asked, and of what denies it: a line of a log has an end.
const MOST_ASKED: usize = 16;
const MOST_DENIALS: usize = 32;

/// What has no bound of its own is left out of a longer account.
const LONGEST: usize = 32 << 10;

/// How long ago facts were looked up, as far as that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ages {
    /// What the token is.
    pub token: Option<Duration>,
    /// The parts of each target.
    pub targets: Vec<(TargetRef, [(Lifetime, Duration); 3])>,
}

/// The account of a decision on this request by these facts, in JSON: see [`super::SHAPE`].
#[must_use]
pub fn why(config: &Config, case: Option<(&JobRequest, &Facts)>, ages: &Ages) -> String {
    let job = case.and_then(|(_, facts)| facts.job());
    let asked = case.map(|(request, facts)| asked(config, request, facts, ages));
    let more = case.map(|(request, _)| request.accesses.len().saturating_sub(MOST_ASKED)).filter(|more| *more > 0);
    let user = job.and_then(|job| job.user.as_ref().map(|user| (user, job.context.on_behalf_of)));
    let mut why = object([
        ("version", Some(json!(SHAPE_VERSION))),
        ("filter", Some(json!(env!("CARGO_PKG_VERSION")))),
        ("configuration", Some(json!(config.revision))),
        ("mode", Some(json!(config.mode.name()))),
        ("protocol", case.map(|(request, _)| json!(request.protocol.name()))),
        ("token", case.and_then(|(_, facts)| Some(token(facts.token.as_ref()?, ages)))),
        ("job", job.map(circumstances)),
        (
            "user",
            user.map(|(user, other)| {
                let other = other.map(|other| json!(other.0));
                object([("id", Some(json!(user.id.0))), ("name", Some(json!(user.name))), ("on_behalf_of", other)])
            }),
        ),
        ("origin", job.map(|job| json!({"id": job.origin.id.0, "path": job.origin.path.as_str()}))),
        ("asked", asked.map(Value::from)),
        ("more", more.map(Value::from)),
        ("evidence", case.and_then(|(request, facts)| evidence::write(config, request, facts))),
    ]);
    let text = why.to_string();
    if text.len() <= LONGEST {
        return text;
    }
    drop(why.as_object_mut().and_then(|why| why.remove("evidence")));
    why.to_string()
}

/// An object of what is known.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let known = members.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?)));
    Value::Object(known.collect::<Map<_, _>>())
}

fn seconds(age: Duration) -> Value {
    json!(age.as_secs())
}

fn token(token: &Token, ages: &Ages) -> Value {
    let (state, source) = match token {
        Token::Running(_) => ("running", Some("lookup")),
        Token::Ended(_) => ("ended", Some("end")),
        Token::Forgotten => ("forgotten", None),
        Token::Invalid(invalid) => (invalid.name(), Some("lookup")),
    };
    let age = ages.token.filter(|_| source.is_some()).map(seconds);
    object([("state", Some(json!(state))), ("source", source.map(Value::from)), ("age", age)])
}

fn circumstances(job: &Job) -> Value {
    let context = &job.context;
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    object([
        ("id", Some(json!(job.id.0))),
        ("ref", text(&context.git_ref)),
        ("protected", context.protected.map(Value::from)),
        ("environment", text(&context.environment)),
        ("source", text(&context.source)),
        ("runner", context.runner.map(|runner| json!(runner.0))),
        ("fork", context.fork.map(Value::from)),
    ])
}

/// What is asked, first what speaks for the whole.
fn asked(config: &Config, request: &JobRequest, facts: &Facts, ages: &Ages) -> Vec<Value> {
    let accesses = request.accesses.iter();
    let (Some(Token::Running(job)), None) = (&facts.token, request.claim.malformed()) else {
        return accesses.take(MOST_ASKED).map(named).collect();
    };
    let facts = &*facts.completed(config, job, request);
    if !facts.missing(config, request).is_empty() {
        return accesses.take(MOST_ASKED).map(named).collect();
    }
    let judged: Vec<Judged<'_>> = accesses.map(|access| judge(config, job, access, facts)).collect();
    let first = speaker(config, request, &judged).unwrap_or_default();
    let others = judged.iter().enumerate().filter(|(at, _)| *at != first);
    let mut room = MOST_DENIALS;
    let mut asked = Vec::new();
    for (at, one) in judged.iter().enumerate().filter(|(at, _)| *at == first).chain(others).take(MOST_ASKED) {
        let mut told = told(config, one, ages, &mut room);
        let is_hoped = request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
        let mut add = |name: &str, value| drop(told.as_object_mut().map(|told| told.insert(name.to_string(), value)));
        if is_hoped {
            add("hoped", json!(true));
        }
        if at == first {
            add("rules", answers(one));
        }
        asked.push(told);
    }
    asked
}

/// Of what nothing was judged.
fn named(access: &Access) -> Value {
    object([("action", Some(json!(access.action.name()))), ("named", written_target(&access.target).map(Value::from))])
}

fn told(config: &Config, one: &Judged<'_>, ages: &Ages, room: &mut usize) -> Value {
    let question = &one.question;
    let (access, standing, origin) = (question.access, question.standing, &question.job.origin);
    let is_own = matches!(access.target, TargetRef::Own);
    let target = standing.map(|standing| &standing.target);
    let id = target.and_then(|target| target.id).or(is_own.then_some(origin.id));
    let path = target.and_then(|target| target.path.as_ref()).or(is_own.then_some(&origin.path));
    let verdict = match (one.is_allowed(), one.observed.is_some()) {
        (true, false) => ALLOW,
        (true, true) => OBSERVED,
        (false, _) if one.mode(config) == Mode::Observe => OBSERVED,
        (false, _) => DENY,
    };
    let denials = denials(config, one, room);
    object([
        ("action", Some(json!(access.action.name()))),
        ("named", written_target(&access.target).map(Value::from)),
        ("id", id.map(|id| json!(id.0))),
        ("path", path.map(|path| json!(path.as_str()))),
        ("verdict", Some(json!(verdict))),
        ("needs", Some(needs(question.need))),
        ("facts", standing.map(|standing| known(config, standing, question.need, age_of(&access.target, ages)))),
        ("entry", entry(standing, question.written.admitted.map(|rule| rule.id))),
        ("denials", Some(denials).filter(|denials| !denials.is_empty()).map(Value::from)),
    ])
}

fn needs(need: Need) -> Value {
    let (when, permissions) = match need.permission {
        Needed::All(all) => ("always", all.iter().map(|one| one.name()).collect()),
        Needed::IfStrict(one) => ("strict", Vec::from([one.name()])),
        Needed::NoneThere => ("never", Vec::new()),
    };
    object([
        ("role", Some(json!(need.role.name()))),
        ("part", need.feature.map(|feature| json!(feature.part()))),
        ("effect", Some(json!(if need.effect == Effect::Read { "read" } else { "write" }))),
        ("anonymous", Some(json!(need.open == Open::ToAnybody))),
        ("permissions", Some(json!(permissions))),
        ("permissions_when", Some(json!(when))),
    ])
}

/// How long ago each lifetime's facts about a target were looked up.
fn age_of<'a>(target: &TargetRef, ages: &'a Ages) -> impl Fn(Lifetime) -> Option<Duration> + use<'a> {
    let ages = ages.targets.iter().find(|(known, _)| known == target).map(|(_, ages)| ages);
    move |lifetime| ages?.iter().find(|(known, _)| *known == lifetime).map(|(_, age)| *age)
}

fn known(config: &Config, standing: &Standing, need: Need, age: impl Fn(Lifetime) -> Option<Duration>) -> Value {
    let sources = &config.facts;
    let is_own = standing.admission == Admission::Own;
    // The forge tells of a project as a whole, whatever of it is asked for.
    let of_project = if sources.looked_up().next().is_some() { Source::<()>::Lookup } else { Source::Forge }.name();
    let fact = |source: &'static str, lifetime, is: Option<Value>| {
        let age = age(lifetime).filter(|_| source == Source::<()>::Lookup.name()).map(seconds);
        let is = is.filter(|_| source != Source::<()>::Forge.name());
        Some(object([("is", is), ("source", Some(json!(source))), ("age", age)]))
    };
    let external = match standing.affiliation {
        Affiliation::Internal => Some(false),
        Affiliation::External => Some(true),
        Affiliation::LeftToForge => None,
    };
    let (inbound, source) = match standing.admission {
        Admission::Own => (Some("own"), "job"),
        Admission::Listed(_) => (Some("listed"), sources.allowlists.name()),
        Admission::Open => (Some("open"), sources.allowlists.name()),
        Admission::Unlisted => (Some("unlisted"), sources.allowlists.name()),
        Admission::LeftToForge => (None, sources.allowlists.name()),
    };
    let outbound = match standing.outbound {
        Outbound::Open => "open",
        Outbound::Unlisted => "unlisted",
    };
    let outbound_source = if is_own { "job" } else { sources.outbound.name() };
    let target = &standing.target;
    let level = need.feature.map_or(Level::Enabled, |feature| target.level(feature));
    let (projects, members, allowlists) = (Lifetime::Projects, Lifetime::Members, Lifetime::Allowlists);
    object([
        ("role", fact(sources.membership.name(), members, standing.role.map(|role| json!(Role::name(role))))),
        ("external", fact(sources.external.name(), members, external.map(Value::from))),
        (
            "visibility",
            fact(sources.visibility.name(), projects, target.visibility.map(|one| json!(Visibility::name(one)))),
        ),
        ("part", fact(of_project, projects, Some(json!(level.name())))),
        ("public_jobs", fact(of_project, projects, Some(json!(target.public_jobs)))),
        ("archived", fact(of_project, projects, Some(json!(target.archived)))),
        ("push", fact(of_project, projects, Some(json!(target.job_push.name())))),
        ("inbound", fact(source, allowlists, inbound.map(Value::from))),
        ("outbound", fact(outbound_source, allowlists, Some(json!(outbound)))),
    ])
}

fn entry(standing: Option<&Standing>, rule: Option<&str>) -> Option<Value> {
    let entry = match standing.map(|standing| standing.admission) {
        Some(Admission::Listed(entry)) => Some(entry),
        _ => None,
    };
    let names = entry.map(|entry| if entry.link == Link::Project { "project" } else { "group" });
    let granted = entry.and_then(|entry| match entry.grants {
        Grants::Default => None,
        Grants::Only(permissions) => Some(permissions.names().collect::<Vec<_>>()),
    });
    let permissions = granted.map(Value::from);
    let is_any = names.is_some() || rule.is_some();
    is_any.then(|| {
        object([("names", names.map(Value::from)), ("permissions", permissions), ("rule", rule.map(Value::from))])
    })
}

fn answers(one: &Judged<'_>) -> Value {
    let answers = rules::answers(&one.question).map(|(_, rule, answer)| {
        object([
            ("rule", Some(json!(rule.id))),
            ("answer", Some(json!(answer.name()))),
            ("reason", answer.reason().map(|reason| json!(reason.code()))),
            ("says", Some(json!(answer.why(rule)))),
        ])
    });
    Value::Array(answers.collect())
}

/// Which rules of the configuration are behind a reason.
const CONFIGURED: [(Reason, RuleKind); 3] = [
    (Reason::ConfiguredDeny, RuleKind::Deny),
    (Reason::ConfiguredLimit, RuleKind::Limit),
    (Reason::ConfiguredReach, RuleKind::Outbound),
];

/// Every rule that denies this, or would if those before it did not; of those of the configuration each that does.
fn denials(config: &Config, one: &Judged<'_>, room: &mut usize) -> Vec<Value> {
    let question = &one.question;
    let mut denials: Vec<Value> = Vec::new();
    for (place, rule, answer) in rules::answers(question) {
        let rules::Answer::Verdict(verdict @ Verdict::Deny(reason)) = answer else { continue };
        // The last row is there for what nobody thought of: without the denials before it, something would have allowed it.
        if reason == Reason::NothingMatched && !denials.is_empty() {
            break;
        }
        let kind = CONFIGURED.iter().find(|(known, _)| *known == reason).map(|(_, kind)| *kind);
        let written = kind
            .zip(one.asked_of())
            .map(|(kind, path)| config.access.speaking(kind, question.job, path, question.access.action));
        let written = written.unwrap_or_else(|| question.written.behind(verdict).into_iter().collect());
        let configured = written.iter().map(|rule| (Some(rule.id), rule.mode));
        let bare = written.is_empty().then_some((None, Mode::Enforce));
        for (id, mode) in configured.chain(bare).take(room.saturating_sub(denials.len())) {
            let is_observed = one.mode(config) == Mode::Observe || config.observe.rules.contains(&place);
            let mode = if is_observed { Mode::Observe } else { mode };
            denials.push(object([
                ("rule", Some(json!(rule.id))),
                ("configured", id.map(Value::from)),
                ("reason", Some(json!(reason.code()))),
                ("mode", Some(json!(mode.name()))),
            ]));
        }
    }
    *room = room.saturating_sub(denials.len());
    denials
}

#[cfg(test)]
mod tests;

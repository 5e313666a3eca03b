//! Why a decision fell as it did, as data for logs: what was asked, what was known and since when, and what each rule
//! said. It is made by judging once more: a decision that nobody wants explained costs nothing for it.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::judged::{Judged, judge};
use super::shape::SHAPE_VERSION;
use super::slot::exchanged;
use super::{ALLOW, DENY, Facts, OBSERVED, evidence, speaker, written_target};
use crate::access::{Access, TargetRef};
use crate::choices::Mode;
use crate::config::{Config, RuleKind, Source};
use crate::facts::{
    Admission, Affiliation, Credential, Grants, Job, Level, Lifetime, Link, Origin, Outbound, Permission, ProjectPath,
    Standing, Token, User, UserId,
};
use crate::json::{Json, List, Members, Object, Word};
use crate::request::JobRequest;
use crate::rules::{self, Answer, Effect, Need, Needed, Open, Reason, Rule, Verdict};

/// The most that is told of what is asked, and of what denies it: a line of a log has an end.
const MOST_ASKED: usize = 16;
const MOST_DENIALS: usize = 32;

/// What has no bound of its own is left out of a longer account.
const LONGEST: usize = 32 << 10;

/// Room for what is told of one thing that is asked.
const USUAL: usize = 6 << 10;

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
    let whole = account(config, case, ages, case.and_then(|(request, facts)| evidence::write(config, request, facts)));
    if whole.len() <= LONGEST { whole } else { account(config, case, ages, None::<bool>) }
}

/// Members are in the order of their names, here and below, so that an account is the same text whoever writes it.
fn account(config: &Config, case: Option<(&JobRequest, &Facts)>, ages: &Ages, evidence: Option<impl Json>) -> String {
    let job = case.and_then(|(_, facts)| facts.job());
    let more = case.map(|(request, _)| request.accesses.len().saturating_sub(MOST_ASKED)).filter(|more| *more > 0);
    let mut text = String::with_capacity(USUAL);
    Object(|why: &mut Members<'_>| {
        why.put_known("asked", case.map(|(request, facts)| Asked { config, request, facts, ages }));
        why.put("configuration", &*config.revision);
        why.put_known("evidence", evidence);
        why.put("filter", Word(env!("CARGO_PKG_VERSION")));
        why.put_known("job", job.map(circumstances));
        why.put("mode", Word(config.mode.name()));
        why.put_known("more", more.and_then(|more| u64::try_from(more).ok()));
        why.put_known("origin", job.map(|job| origin(&job.origin)));
        why.put_known("protocol", case.map(|(request, _)| Word(request.protocol.name())));
        why.put_known("token", case.and_then(|(_, facts)| Some(token(facts.token.as_ref()?, ages))));
        why.put_known("user", job.and_then(|job| Some(user(job.user.as_ref()?, job.context.on_behalf_of))));
        why.put("version", u64::from(SHAPE_VERSION));
    })
    .write(&mut text);
    text
}

fn origin(origin: &Origin) -> impl Json {
    Object(|it: &mut Members<'_>| {
        it.put("id", origin.id.0);
        it.put("path", origin.path.as_str());
    })
}

fn user(user: &User, on_behalf_of: Option<UserId>) -> impl Json {
    Object(move |it: &mut Members<'_>| {
        it.put("id", user.id.0);
        it.put("name", &*user.name);
        it.put_known("on_behalf_of", on_behalf_of.map(|other| other.0));
    })
}

fn token(token: &Token, ages: &Ages) -> impl Json {
    let (state, source) = match token {
        Token::Running(_) => ("running", Some("lookup")),
        Token::Ended(_) => ("ended", Some("end")),
        Token::Forgotten => ("forgotten", None),
        Token::Invalid(invalid) => (invalid.name(), Some("lookup")),
    };
    let age = ages.token.filter(|_| source.is_some());
    Object(move |it: &mut Members<'_>| {
        it.put_known("age", age.map(|age| age.as_secs()));
        it.put_known("source", source.map(Word));
        it.put("state", Word(state));
    })
}

fn circumstances(job: &Job) -> impl Json {
    let context = &job.context;
    Object(move |it: &mut Members<'_>| {
        it.put_known("credential", (context.credential == Credential::Service).then_some(Word("service")));
        it.put_known("environment", context.environment.as_deref());
        it.put_known("fork", context.fork);
        it.put("id", job.id.0);
        it.put_known("protected", context.protected);
        it.put_known("ref", context.git_ref.as_deref());
        it.put_known("runner", context.runner.map(|runner| runner.0));
        it.put_known("source", context.source.as_deref());
    })
}

/// What is asked, first what speaks for the whole.
struct Asked<'a> {
    config: &'a Config,
    request: &'a JobRequest,
    facts: &'a Facts,
    ages: &'a Ages,
}

impl Json for Asked<'_> {
    fn write(self, text: &mut String) {
        let Self { config, request, facts, ages } = self;
        let accesses = request.accesses.iter();
        let (Some(Token::Running(job)), None) = (&facts.token, request.claim.malformed()) else {
            return List(accesses.take(MOST_ASKED).map(named)).write(text);
        };
        if exchanged(config, request, job).is_err() {
            return List(accesses.take(MOST_ASKED).map(named)).write(text);
        }
        let (facts, missing) = facts.completed(config, job, request);
        let facts = &*facts;
        if !missing.is_empty() {
            return List(accesses.take(MOST_ASKED).map(named)).write(text);
        }
        let judged: Vec<Judged<'_>> = accesses.map(|access| judge(config, job, access, facts)).collect();
        let first = speaker(config, request, &judged).unwrap_or_default();
        let others = judged.iter().enumerate().filter(|(at, _)| *at != first);
        let all = judged.iter().enumerate().filter(|(at, _)| *at == first).chain(others);
        let is_hoped = |at| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
        let mut room = MOST_DENIALS;
        let told = all.take(MOST_ASKED).map(|(at, one)| {
            let answers = rules::answers(&one.question).collect::<Vec<_>>();
            let denials = denials(config, one, &answers, &mut room);
            Told { config, one, ages, answers, denials, is_hoped: is_hoped(at), is_first: at == first }
        });
        List(told).write(text);
    }
}

/// Of what nothing was judged.
fn named(access: &Access) -> impl Json {
    Object(|it: &mut Members<'_>| {
        it.put("action", Word(access.action.name()));
        it.put_known("named", written_target(&access.target).as_deref());
    })
}

/// What each rule said, with its place.
type Answers = [(usize, &'static Rule, Answer)];

/// One thing asked, and what was made of it.
struct Told<'a> {
    config: &'a Config,
    one: &'a Judged<'a>,
    ages: &'a Ages,
    answers: Vec<(usize, &'static Rule, Answer)>,
    denials: Vec<Denial<'a>>,
    is_hoped: bool,
    is_first: bool,
}

impl Json for Told<'_> {
    fn write(self, text: &mut String) {
        let Self { config, one, ages, answers, denials, is_hoped, is_first } = self;
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
        let age = age_of(&access.target, ages);
        let admitted = question.written.admitted.map(|rule| rule.id);
        Object(|it: &mut Members<'_>| {
            it.put("action", Word(access.action.name()));
            it.put_known("denials", Some(denials).filter(|denials| !denials.is_empty()).map(List));
            it.put_known("entry", entry(standing, admitted));
            it.put_known("facts", standing.map(|standing| known(config, standing, question.need, age)));
            it.put_known("hoped", is_hoped.then_some(true));
            it.put_known("id", id.map(|id| id.0));
            it.put_known("named", written_target(&access.target).as_deref());
            it.put("needs", needs(question.need));
            it.put_known("path", path.map(ProjectPath::as_str));
            it.put_known(
                "rules",
                is_first.then(|| List(answers.iter().map(|(_, rule, answer)| Answered(rule, *answer)))),
            );
            it.put("verdict", Word(verdict));
        })
        .write(text);
    }
}

fn needs(need: Need) -> impl Json {
    let (when, all, one): (_, &'static [Permission], _) = match need.permission {
        Needed::All(all) => ("always", all, None),
        Needed::IfStrict(one) => ("strict", &[], Some(one)),
        Needed::NoneThere => ("never", &[], None),
    };
    Object(move |it: &mut Members<'_>| {
        it.put("anonymous", need.open == Open::ToAnybody);
        it.put("effect", Word(if need.effect == Effect::Read { "read" } else { "write" }));
        it.put_known("part", need.feature.map(|feature| Word(feature.part())));
        it.put("permissions", List(all.iter().copied().chain(one).map(|one| Word(one.name()))));
        it.put("permissions_when", Word(when));
        it.put("role", Word(need.role.name()));
    })
}

/// How long ago each lifetime's facts about a target were looked up.
fn age_of<'a>(target: &TargetRef, ages: &'a Ages) -> impl Fn(Lifetime) -> Option<Duration> + use<'a> {
    let ages = ages.targets.iter().find(|(known, _)| known == target).map(|(_, ages)| ages);
    move |lifetime| ages?.iter().find(|(known, _)| *known == lifetime).map(|(_, age)| *age)
}

/// A fact, what says so, and since when.
fn fact(source: &'static str, age: Option<Duration>, is: Option<impl Json>) -> impl Json {
    Object(move |it: &mut Members<'_>| {
        it.put_known("age", age.filter(|_| source == Source::<()>::Lookup.name()).map(|age| age.as_secs()));
        it.put_known("is", is.filter(|_| source != Source::<()>::Forge.name()));
        it.put("source", Word(source));
    })
}

fn known(config: &Config, standing: &Standing, need: Need, age: impl Fn(Lifetime) -> Option<Duration>) -> impl Json {
    let sources = &config.facts;
    let is_own = standing.admission == Admission::Own;
    // The forge tells of a project as a whole, whatever of it is asked for.
    let of_project = if sources.looked_up().next().is_some() { Source::<()>::Lookup } else { Source::Forge }.name();
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
    let [projects, members, allowlists] = [Lifetime::Projects, Lifetime::Members, Lifetime::Allowlists].map(age);
    Object(move |it: &mut Members<'_>| {
        it.put("archived", fact(of_project, projects, Some(target.archived)));
        it.put("external", fact(sources.external.name(), members, external));
        it.put("inbound", fact(source, allowlists, inbound.map(Word)));
        it.put("outbound", fact(outbound_source, allowlists, Some(Word(outbound))));
        it.put("part", fact(of_project, projects, Some(Word(level.name()))));
        it.put("public_jobs", fact(of_project, projects, Some(target.public_jobs)));
        it.put("push", fact(of_project, projects, Some(Word(target.job_push.name()))));
        it.put("role", fact(sources.membership.name(), members, standing.role.map(|role| Word(role.name()))));
        it.put("visibility", fact(sources.visibility.name(), projects, target.visibility.map(|one| Word(one.name()))));
    })
}

fn entry<'a>(standing: Option<&Standing>, rule: Option<&'a str>) -> Option<impl Json + use<'a>> {
    let entry = match standing.map(|standing| standing.admission) {
        Some(Admission::Listed(entry)) => Some(entry),
        _ => None,
    };
    let names = entry.map(|entry| if entry.link == Link::Project { "project" } else { "group" });
    let granted = entry.and_then(|entry| match entry.grants {
        Grants::Default => None,
        Grants::Only(permissions) => Some(permissions),
    });
    (names.is_some() || rule.is_some()).then_some(Object(move |it: &mut Members<'_>| {
        it.put_known("names", names.map(Word));
        it.put_known("permissions", granted.map(|granted| List(granted.names().map(Word))));
        it.put_known("rule", rule);
    }))
}

/// What a rule said.
struct Answered(&'static Rule, Answer);

impl Json for Answered {
    fn write(self, text: &mut String) {
        let Self(rule, answer) = self;
        if answer == Answer::Aside {
            // Nearly all do, and this is the same as below in one piece.
            let said = [r#"{"answer":"aside","rule":""#, rule.id, r#"","says":""#, rule.aside, r#""}"#];
            return said.into_iter().for_each(|piece| text.push_str(piece));
        }
        told(rule, answer).write(text);
    }
}

fn told(rule: &'static Rule, answer: Answer) -> impl Json {
    Object(move |it: &mut Members<'_>| {
        it.put("answer", Word(answer.name()));
        it.put_known("reason", answer.reason().map(|reason| Word(reason.code())));
        it.put("rule", Word(rule.id));
        it.put("says", Word(answer.why(rule)));
    })
}

/// Which rules of the configuration are behind a reason.
const CONFIGURED: [(Reason, RuleKind); 3] = [
    (Reason::ConfiguredDeny, RuleKind::Deny),
    (Reason::ConfiguredLimit, RuleKind::Limit),
    (Reason::ConfiguredReach, RuleKind::Outbound),
];

/// A rule that denies something, or would.
#[derive(Clone, Copy)]
struct Denial<'a> {
    rule: &'static str,
    configured: Option<&'a str>,
    reason: Reason,
    mode: Mode,
}

impl Json for Denial<'_> {
    fn write(self, text: &mut String) {
        Object(|it: &mut Members<'_>| {
            it.put_known("configured", self.configured);
            it.put("mode", Word(self.mode.name()));
            it.put("reason", Word(self.reason.code()));
            it.put("rule", Word(self.rule));
        })
        .write(text);
    }
}

/// Every rule that denies this, or would if those before it did not; of those of the configuration each that does.
fn denials<'a>(config: &'a Config, one: &Judged<'a>, answers: &Answers, room: &mut usize) -> Vec<Denial<'a>> {
    let question = &one.question;
    let mut denials: Vec<Denial<'_>> = Vec::new();
    for (place, rule, answer) in answers {
        let Answer::Verdict(verdict @ Verdict::Deny(reason)) = *answer else { continue };
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
            let is_observed = one.mode(config) == Mode::Observe || config.observe.rules.contains(place);
            let mode = if is_observed { Mode::Observe } else { mode };
            denials.push(Denial { rule: rule.id, configured: id, reason, mode });
        }
    }
    *room = room.saturating_sub(denials.len());
    denials
}

#[cfg(test)]
mod tests;

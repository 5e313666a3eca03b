//! One thing that is asked, judged by the rules and by what of them is only observed.

use alloc::vec::Vec;

use super::Facts;
use crate::access::{Access, Sought, TargetRef};
use crate::choices::{Mode, PackageIndexes};
use crate::config::{Config, Forge};
use crate::facts::{Found, Holders, Job, JobId, ProjectPath, Standing};
use crate::rules::{self, Effect, Held, Question, Reach, Reason, Ruling, Verdict};

/// One thing asked, judged.
pub(super) struct Judged<'a> {
    pub(super) question: Question<'a>,
    /// What is carried out.
    pub(super) ruling: Ruling,
    /// The denial of a rule that is only observed: what would have been, were it enforced.
    pub(super) observed: Option<Ruling>,
    /// The rule of the configuration behind the ruling that speaks.
    pub(super) written: Option<&'a str>,
}

impl<'a> Judged<'a> {
    pub(super) fn is_allowed(&self) -> bool {
        matches!(self.ruling.verdict, Verdict::Allow(_))
    }

    /// What is recorded: what would have been denied, else what was decided.
    pub(super) fn speaks(&self) -> Ruling {
        self.observed.unwrap_or(self.ruling)
    }

    /// The project for which the rules of the configuration were asked.
    pub(super) fn asked_of(&self) -> Option<&'a ProjectPath> {
        path(self.question.job, self.question.need.reach, self.question.standing)
    }

    /// Whether it denies, and that is carried out.
    pub(super) fn is_enforced_denial(&self, config: &Config) -> bool {
        !self.is_allowed() && self.mode(config) == Mode::Enforce
    }
}

/// Judges an access by the strictest of what may be true of its target.
pub(super) fn judge<'a>(config: &'a Config, job: &'a Job, access: &'a Access, facts: &'a Facts) -> Judged<'a> {
    let strictness = |one: &Judged<'_>| (one.is_enforced_denial(config), !one.is_allowed(), one.observed.is_some());
    let judged =
        |(held, standing)| judge_one(config, question(config, job, access, held, standing, &facts.dependencies));
    let each = standings(config, access, facts).into_iter().map(judged);
    each.reduce(|one, other| if strictness(&other) > strictness(&one) { other } else { one })
        .unwrap_or_else(|| judged((Held::Unknown, None)))
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
    let written = config.access.say(job, path(job, need.reach, standing), access.action);
    let Forge { dependency_proxy, kubernetes_agent, version, .. } = config.forge;
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

/// The project for which the rules of the configuration are asked: they know no groups.
fn path<'a>(job: &'a Job, reach: Reach, standing: Option<&'a Standing>) -> Option<&'a ProjectPath> {
    match reach {
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
    }
}

/// Whether the rules look at the target of an access at all.
pub(super) fn looks_at_target(config: &Config, access: &Access) -> bool {
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
    let is_asked = !matches!(holding.sought, Sought::Everything | Sought::Owned)
        || config.package_indexes == PackageIndexes::AllAdmitted;
    is_asked && config.facts.looked_up().next().is_some()
}

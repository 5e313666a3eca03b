//! One thing that is asked, judged by the rules and by what of them is only observed.

use alloc::vec::Vec;

use super::Facts;
use crate::access::Access;
use crate::choices::Mode;
use crate::config::{Config, Forge};
use crate::facts::{Found, Job, ProjectPath, Standing};
use crate::rules::{self, Question, Reach, Reason, Ruling, Verdict};

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

    /// Whether its denials are only recorded, since its target's are.
    pub(super) fn is_of_observed_target(&self, config: &Config) -> bool {
        let path = self.question.standing.and_then(|to| to.target.path.as_ref());
        path.is_some_and(|path| config.observe.targets.hold(path))
    }
}

/// Judges an access by the strictest of what may be true of its target.
pub(super) fn judge<'a>(config: &'a Config, job: &'a Job, access: &'a Access, facts: &'a Facts) -> Judged<'a> {
    let strictness = |one: &Judged<'_>| (!one.is_allowed(), one.observed.is_some());
    let each = standings(access, facts).map(|standing| judge_one(config, question(config, job, access, standing)));
    each.reduce(|one, other| if strictness(&other) > strictness(&one) { other } else { one })
        .unwrap_or_else(|| judge_one(config, question(config, job, access, None)))
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

/// What may stand where an access points to; `None` for nothing there.
fn standings<'a>(access: &'a Access, facts: &'a Facts) -> impl Iterator<Item = Option<&'a Standing>> {
    facts.found(&access.target).filter(|_| looks_at_target(access)).map(|found| match found {
        Found::Standing(standing) => Some(standing),
        Found::Nothing => None,
    })
}

fn question<'a>(config: &'a Config, job: &'a Job, access: &'a Access, standing: Option<&'a Standing>) -> Question<'a> {
    let need = rules::needed(access, standing.map(|standing| &standing.target));
    let written = config.access.say(job, path(job, need.reach, standing), access.action);
    let Forge { dependency_proxy, kubernetes_agent, version, .. } = config.forge;
    let entries = config.entries;
    Question { job, access, need, standing, written, entries, dependency_proxy, kubernetes_agent, version }
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
pub(super) fn looks_at_target(access: &Access) -> bool {
    match rules::need(access.action).reach {
        Reach::Nothing | Reach::Itself | Reach::Never | Reach::AboveOrigin | Reach::Agents => false,
        Reach::Admitted
        | Reach::Own
        | Reach::OwnWhateverRole
        | Reach::AdmittedOrOwn
        | Reach::WhereSet
        | Reach::Sources => access.target.is_single(),
    }
}

//! Rules that are legal, and probably not meant: what is said at load, since no request would ever tell.

use alloc::format;
use alloc::vec::Vec;

use super::super::reader::Warning;
use super::actions::Actions;
use super::names::Names;
use super::rule::{Asked, Rule, RuleKind, Set};
use super::{AccessRules, Index};
use crate::choices::Mode;
use crate::facts::Context;

/// More warnings of a kind nobody reads.
const MOST: usize = 20;

/// What is suspicious among rules.
pub(super) fn of(rules: &AccessRules) -> impl Iterator<Item = Warning> {
    shadowed(rules).take(MOST).chain(unmatched(rules).take(MOST))
}

/// Rules that let in what another denies whole.
fn shadowed(rules: &AccessRules) -> impl Iterator<Item = Warning> {
    let warning = |allow: &Rule, deny: &Rule| Warning {
        path: format!("access.allow[{}]", allow.id),
        text: format!("lets nobody in: the rule `{}` of `access.deny` denies all of it", deny.id),
    };
    let rules_of = rules.allow.rules().iter();
    rules_of.filter_map(move |allow| Some(warning(allow, covering(&rules.names, &rules.deny, allow)?)))
}

/// The rule that is carried out in all circumstances, on all that another rule is about.
fn covering<'a>(names: &Names, outer: &'a Index, inner: &Rule) -> Option<&'a Rule> {
    let first = |set: &Set| set.numbers().first().map_or_else(Vec::new, |name| names.above(*name));
    let context = Context::default();
    let asked = Asked {
        origin: first(&inner.origins),
        target: first(&inner.targets),
        action: Actions::NONE,
        context: &context,
    };
    let covers = |rule: &&Rule| {
        rule.mode == Mode::Enforce
            && rule.when.is_none()
            && rule.actions.hold(inner.actions)
            && holds_all(names, &rule.targets, &inner.targets)
            && holds_all(names, &rule.origins, &inner.origins)
    };
    outer.candidates(&asked).filter_map(|place| outer.rules().get(place)).find(covers)
}

fn holds_all(names: &Names, outer: &Set, inner: &Set) -> bool {
    inner.numbers().iter().all(|name| outer.hold(&names.above(*name)))
}

/// Names that hold no project, as far as the rules themselves tell.
fn unmatched(rules: &AccessRules) -> impl Iterator<Item = Warning> {
    let lists = [&rules.allow, &rules.deny, &rules.limit, &rules.outbound];
    let all = lists
        .into_iter()
        .zip(RuleKind::ALL)
        .flat_map(|(index, (kind, _))| index.rules().iter().map(move |rule| (kind, rule)));
    all.filter_map(|(kind, rule)| {
        let named = rule.targets.numbers().iter().chain(rule.origins.numbers());
        let (name, project) = named.copied().find_map(|name| Some((name, rules.names.below_project(name)?)))?;
        let name = rules.names.written(name);
        Some(Warning {
            path: format!("access.{}[{}]", kind.name(), rule.id),
            text: format!("`{name}` lies below `{project}`, which a rule names as a project: no project lies in another, so one of the two matches nothing"),
        })
    })
}

//! Rules of one kind, found by the names that they name.

use alloc::vec::Vec;

use super::names::Number;
use super::rule::{Asked, Rule, RuleKind};
use super::when::When;
use crate::choices::Mode;
use crate::rules::Named;

/// Rules of one kind. A rule stands under each of its targets, or, where those are all projects, under its origins; a
/// rule about the origin stands under its origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    kind: RuleKind,
    /// Those that are enforced first, then by their ids: the order of the document decides nothing.
    rules: Vec<Rule>,
    /// Names and places of rules, sorted.
    by_target: Vec<(Number, usize)>,
    /// Names and places of rules, sorted.
    by_origin: Vec<(Number, usize)>,
}

impl Index {
    /// How many rules there are.
    pub(super) fn count(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn of(kind: RuleKind, mut rules: Vec<Rule>) -> Self {
        rules.sort_unstable_by(|one, other| {
            let key = |rule: &Rule| rule.mode == Mode::Observe;
            key(one).cmp(&key(other)).then_with(|| one.id.cmp(&other.id))
        });
        rules.shrink_to_fit();
        let is_by_origin = |rule: &Rule| kind == RuleKind::Outbound || rule.targets.is_every();
        let mut index = Self { kind, rules, by_target: Vec::new(), by_origin: Vec::new() };
        for (place, rule) in index.rules.iter().enumerate() {
            let (list, names) = if is_by_origin(rule) {
                (&mut index.by_origin, &rule.origins)
            } else {
                (&mut index.by_target, &rule.targets)
            };
            list.extend(names.numbers().iter().map(|name| (*name, place)));
        }
        index.by_target.sort_unstable();
        index.by_origin.sort_unstable();
        index.by_target.shrink_to_fit();
        index.by_origin.shrink_to_fit();
        index
    }

    /// The first rule that speaks of what is asked.
    pub(super) fn first(&self, asked: &Asked<'_>) -> Option<Named<'_>> {
        let speaks = |place: &usize| self.rules.get(*place).is_some_and(|rule| self.kind.speaks(rule, asked));
        let rule = self.rules.get(self.candidates(asked).filter(speaks).min()?)?;
        Some(Named { id: &rule.id, mode: rule.mode })
    }

    /// Every rule that speaks of what is asked, in their order.
    pub(super) fn speaking(&self, asked: &Asked<'_>) -> Vec<Named<'_>> {
        let mut places: Vec<usize> = self.candidates(asked).collect();
        places.sort_unstable();
        places.dedup();
        let rules = places.into_iter().filter_map(|place| self.rules.get(place));
        rules.filter(|rule| self.kind.speaks(rule, asked)).map(|rule| Named { id: &rule.id, mode: rule.mode }).collect()
    }

    /// All of them.
    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether one of the rules is carried out.
    pub(super) fn is_enforced(&self) -> bool {
        self.rules.iter().any(|rule| rule.mode == Mode::Enforce)
    }

    /// The conditions of all rules that have some.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &When> {
        self.rules.iter().filter_map(|rule| rule.when.as_deref())
    }

    /// The places of all rules that name the target or the origin.
    pub(super) fn candidates<'a>(&'a self, asked: &'a Asked<'_>) -> impl Iterator<Item = usize> + 'a {
        let by_target = asked.target.iter().flat_map(|name| under(&self.by_target, *name));
        by_target.chain(asked.origin.iter().flat_map(|name| under(&self.by_origin, *name)))
    }
}

fn under(list: &[(Number, usize)], name: Number) -> impl Iterator<Item = usize> + '_ {
    let begin = list.partition_point(|(known, _)| *known < name);
    let there = list.get(begin..).unwrap_or_default();
    there.iter().take_while(move |(known, _)| *known == name).map(|(_, place)| *place)
}

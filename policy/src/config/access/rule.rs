//! One rule, and what each kind of rule says of a thing asked.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::actions::Actions;
use super::names::Number;
use super::when::When;
use crate::choices::Mode;
use crate::facts::Context;

/// The number of the name that holds every project: the first that is admitted.
pub(super) const EVERY: Number = 0;

/// A thing asked, with the numbers of all names that hold its origin and its target.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) origin: Vec<Number>,
    pub(super) target: Vec<Number>,
    pub(super) action: Actions,
    pub(super) context: &'a Context,
}

/// A set of names, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set(Box<[Number]>);

impl Set {
    pub(super) fn of(mut numbers: Vec<Number>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into_boxed_slice())
    }

    pub(super) fn numbers(&self) -> &[Number] {
        &self.0
    }

    pub(super) fn is_every(&self) -> bool {
        self.0.first() == Some(&EVERY)
    }

    pub(super) fn hold(&self, holding: &[Number]) -> bool {
        holding.iter().any(|number| self.0.binary_search(number).is_ok())
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) id: Box<str>,
    pub(super) mode: Mode,
    pub(super) targets: Set,
    pub(super) origins: Set,
    pub(super) actions: Actions,
    pub(super) when: Option<Box<When>>,
}

/// A kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// It lets jobs in.
    Allow,
    /// It denies.
    Deny,
    /// It is a ceiling.
    Limit,
    /// It keeps jobs to some targets.
    Outbound,
}

impl RuleKind {
    /// All of them, with the names of their lists.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Allow, "allow"), (Self::Deny, "deny"), (Self::Limit, "limit"), (Self::Outbound, "outbound")];

    /// The name of their list.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Whether a rule of this kind speaks of what is asked: lets it in, denies it, lies below it, leads elsewhere. What
    /// is not known of the job is taken for the narrower.
    pub(super) fn speaks(self, rule: &Rule, asked: &Asked<'_>) -> bool {
        let (here, covered) = (rule.targets.hold(&asked.target), rule.actions.hold(asked.action));
        let holds = rule.when.as_ref().map_or(Some(true), |when| when.holds(asked.context));
        rule.origins.hold(&asked.origin)
            && match self {
                Self::Allow => here && covered && holds == Some(true),
                Self::Deny => here && covered && holds != Some(false),
                Self::Limit => here && !covered && holds != Some(false),
                Self::Outbound => !here && holds != Some(false),
            }
    }

    /// Where a rule has no effect, the key to blame and what should stand there.
    pub(super) fn idle(self, rule: &Rule) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Allow | Self::Deny => None,
            Self::Limit => (rule.actions == Actions::every()).then_some(("actions", "fewer than all actions")),
            Self::Outbound => rule.targets.is_every().then_some(("targets", "fewer than all projects")),
        }
    }
}

//! The rules of the configuration: who is let in, what is denied, what is the most that may be done, and where jobs may
//! go.
//!
//! A configuration may hold ten thousand targets with hundreds of entries each. So rules are read one at a time, names
//! of projects become numbers, and a decision looks only at the rules that name its target, its origin, or a group of
//! theirs.

mod actions;
mod index;
mod keys;
mod names;
mod reading;
mod rule;
mod suspicion;
mod when;

pub use keys::{RULE_KEYS, RuleKey, RuleValue, Use};
pub use rule::RuleKind;

use alloc::vec::Vec;

use self::actions::Actions;
use self::index::Index;
use self::names::Names;
use self::reading::Reading;
use self::rule::Asked;
use super::reader::{Reader, Warning};
use crate::access::Action;
use crate::facts::{Job, ProjectPath};
use crate::rules::{Named, Written};

/// The rules of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRules {
    names: Names,
    allow: Index,
    deny: Index,
    limit: Index,
    outbound: Index,
    /// Whether any rule denies something.
    denies: bool,
    needs: Needs,
}

/// What rules look at that costs a lookup of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Whether a job's ref is protected.
    pub protected: bool,
    /// A job's environment.
    pub environment: bool,
    /// Whether a job works on a merge request from a fork.
    pub fork: bool,
}

impl AccessRules {
    /// Takes the rules out of a document, and what of them is probably not meant.
    pub(super) fn read(reader: &mut Reader<'_>) -> (Self, Vec<Warning>) {
        let (rules, mut warnings, errors) = Reading::new().lists(reader.access());
        reader.report(errors);
        warnings.extend(suspicion::of(&rules));
        (rules, warnings)
    }

    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> usize {
        [&self.allow, &self.deny, &self.limit, &self.outbound]
            .iter()
            .fold(0, |all, list| all.saturating_add(list.count()))
    }

    /// What the rules say of one thing that a job asks of a target. Where its path is not known, or no project is asked,
    /// they say no more than that.
    #[must_use]
    pub fn say(&self, job: &Job, target: Option<&ProjectPath>, action: Action) -> Written<'_> {
        let Some(target) = target.filter(|_| self.count() > 0) else {
            return Written { is_blind: self.denies, ..Written::default() };
        };
        let asked = self.asked(job, target, action);
        Written {
            denied: self.deny.first(&asked),
            limited: self.limit.first(&asked),
            kept: self.outbound.first(&asked),
            admitted: self.allow.first(&asked),
            is_blind: false,
        }
    }

    /// Every rule of a kind that speaks of one thing that a job asks of a target; those that are enforced first.
    #[must_use]
    pub fn speaking(&self, kind: RuleKind, job: &Job, target: &ProjectPath, action: Action) -> Vec<Named<'_>> {
        let index = match kind {
            RuleKind::Allow => &self.allow,
            RuleKind::Deny => &self.deny,
            RuleKind::Limit => &self.limit,
            RuleKind::Outbound => &self.outbound,
        };
        index.speaking(&self.asked(job, target, action))
    }

    /// What the rules look at that costs a lookup of its own.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether a rule names a project by its own path.
    #[must_use]
    pub fn name(&self, path: &ProjectPath) -> bool {
        self.names.has(path)
    }

    fn asked<'a>(&self, job: &'a Job, target: &ProjectPath, action: Action) -> Asked<'a> {
        Asked {
            origin: self.names.holding(&job.origin.path),
            target: self.names.holding(target),
            action: Actions::only(action),
            context: &job.context,
        }
    }
}

#[cfg(test)]
mod tests;

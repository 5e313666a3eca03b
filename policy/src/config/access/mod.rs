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
mod when;

pub use keys::{RULE_KEYS, RuleKey, RuleValue, Use};
pub use rule::RuleKind;

use self::actions::Actions;
use self::index::Index;
use self::names::Names;
use self::reading::Reading;
use self::rule::Asked;
use self::when::When;
use super::reader::Reader;
use crate::facts::{Job, ProjectPath};
use crate::request::Action;
use crate::rules::Written;

/// The rules of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRules {
    names: Names,
    allow: Index,
    deny: Index,
    limit: Index,
    outbound: Index,
}

impl AccessRules {
    /// Takes the rules out of a document.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let (rules, errors) = Reading::new().lists(reader.access());
        reader.report(errors);
        rules
    }

    /// What the rules say of one thing that a job asks of a target. Where no project is asked they say nothing.
    #[must_use]
    pub fn say(&self, job: &Job, target: Option<&ProjectPath>, action: Action) -> Written<'_> {
        let Some(target) = target else { return Written::default() };
        let asked = self.asked(job, target, action);
        Written {
            denied: self.deny.first(&asked),
            limited: self.limit.first(&asked),
            kept: self.outbound.first(&asked),
            admitted: self.allow.first(&asked),
        }
    }

    /// Whether a rule looks at whether a job's ref is protected.
    #[must_use]
    pub fn needs_protected(&self) -> bool {
        self.conditions().any(|when| when.protected.is_some())
    }

    /// Whether a rule looks at a job's environment.
    #[must_use]
    pub fn needs_environment(&self) -> bool {
        self.conditions().any(|when| when.environment.is_some())
    }

    /// Whether a rule looks at whether a job works on a merge request from a fork.
    #[must_use]
    pub fn needs_fork(&self) -> bool {
        self.conditions().any(|when| when.fork.is_some())
    }

    /// Whether a rule names a project by its own path.
    #[must_use]
    pub fn name(&self, path: &ProjectPath) -> bool {
        self.names.has(path)
    }

    fn conditions(&self) -> impl Iterator<Item = &When> {
        [&self.allow, &self.deny, &self.limit, &self.outbound].into_iter().flat_map(Index::conditions)
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

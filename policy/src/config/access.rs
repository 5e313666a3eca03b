//! The rules of the configuration: who is let in, what is denied, what is the most that may be done, and where jobs may
//! go.

use super::reader::Reader;
use crate::facts::{Job, ProjectPath};
use crate::request::Action;
use crate::rules::Written;

/// The rules of the configuration, indexed by target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessRules {}

impl AccessRules {
    /// Takes the rules out of a document.
    pub(super) fn read(_reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self::default())
    }

    /// Whether a rule looks at whether a job's ref is protected.
    #[must_use]
    pub fn needs_protected(&self) -> bool {
        false
    }

    /// Whether a rule looks at a job's environment.
    #[must_use]
    pub fn needs_environment(&self) -> bool {
        false
    }

    /// Whether a rule looks at whether a job works on a merge request from a fork.
    #[must_use]
    pub fn needs_fork(&self) -> bool {
        false
    }

    /// Whether a rule names a project by its own path.
    #[must_use]
    pub fn name(&self, _path: &ProjectPath) -> bool {
        false
    }

    /// What the rules say of one thing that a job asks of a target, `None` where no project is asked.
    #[must_use]
    pub fn say(&self, _job: &Job, _target: Option<&ProjectPath>, _action: Action) -> Written<'_> {
        Written::default()
    }
}

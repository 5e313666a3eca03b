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

    /// What the rules say of one thing that a job asks of a target, `None` where no project is asked.
    #[must_use]
    pub fn say(&self, _job: &Job, _target: Option<&ProjectPath>, _action: Action) -> Written<'_> {
        Written::default()
    }
}

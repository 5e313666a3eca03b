//! What every kind of lookup service gives: which calls find a fact, and what their answers say. [`gitlab`](super::gitlab) and
//! [`v1`](super::v1) are the two.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Account, Answer, Call, Fact, PartKey, Progress, Recall, gitlab, v1};
use crate::Config;
use crate::bindings::{Confirmed, Moment};
use crate::choices::Api;
use crate::facts::{Day, Job, Known, Version};
use crate::failure::Failure;

/// A kind of lookup service.
pub(super) trait Source {
    /// Starts to look a fact up. Who is asked may remember it, and then for no longer than `max_age`.
    fn start(
        &self,
        max_age: Duration,
        config: &Config,
        account: Option<&Account>,
        fact: Fact,
        recall: Recall<'_>,
    ) -> (Box<dyn Course>, Progress);

    /// Asks for the forge's version.
    fn ask_version(&self, config: &Config, account: &Account) -> Call;

    /// Reads the answer to that question.
    fn read_version(&self, answer: &Answer<'_>) -> Result<Version, Failure>;

    /// Asks when the service account's token expires; `None` where nobody could say.
    fn ask_expiry(&self, config: &Config, account: &Account) -> Option<Call> {
        let _ = (config, account);
        None
    }

    /// Reads the answer to that question.
    fn read_expiry(&self, answer: &Answer<'_>) -> Result<Option<Day>, Failure> {
        let _ = answer;
        Ok(None)
    }
}

/// A lookup under way: what is asked next depends on what was answered.
pub(super) trait Course: Send {
    /// Takes the answer to the call of this number.
    fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress;

    /// The job, once it is known while its circumstances are still asked for.
    fn job(&self) -> Option<&Job> {
        None
    }

    /// What it learned of parts.
    fn learned(&self) -> Vec<(PartKey, Known)> {
        Vec::new()
    }

    /// How old what it brought is, when it began then.
    fn confirmed(&self, began: Moment) -> Confirmed {
        Confirmed::at(began)
    }
}

impl Api {
    /// The kind of service that a configuration names.
    pub(super) fn source(self) -> &'static dyn Source {
        match self {
            Self::Gitlab => &gitlab::Gitlab,
            Self::V1 => &v1::V1,
        }
    }
}

/// A lookup that nothing can be asked for.
#[derive(Debug)]
struct Grounded;

impl Course for Grounded {
    fn answer(&mut self, _call: usize, _answer: &Answer<'_>) -> Progress {
        Progress::Landed(Err(Failure::Doubt))
    }
}

/// A lookup in the name of the service account, which is not there.
pub(super) fn grounded() -> (Box<dyn Course>, Progress) {
    (Box::new(Grounded), Progress::Landed(Err(Failure::LookupRights)))
}

/// A lookup that has begun.
pub(super) fn begun((course, progress): (impl Course + 'static, Progress)) -> (Box<dyn Course>, Progress) {
    (Box::new(course), progress)
}

//! Which pull policies the images of a job may have, and what becomes of a job that has others.

use alloc::vec::Vec;

use super::choices;
use super::reader::Reader;
use crate::choices::{Api, Mode};

/// How a runner gets an image that its machine may have already. Their names are the forge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// It asks the registry each time, and so asks whether the job may have it.
    Always,
    /// It starts what is on the machine.
    IfNotPresent,
    /// It starts what is on the machine, and nothing else.
    Never,
}

/// Whose payloads are looked at, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullPolicies {
    /// What is done.
    pub check: Check,
    /// The policies that an image may have; at least one.
    pub allowed: Vec<PullPolicy>,
    /// To which runners it applies.
    pub runners: Runners,
}

/// What is done with a job whose images have other pull policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing: nobody looks. (The word for it is not `off`, which YAML may take for `false`.)
    Ignore,
    /// It is recorded.
    Observe,
    /// Its runner gets it with allowed policies in their place.
    Rewrite,
    /// Its runner does not get it, and the forge is told that it failed.
    Refuse,
}

/// To which runners it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runners {
    /// All but those of single projects.
    Shared,
    /// All.
    All,
}

impl PullPolicy {
    /// The policy of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        choices::PULL_POLICY.named(name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        choices::PULL_POLICY.word(self)
    }
}

impl PullPolicies {
    /// Takes its keys out of a document. Where decisions are only observed, so are pull policies.
    pub(super) fn read(reader: &mut Reader<'_>, mode: Option<Mode>, api: Option<Api>) -> Option<Self> {
        let check = reader.choice("runner.pull_policy.mode", &choices::CHECK);
        let allowed = reader.choices("runner.pull_policy.allowed", &choices::PULL_POLICY);
        let otherwise = reader.choice("runner.pull_policy.otherwise", &choices::OTHERWISE);
        let runners = reader.choice("runner.pull_policy.runners", &choices::RUNNERS);
        if (otherwise, api) == (Some(Check::Refuse), Some(Api::V1)) {
            let expected = "`rewrite`, since only GitLab's own API can be told that a job failed";
            reader.refuse("runner.pull_policy.otherwise", expected, "refuse");
        }
        let check = match (check?, mode?) {
            (Check::Rewrite | Check::Refuse, Mode::Observe) => Check::Observe,
            (Check::Rewrite | Check::Refuse, Mode::Enforce) => otherwise?,
            (check @ (Check::Ignore | Check::Observe), _) => check,
        };
        Some(Self { check, allowed: allowed?, runners: runners? })
    }
}

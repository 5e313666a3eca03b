//! A forge that is asked. It looks facts up as the filter does, by the lookups of `policy`.

pub mod budget;
pub mod calls;
mod client;
pub mod gitlab;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use policy::bindings::Moment;
use policy::facts::{Hash, JobId, Known, ProjectId, Version};
use policy::failure::Failure;
use policy::lookup::{Fact, PartKey, Value};

/// What a forge will have answered.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// What is known of parts, and since when by our own clock.
pub type Recalled = HashMap<Hash, (Known, Moment)>;

/// What a look at a fact brought.
#[derive(Debug)]
pub struct Landed {
    /// The fact.
    pub value: Value,
    /// What was learned of parts.
    pub learned: Vec<(PartKey, Known)>,
    /// Since when it is known: the oldest of its parts, by our own clock.
    pub since: Moment,
}

/// What is known of a fact without asking.
#[derive(Debug)]
pub enum AtHand {
    /// All of it.
    Whole(Box<Landed>),
    /// These parts were looked for; what else is needed says the forge.
    Parts(Vec<PartKey>),
    /// It can be had from no forge.
    Failed(Failure),
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is not over.
    Running,
    /// It is over for good.
    Ended,
    /// The forge does not say.
    Unsure,
}

/// A forge.
pub trait Forge: Send + Sync {
    /// What a fact is made from, where these parts are known.
    fn at_hand(&self, fact: &Fact, recalled: &Recalled) -> AtHand;

    /// Looks a fact up; what is recalled is not asked.
    fn look<'a>(&'a self, fact: Fact, recalled: &'a Recalled) -> Reply<'a, Landed>;

    /// Which version it is.
    fn version(&self) -> Reply<'_, Version>;

    /// What becomes of a job of a project.
    fn status(&self, job: JobId, project: ProjectId) -> Reply<'_, Status>;

    /// All jobs that run.
    fn running(&self) -> Reply<'_, Vec<JobId>>;

    /// For how long it wants to be left alone.
    fn pause(&self) -> Option<Duration>;
}

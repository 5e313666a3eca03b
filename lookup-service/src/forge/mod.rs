//! A forge that is asked. It looks facts up as the filter does, by the lookups of `policy`.

pub mod budget;
pub mod calls;
mod client;
#[cfg(feature = "gitea")]
pub mod gitea;
pub mod gitlab;
pub mod oidc;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use policy::bindings::Moment;
use policy::facts::{Hash, JobId, Known, ProjectId, Version};
use policy::failure::Failure;
use policy::lookup::{Fact, PartKey, Value};

use crate::webhooks::{Delivery, Event, Refused};

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
    /// What else is to be known of a token.
    pub terms: Terms,
}

/// Which credential is to go on to the forge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Credential {
    /// The job's token.
    #[default]
    Own,
    /// One of the ingress's own, because the forge does not know the token.
    Service,
}

impl Credential {
    /// All of them, with their names in `v1`.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Own, "own"), (Self::Service, "service")];
}

/// What is to be known of a token, besides whose it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The Unix second from which on it is nobody's, where it says so itself.
    pub until: Option<u64>,
    /// Which credential goes on in its place.
    pub credential: Credential,
    /// Whether a refusal is of this token alone, and its job may run on with another one.
    pub of_token_alone: bool,
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

/// A page of the list of running jobs.
#[derive(Debug, Clone)]
pub struct Page {
    /// The jobs on it.
    pub jobs: Vec<JobId>,
    /// After what the next one begins.
    pub next: Option<String>,
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

    /// A page of the list of jobs that run, which begins after the one that said so; `None` where there is no such list.
    fn running<'a>(&'a self, _after: Option<&'a str>) -> Reply<'a, Option<Page>> {
        ready(Ok(None)).boxed()
    }

    /// What a report says that came to an address of this name.
    ///
    /// # Errors
    /// Why it is none.
    fn reported(&self, _from: &str, _delivery: &Delivery<'_>) -> Result<Event<JobId>, Refused> {
        Err(Refused::Unauthorized)
    }

    /// What becomes of these jobs, told at once by whoever knows for sure; `None` where nobody does.
    fn statuses<'a>(&'a self, _: &'a [JobId]) -> Reply<'a, Option<Vec<(JobId, Status)>>> {
        ready(Ok(None)).boxed()
    }

    /// For how long it wants to be left alone.
    fn pause(&self) -> Option<Duration>;
}

//! What the service remembers, for as many replicas as there are. All times are the store's own: no replica's clock counts.

pub mod memory;
pub mod redis;
#[cfg(test)]
pub(crate) mod seeds;
#[cfg(test)]
mod suite;

use std::time::Duration;

use futures_util::future::BoxFuture;
use policy::bindings::{Cursor, Moment};
use policy::facts::{Hash, Invalid, JobId, Known, ProjectId};
use policy::lookup::PartKey;
use tokio::sync::watch;

/// What the store will have said.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Why the store is of no use. Whoever asks goes to the forge; whoever tells comes again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is away, or did not answer in time.
    #[error("the store does not answer: {0}")]
    Away(String),
    /// It has fewer replicas than are to hold what it acknowledges: what it says may be lost or outdated.
    #[error("the store has fewer good replicas than `store.replicas` asks for")]
    Lonely,
    /// What was written is not held by as many replicas as it has to be.
    #[error("no replica of the store acknowledged what was written")]
    Unacknowledged,
    /// It takes nothing more.
    #[error("the store is full")]
    Full,
}

/// How long things are remembered.
pub mod life {
    use std::time::Duration;

    /// That a job ended. Its entry in the list of ended jobs lives as long.
    pub const ENDED: Duration = Duration::from_secs(3600);
    /// That a job runs: longer than jobs do.
    pub const RUNNING: Duration = Duration::from_secs(24 * 3600);
    /// That a token is nobody's.
    pub const REFUSED: Duration = Duration::from_secs(5);
    /// That a token is somebody's and no job's.
    pub const FOREIGN: Duration = Duration::from_secs(60);
    /// That something changed: longer than a part, which lives for twice its age of an hour at most.
    pub const CHANGED: Duration = Duration::from_secs(3 * 3600);
}

/// Something, and how old it was when the store was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged<T> {
    /// What is remembered.
    pub value: T,
    /// Since when, by the store's clock.
    pub age: Duration,
}

/// The right to ask the forge for a fact, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// When it was given, by the store's clock: what is learned with it is as old as that.
    pub at: Moment,
    /// In which life of the store. Clocks of two lives are not compared.
    pub life: String,
    /// Whose lease it is.
    pub owner: String,
}

/// What is remembered of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// Its job runs.
    Running(Running),
    /// Its job ended.
    Ended,
    /// It is no running job's.
    Refused(Invalid),
}

/// A token's running job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The job.
    pub job: JobId,
    /// Its project.
    pub project: ProjectId,
    /// What is answered, in `v1`.
    pub answer: String,
}

/// Whether somebody must ask the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// Nobody: all is there.
    Needless,
    /// The one who asked.
    Yours(Ticket),
    /// Another one does already. With this ticket, which is no lease, whoever waited long enough asks beside it.
    Theirs(Ticket),
    /// Nobody yet: so many unknown tokens were asked for in this second as may be.
    TooMany,
}

/// What the store says of a fact: what it knows, however old, and who is to ask for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<T> {
    /// What it knows.
    pub known: T,
    /// Who is to ask the forge.
    pub lease: Lease,
}

/// Which jobs ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// These after the cursor, and where the list goes on.
    Since(Vec<JobId>, Cursor),
    /// The cursor is of another life of the store, or what followed it is no longer there.
    Lost,
}

/// The most jobs that one answer names.
pub const MOST_CHANGES: usize = 10_000;

/// A memory that all replicas share.
pub trait Store: Send + Sync {
    /// What is known of a token, by the hash under which it is remembered. What is older than `max_age` serves only where
    /// the forge is away.
    fn ask_token<'a>(&'a self, key: &'a Hash, max_age: Duration) -> Reply<'a, Asked<Option<Aged<TokenState>>>>;

    /// The forge said that a token's job runs. Says what holds: an ended job stays ended.
    fn put_running<'a>(&'a self, key: &'a Hash, running: &'a Running, ticket: &'a Ticket) -> Reply<'a, TokenState>;

    /// The forge said that a token is no running job's. Says what holds: the job of a token that was running has ended,
    /// where `refused` says so; what was learned later stands.
    fn put_refused<'a>(&'a self, key: &'a Hash, refused: &'a TokenState, ticket: &'a Ticket) -> Reply<'a, TokenState>;

    /// What is known of the parts of a fact, each with the age to which it serves. Of what was known before something changed
    /// that the fact is about nothing is.
    fn ask_parts<'a>(
        &'a self,
        fact: &'a Hash,
        parts: &'a [(PartKey, Duration)],
        about: &'a [Hash],
    ) -> Reply<'a, Asked<Vec<Option<Aged<Known>>>>>;

    /// The forge said this of parts; each is remembered for so long. Says whether it holds: nothing is remembered where something
    /// that it is about changed since the ticket was given.
    fn put_parts<'a>(
        &'a self,
        parts: &'a [(PartKey, Known, Duration)],
        about: &'a [Hash],
        ticket: &'a Ticket,
    ) -> Reply<'a, bool>;

    /// These changed.
    fn change<'a>(&'a self, subjects: &'a [Hash]) -> Reply<'a, ()>;

    /// Gives a lease back.
    fn release<'a>(&'a self, fact: &'a Hash, ticket: &'a Ticket) -> Reply<'a, ()>;

    /// These jobs ended. Fails where that may be forgotten: who told it comes again.
    fn end<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, ()>;

    /// Which jobs ended after a cursor; none without one, and where the list is now.
    fn changes<'a>(&'a self, after: Option<&'a Cursor>) -> Reply<'a, Changes>;

    /// Changes whenever the list of ended jobs may have.
    fn news(&self) -> watch::Receiver<u64>;

    /// A lease of this name, where nobody has it.
    fn lease<'a>(&'a self, name: &'a str, time: Duration) -> Reply<'a, Option<Ticket>>;

    /// Keeps such a lease for so long at least. Says whether it is still ours: another one may have taken it once it was over.
    fn renew<'a>(&'a self, name: &'a str, ticket: &'a Ticket, time: Duration) -> Reply<'a, bool>;

    /// The jobs that were known to run before a ticket was given, and are not known to have ended.
    fn running<'a>(&'a self, before: &'a Ticket) -> Reply<'a, Vec<JobId>>;

    /// The project of a running job.
    fn project(&self, job: JobId) -> Reply<'_, Option<ProjectId>>;

    /// These jobs ran so long before the ticket was given.
    fn seen<'a>(&'a self, jobs: &'a [JobId], ticket: &'a Ticket, lag: Duration) -> Reply<'a, ()>;
}

/// What a refusal means for a token that was a running job's: the user may come back, the job does not.
#[must_use]
pub fn ends_job(refused: &TokenState) -> bool {
    match refused {
        TokenState::Ended => true,
        TokenState::Refused(invalid) => match invalid {
            Invalid::Unknown | Invalid::Erased | Invalid::ProjectGone => true,
            Invalid::NotStarted
            | Invalid::UserBlocked
            | Invalid::UserDeactivated
            | Invalid::UserRefused
            | Invalid::Foreign => false,
        },
        TokenState::Running(_) => false,
    }
}

/// How long a state of a token is remembered, where a running one is for so long.
#[must_use]
pub fn lives(state: &TokenState, tokens: Duration) -> Duration {
    match state {
        TokenState::Running(_) => tokens,
        TokenState::Ended => life::ENDED,
        TokenState::Refused(Invalid::Foreign) => life::FOREIGN,
        TokenState::Refused(_) => life::REFUSED,
    }
}

/// What bounds a store.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a token's answer is remembered.
    pub tokens: Duration,
    /// How long a lease holds: longer than one lookup may take.
    pub lease: Duration,
    /// The most tokens a second that are asked for and found to be nobody's.
    pub unknown_per_second: u32,
}

/// The name of a new lease.
pub(crate) fn owner() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

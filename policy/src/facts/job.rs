//! A job, who triggered it, and what is known about its token.

use alloc::string::String;

use super::{ProjectId, ProjectPath};

/// The number the forge knows a job by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// The states from which a job does not come back. A skipped one may: the forge runs it, under the same number, when an
/// earlier one is retried.
pub const FINAL_STATES: [&str; 3] = ["success", "failed", "canceled"];

/// The number the forge knows a user by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u64);

/// The number the forge knows a runner by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerId(pub u64);

/// Who triggered the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The forge's number for the user.
    pub id: UserId,
    /// The user's name, printable ASCII, for logs and answers.
    pub name: String,
}

/// The job's project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The forge's number for the project.
    pub id: ProjectId,
    /// Its full path.
    pub path: ProjectPath,
}

/// Whose credential a job's requests go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Credential {
    /// Their own.
    #[default]
    Own,
    /// One of the forge's, which the proxy adds to what was granted: the forge does not know the job's.
    Service,
}

impl Credential {
    /// All of them, with their names in lookups.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Own, "own"), (Self::Service, "service")];

    /// By its name in lookups.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(credential, _)| *credential)
    }
}

/// In which circumstances a job runs. `None` is what nobody said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The branch or tag, without `refs/heads/`.
    pub git_ref: Option<String>,
    /// Whether that is a protected one.
    pub protected: Option<bool>,
    /// The environment it deploys to; empty when it deploys to none.
    pub environment: Option<String>,
    /// What started its pipeline: `push`, `schedule`, `web`, `merge_request_event` and so on, in the forge's words.
    pub source: Option<String>,
    /// Whether it works on a merge request from a fork.
    pub fork: Option<bool>,
    /// For whom the job's user works, where that is a service account with a composite identity: GitLab's
    /// `scoped_user`. What that one may not, the job may not.
    pub on_behalf_of: Option<UserId>,
    /// Which runner got it, for the log: no rule looks at it.
    pub runner: Option<RunnerId>,
    /// Whose credential its requests go on with.
    pub credential: Credential,
    /// From when on its token is nobody's, in seconds since the Unix epoch. The job may go on under another.
    pub until: Option<u64>,
}

impl Context {
    /// The longest ref that is remembered, in bytes.
    pub const REF_LIMIT: usize = 255;
    /// The longest name of an environment that is remembered, in bytes.
    pub const ENVIRONMENT_LIMIT: usize = 64;
    /// The longest name of a source that is remembered, in bytes.
    pub const SOURCE_LIMIT: usize = 32;

    /// The same without texts that are too long to be remembered: what is forgotten by the next request counts as not
    /// known for the first.
    #[must_use]
    pub fn bounded(self) -> Self {
        let short = |text: Option<String>, most| text.filter(|text| text.len() <= most);
        Self {
            git_ref: short(self.git_ref, Self::REF_LIMIT),
            environment: short(self.environment, Self::ENVIRONMENT_LIMIT),
            source: short(self.source, Self::SOURCE_LIMIT),
            ..self
        }
    }
}

/// A job that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The forge's number for the job.
    pub id: JobId,
    /// Who triggered it; `None` for an old trigger behind which nobody stands.
    pub user: Option<User>,
    /// The job's project.
    pub origin: Origin,
    /// In which circumstances it runs.
    pub context: Context,
}

impl Job {
    /// Everybody who must be allowed what the job does: its user, and for whom that one works. Nobody, where nobody
    /// stands behind it.
    pub fn people(&self) -> impl Iterator<Item = UserId> {
        let user = self.user.as_ref().map(|user| user.id);
        let other = self.context.on_behalf_of.filter(|_| user.is_some()).filter(|other| user != Some(*other));
        user.into_iter().chain(other)
    }

    /// Everybody's numbers for a key, and how many of the two count. Nobody is a user without a number.
    pub(crate) fn people_key(&self) -> ([[u8; 8]; 2], usize) {
        let mut people = self.people();
        let mut number = || people.next().map(|user| user.0);
        let (user, other) = (number().unwrap_or(0), number());
        ([user, other.unwrap_or(0)].map(u64::to_be_bytes), if other.is_some() { 2 } else { 1 })
    }
}

/// Why a token is no running job's, where it never was known to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invalid {
    /// No job has it.
    Unknown,
    /// Its job has not begun.
    NotStarted,
    /// Its job was erased.
    Erased,
    /// Its job's project is deleted, or about to be.
    ProjectGone,
    /// Its user is blocked.
    UserBlocked,
    /// Its user is deactivated.
    UserDeactivated,
    /// The forge refuses its user for another reason: locked, terms not accepted, password expired.
    UserRefused,
    /// It is somebody else's credential and no job's.
    Foreign,
}

impl Invalid {
    /// All of them, with their names in lookups.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Unknown, "unknown"),
        (Self::NotStarted, "not-started"),
        (Self::Erased, "erased"),
        (Self::ProjectGone, "project-gone"),
        (Self::UserBlocked, "user-blocked"),
        (Self::UserDeactivated, "user-deactivated"),
        (Self::UserRefused, "user-refused"),
        (Self::Foreign, "foreign"),
    ];

    /// Its name in lookups.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// By its name in lookups.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(invalid, _)| *invalid)
    }
}

/// What is known about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// No running job's.
    Invalid(Invalid),
    /// Its job ended; which one, where that is still known.
    Ended(Option<Job>),
    /// Its job runs (running or canceling).
    Running(Job),
    /// It was made from the token of a job of which nothing is remembered any more.
    Forgotten,
}

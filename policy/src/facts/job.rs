//! A job, who triggered it, and what is known about its token.

use alloc::string::String;

use super::{ProjectId, ProjectPath};

/// The number the forge knows a job by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// The number the forge knows a user by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u64);

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

/// A job that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The forge's number for the job.
    pub id: JobId,
    /// Who triggered it; `None` for an old trigger behind which nobody stands.
    pub user: Option<User>,
    /// The job's project.
    pub origin: Origin,
}

/// What is known about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// No job has it, or none that runs.
    Unknown,
    /// Its job ended; which one, where that is still known.
    Ended(Option<Job>),
    /// The forge knows it but refuses its user: blocked, deactivated, or locked.
    UserRefused,
    /// Its job runs (running or canceling).
    Running(Job),
    /// It is somebody's credential, and no job's.
    Foreign,
}

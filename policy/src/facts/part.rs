//! The parts of what a target is to a job. Each is remembered by itself and for its own time, so that jobs share what
//! is the same for them.

use super::{Entry, Role, Target};

/// A part of what a target is to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The project.
    Project,
    /// The user's role in it.
    Member,
    /// Whether the user is external.
    External,
    /// What its allowlist says of the origin.
    Allowlist,
    /// Whether the instance limits access where a project does not.
    Enforcement,
    /// Whether the origin lets its jobs out to it.
    Outbound,
}

/// The parts that are believed for the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Facts about projects.
    Projects,
    /// Facts about users and members.
    Members,
    /// Facts about who is let in, and out.
    Allowlists,
}

/// What is known of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The project; `None` where there is none.
    Project(Option<Target>),
    /// The user's role.
    Member(Role),
    /// Whether the user is external.
    External(bool),
    /// What the target's allowlist says of the origin.
    Allowlist {
        /// Whether the project limits access by it.
        is_limited: bool,
        /// The entry that counts for the origin.
        entry: Option<Entry>,
    },
    /// Whether the instance limits access.
    Enforcement(bool),
    /// Whether the origin lets its jobs out to the target.
    Outbound(bool),
}

impl Part {
    /// For which time it is believed.
    #[must_use]
    pub fn lifetime(self) -> Lifetime {
        match self {
            Self::Project => Lifetime::Projects,
            Self::Member | Self::External => Lifetime::Members,
            Self::Allowlist | Self::Enforcement | Self::Outbound => Lifetime::Allowlists,
        }
    }
}

impl Known {
    /// Of which part it is.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::Project(_) => Part::Project,
            Self::Member(_) => Part::Member,
            Self::External(_) => Part::External,
            Self::Allowlist { .. } => Part::Allowlist,
            Self::Enforcement(_) => Part::Enforcement,
            Self::Outbound(_) => Part::Outbound,
        }
    }
}

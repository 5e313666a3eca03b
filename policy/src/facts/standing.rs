//! How a job's user and origin stand to a target.

use super::{Entry, Holders, Target};

/// A member's role, least first. The numbers are GitLab's access levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Not a member.
    None,
    /// Minimal access (5): listed in the group, no right in the project.
    Minimal,
    /// Guest (10).
    Guest,
    /// Planner (15).
    Planner,
    /// Reporter (20).
    Reporter,
    /// Developer (30).
    Developer,
    /// Maintainer (40).
    Maintainer,
    /// Owner (50).
    Owner,
}

impl Role {
    /// All of them with their access level and name, least first.
    pub const ALL: [(Self, u64, &'static str); 8] = [
        (Self::None, 0, "none"),
        (Self::Minimal, 5, "minimal"),
        (Self::Guest, 10, "guest"),
        (Self::Planner, 15, "planner"),
        (Self::Reporter, 20, "reporter"),
        (Self::Developer, 30, "developer"),
        (Self::Maintainer, 40, "maintainer"),
        (Self::Owner, 50, "owner"),
    ];

    /// The role of an access level. A level between two known ones (a forge may add some) counts as the lower.
    #[must_use]
    pub fn of_level(level: u64) -> Self {
        Self::ALL.iter().rev().find(|(_, at, _)| *at <= level).map_or(Self::None, |(role, _, _)| *role)
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, _, n)| *n == name).map(|(role, _, _)| *role)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(role, _, _)| *role == self).map_or("none", |(_, _, name)| name)
    }
}

/// Whether the target lets jobs of the origin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The target is the origin: a project always admits itself.
    Own,
    /// An entry of its allowlist names the origin or a group above it.
    Listed(Entry),
    /// It does not limit access.
    Open,
    /// It limits access, and no entry names the origin.
    Unlisted,
    /// The forge checks that itself.
    LeftToForge,
}

/// Whether the origin lets its jobs out to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// It does not limit where they go, or names the target.
    Open,
    /// It limits where they go, and does not name the target.
    Unlisted,
}

/// Whether a user is from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affiliation {
    /// An ordinary user, or no user at all.
    Internal,
    /// An external user: internal projects are not for them, and below Reporter they have nothing.
    External,
    /// The forge checks that itself.
    LeftToForge,
}

/// What is known about one user and one origin as seen from one target: all that the rules need beyond the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The user's role in the target, inherited ones included. Administrators count by this alone. `None` where the
    /// forge checks it itself.
    pub role: Option<Role>,
    /// Whether the user is external.
    pub affiliation: Affiliation,
    /// Whether the target admits the origin.
    pub admission: Admission,
    /// Whether the origin lets its jobs out to the target.
    pub outbound: Outbound,
    /// The target.
    pub target: Target,
}

/// What a look at a target found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No project there.
    Nothing,
    /// A project, and how the job's user and origin stand to it.
    Standing(Standing),
    /// The projects of a group that hold what it is asked for.
    Holders(Holders),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_between_two_roles_is_the_lower() {
        assert_eq!(Role::of_level(25), Role::Reporter);
        assert_eq!(Role::of_level(0), Role::None);
        assert_eq!(Role::of_level(60), Role::Owner);
    }
}

//! Which projects of a group hold something.

use alloc::vec::Vec;

use super::ProjectId;

/// More of them are not looked at: what each is to a job is a lookup of its own.
pub const MOST_HOLDERS: usize = 32;

/// The projects that hold what a group is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holders {
    /// All of them, each once; often one, and none where nobody holds it.
    All(Vec<ProjectId>),
    /// More than are looked at, or so much that not all was looked through; and one of them, where one is known.
    TooMany(Option<ProjectId>),
}

impl Holders {
    /// Those of a list, which may name one more than once.
    #[must_use]
    pub fn of(mut projects: Vec<ProjectId>) -> Self {
        projects.sort_unstable();
        projects.dedup();
        match projects.first() {
            Some(first) if projects.len() > MOST_HOLDERS => Self::TooMany(Some(*first)),
            Some(_) | None => Self::All(projects),
        }
    }

    /// Those that are looked at.
    #[must_use]
    pub fn looked_at(&self) -> &[ProjectId] {
        match self {
            Self::All(projects) => projects,
            Self::TooMany(one) => one.as_slice(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_named_twice_is_one_and_more_than_are_looked_at_are_too_many() {
        let ids = |all: &[u64]| all.iter().copied().map(ProjectId).collect::<Vec<_>>();
        assert_eq!(Holders::of(ids(&[9, 7, 9])), Holders::All(ids(&[7, 9])));
        let most: Vec<u64> = (1..=32).collect();
        assert_eq!(Holders::of(ids(&[&most[..], &[5]].concat())), Holders::All(ids(&most)));
        assert_eq!(Holders::of(ids(&[&most[..], &[33]].concat())), Holders::TooMany(Some(ProjectId(1))));
        assert_eq!(Holders::TooMany(Some(ProjectId(1))).looked_at(), ids(&[1]));
        assert_eq!(Holders::TooMany(None).looked_at(), []);
    }
}

//! What parts of facts are about. Where one of these changed, nothing that was known before serves a question about it.

use policy::access::TargetRef;
use policy::facts::{Hash, Known, ProjectId, ProjectPath, UserId};
use policy::lookup::Fact;

/// What a part may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everything: a group has another name, and all below it another path.
    Everything,
    /// A user, whoever's project it is in.
    User(UserId),
    /// A project.
    Project(ProjectId),
    /// What stands at a path.
    Path(ProjectPath),
}

impl Subject {
    /// Under which hash it is remembered that it changed.
    #[must_use]
    pub fn key(&self) -> Hash {
        match self {
            Self::Everything => Hash::of(&[b"everything"]),
            Self::User(user) => Hash::of(&[b"user", &user.0.to_be_bytes()]),
            Self::Project(project) => Hash::of(&[b"project", &project.0.to_be_bytes()]),
            Self::Path(path) => Hash::of(&[b"path", path.as_str().as_bytes()]),
        }
    }

    /// What a fact is about, as far as the question says it: which project stands at a path is told by its part alone.
    #[must_use]
    pub fn of(fact: &Fact) -> Vec<Self> {
        let Fact::Target(job, target) = fact else { return Vec::new() };
        let named = match target {
            TargetRef::Path(path) => vec![Self::Path(path.clone())],
            TargetRef::Id(id) => vec![Self::Project(*id)],
            TargetRef::Image(paths) => paths.iter().cloned().map(Self::Path).collect(),
            TargetRef::Own | TargetRef::ProjectOfJob(_) => vec![Self::Project(job.origin.id)],
            TargetRef::None | TargetRef::Job(_) | TargetRef::Group(_) | TargetRef::Held(_) => Vec::new(),
        };
        [Self::Everything].into_iter().chain(job.people().map(Self::User)).chain(named).collect()
    }

    /// The project that a part tells of.
    #[must_use]
    pub fn told(known: &Known) -> Option<Self> {
        match known {
            Known::Project(project) => project.as_ref()?.id.map(Self::Project),
            Known::Member(_)
            | Known::External(_)
            | Known::Allowlist { .. }
            | Known::Enforcement(_)
            | Known::Outbound(_) => None,
        }
    }
}

/// The keys of several.
#[must_use]
pub fn keys(subjects: &[Subject]) -> Vec<Hash> {
    subjects.iter().map(Subject::key).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use policy::facts::{Context, Job, JobId, Origin, User};

    use super::*;

    #[test]
    fn a_fact_is_about_its_people_and_whatever_its_target_is_called() {
        use Subject::{Everything, Path, Project};
        let path = |text: &str| ProjectPath::parse(text).unwrap();
        let job = Job {
            id: JobId(1001),
            user: Some(User { id: UserId(11), name: "dana".into() }),
            origin: Origin { id: ProjectId(101), path: path("apps/web") },
            context: Context { on_behalf_of: Some(UserId(12)), ..Context::default() },
        };
        let people = [Subject::User(UserId(11)), Subject::User(UserId(12))];
        for (target, named) in [
            (TargetRef::Path(path("Libs/Common")), vec![Path(path("libs/common"))]),
            (TargetRef::Id(ProjectId(102)), vec![Project(ProjectId(102))]),
            (TargetRef::Image(vec![path("a/b/c"), path("a/b")].into()), vec![Path(path("a/b/c")), Path(path("a/b"))]),
            (TargetRef::ProjectOfJob(JobId(1002)), vec![Project(ProjectId(101))]),
        ] {
            let all: Vec<Subject> = [Everything].into_iter().chain(people.clone()).chain(named).collect();
            assert_eq!(Subject::of(&Fact::Target(job.clone(), target)), all);
        }
    }

    #[test]
    fn no_two_have_one_key() {
        let path = ProjectPath::parse("a/b").unwrap();
        let all = [
            Subject::Everything,
            Subject::User(UserId(7)),
            Subject::User(UserId(8)),
            Subject::Project(ProjectId(7)),
            Subject::Path(path),
        ];
        let keys: HashSet<Hash> = all.iter().map(Subject::key).collect();
        assert_eq!(keys.len(), all.len());
    }
}

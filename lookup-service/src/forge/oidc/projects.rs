//! The projects of this installation as the configuration has them: whose they are, and what they are to each other's jobs.

use std::collections::HashMap;

use policy::access::TargetRef;
use policy::facts::{
    Admission, Affiliation, Entry, Features, Found, Grants, GroupPath, Job, JobPush, Link, Origin, Outbound, ProjectId,
    ProjectPath, Role, Standing, Target, Visibility,
};

/// Whom an entry of an allowlist names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// One project.
    Project(ProjectPath),
    /// Whatever is below a group.
    Group(GroupPath),
}

/// An entry of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admits {
    /// Whose jobs are let in.
    pub named: Named,
    /// Which role they have.
    pub role: Role,
    /// What the entry grants.
    pub grants: Grants,
}

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its number and its path.
    pub origin: Origin,
    /// Who may see it.
    pub visibility: Visibility,
    /// Whose jobs may push to it.
    pub job_push: JobPush,
    /// Which role its own jobs have.
    pub role: Role,
    /// Whether it lets jobs of every project in.
    pub open: bool,
    /// Whom it lets in otherwise.
    pub admits: Vec<Admits>,
}

/// All projects.
#[derive(Debug, Default)]
pub struct Projects {
    all: Vec<Project>,
    by_id: HashMap<ProjectId, usize>,
    by_path: HashMap<ProjectPath, usize>,
    /// Projects by the name of an issuer, and what the issuer calls them.
    identities: HashMap<(String, String), usize>,
}

impl Projects {
    /// Takes a project in.
    ///
    /// # Errors
    /// What it has in common with another one.
    pub fn add(&mut self, project: Project, identities: Vec<(String, String)>) -> Result<(), &'static str> {
        let at = self.all.len();
        if self.by_id.insert(project.origin.id, at).is_some() {
            return Err("id");
        }
        if self.by_path.insert(project.origin.path.clone(), at).is_some() {
            return Err("path");
        }
        for identity in identities {
            if self.identities.insert(identity, at).is_some() {
                return Err("identities");
            }
        }
        self.all.push(project);
        Ok(())
    }

    /// The project that an issuer calls so.
    #[must_use]
    pub fn of_identity(&self, issuer: &str, id: &str) -> Option<&Origin> {
        let at = self.identities.get(&(issuer.to_owned(), id.to_owned()))?;
        self.all.get(*at).map(|project| &project.origin)
    }

    /// What a target is to a job.
    #[must_use]
    pub fn find(&self, job: &Job, target: &TargetRef) -> Found {
        let at = match target {
            TargetRef::Path(path) => self.by_path.get(path),
            TargetRef::Id(id) => self.by_id.get(id),
            TargetRef::Image(paths) => paths.iter().find_map(|path| self.by_path.get(path)),
            TargetRef::Own => self.by_id.get(&job.origin.id),
            // Nobody here knows whose jobs have which numbers, or what is in a group.
            TargetRef::Job(_)
            | TargetRef::ProjectOfJob(_)
            | TargetRef::Group(_)
            | TargetRef::Held(_)
            | TargetRef::None => None,
        };
        let found = at.and_then(|at| self.all.get(*at));
        found.map_or(Found::Nothing, |project| Found::Standing(self.standing(job, project)))
    }

    fn standing(&self, job: &Job, project: &Project) -> Standing {
        // An origin that the configuration does not have so, any more, is nobody's.
        let origin = self.by_id.get(&job.origin.id).and_then(|at| self.all.get(*at));
        let origin = origin.map(|known| &known.origin).filter(|known| **known == job.origin);
        let (role, admission) = match origin {
            Some(origin) if *origin == project.origin => (project.role, Admission::Own),
            Some(origin) => project.admits(&origin.path),
            None => (Role::None, Admission::Unlisted),
        };
        Standing {
            // Nobody stands behind a job without a user.
            role: Some(if job.user.is_some() { role } else { Role::None }),
            affiliation: Affiliation::Internal,
            admission,
            outbound: Outbound::Open,
            target: Target {
                id: Some(project.origin.id),
                path: Some(project.origin.path.clone()),
                visibility: Some(project.visibility),
                features: Features::OPEN,
                job_push: project.job_push,
                public_jobs: false,
                archived: false,
            },
        }
    }
}

impl Project {
    /// The nearest entry counts: the origin's own, else that of the closest group above it.
    fn admits(&self, origin: &ProjectPath) -> (Role, Admission) {
        let nearest = self.admits.iter().filter_map(|entry| match &entry.named {
            Named::Project(path) => (path == origin).then_some((usize::MAX, Link::Project, entry)),
            Named::Group(group) => {
                origin.is_below(group.as_str()).then_some((group.as_str().len(), Link::Group, entry))
            }
        });
        match nearest.max_by_key(|(near, ..)| *near) {
            Some((_, link, entry)) => (entry.role, Admission::Listed(Entry { link, grants: entry.grants })),
            None if self.open => (Role::None, Admission::Open),
            None => (Role::None, Admission::Unlisted),
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::facts::{Context, JobId, User, UserId};

    use super::*;

    fn path(path: &str) -> ProjectPath {
        ProjectPath::parse(path).unwrap()
    }

    fn project(id: u64, at: &str, admits: Vec<Admits>) -> Project {
        let origin = Origin { id: ProjectId(id), path: path(at) };
        let (visibility, job_push) = (Visibility::Private, JobPush::Own);
        Project { origin, visibility, job_push, role: Role::Developer, open: false, admits }
    }

    fn entry(named: Named, role: Role) -> Admits {
        Admits { named, role, grants: Grants::Default }
    }

    fn all() -> Projects {
        let admits = vec![
            entry(Named::Group(GroupPath::parse("apps").unwrap()), Role::Guest),
            entry(Named::Project(path("apps/web")), Role::Reporter),
            entry(Named::Group(GroupPath::parse("apps/team").unwrap()), Role::Developer),
        ];
        let mut projects = Projects::default();
        projects.add(project(101, "apps/web", Vec::new()), vec![("ci".into(), "7".into())]).unwrap();
        projects.add(project(102, "libs/common", admits), Vec::new()).unwrap();
        projects.add(project(103, "apps/team/x", Vec::new()), Vec::new()).unwrap();
        projects
    }

    fn job(id: u64, at: &str) -> Job {
        let user = Some(User { id: UserId(1), name: "ci:1".into() });
        Job { id: JobId(1), user, origin: Origin { id: ProjectId(id), path: path(at) }, context: Context::default() }
    }

    fn standing(job: &Job, target: &str) -> Option<(Role, Admission)> {
        match all().find(job, &TargetRef::Path(path(target))) {
            Found::Standing(standing) => Some((standing.role.unwrap(), standing.admission)),
            _ => None,
        }
    }

    #[test]
    fn the_nearest_entry_lets_a_job_in() {
        let listed = |link| Admission::Listed(Entry { link, grants: Grants::Default });
        let of = |job: &Job, target| standing(job, target).unwrap();
        assert_eq!(of(&job(101, "apps/web"), "libs/common"), (Role::Reporter, listed(Link::Project)));
        assert_eq!(of(&job(103, "apps/team/x"), "libs/common"), (Role::Developer, listed(Link::Group)));
        assert_eq!(of(&job(102, "libs/common"), "apps/web"), (Role::None, Admission::Unlisted));
        assert_eq!(of(&job(101, "apps/web"), "apps/web"), (Role::Developer, Admission::Own));
        assert_eq!(standing(&job(101, "apps/web"), "apps/other"), None);
    }

    #[test]
    fn an_origin_that_took_over_a_number_or_a_path_is_let_in_nowhere() {
        for other in [job(101, "apps/other"), job(104, "apps/web"), job(102, "apps/web")] {
            for target in ["libs/common", "apps/web"] {
                assert_eq!(standing(&other, target), Some((Role::None, Admission::Unlisted)), "{target}");
            }
        }
        let nobody = Job { user: None, ..job(101, "apps/web") };
        assert_eq!(standing(&nobody, "apps/web"), Some((Role::None, Admission::Own)));
    }

    #[test]
    fn a_number_a_path_and_an_identity_are_one_projects() {
        let mut projects = all();
        let identity = |id: &str| vec![("ci".to_owned(), id.to_owned())];
        assert_eq!(projects.add(project(101, "a/b", Vec::new()), Vec::new()), Err("id"));
        assert_eq!(all().add(project(9, "APPS/web", Vec::new()), Vec::new()), Err("path"));
        assert_eq!(all().add(project(9, "a/b", Vec::new()), identity("7")), Err("identities"));
        assert_eq!(all().of_identity("ci", "7").unwrap().id, ProjectId(101));
        assert_eq!((all().of_identity("CI", "7"), all().of_identity("ci", "8")), (None, None));
    }
}

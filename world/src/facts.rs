//! What a world is to the access rules: whose a token is, and what a target is to a job. The same facts as a lookup of
//! the forge's API finds.

use policy::access::{Holding, Sought, TargetRef};
use policy::config::Sources;
use policy::facts::{
    Admission, Affiliation, Context, Entry, Feature as Part, Features, Found, Grants, GroupRef, Holders, Invalid, Job,
    JobId, JobPush, Level, Link, Origin, Outbound, Permission, Permissions, ProjectId, ProjectPath, Role as Rank,
    RunnerId, Standing, Target, Token, User as Person, UserId, Visibility as Reach,
};

use super::{Feature, FirstJob, JobStatus, Project, User, Visibility, World};

impl Project {
    /// Its path as the rules know it.
    #[must_use]
    pub fn rules_path(&self) -> Option<ProjectPath> {
        ProjectPath::parse(&self.path)
    }

    /// The project as a job's own.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        Some(Origin { id: ProjectId(self.id), path: self.rules_path()? })
    }
}

impl User {
    /// The user as one who starts jobs.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { id: UserId(self.id), name: self.username.clone() }
    }
}

impl World {
    /// Whether a branch or tag of a project is protected.
    #[must_use]
    pub fn protects(&self, project: &Project, reference: &str) -> bool {
        project.protected.iter().any(|known| known == reference)
    }

    /// One of the world's jobs, as the rules know it.
    #[must_use]
    pub fn job(&self, first: &FirstJob) -> Option<Job> {
        let project = self.project(first.project)?;
        let context = Context {
            protected: Some(self.protects(project, &first.reference)),
            git_ref: Some(first.reference.clone()),
            environment: Some(first.environment.clone().unwrap_or_default()),
            source: Some(first.source.clone()),
            fork: Some(first.fork),
            runner: first.runner.map(RunnerId),
            ..Context::default()
        };
        let user = first.user.and_then(|id| self.user(id)).map(|user| user.person());
        Some(Job { id: JobId(first.id), user, origin: project.origin()?, context })
    }

    /// What is known of the token of one of the world's jobs.
    #[must_use]
    pub fn token(&self, first: &FirstJob) -> Token {
        let Some(job) = self.job(first) else { return Token::Invalid(Invalid::ProjectGone) };
        let is_blocked = first.user.and_then(|id| self.user(id)).is_some_and(|user| user.blocked);
        match first.status {
            JobStatus::Created | JobStatus::Pending => Token::Invalid(Invalid::NotStarted),
            JobStatus::Canceled | JobStatus::Success | JobStatus::Failed => Token::Ended(Some(job)),
            JobStatus::Running | JobStatus::Canceling if is_blocked => Token::Invalid(Invalid::UserBlocked),
            JobStatus::Running | JobStatus::Canceling => Token::Running(job),
        }
    }

    /// What a target is to a job, as far as a configuration with these sources has it looked up.
    #[must_use]
    pub fn found(&self, sources: &Sources, job: &Job, target: &TargetRef) -> Found {
        let project = match target {
            TargetRef::Own | TargetRef::Job(_) => self.project(job.origin.id.0),
            // Another job is looked for in the origin alone.
            TargetRef::ProjectOfJob(other) => self.project_of_job(job, *other),
            TargetRef::Id(id) => self.project(id.0),
            TargetRef::Path(path) => self.project_at(path.as_str()),
            TargetRef::Image(candidates) => candidates.iter().find_map(|path| self.project_at(path.as_str())),
            TargetRef::Held(holding) => {
                return self.holders(holding).map_or(Found::Nothing, Found::Holders);
            }
            TargetRef::None | TargetRef::Group(_) => None,
        };
        project.and_then(|project| self.standing(sources, job, project)).map_or(Found::Nothing, Found::Standing)
    }

    /// Which projects hold what a group is asked for; `None` where there is no such group.
    fn holders(&self, holding: &Holding) -> Option<Holders> {
        let group = self.groups.iter().find(|group| match &holding.group {
            GroupRef::Path(path) | GroupRef::Namespace(path) => group.path.eq_ignore_ascii_case(path.as_str()),
            GroupRef::Id(id) => group.id == id.0,
        })?;
        let is_below = |project: &Project| {
            let below = project.path.get(group.path.len()..).is_some_and(|rest| rest.starts_with('/'));
            below && project.path.starts_with(&group.path)
        };
        let holds = |project: &Project| match &holding.sought {
            Sought::Everything | Sought::Owned => true,
            Sought::Package(sought) | Sought::File(sought) => project
                .published
                .iter()
                .any(|package| package.kind == sought.registry.name() && sought.is_named(&package.name)),
        };
        let holders = self.projects.iter().filter(|project| is_below(project) && holds(project));
        Some(Holders::of(holders.map(|project| ProjectId(project.id)).collect()))
    }

    fn project_of_job(&self, job: &Job, other: JobId) -> Option<&std::sync::Arc<Project>> {
        let origin = self.project(job.origin.id.0)?;
        let is_there = self.jobs.iter().any(|first| first.id == other.0 && first.project == origin.id)
            || origin.artifacts.iter().any(|left| left.job == other.0);
        (job.id == other || is_there).then_some(origin)
    }

    /// How a job and its user stand to a project. What two people must both be allowed has the lesser right.
    fn standing(&self, sources: &Sources, job: &Job, project: &Project) -> Option<Standing> {
        let is_own = project.id == job.origin.id.0;
        let role = job.people().map(|user| self.rank(project, user)).min().unwrap_or(Rank::None);
        let is_external = job.people().any(|user| self.user(user.0).is_some_and(|user| user.external));
        let mut target = target(project)?;
        if !sources.visibility.is_lookup() {
            target.visibility = None;
        }
        Some(Standing {
            role: sources.membership.is_lookup().then_some(role),
            affiliation: match (sources.external.is_lookup(), is_external) {
                (false, _) => Affiliation::LeftToForge,
                (true, true) => Affiliation::External,
                (true, false) => Affiliation::Internal,
            },
            admission: match (is_own, sources.allowlists.is_lookup()) {
                (true, _) => Admission::Own,
                (false, true) => self.admission(job, project),
                (false, false) => Admission::LeftToForge,
            },
            outbound: if sources.outbound.is_lookup() && !is_own && self.is_kept_from(job, project) {
                Outbound::Unlisted
            } else {
                Outbound::Open
            },
            target,
        })
    }

    /// Whether the origin limits where its jobs go, and does not name a project that is private.
    fn is_kept_from(&self, job: &Job, project: &Project) -> bool {
        let named = self.project(job.origin.id.0).and_then(|origin| origin.outbound.as_ref());
        project.visibility == Visibility::Private && named.is_some_and(|named| !named.contains(&project.id))
    }

    fn rank(&self, project: &Project, user: UserId) -> Rank {
        self.role(project, user.0).map_or(Rank::None, |role| Rank::of_level(role.access_level()))
    }

    fn admission(&self, job: &Job, project: &Project) -> Admission {
        if !project.inbound_limit && !self.enforce_inbound_limit {
            return Admission::Open;
        }
        let list = &project.allowlist;
        let grants = |permissions: Option<&Vec<String>>| {
            permissions.map_or(Grants::Default, |names| {
                let known: Vec<Permission> = names.iter().filter_map(|name| Permission::named(name)).collect();
                Grants::Only(Permissions::of(&known))
            })
        };
        let own = job.origin.id.0;
        if list.projects.contains(&own) {
            return Admission::Listed(Entry { link: Link::Project, grants: grants(list.of_projects.get(&own)) });
        }
        let above = self.project(own).into_iter().flat_map(|origin| self.groups_above(origin));
        let nearest = above.map(|group| group.id).find(|group| list.groups.contains(group));
        nearest.map_or(Admission::Unlisted, |group| {
            Admission::Listed(Entry { link: Link::Group, grants: grants(list.of_groups.get(&group)) })
        })
    }
}

fn target(project: &Project) -> Option<Target> {
    // Both go by the names of the forge's API.
    let level = |name: &str| {
        let feature = Feature::FIELDS.iter().find(|(_, field)| *field == name).map(|(feature, _)| *feature);
        feature.and_then(|feature| Level::named(project.feature(feature).word())).unwrap_or(Level::Enabled)
    };
    Some(Target {
        id: Some(ProjectId(project.id)),
        path: Some(project.rules_path()?),
        visibility: Reach::named(project.visibility.word()),
        features: Features(Part::ALL.map(|(_, name)| level(name))),
        job_push: JobPush::of_settings(project.push_by_job_token, project.cross_project_push),
        public_jobs: project.public_jobs,
        archived: project.archived,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: &str = "
users:
  - {id: 1, username: dana}
  - {id: 2, username: gus, external: true}
  - {id: 3, username: bea, blocked: true}
groups:
  - {id: 1, path: apps, members: {dana: reporter}}
  - {id: 2, path: apps/team}
  - {id: 3, path: libs}
projects:
  - {id: 11, path: apps/team/web, outbound: [libs/listed], artifacts: [{job: 90, ref: main, name: old, files: {}}]}
  - {id: 12, path: libs/listed, members: {dana: owner}, allowlist: {projects: [apps/team/web], groups: [apps], permissions: {apps/team/web: [read_jobs]}}}
  - {id: 13, path: libs/by-group, allowlist: {groups: [apps, apps/team], permissions: {apps: [read_packages]}}}
  - {id: 14, path: libs/closed, visibility: internal, archived: true, features: {wiki: disabled, package_registry: private}}
  - {id: 15, path: libs/open, inbound_limit: false, push_by_job_token: true, public_jobs: false}
  - {id: 16, path: apps/team/web-2, visibility: public}
jobs:
  - {id: 1, project: apps/team/web, user: dana, name: build, environment: production, source: schedule, runner: 3}
  - {id: 2, project: apps/team/web, user: dana, name: build, status: pending}
  - {id: 3, project: apps/team/web, user: dana, name: build, status: failed}
  - {id: 4, project: apps/team/web, user: bea, name: build}
  - {id: 5, project: libs/listed, name: trigger}
";

    fn world() -> World {
        World::parse(WORLD).unwrap()
    }

    /// The sources of a configuration with these lines under `facts`.
    fn sources(facts: &str) -> std::sync::Arc<Sources> {
        let document = format!(
            r#"{{"forge": {{"hosts": ["f.invalid"]}}, "facts": {{{facts}}},
                "lookup": {{"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}}}"#
        );
        policy::Config::parse(document.as_bytes()).unwrap().facts
    }

    fn looked_up() -> std::sync::Arc<Sources> {
        sources(r#""outbound": "lookup""#)
    }

    fn running(world: &World, id: u64) -> Job {
        let first = world.jobs.iter().find(|job| job.id == id).unwrap();
        let Token::Running(job) = world.token(first) else { panic!("job {id} does not run") };
        job
    }

    fn standing(world: &World, path: &str) -> Standing {
        let target = TargetRef::Path(ProjectPath::parse(path).unwrap());
        let Found::Standing(standing) = world.found(&looked_up(), &running(world, 1), &target) else {
            panic!("no {path}")
        };
        standing
    }

    #[test]
    fn a_token_is_its_jobs_as_long_as_that_runs() {
        let world = world();
        let tokens: Vec<Token> = world.jobs.iter().map(|job| world.token(job)).collect();
        let Token::Running(job) = &tokens[0] else { panic!("it runs") };
        assert_eq!((job.id, job.user.as_ref().unwrap().name.as_str()), (JobId(1), "dana"));
        let context = Context {
            git_ref: Some("main".into()),
            protected: Some(false),
            environment: Some("production".into()),
            source: Some("schedule".into()),
            fork: Some(false),
            runner: Some(RunnerId(3)),
            ..Context::default()
        };
        assert_eq!(job.context, context);
        assert_eq!(tokens[1], Token::Invalid(Invalid::NotStarted));
        assert!(matches!(&tokens[2], Token::Ended(Some(_))));
        assert_eq!(tokens[3], Token::Invalid(Invalid::UserBlocked));
        assert!(matches!(&tokens[4], Token::Running(job) if job.user.is_none()));
    }

    #[test]
    fn the_nearest_entry_counts_and_no_other() {
        let world = world();
        let entry = |path| standing(&world, path).admission;
        let only = |permission| Grants::Only(Permissions::of(&[permission]));
        let listed = |link, grants| Admission::Listed(Entry { link, grants });
        assert_eq!(entry("libs/listed"), listed(Link::Project, only(Permission::ReadJobs)));
        assert_eq!(entry("libs/by-group"), listed(Link::Group, Grants::Default), "apps/team is nearer than apps");
        assert_eq!(entry("libs/closed"), Admission::Unlisted);
        assert_eq!(entry("libs/open"), Admission::Open);
        assert_eq!(entry("apps/team/web"), Admission::Own);
        let enforced = World { enforce_inbound_limit: true, ..world };
        assert_eq!(standing(&enforced, "libs/open").admission, Admission::Unlisted);
    }

    #[test]
    fn roles_are_the_highest_and_outbound_keeps_to_private_targets() {
        let world = world();
        let of = |path| (standing(&world, path).role.unwrap(), standing(&world, path).outbound);
        assert_eq!(of("libs/listed"), (Rank::Owner, Outbound::Open));
        assert_eq!(of("apps/team/web"), (Rank::Reporter, Outbound::Open));
        assert_eq!(of("libs/by-group"), (Rank::None, Outbound::Unlisted));
        assert_eq!(of("libs/closed"), (Rank::None, Outbound::Open), "an internal one");
    }

    #[test]
    fn a_target_has_the_levels_and_settings_of_its_project() {
        let world = world();
        let closed = standing(&world, "libs/closed").target;
        assert_eq!((closed.visibility, closed.archived, closed.public_jobs), (Some(Reach::Internal), true, true));
        assert_eq!((closed.level(Part::Wiki), closed.level(Part::Packages)), (Level::Disabled, Level::Members));
        assert_eq!(closed.level(Part::Images), Level::Enabled);
        let open = standing(&world, "libs/open").target;
        assert_eq!((open.job_push, open.public_jobs), (JobPush::Own, false));
    }

    #[test]
    fn a_target_is_found_by_number_path_image_and_job() {
        let world = world();
        let job = running(&world, 1);
        let path = |path| ProjectPath::parse(path).unwrap();
        let found = |target: &TargetRef| match world.found(&looked_up(), &job, target) {
            Found::Standing(standing) => standing.target.id.map(|id| id.0),
            Found::Nothing | Found::Holders(_) => None,
        };
        assert_eq!(found(&TargetRef::Id(ProjectId(13))), Some(13));
        assert_eq!(found(&TargetRef::Path(path("Libs/Open"))), Some(15));
        assert_eq!(found(&TargetRef::Path(path("libs/none"))), None);
        let image = ["apps/team/web/a/b", "apps/team/web/a", "apps/team/web"].map(path);
        assert_eq!(found(&TargetRef::Image(image.to_vec().into())), Some(11));
        assert_eq!(found(&TargetRef::Own), Some(11));
        let held = |group: &str| {
            let group = GroupRef::Path(policy::facts::GroupPath::parse(group).unwrap());
            let holding = Holding { group, sought: Sought::Everything };
            world.found(&looked_up(), &job, &TargetRef::Held(std::sync::Arc::new(holding)))
        };
        let below = world.projects.iter().filter(|project| project.path.starts_with("libs/"));
        let below = below.map(|project| ProjectId(project.id)).collect();
        assert_eq!(held("libs"), Found::Holders(Holders::of(below)));
        assert_eq!(held("nobody"), Found::Nothing);
        assert_eq!(found(&TargetRef::ProjectOfJob(JobId(90))), Some(11), "one that left artifacts");
        assert_eq!(found(&TargetRef::ProjectOfJob(JobId(5))), None, "one of another project");
        assert_eq!(found(&TargetRef::None), None);
    }

    #[test]
    fn who_is_external_is_seen_and_nobody_is_not() {
        let world = world();
        let mut job = running(&world, 1);
        let listed = world.project_at("libs/listed").unwrap();
        job.user = world.user_named("gus").map(|user| user.person());
        let of = |job: &Job| {
            world.standing(&looked_up(), job, listed).map(|standing| (standing.affiliation, standing.role)).unwrap()
        };
        assert_eq!(of(&job), (Affiliation::External, Some(Rank::None)));
        // Who works for somebody has no more than both.
        job.user = world.user_named("dana").map(|user| user.person());
        job.context.on_behalf_of = Some(UserId(2));
        assert_eq!(of(&job), (Affiliation::External, Some(Rank::None)));
        job.user = None;
        assert_eq!(of(&job), (Affiliation::Internal, Some(Rank::None)));
    }

    #[test]
    fn what_a_configuration_does_not_have_looked_up_is_not_known() {
        let world = world();
        let listed = world.project_at("libs/listed").unwrap();
        let forge = r#""membership": "forge", "external": "forge", "visibility": "forge", "allowlists": "forge""#;
        let standing = world.standing(&sources(forge), &running(&world, 1), listed).unwrap();
        assert_eq!((standing.role, standing.affiliation), (None, Affiliation::LeftToForge));
        assert_eq!((standing.admission, standing.target.visibility), (Admission::LeftToForge, None));
        let by_group = world.project_at("libs/by-group").unwrap();
        let standing = world.standing(&sources(""), &running(&world, 1), by_group).unwrap();
        assert_eq!(standing.outbound, Outbound::Open, "the default asks nobody");
    }
}

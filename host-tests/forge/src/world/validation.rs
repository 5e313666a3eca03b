//! From what is written to what is meant: names become ids, and all mistakes are collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, bail};

use super::document::{Document, GroupEntry, JobEntry, ProjectEntry, RepositoryEntry};
use super::{Allowlist, Artifacts, FirstJob, Group, Project, Repository, Role, Submodule, User, World};

struct Names {
    users: BTreeMap<String, u64>,
    groups: BTreeMap<String, u64>,
    projects: BTreeMap<String, u64>,
    mistakes: Vec<String>,
}

impl Names {
    fn user(&mut self, place: &str, name: &str) -> Option<u64> {
        let found = self.users.get(name).copied();
        self.expected(found, place, "a username of the world", name)
    }

    fn group(&mut self, place: &str, path: &str) -> Option<u64> {
        let found = self.groups.get(path).copied();
        self.expected(found, place, "the path of a group of the world", path)
    }

    fn project(&mut self, place: &str, path: &str) -> Option<u64> {
        let found = self.projects.get(path).copied();
        self.expected(found, place, "the path of a project of the world", path)
    }

    fn expected(&mut self, found: Option<u64>, place: &str, what: &str, name: &str) -> Option<u64> {
        if found.is_none() {
            self.mistakes.push(format!("{place}: expected {what}, found `{name}`"));
        }
        found
    }

    fn members(&mut self, place: &str, members: BTreeMap<String, Role>) -> BTreeMap<u64, Role> {
        members
            .into_iter()
            .filter_map(|(name, role)| Some((self.user(&format!("{place}.members"), &name)?, role)))
            .collect()
    }
}

/// Resolves a document.
///
/// # Errors
/// When a name means nothing, an id or a name occurs twice, or a path cannot be one.
pub(super) fn resolve(document: Document) -> Result<World> {
    let mut names = Names {
        users: document.users.iter().map(|user| (user.username.clone(), user.id)).collect(),
        groups: document.groups.iter().map(|group| (group.path.clone(), group.id)).collect(),
        projects: document.projects.iter().map(|project| (project.path.clone(), project.id)).collect(),
        mistakes: Vec::new(),
    };
    duplicates(&document, &mut names.mistakes);
    let users = document
        .users
        .into_iter()
        .map(|user| {
            Arc::new(User {
                id: user.id,
                name: user.name.unwrap_or_else(|| user.username.clone()),
                username: user.username,
                password: user.password,
                token: user.token,
                admin: user.admin,
                external: user.external,
                blocked: user.blocked,
            })
        })
        .collect();
    let groups = document.groups.into_iter().enumerate();
    let groups = groups.filter_map(|(at, entry)| group(at, entry, &mut names)).map(Arc::new).collect();
    let projects = document.projects.into_iter().enumerate();
    let projects = projects.filter_map(|(at, entry)| project(at, entry, &mut names)).map(Arc::new).collect();
    let jobs = document.jobs.into_iter().enumerate();
    let jobs = jobs.filter_map(|(at, entry)| job(at, entry, &mut names)).collect();
    if !names.mistakes.is_empty() {
        bail!("{}", names.mistakes.join("\n"));
    }
    Ok(World {
        users,
        groups,
        projects,
        runners: document.runners.into_iter().map(|runner| runner.token).collect(),
        jobs,
        enforce_inbound_limit: document.settings.enforce_ci_inbound_job_token_scope_enabled,
    })
}

fn duplicates(document: &Document, mistakes: &mut Vec<String>) {
    let mut twice = |place: &str, values: Vec<String>| {
        let mut seen = BTreeSet::new();
        for value in values {
            if !seen.insert(value.to_ascii_lowercase()) {
                mistakes.push(format!("{place}: expected each once, found `{value}` twice"));
            }
        }
    };
    twice("users[].id", document.users.iter().map(|user| user.id.to_string()).collect());
    twice("users[].username", document.users.iter().map(|user| user.username.clone()).collect());
    twice("groups[].id", document.groups.iter().map(|group| group.id.to_string()).collect());
    twice("groups[].path", document.groups.iter().map(|group| group.path.clone()).collect());
    twice("projects[].id", document.projects.iter().map(|project| project.id.to_string()).collect());
    twice("projects[].path", document.projects.iter().map(|project| project.path.clone()).collect());
    let artifacts = document.projects.iter().flat_map(|project| &project.artifacts);
    let ids = document.jobs.iter().map(|job| job.id).chain(artifacts.map(|left| left.job));
    twice("jobs[].id", ids.map(|id| id.to_string()).collect());
}

fn group(at: usize, entry: GroupEntry, names: &mut Names) -> Option<Group> {
    let place = format!("groups[{at}]");
    well_formed(&place, &entry.path, names)?;
    let parent = match entry.path.rsplit_once('/') {
        Some((parent, _)) => Some(names.group(&format!("{place}.path"), parent)?),
        None => None,
    };
    let members = names.members(&place, entry.members);
    Some(Group { id: entry.id, path: entry.path, parent, members })
}

fn project(at: usize, entry: ProjectEntry, names: &mut Names) -> Option<Project> {
    let place = format!("projects[{at}]");
    well_formed(&place, &entry.path, names)?;
    let (group, _) = entry.path.rsplit_once('/').unwrap_or(("", ""));
    let group = names.group(&format!("{place}.path"), group);
    let members = names.members(&place, entry.members);
    let written = entry.allowlist.unwrap_or_default();
    let mut allowlist = Allowlist {
        projects: written
            .projects
            .iter()
            .filter_map(|path| names.project(&format!("{place}.allowlist.projects"), path))
            .collect(),
        groups: written
            .groups
            .iter()
            .filter_map(|path| names.group(&format!("{place}.allowlist.groups"), path))
            .collect(),
        ..Allowlist::default()
    };
    for (path, permissions) in written.permissions {
        if let Some(id) = names.groups.get(&path).filter(|_| written.groups.contains(&path)) {
            allowlist.of_groups.insert(*id, permissions);
        } else if let Some(id) = names.projects.get(&path).filter(|_| written.projects.contains(&path)) {
            allowlist.of_projects.insert(*id, permissions);
        } else {
            let place = format!("{place}.allowlist.permissions");
            names.mistakes.push(format!("{place}: expected a path of the allowlist, found `{path}`"));
        }
    }
    let outbound = entry.outbound.map(|paths| {
        let place = format!("{place}.outbound");
        paths.iter().filter_map(|path| names.project(&place, path)).collect()
    });
    let repository = entry.repository.map(|written| repository(&place, &entry.path, written, names));
    for file in entry.packages.generic.keys() {
        if file.split('/').count() < 3 || !stays_below(file) {
            let place = format!("{place}.packages.generic");
            names.mistakes.push(format!("{place}: expected `name/version/file`, found `{file}`"));
        }
    }
    let artifacts = entry.artifacts.into_iter().map(|left| Artifacts {
        job: left.job,
        reference: left.reference,
        name: left.name,
        files: left.files,
    });
    Some(Project {
        id: entry.id,
        path: entry.path,
        group: group?,
        visibility: entry.visibility,
        archived: entry.archived,
        // GitLab shows them until somebody changes that.
        public_jobs: entry.public_jobs.unwrap_or(true),
        members,
        // GitLab counts a missing settings row as on.
        inbound_limit: entry.inbound_limit.unwrap_or(true),
        allowlist,
        push_by_job_token: entry.push_by_job_token,
        cross_project_push: entry.cross_project_push,
        outbound,
        protected: entry.protected,
        features: entry.features,
        repository: repository.unwrap_or_default(),
        generic_packages: entry.packages.generic,
        artifacts: artifacts.collect(),
    })
}

fn repository(place: &str, path: &str, written: RepositoryEntry, names: &mut Names) -> Repository {
    let mut submodules = BTreeMap::new();
    for (folder, url) in written.submodules {
        let place = format!("{place}.repository.submodules.{folder}");
        let Some(target) = beside(path, &url) else {
            let expected = "a relative URL that ends in `.git`";
            names.mistakes.push(format!("{place}: expected {expected}, found `{url}`"));
            continue;
        };
        if let Some(project) = names.project(&place, &target) {
            submodules.insert(folder, Submodule { url, project });
        }
    }
    for file in written.files.keys().chain(submodules.keys()).chain(written.lfs.keys()) {
        if !stays_below(file) {
            let place = format!("{place}.repository");
            names.mistakes.push(format!("{place}: expected a path below the root, found `{file}`"));
        }
    }
    Repository { files: written.files, submodules, lfs: written.lfs }
}

fn job(at: usize, entry: JobEntry, names: &mut Names) -> Option<FirstJob> {
    let place = format!("jobs[{at}]");
    let project = names.project(&format!("{place}.project"), &entry.project);
    let user = match &entry.user {
        Some(name) => Some(names.user(&format!("{place}.user"), name)?),
        None => None,
    };
    Some(FirstJob {
        id: entry.id,
        project: project?,
        user,
        reference: entry.reference,
        name: entry.name,
        stage: entry.stage.unwrap_or_else(|| "test".to_owned()),
        environment: entry.environment,
        status: entry.status,
        token: entry.token,
        needs: entry.needs,
        image: entry.image,
        services: entry.services,
    })
}

/// Paths of groups and projects become folders and URLs: only GitLab's own grammar passes.
fn well_formed(place: &str, path: &str, names: &mut Names) -> Option<()> {
    let plain = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with(['-', '.'])
            && !segment.ends_with(".git")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    if path.split('/').all(plain) {
        return Some(());
    }
    names.mistakes.push(format!("{place}.path: expected a path like `group/name`, found `{path}`"));
    None
}

fn stays_below(path: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | ".." | ".git");
    path.split('/').all(plain) && !path.contains(['\0', '\n', '"'])
}

/// The project a relative submodule URL means, counted from the repository's own URL as git does.
fn beside(path: &str, url: &str) -> Option<String> {
    let mut segments: Vec<&str> = path.split('/').collect();
    let mut rest = url.strip_suffix(".git")?;
    if !rest.starts_with("../") {
        return None;
    }
    while let Some(shorter) = rest.strip_prefix("../") {
        segments.pop()?;
        rest = shorter;
    }
    segments.push(rest);
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        World::parse(text).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn the_demo_world_is_one() {
        let text = include_str!("../../../../envoy/demo/world.yaml");
        let world = World::parse(text).expect("the demo's world");
        let web = world.project_at("Apps/Web").expect("apps/web");
        assert_eq!(web.repository.submodules["vendor/common"].project, 102);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let message = refused("users:\n  - {id: 1, username: a, password: b, token: c, role: d}\n");
        assert!(message.contains("role") && message.contains('2'), "{message}");
    }

    #[test]
    fn every_name_that_means_nothing_is_reported() {
        let message = refused(
            "projects:\n  - {id: 1, path: a/b, visibility: private, members: {zed: guest}, allowlist: {projects: [c/d]}}\n",
        );
        assert_eq!(
            message,
            "projects[0].path: expected the path of a group of the world, found `a`\n\
             projects[0].members: expected a username of the world, found `zed`\n\
             projects[0].allowlist.projects: expected the path of a project of the world, found `c/d`"
        );
        let elsewhere = "groups: [{id: 1, path: a}]\n\
             projects:\n  - {id: 1, path: a/b, visibility: private, outbound: [a/c], allowlist: {permissions: {a: [read_jobs]}}}\n";
        assert_eq!(
            refused(elsewhere),
            "projects[0].allowlist.permissions: expected a path of the allowlist, found `a`\n\
             projects[0].outbound: expected the path of a project of the world, found `a/c`"
        );
    }

    #[test]
    fn roles_are_inherited_from_every_ancestor() {
        let world = World::parse(
            "users: [{id: 7, username: u, password: p, token: t}]\n\
             groups:\n  - {id: 1, path: a, members: {u: maintainer}}\n  - {id: 2, path: a/b}\n\
             projects: [{id: 3, path: a/b/c, visibility: private, members: {u: guest}}]\n",
        )
        .expect("a world");
        let project = world.project(3).expect("the project");
        assert_eq!(world.role(project, 7), Some(Role::Maintainer));
        assert_eq!(world.role(project, 8), None);
    }

    #[test]
    fn submodule_urls_count_from_the_repository() {
        assert_eq!(beside("apps/web", "../../libs/common.git").as_deref(), Some("libs/common"));
        assert_eq!(beside("apps/web", "../api.git").as_deref(), Some("apps/api"));
        assert_eq!(beside("apps/web", "https://elsewhere/x.git"), None);
        assert_eq!(beside("apps/web", "../../../x.git"), None);
    }
}

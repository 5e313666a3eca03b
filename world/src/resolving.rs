//! From what is written to what is meant: names become ids, and all mistakes are collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::facts::{GroupPath, Permission, ProjectPath};

use super::document::{Document, Entry, GroupEntry, JobEntry, PackagesEntry, ProjectEntry, RepositoryEntry, UserEntry};
use super::{
    Allowlist, Artifacts, FirstJob, Group, Package, Project, Repository, Role, Submodule, User, World, WorldError,
    WorldErrors,
};

struct Names {
    users: BTreeMap<String, u64>,
    groups: BTreeMap<String, u64>,
    projects: BTreeMap<String, u64>,
    /// Where the entry begins that is being resolved.
    line: u64,
    mistakes: Vec<WorldError>,
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
            self.refuse(place, what, name);
        }
        found
    }

    fn refuse(&mut self, place: &str, what: &str, found: &str) {
        let text = format!("expected {what}, found `{}`", found.escape_debug());
        self.mistakes.push(WorldError { line: Some(self.line), path: place.to_owned(), text });
    }

    /// Every entry of a list that can be read, resolved.
    fn each<T, Meant>(
        &mut self,
        list: &str,
        entries: Vec<Entry<T>>,
        resolve: impl Fn(&str, T, &mut Self) -> Option<Meant>,
    ) -> Vec<Meant> {
        let mut meant = Vec::with_capacity(entries.len());
        for (at, entry) in entries.into_iter().enumerate() {
            self.line = entry.line;
            let place = format!("{list}[{at}]");
            match entry.read {
                Ok(read) => meant.extend(resolve(&place, read, self)),
                Err((path, text)) => {
                    self.mistakes.push(WorldError { line: Some(entry.line), path: format!("{place}{path}"), text });
                }
            }
        }
        meant
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
pub(super) fn resolve(document: Document) -> Result<World, WorldErrors> {
    let mut names = Names {
        users: ids(&mut read(&document.users).map(|(user, _)| (&user.username, user.id))),
        groups: ids(&mut read(&document.groups).map(|(group, _)| (&group.path, group.id))),
        projects: ids(&mut read(&document.projects).map(|(project, _)| (&project.path, project.id))),
        line: 0,
        mistakes: Vec::new(),
    };
    duplicates(&document, &mut names);
    let world = World {
        users: names.each("users", document.users, |place, entry, names| user(place, entry, names).map(Arc::new)),
        groups: names.each("groups", document.groups, |place, entry, names| group(place, entry, names).map(Arc::new)),
        projects: names
            .each("projects", document.projects, |place, entry, names| project(place, entry, names).map(Arc::new)),
        runners: names.each("runners", document.runners, |_, runner, _| Some(runner.token)),
        jobs: names.each("jobs", document.jobs, job),
        enforce_inbound_limit: document.settings.enforce_ci_inbound_job_token_scope_enabled,
    };
    if names.mistakes.is_empty() { Ok(world) } else { Err(WorldErrors(names.mistakes)) }
}

/// The number of each name; the last one's where several are called alike.
fn ids(named: &mut dyn Iterator<Item = (&String, u64)>) -> BTreeMap<String, u64> {
    named.map(|(name, id)| (name.clone(), id)).collect()
}

/// The entries of a list that can be read, and where each begins.
fn read<T>(entries: &[Entry<T>]) -> impl Iterator<Item = (&T, u64)> {
    entries.iter().filter_map(|entry| Some((entry.read.as_ref().ok()?, entry.line)))
}

fn duplicates(document: &Document, names: &mut Names) {
    let mut twice = |place: &str, values: Vec<(String, u64)>| {
        let mut seen = BTreeSet::new();
        for (value, line) in values {
            if !seen.insert(value.to_ascii_lowercase()) {
                let text = format!("expected each once, found `{}` twice", value.escape_debug());
                names.mistakes.push(WorldError { line: Some(line), path: place.to_owned(), text });
            }
        }
    };
    let (users, groups, projects) = (|| read(&document.users), || read(&document.groups), || read(&document.projects));
    twice("users[].id", users().map(|(user, line)| (user.id.to_string(), line)).collect());
    twice("users[].username", users().map(|(user, line)| (user.username.clone(), line)).collect());
    twice("groups[].id", groups().map(|(group, line)| (group.id.to_string(), line)).collect());
    twice("groups[].path", groups().map(|(group, line)| (group.path.clone(), line)).collect());
    twice("projects[].id", projects().map(|(project, line)| (project.id.to_string(), line)).collect());
    twice("projects[].path", projects().map(|(project, line)| (project.path.clone(), line)).collect());
    let artifacts = projects().flat_map(|(project, line)| project.artifacts.iter().map(move |left| (left.job, line)));
    let jobs = read(&document.jobs).map(|(job, line)| (job.id, line)).chain(artifacts);
    twice("jobs[].id", jobs.map(|(id, line)| (id.to_string(), line)).collect());
}

fn user(place: &str, entry: UserEntry, names: &mut Names) -> Option<User> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if entry.username.is_empty() || !entry.username.bytes().all(is_plain) {
        names.refuse(&format!("{place}.username"), "letters, digits, `_`, `.` and `-`", &entry.username);
        return None;
    }
    Some(User {
        id: entry.id,
        name: entry.name.unwrap_or_else(|| entry.username.clone()),
        username: entry.username,
        password: entry.password,
        token: entry.token,
        admin: entry.admin,
        external: entry.external,
        blocked: entry.blocked,
    })
}

fn group(place: &str, entry: GroupEntry, names: &mut Names) -> Option<Group> {
    well_formed(place, &entry.path, names)?;
    let parent = match entry.path.rsplit_once('/') {
        Some((parent, _)) => Some(names.group(&format!("{place}.path"), parent)?),
        None => None,
    };
    let members = names.members(place, entry.members);
    Some(Group { id: entry.id, path: entry.path, parent, members })
}

fn project(place: &str, entry: ProjectEntry, names: &mut Names) -> Option<Project> {
    well_formed(place, &entry.path, names)?;
    let (group, _) = entry.path.rsplit_once('/').unwrap_or(("", ""));
    let group = names.group(&format!("{place}.path"), group);
    let members = names.members(place, entry.members);
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
        let place = format!("{place}.allowlist.permissions");
        for unknown in permissions.iter().filter(|name| Permission::named(name).is_none()) {
            names.refuse(&place, "a permission such as `read_packages`", unknown);
        }
        if let Some(id) = names.groups.get(&path).filter(|_| written.groups.contains(&path)) {
            allowlist.of_groups.insert(*id, permissions);
        } else if let Some(id) = names.projects.get(&path).filter(|_| written.projects.contains(&path)) {
            allowlist.of_projects.insert(*id, permissions);
        } else {
            names.refuse(&place, "a path of the allowlist", &path);
        }
    }
    let outbound = entry.outbound.map(|paths| {
        let place = format!("{place}.outbound");
        paths.iter().filter_map(|path| names.project(&place, path)).collect()
    });
    let repository = entry.repository.map(|written| repository(place, &entry.path, written, names));
    for file in entry.packages.generic.keys() {
        if file.split('/').count() < 3 || !stays_below(file) {
            names.refuse(&format!("{place}.packages.generic"), "`name/version/file`", file);
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
        published: published(&entry.packages),
        generic_packages: entry.packages.generic,
        artifacts: artifacts.collect(),
    })
}

fn published(written: &PackagesEntry) -> Vec<Package> {
    let kinds = [
        ("npm", &written.npm),
        ("pypi", &written.pypi),
        ("maven", &written.maven),
        ("composer", &written.composer),
        ("terraform_module", &written.terraform_module),
        ("debian", &written.debian),
    ];
    let versions = kinds.into_iter().flat_map(|(kind, names)| {
        names.iter().flat_map(move |(name, versions)| {
            versions.iter().map(move |(version, files)| {
                let (name, version, files) = (name.clone(), version.clone(), files.clone());
                Package { kind, name, version, files }
            })
        })
    });
    versions.collect()
}

fn repository(place: &str, path: &str, written: RepositoryEntry, names: &mut Names) -> Repository {
    let mut submodules = BTreeMap::new();
    for (folder, url) in written.submodules {
        let place = format!("{place}.repository.submodules.{folder}");
        let Some(target) = beside(path, &url) else {
            names.refuse(&place, "a relative URL that ends in `.git`", &url);
            continue;
        };
        if let Some(project) = names.project(&place, &target) {
            submodules.insert(folder, Submodule { url, project });
        }
    }
    for file in written.files.keys().chain(submodules.keys()).chain(written.lfs.keys()) {
        if !stays_below(file) {
            names.refuse(&format!("{place}.repository"), "a path below the root", file);
        }
    }
    Repository { files: written.files, submodules, lfs: written.lfs }
}

fn job(place: &str, entry: JobEntry, names: &mut Names) -> Option<FirstJob> {
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
        source: entry.source.unwrap_or_else(|| "push".to_owned()),
        fork: entry.fork,
        runner: entry.runner,
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
    let is_sound = ProjectPath::parse(path).is_some() || GroupPath::parse(path).is_some();
    if is_sound && path.split('/').all(plain) {
        return Some(());
    }
    names.refuse(&format!("{place}.path"), "a path like `group/name`", path);
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
        World::parse(text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_demo_world_is_one() {
        let text = include_str!("../../envoy/demo/world.yaml");
        let world = World::parse(text).expect("the demo's world");
        let web = world.project_at("Apps/Web").expect("apps/web");
        assert_eq!(web.repository.submodules["vendor/common"].project, 102);
    }

    #[test]
    fn every_entry_that_cannot_be_read_is_refused_with_its_place() {
        assert_eq!(
            refused(
                "users:\n  - {id: 1, username: a, role: d}\n  - {id: x, username: b}\n  - {id: 3}\n\
                 projects:\n  - {id: 1, path: a/b, visibility: secret}\n"
            ),
            "line 2: users[0].role: unknown field `role`, expected one of `id`, `username`, `name`, `password`, `token`, \
             `admin`, `external`, `blocked`\n\
             line 3: users[1].id: invalid type: string \"x\", expected u64\n\
             line 4: users[2]: missing field `username`\n\
             line 6: projects[0].visibility: unknown variant `secret`, expected one of `private`, `internal`, `public`"
        );
    }

    #[test]
    fn what_is_no_document_is_one_sentence() {
        assert!(refused("users: [").starts_with("line 1: "), "{}", refused("users: ["));
        assert!(refused("people: []").starts_with("line 1: unknown field `people`, expected one of "));
        assert!(refused("- 1").contains("line 1"), "{}", refused("- 1"));
        assert!(refused("\nusers: 1").starts_with("line 2: expected a list"), "{}", refused("\nusers: 1"));
        assert!(refused("users: []\n---\nusers: []").starts_with("line 3: expected one document"));
        assert!(refused("users: []\nusers: []").starts_with("line 2: "), "{}", refused("users: []\nusers: []"));
        assert!(refused("settings: {a: 1}").starts_with("line 1: unknown field `a`, expected `enforce_ci"));
        assert_eq!(refused("users: [\u{0}").lines().count(), 1);
        assert!(World::parse("").is_ok_and(|world| world.projects.is_empty()));
    }

    #[test]
    fn every_name_that_means_nothing_is_reported() {
        let message = refused(
            "projects:\n  - {id: 1, path: a/b, visibility: private, members: {zed: guest}, allowlist: {projects: [c/d]}}\n",
        );
        assert_eq!(
            message,
            "line 2: projects[0].path: expected the path of a group of the world, found `a`\n\
             line 2: projects[0].members: expected a username of the world, found `zed`\n\
             line 2: projects[0].allowlist.projects: expected the path of a project of the world, found `c/d`"
        );
        let elsewhere = "groups: [{id: 1, path: a}]\n\
             projects:\n  - {id: 1, path: a/b, outbound: [a/c], allowlist: {permissions: {a: [read_jobs, read_all]}}}\n";
        assert_eq!(
            refused(elsewhere),
            "line 3: projects[0].allowlist.permissions: expected a permission such as `read_packages`, found `read_all`\n\
             line 3: projects[0].allowlist.permissions: expected a path of the allowlist, found `a`\n\
             line 3: projects[0].outbound: expected the path of a project of the world, found `a/c`"
        );
    }

    #[test]
    fn what_stands_twice_and_what_is_no_name_is_reported() {
        assert_eq!(
            refused("groups:\n  - {id: 1, path: a}\n  - {id: 1, path: A}\nusers: [{id: 1, username: 'a b'}]"),
            "line 3: groups[].id: expected each once, found `1` twice\n\
             line 3: groups[].path: expected each once, found `A` twice\n\
             line 4: users[0].username: expected letters, digits, `_`, `.` and `-`, found `a b`"
        );
        assert!(refused("groups: [{id: 1, path: a.atom}]").contains("expected a path like `group/name`"));
    }

    #[test]
    fn roles_are_inherited_from_every_ancestor() {
        let world = World::parse(
            "users: [{id: 7, username: u}]\n\
             groups:\n  - {id: 1, path: a, members: {u: maintainer}}\n  - {id: 2, path: a/b}\n\
             projects: [{id: 3, path: a/b/c, members: {u: guest}}]\n",
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

//! A world: the users, groups, projects, runners and jobs of a forge, in one YAML document.
//!
//! The stand-in forge serves it, and the command decides over it. Names are resolved to ids once, when it is read; every
//! mistake is reported with its place, all of them together. [`marked`] is any document that knows its lines, and
//! [`facts`] says what a world is to the access rules. Nothing here reads a file, asks a clock or knows a protocol.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may fail loudly")
)]

mod document;
mod facts;
mod kinds;
pub mod marked;
mod resolving;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use document::Image;
pub use kinds::{Feature, FeatureLevel, JobStatus, Role, Visibility};

/// Everything that exists.
#[derive(Clone)]
pub struct World {
    /// People and service accounts.
    pub users: Vec<Arc<User>>,
    /// Namespaces.
    pub groups: Vec<Arc<Group>>,
    /// Projects.
    pub projects: Vec<Arc<Project>>,
    /// The tokens of runners.
    pub runners: Vec<String>,
    /// The jobs that it begins with.
    pub jobs: Vec<FirstJob>,
    /// Whether the instance forces the inbound limit on every project.
    pub enforce_inbound_limit: bool,
}

/// A person, or a service account.
#[derive(Clone)]
pub struct User {
    /// Its number.
    pub id: u64,
    /// The name that it signs in with.
    pub username: String,
    /// The name that people read.
    pub name: String,
    /// Who has none cannot sign in with one.
    pub password: Option<String>,
    /// A personal access token.
    pub token: Option<String>,
    /// Whether it administers the instance.
    pub admin: bool,
    /// Whether it is from outside.
    pub external: bool,
    /// Whether it is blocked.
    pub blocked: bool,
}

/// A namespace. Its ancestors are the groups whose paths are prefixes of its own.
#[derive(Clone)]
pub struct Group {
    /// Its number.
    pub id: u64,
    /// Its full path.
    pub path: String,
    /// The group that it is in.
    pub parent: Option<u64>,
    /// Direct members.
    pub members: BTreeMap<u64, Role>,
}

/// A project with all that hangs on it.
#[derive(Clone)]
pub struct Project {
    /// Its number.
    pub id: u64,
    /// Its full path.
    pub path: String,
    /// The group it is in.
    pub group: u64,
    /// Who may see it.
    pub visibility: Visibility,
    /// Whether it takes no changes.
    pub archived: bool,
    /// Whether guests and visitors see its jobs.
    pub public_jobs: bool,
    /// Direct members; `World::role` adds the groups'.
    pub members: BTreeMap<u64, Role>,
    /// Whether it limits which jobs come in.
    pub inbound_limit: bool,
    /// Whose jobs it lets in then.
    pub allowlist: Allowlist,
    /// Whether its own jobs push code to it.
    pub push_by_job_token: bool,
    /// Whether jobs of other projects push too, where their entry grants it.
    pub cross_project_push: bool,
    /// The projects its own jobs are let out to; nothing when that is not limited.
    pub outbound: Option<Vec<u64>>,
    /// Branches and tags that are protected.
    pub protected: Vec<String>,
    /// The parts of it whose level is not `enabled`.
    pub features: BTreeMap<Feature, FeatureLevel>,
    /// What its repository holds.
    pub repository: Repository,
    /// `name/version/file` to content.
    pub generic_packages: BTreeMap<String, String>,
    /// Packages of the other registries.
    pub published: Vec<Package>,
    /// What its finished jobs left.
    pub artifacts: Vec<Artifacts>,
}

impl Project {
    /// The last segment of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        last_segment(&self.path)
    }

    /// The access level of a feature: `enabled` unless the world says otherwise.
    #[must_use]
    pub fn feature(&self, feature: Feature) -> FeatureLevel {
        self.features.get(&feature).copied().unwrap_or(FeatureLevel::Enabled)
    }
}

/// Whose jobs a project lets in besides its own, by id.
#[derive(Clone, Default)]
pub struct Allowlist {
    /// Projects.
    pub projects: Vec<u64>,
    /// Groups, with all below them.
    pub groups: Vec<u64>,
    /// What single entries grant, by the id of the project; the others grant everything.
    pub of_projects: BTreeMap<u64, Vec<String>>,
    /// The same, by the id of the group.
    pub of_groups: BTreeMap<u64, Vec<String>>,
}

/// What the main branch of a repository holds.
#[derive(Clone, Default)]
pub struct Repository {
    /// Paths to contents.
    pub files: BTreeMap<String, String>,
    /// Folders to submodules.
    pub submodules: BTreeMap<String, Submodule>,
    /// Paths to the contents of files that are kept in LFS.
    pub lfs: BTreeMap<String, String>,
}

/// A submodule: the URL as written, and the project it means.
#[derive(Clone)]
pub struct Submodule {
    /// As `.gitmodules` has it.
    pub url: String,
    /// The project's number.
    pub project: u64,
}

/// A version of a package.
#[derive(Clone)]
pub struct Package {
    /// The kind of its registry, as the API calls it.
    pub kind: &'static str,
    /// As its registry calls it.
    pub name: String,
    /// As it was published.
    pub version: String,
    /// By their paths in it.
    pub files: BTreeMap<String, String>,
}

/// What a finished job left behind.
#[derive(Clone)]
pub struct Artifacts {
    /// The job's number.
    pub job: u64,
    /// The branch or tag that it ran for.
    pub reference: String,
    /// The job's name.
    pub name: String,
    /// Paths to contents.
    pub files: BTreeMap<String, String>,
}

/// A job as the world begins with it.
#[derive(Clone)]
pub struct FirstJob {
    /// Its number.
    pub id: u64,
    /// Its project's number.
    pub project: u64,
    /// Who started it.
    pub user: Option<u64>,
    /// The branch or tag that it runs for.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// The slug of the environment it deploys to.
    pub environment: Option<String>,
    /// What started its pipeline.
    pub source: String,
    /// Whether it works on a merge request from a fork.
    pub fork: bool,
    /// The number of the runner that got it.
    pub runner: Option<u64>,
    /// How far it is.
    pub status: JobStatus,
    /// Its token. Without one it makes no requests.
    pub token: Option<String>,
    /// The jobs with whose artifacts it begins.
    pub needs: Vec<u64>,
    /// What it runs in.
    pub image: Image,
    /// What runs beside it.
    pub services: Vec<Image>,
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldError {
    /// The line, from 1; none where it is not known.
    pub line: Option<u64>,
    /// The place in the document, such as `projects[3].members`; empty for the whole of it.
    pub path: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}

/// Every mistake of a document. Its `Display` gives one line for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct WorldErrors(pub Vec<WorldError>);

impl World {
    /// Reads a world from the text of its document.
    ///
    /// # Errors
    /// When it is no YAML, has an unknown key, or names something that does not exist: every mistake, with its place.
    pub fn parse(text: &str) -> Result<Self, WorldErrors> {
        resolving::resolve(document::Document::parse(text)?)
    }

    /// The user with this id.
    #[must_use]
    pub fn user(&self, id: u64) -> Option<&Arc<User>> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The user with this name.
    #[must_use]
    pub fn user_named(&self, username: &str) -> Option<&Arc<User>> {
        self.users.iter().find(|user| user.username == username)
    }

    /// The group with this id.
    #[must_use]
    pub fn group(&self, id: u64) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// The group with this full path.
    #[must_use]
    pub fn group_at(&self, path: &str) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| group.path.eq_ignore_ascii_case(path))
    }

    /// The project with this id.
    #[must_use]
    pub fn project(&self, id: u64) -> Option<&Arc<Project>> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// The project with this full path; case does not count.
    #[must_use]
    pub fn project_at(&self, path: &str) -> Option<&Arc<Project>> {
        self.projects.iter().find(|project| project.path.eq_ignore_ascii_case(path))
    }

    /// The highest role of a user in a project, inherited ones included.
    #[must_use]
    pub fn role(&self, project: &Project, user: u64) -> Option<Role> {
        let above = self.groups_above(project).map(|group| group.members.get(&user).copied());
        above.fold(project.members.get(&user).copied(), Option::max)
    }

    /// The groups that a project is in, nearest first.
    pub fn groups_above(&self, project: &Project) -> impl Iterator<Item = &Arc<Group>> {
        std::iter::successors(self.group(project.group), |group| self.group(group.parent?))
    }

    /// Puts a changed project in the place of the one with its id.
    pub fn replace(&mut self, changed: Project) {
        if let Some(place) = self.projects.iter_mut().find(|project| project.id == changed.id) {
            *place = Arc::new(changed);
        }
    }
}

/// What follows the last slash.
#[must_use]
pub fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

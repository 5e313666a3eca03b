//! The world the forge serves: users, groups, projects, runners and the jobs it begins with.
//!
//! A world is one YAML file. Names are resolved to ids once, here; every mistake is
//! reported with its place, all of them together.

mod document;
mod kinds;
mod validation;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use kinds::{Feature, FeatureLevel, JobStatus, Role, Visibility};

/// Everything that exists.
pub struct World {
    pub users: Vec<Arc<User>>,
    pub groups: Vec<Arc<Group>>,
    pub projects: Vec<Arc<Project>>,
    pub runners: Vec<String>,
    pub jobs: Vec<FirstJob>,
    /// Whether the instance forces the inbound limit on every project.
    pub enforce_inbound_limit: bool,
}

/// A person, or a service account.
pub struct User {
    pub id: u64,
    pub username: String,
    pub name: String,
    pub password: String,
    pub token: String,
    pub admin: bool,
    pub external: bool,
    pub blocked: bool,
}

/// A namespace. Its ancestors are the groups whose paths are prefixes of its own.
pub struct Group {
    pub id: u64,
    pub path: String,
    pub parent: Option<u64>,
    pub members: BTreeMap<u64, Role>,
}

/// A project with all that hangs on it.
#[derive(Clone)]
pub struct Project {
    pub id: u64,
    pub path: String,
    /// The group it is in.
    pub group: u64,
    pub visibility: Visibility,
    pub archived: bool,
    /// Whether guests and visitors see its jobs.
    pub public_jobs: bool,
    /// Direct members; `World::role` adds the groups'.
    pub members: BTreeMap<u64, Role>,
    pub inbound_limit: bool,
    pub allowlist: Allowlist,
    pub push_by_job_token: bool,
    /// Whether jobs of other projects push too, where their entry grants it.
    pub cross_project_push: bool,
    /// The projects its own jobs are let out to; nothing when that is not limited.
    pub outbound: Option<Vec<u64>>,
    /// Branches and tags that are protected.
    pub protected: Vec<String>,
    pub features: BTreeMap<Feature, FeatureLevel>,
    pub repository: Repository,
    /// `name/version/file` to content.
    pub generic_packages: BTreeMap<String, String>,
    pub artifacts: Vec<Artifacts>,
}

impl Project {
    /// The last segment of the path.
    pub fn name(&self) -> &str {
        last_segment(&self.path)
    }

    /// The access level of a feature: `enabled` unless the world says otherwise.
    pub fn feature(&self, feature: Feature) -> FeatureLevel {
        self.features.get(&feature).copied().unwrap_or(FeatureLevel::Enabled)
    }
}

/// Whose jobs a project lets in besides its own, by id.
#[derive(Clone, Default)]
pub struct Allowlist {
    pub projects: Vec<u64>,
    pub groups: Vec<u64>,
    /// What single entries grant, by the id of the project or group; the others grant everything.
    pub of_projects: BTreeMap<u64, Vec<String>>,
    pub of_groups: BTreeMap<u64, Vec<String>>,
}

/// What the main branch of a repository holds.
#[derive(Clone, Default)]
pub struct Repository {
    pub files: BTreeMap<String, String>,
    pub submodules: BTreeMap<String, Submodule>,
    pub lfs: BTreeMap<String, String>,
}

/// A submodule: the URL as written, and the project it means.
#[derive(Clone)]
pub struct Submodule {
    pub url: String,
    pub project: u64,
}

/// What a finished job left behind.
#[derive(Clone)]
pub struct Artifacts {
    pub job: u64,
    pub reference: String,
    pub name: String,
    pub files: BTreeMap<String, String>,
}

/// What a job runs in: an image, of its own or of a service.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub name: String,
    /// As `.gitlab-ci.yml` says it; nothing where it does not.
    pub pull_policy: Option<Vec<String>>,
}

impl Default for Image {
    fn default() -> Self {
        Self { name: "alpine:3".to_owned(), pull_policy: None }
    }
}

/// A job as the world begins with it.
pub struct FirstJob {
    pub id: u64,
    pub project: u64,
    pub user: Option<u64>,
    pub reference: String,
    pub name: String,
    pub stage: String,
    /// The slug of the environment it deploys to.
    pub environment: Option<String>,
    pub status: JobStatus,
    pub token: String,
    /// The jobs with whose artifacts it begins.
    pub needs: Vec<u64>,
    pub image: Image,
    pub services: Vec<Image>,
}

impl World {
    /// Reads the world in `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is no YAML, has an unknown key, or names something
    /// that does not exist; the message names the file and the place.
    pub fn read(path: &Path) -> Result<(Self, String)> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read the world `{}`", path.display()))?;
        let world = Self::parse(&text).with_context(|| format!("in the world `{}`", path.display()))?;
        Ok((world, text))
    }

    /// Reads a world from the text of its document.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse(text: &str) -> Result<Self> {
        let document: document::Document = serde_saphyr::from_str(text)?;
        validation::resolve(document)
    }

    /// The user with this id.
    pub fn user(&self, id: u64) -> Option<&Arc<User>> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The user with this name.
    pub fn user_named(&self, username: &str) -> Option<&Arc<User>> {
        self.users.iter().find(|user| user.username == username)
    }

    /// The group with this id.
    pub fn group(&self, id: u64) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// The group with this full path.
    pub fn group_at(&self, path: &str) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| group.path.eq_ignore_ascii_case(path))
    }

    /// The project with this id.
    pub fn project(&self, id: u64) -> Option<&Arc<Project>> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// The project with this full path; case does not count.
    pub fn project_at(&self, path: &str) -> Option<&Arc<Project>> {
        self.projects.iter().find(|project| project.path.eq_ignore_ascii_case(path))
    }

    /// The highest role of a user in a project, inherited ones included.
    pub fn role(&self, project: &Project, user: u64) -> Option<Role> {
        let mut highest = project.members.get(&user).copied();
        let mut next = Some(project.group);
        while let Some(group) = next.and_then(|id| self.group(id)) {
            highest = highest.max(group.members.get(&user).copied());
            next = group.parent;
        }
        highest
    }

    /// Puts a changed project in the place of the one with its id.
    pub fn replace(&mut self, changed: Project) {
        if let Some(place) = self.projects.iter_mut().find(|project| project.id == changed.id) {
            *place = Arc::new(changed);
        }
    }
}

/// What follows the last slash.
pub fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

//! The world as it is written: one YAML document, unknown keys refused.
//!
//! Nothing outside this crate sees these types; what is meant is in the parent module. Their sentences are those of the
//! published schema, `docs/world.schema.json`.

use std::collections::BTreeMap;

use super::marked::{Kind, Node};
use super::{Feature, FeatureLevel, JobStatus, Role, Visibility, WorldError, WorldErrors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The users, groups, projects, runners and jobs of a forge. Paths and user names tie them together.
#[derive(Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "World", deny_unknown_fields, default))]
pub(super) struct Document {
    pub(super) users: Vec<Entry<UserEntry>>,
    pub(super) groups: Vec<Entry<GroupEntry>>,
    pub(super) projects: Vec<Entry<ProjectEntry>>,
    pub(super) runners: Vec<Entry<RunnerEntry>>,
    pub(super) jobs: Vec<Entry<JobEntry>>,
    /// Of the instance.
    pub(super) settings: SettingsEntry,
}

/// The keys of a document.
const KEYS: &str = "`users`, `groups`, `projects`, `runners`, `jobs`, `settings`";

impl Document {
    /// Reads the text as far as it can be told without knowing which names there are. The YAML becomes nodes first, so that
    /// its parser is compiled for these alone.
    pub(super) fn parse(text: &str) -> Result<Self, WorldErrors> {
        let documents = Node::documents(text).map_err(|error| refused(error.line, error.text))?;
        let node = match documents.as_slice() {
            // An empty file is an empty world.
            [] => return Ok(Self::default()),
            [node] => node,
            [_, second, ..] => {
                return Err(refused(Some(second.line), "expected one document, found several".to_owned()));
            }
        };
        let mut read = Self::default();
        if !matches!(node.kind, Kind::Map(_) | Kind::Null) {
            return Err(refused(Some(node.line), format!("expected a map of {KEYS}, found another value")));
        }
        for (key, line, value) in node.entries() {
            match key.as_str() {
                "users" => read.users = list(value)?,
                "groups" => read.groups = list(value)?,
                "projects" => read.projects = list(value)?,
                "runners" => read.runners = list(value)?,
                "jobs" => read.jobs = list(value)?,
                "settings" => {
                    read.settings = SettingsEntry::deserialize(value.value())
                        .map_err(|error| refused(Some(value.line), error.to_string()))?;
                }
                _ => {
                    let text = format!("unknown field `{}`, expected one of {KEYS}", key.escape_debug());
                    return Err(refused(Some(*line), text));
                }
            }
        }
        Ok(read)
    }
}

fn refused(line: Option<u64>, text: String) -> WorldErrors {
    WorldErrors(vec![WorldError { line, path: String::new(), text }])
}

/// One entry of a list: what is wrong with it does not hide what is wrong with the others.
pub(super) struct Entry<T> {
    /// Where it begins.
    pub(super) line: u64,
    /// What it says, or the place in it and what is wrong there.
    pub(super) read: Result<T, (String, String)>,
}

/// The entries of a list.
fn list<T: DeserializeOwned>(node: &Node) -> Result<Vec<Entry<T>>, WorldErrors> {
    if !matches!(node.kind, Kind::List(_) | Kind::Null) {
        return Err(refused(Some(node.line), "expected a list, found another value".to_owned()));
    }
    Ok(node.items().map(Entry::of).collect())
}

impl<T: DeserializeOwned> Entry<T> {
    fn of(node: &Node) -> Self {
        let read = serde_path_to_error::deserialize(node.value()).map_err(|error| {
            let path = error.path().to_string();
            (if path == "." { String::new() } else { format!(".{path}") }, error.into_inner().to_string())
        });
        Self { line: node.line, read }
    }
}

#[cfg(test)]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Entry<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// A person, or a service account.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) id: u64,
    pub(super) username: String,
    /// The name that people read; the user name where it is left out.
    pub(super) name: Option<String>,
    /// For the stand-in forge. Made up.
    pub(super) password: Option<String>,
    /// A personal access token, for the stand-in forge. Made up.
    pub(super) token: Option<String>,
    /// Administrators count by membership alone, as far as jobs are concerned.
    #[serde(default)]
    pub(super) admin: bool,
    /// An external user: internal projects are not for them.
    #[serde(default)]
    pub(super) external: bool,
    #[serde(default)]
    pub(super) blocked: bool,
}

/// A group. Its parent is the group whose path is its own without the last segment.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct GroupEntry {
    pub(super) id: u64,
    /// The full path, such as `apps/team`.
    pub(super) path: String,
    /// Direct members by user name; groups and projects below inherit them.
    #[serde(default)]
    pub(super) members: BTreeMap<String, Role>,
}

/// A project.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectEntry {
    pub(super) id: u64,
    /// The full path, such as `apps/web`.
    pub(super) path: String,
    #[serde(default)]
    pub(super) visibility: Visibility,
    /// It takes no changes.
    #[serde(default)]
    pub(super) archived: bool,
    /// Whether guests and visitors see its jobs. On where it is left out.
    pub(super) public_jobs: Option<bool>,
    /// Direct members by user name.
    #[serde(default)]
    pub(super) members: BTreeMap<String, Role>,
    /// Whose jobs it lets in besides its own, where it limits that.
    pub(super) allowlist: Option<AllowlistEntry>,
    /// Whether it limits which jobs come in. On where it is left out.
    pub(super) inbound_limit: Option<bool>,
    /// Whether its own jobs push code to it.
    #[serde(default)]
    pub(super) push_by_job_token: bool,
    /// Whether jobs of other projects push too, where their allowlist entry grants it.
    #[serde(default)]
    pub(super) cross_project_push: bool,
    /// The paths of the projects that its own jobs are let out to; not limited where it is left out.
    pub(super) outbound: Option<Vec<String>>,
    /// Branches and tags that are protected.
    #[serde(default)]
    pub(super) protected: Vec<String>,
    /// Who the parts of it are open to; `enabled` where one is left out.
    #[serde(default)]
    pub(super) features: BTreeMap<Feature, FeatureLevel>,
    pub(super) repository: Option<RepositoryEntry>,
    #[serde(default)]
    pub(super) packages: PackagesEntry,
    /// What its finished jobs left.
    #[serde(default)]
    pub(super) artifacts: Vec<ArtifactsEntry>,
}

/// Whose jobs a project lets in besides its own.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct AllowlistEntry {
    /// Paths of projects.
    #[serde(default)]
    pub(super) projects: Vec<String>,
    /// Paths of groups; every project below one is let in.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// What an entry grants, where that is not everything: by the path of a project or group of the lists above, such as
    /// `read_packages`.
    #[serde(default)]
    pub(super) permissions: BTreeMap<String, Vec<String>>,
}

/// What the main branch holds, for the stand-in forge.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RepositoryEntry {
    /// Paths to contents.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// Folders to relative URLs.
    #[serde(default)]
    pub(super) submodules: BTreeMap<String, String>,
    /// Paths to the contents of files that are kept in LFS.
    #[serde(default)]
    pub(super) lfs: BTreeMap<String, String>,
}

/// Packages, for the stand-in forge.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct PackagesEntry {
    /// `name/version/file` to content.
    #[serde(default)]
    pub(super) generic: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) npm: Published,
    #[serde(default)]
    pub(super) pypi: Published,
    #[serde(default)]
    pub(super) maven: Published,
    #[serde(default)]
    pub(super) composer: Published,
    #[serde(default)]
    pub(super) terraform_module: Published,
    #[serde(default)]
    pub(super) debian: Published,
}

/// Files by name and version.
pub(super) type Published = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

/// What a finished job left, for the stand-in forge.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ArtifactsEntry {
    /// The job's number.
    pub(super) job: u64,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) name: String,
    /// Paths to contents.
    pub(super) files: BTreeMap<String, String>,
}

/// A runner, for the stand-in forge.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RunnerEntry {
    pub(super) token: String,
}

/// A job.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct JobEntry {
    pub(super) id: u64,
    /// The path of its project.
    pub(super) project: String,
    /// The user name of who started it; an old trigger's job has none.
    pub(super) user: Option<String>,
    /// The branch or tag that it runs for.
    #[serde(rename = "ref", default = "main")]
    pub(super) reference: String,
    pub(super) name: String,
    pub(super) stage: Option<String>,
    /// The slug of the environment that it deploys to.
    pub(super) environment: Option<String>,
    /// What started its pipeline, as in `CI_PIPELINE_SOURCE`; `push` where it is left out.
    pub(super) source: Option<String>,
    /// Whether it works on a merge request from a fork.
    #[serde(default)]
    pub(super) fork: bool,
    /// The number of the runner that got it.
    pub(super) runner: Option<u64>,
    #[serde(default)]
    pub(super) status: JobStatus,
    /// Its token. Made up.
    pub(super) token: Option<String>,
    /// The numbers of the jobs with whose artifacts it begins, for the stand-in forge.
    #[serde(default)]
    pub(super) needs: Vec<u64>,
    #[serde(default)]
    pub(super) image: Image,
    #[serde(default)]
    pub(super) services: Vec<Image>,
}

fn main() -> String {
    "main".to_owned()
}

/// What a job runs in: an image, of its own or of a service.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// As the registry calls it.
    pub name: String,
    /// As `.gitlab-ci.yml` says it; nothing where it does not.
    pub pull_policy: Option<Vec<String>>,
}

impl Default for Image {
    fn default() -> Self {
        Self { name: "alpine:3".to_owned(), pull_policy: None }
    }
}

/// Settings of the instance.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsEntry {
    /// Whether every project limits which jobs come in, whatever it says itself.
    #[serde(default)]
    pub(super) enforce_ci_inbound_job_token_scope_enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::Document;

    #[test]
    fn the_published_schema_is_what_is_read() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Document)).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/world.schema.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        assert!(published == schema, "docs/world.schema.json: write it anew with `make docs`");
    }
}

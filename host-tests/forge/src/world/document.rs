//! The world as it is written: one YAML document, unknown keys refused.
//!
//! Nothing outside `world` sees these types; what is meant is in the parent module.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Feature, FeatureLevel, Image, JobStatus, Role, Visibility};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) users: Vec<UserEntry>,
    #[serde(default)]
    pub(super) groups: Vec<GroupEntry>,
    #[serde(default)]
    pub(super) projects: Vec<ProjectEntry>,
    #[serde(default)]
    pub(super) runners: Vec<RunnerEntry>,
    #[serde(default)]
    pub(super) jobs: Vec<JobEntry>,
    #[serde(default)]
    pub(super) settings: SettingsEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) id: u64,
    pub(super) username: String,
    pub(super) name: Option<String>,
    pub(super) password: String,
    pub(super) token: String,
    #[serde(default)]
    pub(super) admin: bool,
    #[serde(default)]
    pub(super) external: bool,
    #[serde(default)]
    pub(super) blocked: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupEntry {
    pub(super) id: u64,
    pub(super) path: String,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectEntry {
    pub(super) id: u64,
    pub(super) path: String,
    pub(super) visibility: Visibility,
    #[serde(default)]
    pub(super) archived: bool,
    pub(super) public_jobs: Option<bool>,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Role>,
    pub(super) allowlist: Option<AllowlistEntry>,
    pub(super) inbound_limit: Option<bool>,
    #[serde(default)]
    pub(super) push_by_job_token: bool,
    #[serde(default)]
    pub(super) cross_project_push: bool,
    pub(super) outbound: Option<Vec<String>>,
    #[serde(default)]
    pub(super) protected: Vec<String>,
    #[serde(default)]
    pub(super) features: BTreeMap<Feature, FeatureLevel>,
    pub(super) repository: Option<RepositoryEntry>,
    #[serde(default)]
    pub(super) packages: PackagesEntry,
    #[serde(default)]
    pub(super) artifacts: Vec<ArtifactsEntry>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowlistEntry {
    #[serde(default)]
    pub(super) projects: Vec<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// By the path of a project or group of the lists above.
    #[serde(default)]
    pub(super) permissions: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepositoryEntry {
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) submodules: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) lfs: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PackagesEntry {
    #[serde(default)]
    pub(super) generic: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArtifactsEntry {
    pub(super) job: u64,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) name: String,
    pub(super) files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunnerEntry {
    pub(super) token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobEntry {
    pub(super) id: u64,
    pub(super) project: String,
    pub(super) user: Option<String>,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) name: String,
    pub(super) stage: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) status: JobStatus,
    pub(super) token: String,
    #[serde(default)]
    pub(super) needs: Vec<u64>,
    #[serde(default)]
    pub(super) image: Image,
    #[serde(default)]
    pub(super) services: Vec<Image>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsEntry {
    #[serde(default)]
    pub(super) enforce_ci_inbound_job_token_scope_enabled: bool,
}

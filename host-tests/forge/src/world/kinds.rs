//! The closed sets a world speaks in: roles, visibilities, features, job states.

use serde::Deserialize;

/// What a member may do, weakest first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Minimal,
    Guest,
    Planner,
    Reporter,
    Developer,
    Maintainer,
    Owner,
}

impl Role {
    /// The number GitLab's API uses for the role.
    pub fn access_level(self) -> u64 {
        match self {
            Self::Minimal => 5,
            Self::Guest => 10,
            Self::Planner => 15,
            Self::Reporter => 20,
            Self::Developer => 30,
            Self::Maintainer => 40,
            Self::Owner => 50,
        }
    }
}

/// Who may see a project without being a member.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    Private,
    Internal,
    Public,
}

impl Visibility {
    /// The word in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// A part of a project with an access level of its own.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    Repository,
    Builds,
    ContainerRegistry,
    PackageRegistry,
    Releases,
    Environments,
    Wiki,
    MergeRequests,
    Issues,
    Infrastructure,
    Snippets,
}

impl Feature {
    /// Every feature with its field in the API's project.
    pub const FIELDS: [(Feature, &'static str); 11] = [
        (Self::Repository, "repository_access_level"),
        (Self::Builds, "builds_access_level"),
        (Self::ContainerRegistry, "container_registry_access_level"),
        (Self::PackageRegistry, "package_registry_access_level"),
        (Self::Releases, "releases_access_level"),
        (Self::Environments, "environments_access_level"),
        (Self::Wiki, "wiki_access_level"),
        (Self::MergeRequests, "merge_requests_access_level"),
        (Self::Issues, "issues_access_level"),
        (Self::Infrastructure, "infrastructure_access_level"),
        (Self::Snippets, "snippets_access_level"),
    ];
}

/// Who a feature is open to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum FeatureLevel {
    Disabled,
    Private,
    Enabled,
    Public,
}

impl FeatureLevel {
    /// The word in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Private => "private",
            Self::Enabled => "enabled",
            Self::Public => "public",
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    Created,
    Pending,
    Running,
    Canceling,
    Canceled,
    Success,
    Failed,
}

impl JobStatus {
    /// The word in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// Whether the job's token counts.
    pub fn executing(self) -> bool {
        matches!(self, Self::Running | Self::Canceling)
    }

    /// Whether the job is over.
    pub fn finished(self) -> bool {
        matches!(self, Self::Canceled | Self::Success | Self::Failed)
    }
}

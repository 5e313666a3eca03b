//! The closed sets a world speaks in: roles, visibilities, features, job states.

use serde::Deserialize;

/// What a member may do, weakest first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Listed in the group, no right in the project.
    Minimal,
    /// Guest.
    Guest,
    /// Planner.
    Planner,
    /// Reporter.
    Reporter,
    /// Developer.
    Developer,
    /// Maintainer.
    Maintainer,
    /// Owner.
    Owner,
}

impl Role {
    /// All of them, weakest first.
    pub const ALL: [Self; 7] =
        [Self::Minimal, Self::Guest, Self::Planner, Self::Reporter, Self::Developer, Self::Maintainer, Self::Owner];

    /// The word in a world.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Guest => "guest",
            Self::Planner => "planner",
            Self::Reporter => "reporter",
            Self::Developer => "developer",
            Self::Maintainer => "maintainer",
            Self::Owner => "owner",
        }
    }

    /// The number GitLab's API uses for the role.
    #[must_use]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its members.
    #[default]
    Private,
    /// Everybody who is signed in and not external.
    Internal,
    /// Everybody.
    Public,
}

impl Visibility {
    /// The word in the API.
    #[must_use]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Code and LFS.
    Repository,
    /// Jobs, artifacts, pipelines.
    Builds,
    /// Container images.
    ContainerRegistry,
    /// Packages.
    PackageRegistry,
    /// Releases.
    Releases,
    /// Environments and deployments.
    Environments,
    /// The wiki.
    Wiki,
    /// Merge requests.
    MergeRequests,
    /// Issues.
    Issues,
    /// Terraform state.
    Infrastructure,
    /// Snippets.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FeatureLevel {
    /// Nobody.
    Disabled,
    /// Members.
    Private,
    /// Whoever may see the project.
    Enabled,
    /// Everybody who may see the project, where that was a level of its own.
    Public,
}

impl FeatureLevel {
    /// The word in the API.
    #[must_use]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Not ready yet.
    Created,
    /// It waits for a runner.
    Pending,
    /// It runs.
    #[default]
    Running,
    /// It is being canceled, and runs.
    Canceling,
    /// It was canceled.
    Canceled,
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
}

impl JobStatus {
    /// The word in the API.
    #[must_use]
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
    #[must_use]
    pub fn executing(self) -> bool {
        matches!(self, Self::Running | Self::Canceling)
    }

    /// Whether the job is over.
    #[must_use]
    pub fn finished(self) -> bool {
        matches!(self, Self::Canceled | Self::Success | Self::Failed)
    }
}

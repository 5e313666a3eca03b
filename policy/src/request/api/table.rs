//! The endpoints of the API that take a CI job token, as data: lists of rows below bases.
//!
//! Source: GitLab's documentation of CI job tokens and of their fine-grained permissions (18.0 to 19.4), and for the
//! trigger, the runner's routes and the parts that open an endpoint its source. The first row that fits counts. What no
//! row names is refused as `api.unlisted`.

use super::super::credential::Carrier;
use super::packages;
use crate::access::Action::{self, *};
use crate::facts::Feature::{self, Builds, Environments, Issues, MergeRequests, Releases, Repository};
use crate::facts::{Role, Version};
use crate::pattern::Pattern;
use Body::{Inspect, Stream, Upload};

/// How the body of a request is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// It holds parameters, a credential perhaps among them, so it is read here first.
    Inspect,
    /// It is content, and streams where the head says whose it is; else it may be a form with a credential, and is read.
    Upload,
    /// It is content. Of credentials the forge takes from it here at most what it takes for a Bearer token, so it streams.
    Stream,
}

/// From where the token of a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriers {
    /// From HTTP Basic, Bearer, `JOB-TOKEN`, parameters, and a JWT of the forge's own.
    Usual,
    /// There, or from `PRIVATE-TOKEN`: a runner calls it.
    Runner,
    /// There, or from `X-NuGet-ApiKey`.
    NugetKey,
    /// There, or from `Authorization` without a scheme.
    Raw,
    /// There, or from HTTP Basic with whatever user.
    AnyUser,
}

impl Carriers {
    /// Whether a token is read from there.
    pub(crate) fn admit(self, carrier: Carrier) -> bool {
        match carrier {
            Carrier::Basic | Carrier::Bearer | Carrier::Token | Carrier::JobToken | Carrier::Query | Carrier::Jwt => {
                true
            }
            Carrier::PrivateToken => self == Self::Runner,
            Carrier::NugetKey => self == Self::NugetKey,
            Carrier::Raw => self == Self::Raw,
            Carrier::AnyUser => self == Self::AnyUser,
            // The API takes the token itself.
            Carrier::Minted | Carrier::Agent => false,
        }
    }
}

/// One endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The method; `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// What follows the base. With a slash at its end it is asked with one or without.
    pub path: Pattern,
    /// What it asks.
    pub action: Action,
    /// How its body is treated.
    pub body: Body,
    /// The parts of a project that open it to every job where everybody may use them; often none.
    pub open: &'static [Feature],
    /// The least role that it asks for, where its action alone asks for a lower one.
    pub least: Role,
    /// With which field it asks something else.
    pub instead: Option<Instead>,
    /// From which version of the forge on it is there.
    pub since: Version,
    /// Whose endpoint it is, where the path does not say so.
    pub whose: Whose,
}

/// Whose endpoint a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// As its path says.
    Paths,
    /// The job's that asks.
    OwnJobs,
}

/// A field that makes another endpoint of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instead {
    /// Its name, in lower case.
    pub field: &'static str,
    /// Its value.
    pub value: &'static str,
    /// What is asked then.
    pub action: Action,
}

pub(super) const fn row(method: &'static str, path: &'static str, action: Action, body: Body) -> Row {
    Row {
        method,
        path: Pattern::of(path),
        action,
        body,
        open: &[],
        least: Role::None,
        instead: None,
        since: Version(0, 0),
        whose: Whose::Paths,
    }
}

impl Row {
    /// The same, open to every job where a project opens these parts to everybody who may see it.
    pub(super) const fn open(self, open: &'static [Feature]) -> Self {
        Self { open, ..self }
    }

    /// The same, for this role at least.
    pub(super) const fn least(self, least: Role) -> Self {
        Self { least, ..self }
    }

    /// The same, from this version of the forge on.
    pub(super) const fn since(self, major: u16, minor: u16) -> Self {
        Self { since: Version(major, minor), ..self }
    }

    /// The same, of the job that asks.
    const fn of_own_job(self) -> Self {
        Self { whose: Whose::OwnJobs, ..self }
    }

    /// The same, which asks something else with this field.
    pub(super) const fn instead(self, field: &'static str, value: &'static str, action: Action) -> Self {
        Self { instead: Some(Instead { field, value, action }), ..self }
    }
}

/// Rows below one base.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// What follows `/api/v4/`. Each of its segments takes one.
    pub base: Pattern,
    /// From where the token is read.
    pub carriers: Carriers,
    /// The rows.
    pub rows: &'static [Row],
    /// Whether the forge takes the project from a parameter `id` first, which stands in no such path.
    pub takes_id: bool,
}

impl Table {
    /// The same, of which the forge takes the project from a parameter `id`, in the query or a body, before what the path says.
    pub(super) const fn by_id(self) -> Self {
        Self { takes_id: true, ..self }
    }

    /// The segments of a row's pattern.
    pub(super) fn pattern(&'static self, row: &'static Row) -> impl Iterator<Item = &'static str> + Clone {
        self.base.parts().iter().chain(row.path.parts()).copied()
    }
}

pub(super) const fn table(base: &'static str, carriers: Carriers, rows: &'static [Row]) -> Table {
    Table { base: Pattern::of(base), carriers, rows, takes_id: false }
}

/// Every table, in the order in which they are tried.
pub(super) fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain(packages::TABLES)
}

/// Every row with its table, in the order in which they are tried.
pub(super) fn rows() -> impl Iterator<Item = (&'static Table, &'static Row)> {
    tables().flat_map(|table| table.rows.iter().map(move |row| (table, row)))
}

const TABLES: &[Table] = &[
    table("", Carriers::Usual, OWN_JOB),
    table("jobs", Carriers::Runner, RUNNER),
    table("projects/:project", Carriers::Usual, PROJECT),
    table("projects/:project/repository", Carriers::Usual, ARCHIVES),
    table("internal/dast/site_validations", Carriers::Usual, DAST),
];

const OWN_JOB: &[Row] = &[
    row("GET", "job", ReadOwnJob, Inspect),
    row("GET", "job/allowed_agents", ReadOwnJob, Inspect),
    row("POST", "job/test_balancing/initialize", BalanceTests, Inspect).since(19, 4),
    row("POST", "job/test_balancing/request", BalanceTests, Inspect).since(19, 4),
];

/// A route among the forge's own, to which a job's scanner reports.
const DAST: &[Row] = &[row("POST", ":validation_id/transition", ValidateSite, Inspect).of_own_job()];

/// One for each format of an archive.
const ARCHIVES: &[Row] = &[
    row("GET", "archive", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.zip", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tar", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tar.gz", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tgz", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.gz", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tar.bz2", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tbz", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tbz2", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.tb2", ReadRepository, Inspect).since(19, 3),
    row("GET", "archive.bz2", ReadRepository, Inspect).since(19, 3),
];

const RUNNER: &[Row] = &[
    row("PUT", ":own_job_id", UpdateJob, Inspect),
    row("PATCH", ":own_job_id/trace", TraceJob, Upload),
    row("POST", ":own_job_id/artifacts", UploadArtifact, Upload),
    row("POST", ":own_job_id/artifacts/authorize", UploadArtifact, Upload),
    row("GET", ":any_job_id/artifacts", DownloadOwnArtifact, Upload).open(&[Repository, Builds]),
];

const PROJECT: &[Row] = &[
    row("GET", "deployments", ReadDeployments, Inspect),
    row("GET", "deployments/:deployment_id", ReadDeployments, Inspect),
    row("GET", "deployments/:deployment_id/merge_requests", ReadDeployments, Inspect),
    row("POST", "deployments", CreateDeployments, Inspect),
    row("PUT", "deployments/:deployment_id", WriteDeployments, Inspect),
    row("DELETE", "deployments/:deployment_id", DeleteDeployments, Inspect),
    row("POST", "deployments/:deployment_id/approval", WriteDeployments, Inspect),
    row("GET", "environments", ReadEnvironments, Inspect).open(&[Repository, Builds, Environments]),
    row("GET", "environments/:environment_id", ReadEnvironments, Inspect),
    row("POST", "environments", WriteEnvironments, Inspect),
    row("PUT", "environments/:environment_id", WriteEnvironments, Inspect),
    row("DELETE", "environments/:environment_id", WriteEnvironments, Inspect),
    row("DELETE", "environments/review_apps", WriteEnvironments, Inspect),
    row("POST", "environments/:environment_id/stop", WriteEnvironments, Inspect),
    row("POST", "environments/stop_stale", WriteEnvironments, Inspect).least(Role::Maintainer),
    row("GET", "jobs/:job_id/artifacts", ReadArtifacts, Inspect),
    row("GET", "jobs/:job_id/artifacts/*artifact_path", ReadArtifacts, Inspect),
    row("GET", "jobs/artifacts/*ref_name/download", ReadArtifacts, Inspect),
    row("GET", "jobs/artifacts/*ref_name/raw/*artifact_path", ReadArtifacts, Inspect).open(&[Repository, Builds]),
    row("GET", "jobs", ReadJobs, Inspect),
    row("GET", "pipelines/:pipeline_id/jobs", ReadJobs, Inspect).open(&[Repository, Builds]),
    row("GET", "merge_requests", ReadMergeRequests, Inspect).open(&[Repository, MergeRequests]),
    row("GET", "merge_requests/:merge_request_iid", ReadMergeRequests, Inspect),
    row("GET", "merge_requests/:noteable_id/notes", ReadMergeRequests, Inspect).open(&[Repository, MergeRequests]),
    row("GET", "merge_requests/:noteable_id/notes/:note_id", ReadMergeRequests, Inspect),
    row("GET", "packages/:package_id/pipelines", ReadPipelines, Inspect),
    row("PUT", "pipelines/:pipeline_id/metadata", WritePipelines, Inspect),
    row("GET", "pipelines", ReadPipelines, Inspect).open(&[Repository, Builds]),
    row("GET", "pipelines/:pipeline_id", ReadPipelines, Inspect).open(&[Repository, Builds]),
    row("GET", "pipelines/:pipeline_id/bridges", ReadPipelines, Inspect).open(&[Repository, Builds]),
    row("GET", "pipelines/:pipeline_id/trigger_jobs", ReadPipelines, Inspect).open(&[Repository, Builds]).since(19, 2),
    row("GET", "badges", ReadBadges, Inspect).open(&[Repository]).since(19, 1),
    row("GET", "badges/render", WriteBadges, Inspect).since(19, 1),
    row("GET", "badges/:badge_id", ReadBadges, Inspect).open(&[Repository]).since(19, 1),
    row("POST", "badges", WriteBadges, Inspect).since(19, 1),
    row("PUT", "badges/:badge_id", WriteBadges, Inspect).since(19, 1),
    row("DELETE", "badges/:badge_id", WriteBadges, Inspect).since(19, 1),
    row("GET", "dependency_firewall/enablement", ReadFirewall, Inspect).since(19, 4),
    row("GET", "releases", ReadReleases, Inspect).open(&[Repository, Releases]),
    row("GET", "releases/:tag_name", ReadReleases, Inspect).open(&[Repository, Releases]),
    row("GET", "releases/permalink/latest", ReadReleases, Inspect).open(&[Repository, Releases]),
    row("GET", "releases/permalink/latest/*suffix_path", ReadReleases, Inspect).open(&[Repository, Releases]),
    row("GET", "releases/:tag_name/downloads/*direct_asset_path", ReadReleases, Inspect).open(&[Repository, Releases]),
    row("GET", "releases/:tag_name/assets/links", ReadReleases, Inspect).open(&[Releases]),
    row("GET", "releases/:tag_name/assets/links/:link_id", ReadReleases, Inspect).open(&[Releases]),
    row("GET", "repository/changelog", ReadChangelog, Inspect),
    row("POST", "releases", WriteReleases, Inspect),
    row("PUT", "releases/:tag_name", WriteReleases, Inspect),
    row("DELETE", "releases/:tag_name", WriteReleases, Inspect),
    row("POST", "releases/:tag_name/evidence", WriteReleases, Inspect),
    row("POST", "releases/:tag_name/assets/links", WriteReleases, Inspect),
    row("PUT", "releases/:tag_name/assets/links/:link_id", WriteReleases, Inspect),
    row("DELETE", "releases/:tag_name/assets/links/:link_id", WriteReleases, Inspect),
    row("POST", "catalog/publish", WriteReleases, Inspect),
    row("GET", "repository/branches", ReadRepository, Inspect).open(&[Repository]),
    row("GET", "repository/tags", ReadRepository, Inspect).open(&[Repository]),
    // `glab release create`, which the keyword `release` runs, asks this first.
    row("GET", "repository/tags/:tag_name", ReadRepository, Inspect).since(18, 8),
    row("GET", "repository/commits/:sha", ReadRepository, Inspect).open(&[Repository]),
    row("GET", "repository/commits/:sha/merge_requests", ReadRepository, Inspect).open(&[Repository, MergeRequests]),
    row("GET", "repository/commits/:sha/refs", ReadRepository, Inspect).since(19, 4),
    row("GET", "repository/files/:file_path/raw", ReadRepository, Inspect).open(&[Repository]),
    row("GET", "secure_files", ReadSecureFiles, Inspect),
    row("GET", "secure_files/:secure_file_id", ReadSecureFiles, Inspect),
    row("GET", "secure_files/:secure_file_id/download", ReadSecureFiles, Inspect),
    row("POST", "secure_files", WriteSecureFiles, Inspect),
    row("DELETE", "secure_files/:secure_file_id", WriteSecureFiles, Inspect),
    row("GET", "terraform/state/:name", ReadTerraformState, Stream),
    row("GET", "terraform/state/:name/versions/:serial", ReadTerraformState, Stream),
    row("POST", "terraform/state/:name", WriteTerraformState, Stream),
    row("DELETE", "terraform/state/:name", WriteTerraformState, Stream),
    row("POST", "terraform/state/:name/lock", WriteTerraformState, Stream),
    row("DELETE", "terraform/state/:name/lock", WriteTerraformState, Stream),
    row("DELETE", "terraform/state/:name/versions/:serial", WriteTerraformState, Stream),
    row("GET", "issues", ReadIssues, Inspect).open(&[Issues]),
    row("GET", "issues/:issue_iid", ReadIssues, Inspect).open(&[Issues]),
    row("GET", "packages", ReadPackages, Inspect),
    row("GET", "packages/:package_id", ReadPackages, Inspect),
    row("GET", "packages/:package_id/package_files", ReadPackages, Inspect).open(&[Feature::Packages]),
    row("GET", "packages/:package_id/package_files/:package_file_id/download", ReadPackages, Inspect),
    row("DELETE", "packages/:package_id", DeletePackages, Inspect),
    row("DELETE", "packages/:package_id/package_files/:package_file_id", DeletePackages, Inspect),
    row("GET", "registry/repositories", ReadRegistryApi, Inspect),
    row("GET", "registry/repositories/:repository_id/tags", ReadRegistryApi, Inspect),
    row("GET", "registry/repositories/:repository_id/tags/:tag_name", ReadRegistryApi, Inspect),
    row("DELETE", "registry/repositories/:repository_id", DeleteRegistryApi, Inspect).least(Role::Maintainer),
    row("DELETE", "registry/repositories/:repository_id/tags", DeleteRegistryApi, Inspect).least(Role::Maintainer),
    row("DELETE", "registry/repositories/:repository_id/tags/:tag_name", DeleteRegistryApi, Inspect),
    row("POST", "trigger/pipeline", TriggerPipeline, Inspect),
    row("POST", "ref/*ref/trigger/pipeline", TriggerPipeline, Inspect),
];

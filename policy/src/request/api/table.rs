//! The endpoints below `/api/v4/projects/:id/` that take a CI job token, as data.
//!
//! Source: GitLab's documentation of CI job tokens and of their fine-grained permissions (18.0 and 18.3), and for the
//! trigger its source. `:name` is one segment, in which a slash stands encoded; `*name` is one segment or more.
//! The first row that fits counts. What no row names is refused as `api.unlisted`.

use super::super::access::Action::{self, *};
use crate::facts::Feature;

/// How the body of a request is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// It holds parameters, a credential perhaps among them, so it is read here first.
    Inspect,
    /// It is content, and streams where the head says whose it is; else it may be a form with a credential, and is read.
    Upload,
    /// It is content. The forge takes credentials from Basic alone here, so it streams.
    Stream,
}

/// One endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The method; `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// What follows `/api/v4/projects/:id/`.
    pub path: &'static str,
    /// What it asks.
    pub action: Action,
    /// How its body is treated.
    pub body: Body,
}

const fn row(method: &'static str, path: &'static str, action: Action, body: Body) -> Row {
    Row { method, path, action, body }
}

pub(crate) const ROWS: &[Row] = &[
    row("GET", "deployments", ReadDeployments, Body::Inspect),
    row("GET", "deployments/:deployment_id", ReadDeployments, Body::Inspect),
    row("GET", "deployments/:deployment_id/merge_requests", ReadDeployments, Body::Inspect),
    row("POST", "deployments", CreateDeployments, Body::Inspect),
    row("PUT", "deployments/:deployment_id", WriteDeployments, Body::Inspect),
    row("DELETE", "deployments/:deployment_id", DeleteDeployments, Body::Inspect),
    row("POST", "deployments/:deployment_id/approval", WriteDeployments, Body::Inspect),
    row("GET", "environments", ReadEnvironments, Body::Inspect),
    row("GET", "environments/:environment_id", ReadEnvironments, Body::Inspect),
    row("POST", "environments", WriteEnvironments, Body::Inspect),
    row("PUT", "environments/:environment_id", WriteEnvironments, Body::Inspect),
    row("DELETE", "environments/:environment_id", WriteEnvironments, Body::Inspect),
    row("DELETE", "environments/review_apps", WriteEnvironments, Body::Inspect),
    row("POST", "environments/:environment_id/stop", WriteEnvironments, Body::Inspect),
    row("POST", "environments/stop_stale", WriteEnvironments, Body::Inspect),
    row("GET", "jobs/:job_id/artifacts", ReadArtifacts, Body::Inspect),
    row("GET", "jobs/:job_id/artifacts/*artifact_path", ReadArtifacts, Body::Inspect),
    row("GET", "jobs/artifacts/:ref_name/download", ReadArtifacts, Body::Inspect),
    row("GET", "jobs/artifacts/:ref_name/raw/*artifact_path", ReadArtifacts, Body::Inspect),
    row("GET", "jobs", ReadJobs, Body::Inspect),
    row("GET", "pipelines/:pipeline_id/jobs", ReadJobs, Body::Inspect),
    row("GET", "merge_requests", ReadMergeRequests, Body::Inspect),
    row("GET", "merge_requests/:merge_request_iid", ReadMergeRequests, Body::Inspect),
    row("GET", "merge_requests/:noteable_id/notes", ReadMergeRequests, Body::Inspect),
    row("GET", "merge_requests/:noteable_id/notes/:note_id", ReadMergeRequests, Body::Inspect),
    row("GET", "packages/:package_id/pipelines", ReadPipelines, Body::Inspect),
    row("PUT", "pipelines/:pipeline_id/metadata", WritePipelines, Body::Inspect),
    row("GET", "pipelines", ReadPipelines, Body::Inspect),
    row("GET", "pipelines/:pipeline_id", ReadPipelines, Body::Inspect),
    row("GET", "pipelines/:pipeline_id/bridges", ReadPipelines, Body::Inspect),
    row("GET", "releases", ReadReleases, Body::Inspect),
    row("GET", "releases/:tag_name", ReadReleases, Body::Inspect),
    row("GET", "releases/permalink/latest", ReadReleases, Body::Inspect),
    row("GET", "releases/permalink/latest/*suffix_path", ReadReleases, Body::Inspect),
    row("GET", "releases/:tag_name/downloads/*direct_asset_path", ReadReleases, Body::Inspect),
    row("GET", "releases/:tag_name/assets/links", ReadReleases, Body::Inspect),
    row("GET", "releases/:tag_name/assets/links/:link_id", ReadReleases, Body::Inspect),
    row("GET", "repository/changelog", ReadReleases, Body::Inspect),
    row("POST", "releases", WriteReleases, Body::Inspect),
    row("PUT", "releases/:tag_name", WriteReleases, Body::Inspect),
    row("DELETE", "releases/:tag_name", WriteReleases, Body::Inspect),
    row("POST", "releases/:tag_name/evidence", WriteReleases, Body::Inspect),
    row("POST", "releases/:tag_name/assets/links", WriteReleases, Body::Inspect),
    row("PUT", "releases/:tag_name/assets/links/:link_id", WriteReleases, Body::Inspect),
    row("DELETE", "releases/:tag_name/assets/links/:link_id", WriteReleases, Body::Inspect),
    row("POST", "catalog/publish", WriteReleases, Body::Inspect),
    row("GET", "repository/branches", ReadRepository, Body::Inspect),
    row("GET", "repository/tags", ReadRepository, Body::Inspect),
    row("GET", "repository/commits/:sha", ReadRepository, Body::Inspect),
    row("GET", "repository/commits/:sha/merge_requests", ReadRepository, Body::Inspect),
    row("GET", "repository/files/:file_path/raw", ReadRepository, Body::Inspect),
    row("GET", "secure_files", ReadSecureFiles, Body::Inspect),
    row("GET", "secure_files/:secure_file_id", ReadSecureFiles, Body::Inspect),
    row("GET", "secure_files/:secure_file_id/download", ReadSecureFiles, Body::Inspect),
    row("POST", "secure_files", WriteSecureFiles, Body::Inspect),
    row("DELETE", "secure_files/:secure_file_id", WriteSecureFiles, Body::Inspect),
    row("GET", "terraform/state/:name", ReadTerraformState, Body::Stream),
    row("GET", "terraform/state/:name/versions/:serial", ReadTerraformState, Body::Stream),
    row("POST", "terraform/state/:name", WriteTerraformState, Body::Stream),
    row("DELETE", "terraform/state/:name", WriteTerraformState, Body::Stream),
    row("POST", "terraform/state/:name/lock", WriteTerraformState, Body::Stream),
    row("DELETE", "terraform/state/:name/lock", WriteTerraformState, Body::Stream),
    row("DELETE", "terraform/state/:name/versions/:serial", WriteTerraformState, Body::Stream),
    row("GET", "issues", ReadIssues, Body::Inspect),
    row("GET", "issues/:issue_iid", ReadIssues, Body::Inspect),
    row("GET", "packages", ReadPackages, Body::Inspect),
    row("GET", "packages/:package_id", ReadPackages, Body::Inspect),
    row("GET", "packages/:package_id/package_files", ReadPackages, Body::Inspect),
    row("GET", "packages/:package_id/package_files/:package_file_id/download", ReadPackages, Body::Inspect),
    row("DELETE", "packages/:package_id", DeletePackages, Body::Inspect),
    row("DELETE", "packages/:package_id/package_files/:package_file_id", DeletePackages, Body::Inspect),
    row("GET", "packages/composer/archives/*package_name", ReadComposer, Body::Stream),
    row("POST", "packages/composer", PublishComposer, Body::Stream),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/digest",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/download_urls",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/search",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/packages/:conan_package_reference",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/packages/:conan_package_reference/digest",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/packages/:conan_package_reference/download_urls",
        ReadConan,
        Body::Stream,
    ),
    row(
        "POST",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/upload_urls",
        ReadConan,
        Body::Stream,
    ),
    row(
        "POST",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel/packages/:conan_package_reference/upload_urls",
        ReadConan,
        Body::Stream,
    ),
    row(
        "DELETE",
        "packages/conan/v1/conans/:package_name/:package_version/:package_username/:package_channel",
        PublishConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/files/:package_name/:package_version/:package_username/:package_channel/:recipe_revision/export/:file_name",
        ReadConan,
        Body::Stream,
    ),
    row(
        "PUT",
        "packages/conan/v1/files/:package_name/:package_version/:package_username/:package_channel/:recipe_revision/export/:file_name",
        PublishConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v1/files/:package_name/:package_version/:package_username/:package_channel/:recipe_revision/package/:conan_package_reference/:package_revision/:file_name",
        ReadConan,
        Body::Stream,
    ),
    row(
        "PUT",
        "packages/conan/v1/files/:package_name/:package_version/:package_username/:package_channel/:recipe_revision/package/:conan_package_reference/:package_revision/:file_name",
        PublishConan,
        Body::Stream,
    ),
    row("GET", "packages/conan/v1/ping", FindConan, Body::Stream),
    row("GET", "packages/conan/v1/conans/search", FindConan, Body::Stream),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/latest",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/search",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/files",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/files/:file_name",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/search",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/packages/:conan_package_reference/latest",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/packages/:conan_package_reference/revisions",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/packages/:conan_package_reference/revisions/:package_revision/files",
        ReadConan,
        Body::Stream,
    ),
    row(
        "GET",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/packages/:conan_package_reference/revisions/:package_revision/files/:file_name",
        ReadConan,
        Body::Stream,
    ),
    row(
        "PUT",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/files/:file_name",
        PublishConan,
        Body::Stream,
    ),
    row(
        "PUT",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/packages/:conan_package_reference/revisions/:package_revision/files/:file_name",
        PublishConan,
        Body::Stream,
    ),
    row(
        "DELETE",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision",
        PublishConan,
        Body::Stream,
    ),
    row(
        "DELETE",
        "packages/conan/v2/conans/:package_name/:package_version/:package_username/:package_channel/revisions/:recipe_revision/packages/:conan_package_reference/revisions/:package_revision",
        PublishConan,
        Body::Stream,
    ),
    row("GET", "packages/conan/v2/conans/search", FindConan, Body::Stream),
    row("GET", "packages/generic/:package_name/:package_version/*file_name", ReadGeneric, Body::Inspect),
    row("PUT", "packages/generic/:package_name/:package_version/*file_name", PublishGeneric, Body::Upload),
    row("GET", "packages/go/*module_name/@v/list", ReadGo, Body::Stream),
    row("GET", "packages/go/*module_name/@v/:module_version.info", ReadGo, Body::Stream),
    row("GET", "packages/go/*module_name/@v/:module_version.mod", ReadGo, Body::Stream),
    row("GET", "packages/go/*module_name/@v/:module_version.zip", ReadGo, Body::Stream),
    row("GET", "packages/maven/*path/:file_name", ReadMaven, Body::Inspect),
    row("PUT", "packages/maven/*path/:file_name", PublishMaven, Body::Upload),
    row("GET", "packages/npm/-/package/*package_name/dist-tags", ReadNpm, Body::Inspect),
    row("PUT", "packages/npm/-/package/*package_name/dist-tags/:tag", PublishNpm, Body::Upload),
    row("DELETE", "packages/npm/-/package/*package_name/dist-tags/:tag", PublishNpm, Body::Upload),
    row("POST", "packages/npm/-/npm/v1/security/advisories/bulk", ReadNpm, Body::Inspect),
    row("POST", "packages/npm/-/npm/v1/security/audits/quick", ReadNpm, Body::Inspect),
    row("GET", "packages/npm/*package_name", ReadNpm, Body::Inspect),
    row("GET", "packages/npm/*package_name/-/*file_name", ReadNpm, Body::Inspect),
    row("PUT", "packages/npm/:package_name", PublishNpm, Body::Upload),
    row("GET", "packages/pypi/simple", ReadPypi, Body::Stream),
    row("GET", "packages/pypi/simple/*package_name", ReadPypi, Body::Stream),
    row("GET", "packages/pypi/files/:sha256/*file_identifier", ReadPypi, Body::Stream),
    row("POST", "packages/pypi", PublishPypi, Body::Stream),
    row("GET", "registry/repositories", ReadRegistryApi, Body::Inspect),
    row("GET", "registry/repositories/:repository_id/tags", ReadRegistryApi, Body::Inspect),
    row("GET", "registry/repositories/:repository_id/tags/:tag_name", ReadRegistryApi, Body::Inspect),
    row("DELETE", "registry/repositories/:repository_id", DeleteRegistryApi, Body::Inspect),
    row("DELETE", "registry/repositories/:repository_id/tags", DeleteRegistryApi, Body::Inspect),
    row("DELETE", "registry/repositories/:repository_id/tags/:tag_name", DeleteRegistryApi, Body::Inspect),
    row("POST", "trigger/pipeline", TriggerPipeline, Body::Inspect),
    row("POST", "ref/:ref/trigger/pipeline", TriggerPipeline, Body::Inspect),
];

/// Reads of a public project that ask no permission of an entry where these parts of it are open to everybody.
pub(crate) const OPEN: &[(&str, &[Feature])] = &[
    ("repository/commits/:sha", &[Feature::Repository]),
    ("merge_requests", &[Feature::Repository, Feature::MergeRequests]),
    ("issues", &[Feature::Issues]),
    ("packages/npm/*package_name/-/*file_name", &[Feature::Packages]),
];

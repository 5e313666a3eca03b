//! The endpoints of Gitea and Forgejo that a job's token is for.
//!
//! Source: the routes in their source. Gitea's `routers/api/v1/api.go` at ae0c7935 and `routers/api/packages/api.go` at
//! 00659c47, Forgejo's `routers/api/v1/api.go` at 007cf4c1. Left out is what reaches past the repository of the path: forks,
//! transfers, `compare`, a merge, and by their numbers alone jobs and comments.

use crate::access::Action::{self, *};
use crate::pattern::Pattern;

/// Endpoints with one action below one base.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The method; `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// What is asked.
    pub action: Action,
    pub(super) paths: &'static [Pattern],
}

impl Family {
    /// What follows the repository in the path, one for each endpoint.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.paths.iter().map(Pattern::text)
    }
}

macro_rules! families {
    ($($method:literal $action:ident [$($path:literal)*])*) => {
        &[$(Family { method: $method, action: $action, paths: &[$(Pattern::of($path)),*] },)*]
    };
}

/// Below `/api/v1/repos/:owner/:repository`.
pub const GITEA: &[Family] = families! {
    "GET" ReadRepository [
        "" "archive/*ref" "branches" "branches/*branch" "bundle/*ref" "commits" "commits/:ref/status" "commits/:ref/statuses"
        "contents" "contents/*file" "editorconfig/:file" "git/blobs/:sha" "git/commits/:sha" "git/notes/:sha" "git/refs"
        "git/refs/*ref" "git/tags/:sha" "git/trees/:sha" "languages" "licenses" "media/*file" "raw/*file"
        "statuses/:sha" "tags" "tags/*tag" "tarball/*ref" "topics" "zipball/*ref"
    ]
    "POST" WriteCode ["branches" "contents" "contents/*file" "diffpatch" "tags"]
    "PUT" WriteCode ["branches/*branch" "contents/*file"]
    "PATCH" WriteCode ["branches/*branch"]
    "DELETE" WriteCode ["branches/*branch" "contents/*file" "tags/*tag"]
    "GET" ReadWiki ["wiki/page/:page" "wiki/pages" "wiki/revisions/:page"]
    "GET" ReadReleases [
        "releases" "releases/:release_id" "releases/:release_id/assets" "releases/:release_id/assets/:asset_id"
        "releases/latest" "releases/tags/:tag"
    ]
    "POST" WriteReleases ["releases" "releases/:release_id/assets"]
    "PATCH" WriteReleases ["releases/:release_id" "releases/:release_id/assets/:asset_id"]
    "DELETE" WriteReleases ["releases/:release_id" "releases/:release_id/assets/:asset_id" "releases/tags/:tag"]
    "GET" ReadIssues [
        "issues" "issues/:issue_id" "issues/:issue_id/comments" "issues/:issue_id/labels" "labels" "labels/:label_id" "milestones"
        "milestones/:milestone"
    ]
    "GET" ReadMergeRequests [
        "commits/:ref/pull" "pulls" "pulls/:index" "pulls/:pull_id/commits" "pulls/:pull_id/files" "pulls/:pull_id/merge"
        "pulls/:pull_id/reviews"
    ]
    "GET" ReadPipelines [
        "actions/runs" "actions/runs/:run_id" "actions/workflows" "actions/workflows/:workflow" "actions/workflows/:workflow/runs"
    ]
    "GET" ReadJobs ["actions/runs/:run_id/jobs" "actions/tasks"]
    "GET" ReadArtifacts [
        "actions/artifacts" "actions/artifacts/:artifact_id" "actions/artifacts/:artifact_id/zip"
        "actions/artifacts/:artifact_id/zip/raw" "actions/runs/:run_id/artifacts"
    ]
    "POST" TriggerPipeline ["actions/workflows/:workflow/dispatches"]
};

/// Below `/:owner/:repository`, where a job's token is read outside the API too.
pub(super) const ON_WEB: &[Family] = families! {
    "GET" ReadRepository ["archive/*ref" "raw/*file"]
    "GET" ReadReleases ["releases/download/:tag/:file"]
};

/// The package registries below `/api/packages/:owner`, and what reading one is. Conan's is left out: a login there gives
/// a JWT; and so is what jobscope has no action for.
pub const REGISTRIES: [(&str, Action); 12] = [
    ("cargo", ReadCargo),
    ("composer", ReadComposer),
    ("debian", ReadDebian),
    ("generic", ReadGeneric),
    ("go", ReadGo),
    ("helm", ReadHelm),
    ("maven", ReadMaven),
    ("npm", ReadNpm),
    ("nuget", ReadNuget),
    ("pypi", ReadPypi),
    ("rpm", ReadRpm),
    ("rubygems", ReadGem),
];

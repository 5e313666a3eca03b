//! What the ID tokens of each kind of CI say, and how it tells whether a job still runs.
//!
//! Ids count, and no name that somebody can give up and another take; `sub` is not read, because it can be made anything.

use policy::facts::Secret;

use super::jwt::Claims;
use super::liveness::{self, Ask, Told};
use crate::webhooks::{Delivery, Event, Refused, buildkite, github, gitlab};

/// Reads a report that has one of these secrets; which ids name a job, as a token of it names them.
type Report = fn(&[Secret], &Delivery<'_>) -> Result<Event<Vec<String>>, Refused>;

/// A kind of CI. Claims are JSON pointers.
pub struct Vendor {
    /// What a configuration calls it.
    pub name: &'static str,
    /// What names a job, most exact first: of each set all claims must be there. All tokens of what it names end together.
    pub(super) job: &'static [&'static [&'static str]],
    /// Whose job it is, and whose code it has.
    pub(super) project: &'static str,
    /// In which project it runs, where the token tells that beside: another one is that of a fork's merge request.
    pub(super) runs_in: Option<&'static str>,
    /// Who acts. Where the token names nobody, the pipeline or the account that acts by itself.
    pub(super) user: &'static str,
    pub(super) git_ref: Option<&'static str>,
    pub(super) protected: Option<&'static str>,
    pub(super) environment: Option<&'static str>,
    pub(super) source: Option<&'static str>,
    /// Sources whose jobs work on what is in the project itself. Of every other source nobody knows: not whether it is a
    /// fork's, and so not what the ref of its name is, either.
    pub(super) own_sources: &'static [&'static str],
    /// Sources that run by the project's rights, and may handle what a fork brought.
    pub(super) fork_sources: &'static [&'static str],
    /// Claims that a configuration may pin.
    pub pins: &'static [&'static str],
    /// How the issuers begin at which everybody has tokens made.
    pub public: &'static [&'static str],
    /// Reads a report of it that jobs are over, where it makes such.
    pub(super) report: Option<Report>,
    /// What is asked for whether the job runs. `None` where the claims do not say enough.
    pub(super) ask: fn(&Ask<'_>) -> Option<liveness::Question>,
    /// What the answer says of this very job.
    pub(super) told: fn(&Told<'_>) -> Option<liveness::State>,
}

/// All of them.
pub const VENDORS: [Vendor; 5] = [
    Vendor {
        name: "gitlab",
        job: &[&["/job_id"]],
        project: "/project_id",
        runs_in: Some("/job_project_id"),
        user: "/user_id",
        git_ref: Some("/ref"),
        protected: Some("/ref_protected"),
        environment: Some("/environment"),
        source: Some("/pipeline_source"),
        own_sources: &["push", "web", "schedule", "api", "trigger"],
        fork_sources: &[],
        pins: &["namespace_id", "project_id"],
        public: &["https://gitlab.com"],
        report: Some(|secrets, delivery| Ok(gitlab::read(secrets, delivery)?.named(|job| vec![job.0.to_string()]))),
        ask: liveness::ask_gitlab,
        told: liveness::told_gitlab,
    },
    Vendor {
        name: "github",
        job: &[&["/run_id", "/run_attempt", "/check_run_id"], &["/run_id", "/run_attempt"]],
        project: "/repository_id",
        runs_in: None,
        user: "/actor_id",
        git_ref: Some("/ref"),
        protected: Some("/ref_protected"),
        environment: Some("/environment"),
        source: Some("/event_name"),
        own_sources: &["push", "schedule", "workflow_dispatch", "repository_dispatch", "release"],
        fork_sources: &["pull_request_target", "workflow_run"],
        pins: &["repository_owner_id", "repository_id", "enterprise_id"],
        public: &["https://token.actions.githubusercontent.com"],
        report: Some(github::read),
        ask: liveness::ask_github,
        told: liveness::told_github,
    },
    Vendor {
        name: "forgejo",
        job: &[&["/run_id", "/run_attempt"]],
        project: "/repository_id",
        runs_in: None,
        user: "/actor_id",
        git_ref: Some("/ref"),
        protected: Some("/ref_protected"),
        environment: None,
        source: Some("/event_name"),
        own_sources: &["push", "schedule", "workflow_dispatch"],
        fork_sources: &["pull_request_target", "workflow_run"],
        pins: &["repository_owner_id", "repository_id"],
        public: &["https://codeberg.org"],
        report: None,
        ask: liveness::ask_forgejo,
        told: liveness::told_forgejo,
    },
    Vendor {
        name: "buildkite",
        job: &[&["/job_id"]],
        project: "/pipeline_id",
        runs_in: None,
        user: "/pipeline_id",
        git_ref: Some("/build_branch"),
        protected: None,
        environment: None,
        source: Some("/build_source"),
        own_sources: &["schedule"],
        fork_sources: &[],
        pins: &["organization_id", "pipeline_id"],
        public: &[""],
        report: Some(buildkite::read),
        ask: liveness::ask_buildkite,
        told: liveness::told_buildkite,
    },
    Vendor {
        name: "kubernetes",
        job: &[&["/kubernetes.io/pod/uid"]],
        project: "/kubernetes.io/serviceaccount/uid",
        runs_in: None,
        user: "/kubernetes.io/serviceaccount/uid",
        git_ref: None,
        protected: None,
        environment: None,
        source: None,
        own_sources: &[],
        fork_sources: &[],
        pins: &[],
        public: &[],
        report: None,
        ask: liveness::ask_kubernetes,
        told: liveness::told_kubernetes,
    },
];

impl Vendor {
    /// All names.
    pub const NAMES: [&'static str; 5] = ["gitlab", "github", "forgejo", "buildkite", "kubernetes"];

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        VENDORS.iter().find(|vendor| vendor.name == name)
    }

    /// Whether it reports that jobs are over.
    #[must_use]
    pub fn reports(&self) -> bool {
        self.report.is_some()
    }

    /// The ids that name a token's job.
    pub(super) fn job(&self, claims: &Claims) -> Option<Vec<String>> {
        self.job.iter().find_map(|names| names.iter().map(|name| claims.text(name)).collect())
    }

    /// Whether a job works on what a fork brought; `None` where the token does not say.
    pub(super) fn fork(&self, claims: &Claims) -> Option<bool> {
        let runs_in = self.runs_in.and_then(|claim| claims.text(claim));
        if runs_in.is_some() && runs_in != claims.text(self.project) {
            return Some(true);
        }
        let source = claims.text(self.source?)?;
        match source.as_str() {
            own if self.own_sources.contains(&own) => Some(false),
            fork if self.fork_sources.contains(&fork) => Some(true),
            _ => None,
        }
    }
}

//! The forge of a row: GitLab as far as lookups see it, open to the job or closed to it.

use serde_json::{Value, json};

use super::document::Row;

/// Where forge and registry are.
pub(super) const HOST: &str = "forge.test";

/// Where every job ends up that is not let in.
const ELSEWHERE: Project = (900, "other/origin");

type Project = (u64, &'static str);

const PROJECTS: [Project; 5] =
    [(101, "apps/web"), (102, "libs/common"), (103, "infra/secrets"), (104, "containers/poetry"), (106, "apps/deploy")];

/// Whether a row's request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// The job is one of the project that the request names first, started by its owner, and nobody limits access.
    Open,
    /// It is another project's, which no allowlist names, and the user is a guest.
    Closed,
    /// The job has ended.
    Ended,
}

impl Access {
    /// The world that denies an action, and for which reason: what asks nothing of a project is denied by an end alone.
    pub(super) fn denying(action: &str) -> (Access, &'static str) {
        match action {
            "oci.login" | "packages.conan.login" | "job.self.read" | "web.public" => (Access::Ended, "token.unknown"),
            "kubernetes-agent.use" => (Access::Closed, "kubernetes-agent.off"),
            "job.artifacts.read" => (Access::Closed, "target.unknown"),
            "job.update" | "job.trace" | "job.artifacts.write" => (Access::Closed, "job.foreign"),
            "git.write" | "lfs.upload" | "lfs.lock.write" => (Access::Closed, "push.elsewhere"),
            "oci.push" | "oci.delete" => (Access::Closed, "image.elsewhere"),
            _ => (Access::Closed, "allowlist.missing"),
        }
    }
}

/// What tells worlds apart: whether they are open, and the job's project.
pub(super) type Name = (Access, u64);

/// The forge of one row.
pub(super) struct World {
    access: Access,
    job: u64,
    origin: Project,
}

impl World {
    /// The world of a row.
    pub(super) fn of(row: &Row, access: Access) -> World {
        let said = [&row.target, "\n", &row.body].concat().replace("%2F", "/").replace('+', "/").to_lowercase();
        let place = |(id, path): Project| {
            let by = [format!("/projects/{id}/"), path.to_owned()];
            by.iter().filter_map(|name| said.find(name.as_str())).min()
        };
        let named = PROJECTS.into_iter().filter(|project| place(*project).is_some()).min_by_key(|one| place(*one));
        match access {
            Access::Open | Access::Ended => World { access, job: 1007, origin: named.unwrap_or(PROJECTS[0]) },
            Access::Closed => World { access, job: 9, origin: ELSEWHERE },
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> Name {
        (self.access, self.origin.0)
    }

    /// The filter's configuration.
    pub(super) fn configuration(&self) -> String {
        let agent = if self.access == Access::Closed { "off" } else { "on" };
        json!({"forge": {"hosts": [HOST], "kubernetes_agent": agent}, "packages": {"index": "all-admitted"},
            "lookup": {"cluster": "lookup", "authority": HOST, "credential_env": "LOOKUP_TOKEN"}})
        .to_string()
    }

    /// Answers a lookup: status and JSON.
    pub(super) fn answer(&self, path: &str, body: &[u8]) -> (u16, String) {
        let path = path.strip_prefix("/api/").unwrap_or(path);
        let path = path.strip_prefix("v4/").unwrap_or(path);
        if path == "job" && self.access == Access::Ended {
            return (401, r#"{"message": "401 Unauthorized"}"#.into());
        }
        match self.found(path, body) {
            Some(answer) => (200, answer.to_string()),
            None => (404, r#"{"message": "404 Not Found"}"#.into()),
        }
    }

    fn found(&self, path: &str, body: &[u8]) -> Option<Value> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path == "graphql" {
            let asked: Value = serde_json::from_slice(body).unwrap_or_default();
            return Some(json!({"data": self.allowlist(&asked["variables"])}));
        }
        if path == "job" {
            let ((id, origin), job) = (self.origin, self.job);
            return Some(json!({"id": job, "status": "running",
                "user": {"id": 11, "username": "dana", "state": "active"}, "pipeline": {"id": 1, "project_id": id},
                "web_url": format!("https://{HOST}/{origin}/-/jobs/{job}")}));
        }
        if path.starts_with("users/") {
            return Some(json!({"id": 11, "external": false}));
        }
        if path == "application/settings" {
            return Some(json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": false}));
        }
        if path == "user" {
            return Some(json!({"id": 1, "is_admin": true}));
        }
        if path.starts_with("groups/") {
            return Some(held(query));
        }
        let below = path.strip_prefix("projects/")?;
        let (reference, rest) = below.split_once('/').unwrap_or((below, ""));
        let (id, path) = self.project(&reference.replace("%2F", "/"))?;
        match rest {
            "" => Some(json!({"id": id, "path_with_namespace": path, "visibility": "private",
                "ci_push_repository_for_job_token_allowed": true})),
            rest if rest.starts_with("members/all/") => {
                let role = if self.access == Access::Closed { 10 } else { 50 };
                Some(json!({"id": 11, "access_level": role}))
            }
            // A job's number alone says whose artifacts are meant.
            rest if rest.starts_with("jobs/") && id == PROJECTS[0].0 => Some(json!({"id": 1007})),
            _ => None,
        }
    }

    fn project(&self, reference: &str) -> Option<Project> {
        let is_it = |(id, path): &Project| reference == *path || reference == id.to_string();
        PROJECTS.into_iter().chain([ELSEWHERE]).find(is_it)
    }

    /// No allowlist names anybody; whether it counts depends.
    fn allowlist(&self, variables: &Value) -> Value {
        let (path, id) = (variables["path"].as_str(), variables["id"].as_str());
        let reference = path.or_else(|| id?.strip_prefix("gid://gitlab/Project/")).unwrap_or_default();
        let list =
            json!({"nodes": [], "pageInfo": {"hasNextPage": false, "hasPreviousPage": false, "endCursor": null}});
        let is_limited = self.access == Access::Closed;
        let shown = self.project(reference).map(|(id, _)| {
            json!({"id": format!("gid://gitlab/Project/{id}"), "ciCdSettings": {"inboundJobTokenScopeEnabled": is_limited},
                "ciJobTokenScopeAllowlist":
                    {"projectsAllowlist": list, "lastProjects": list, "groupsAllowlist": list, "lastGroups": list}})
        });
        match path {
            Some(_) => json!({"project": shown}),
            None => json!({"projects": {"nodes": shown.into_iter().collect::<Value>()}}),
        }
    }
}

/// Whatever is looked for in a group, one project holds it.
fn held(query: &str) -> Value {
    let said = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let name = said("package_name").unwrap_or_default().replace("%40", "@").replace("%2F", "/");
    let (project, _) = PROJECTS[1];
    json!([{"id": project, "project_id": project, "name": name, "package_type": said("package_type")}])
}

//! What GitLab's API says of the factory's jobs. Ten at a time have their user, their project and three targets in common, all
//! of which are numbers, and none is kept.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Jobs, Message, TOKEN};

/// Jobs that have user, project and targets in common.
pub const ALIKE: u64 = 10;

/// Targets that a job asks for.
pub const TARGETS: u64 = 3;

const FIRST_USER: u64 = 1_000;
const FIRST_ORIGIN: u64 = 1_000_000;
const FIRST_TARGET: u64 = 2_000_000;

/// The most running jobs on a page.
const PAGE: u64 = 100;

/// What a job reads in one of its targets.
#[must_use]
pub fn package(job: u64, target: u64) -> String {
    format!("/api/v4/projects/libs%2Ft{}/packages/generic/tool/1.0/tool.txt", crew(job) * TARGETS + target % TARGETS)
}

pub(super) fn is_package(api: &str) -> bool {
    api.starts_with("projects/libs%2Ft") && api.contains("/packages/")
}

/// Which jobs a job is like.
fn crew(job: u64) -> u64 {
    job.saturating_sub(1) / ALIKE
}

impl Jobs {
    /// A call of GitLab's API: a path below `/api/v4/`, or a query.
    pub(super) fn gitlab(&self, api: &str, request: &Message) -> (u16, &'static str, Value) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let parts: Vec<&str> = api.split('/').collect();
        let said = match parts[..] {
            [""] => self.query(&serde_json::from_str(&request.body).unwrap_or_default()),
            ["version"] => Some(json!({"version": "18.11.2-ee"})),
            ["job"] => request.fields.get("job-token").and_then(|token| self.running(number(token, TOKEN)?)),
            ["projects", project] => target(project).map(|target| {
                json!({"id": FIRST_TARGET + target, "path_with_namespace": format!("libs/t{target}"),
                    "visibility": "private", "wiki_access_level": "disabled"})
            }),
            ["projects", _, "members", "all", user] => Some(json!({"id": number(user, ""), "access_level": 20})),
            ["projects", _, "jobs", job] => number(job, "").map(|job| {
                self.running(job.saturating_sub(1)).unwrap_or_else(|| described(job.saturating_sub(1), "success"))
            }),
            ["users", user] => Some(json!({"id": number(user, ""), "external": false})),
            ["application", "settings"] => Some(json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": false})),
            _ => None,
        };
        match said {
            Some(said) => (200, "", said),
            None if api == "job" => (401, "", json!({"message": "401 Unauthorized"})),
            None => (404, "", json!({"message": "404 Not Found"})),
        }
    }

    fn running(&self, number: u64) -> Option<Value> {
        (!self.has_ended(number)).then(|| described(number, "running"))
    }

    /// The running jobs, or what a target's allowlist says.
    fn query(&self, asked: &Value) -> Option<Value> {
        let variables = &asked["variables"];
        if asked["query"].as_str()?.contains("statuses") {
            let after = variables["after"].as_str().and_then(|after| after.parse().ok()).unwrap_or(0_u64);
            let (all, end) = (self.population.load(Ordering::Relaxed), after + PAGE);
            let nodes: Vec<Value> = (after..end.min(all))
                .filter(|number| !self.has_ended(*number))
                .map(|number| json!({"id": format!("gid://gitlab/Ci::Build/{}", number + 1)}))
                .collect();
            let page = json!({"hasNextPage": end < all, "endCursor": end.to_string()});
            return Some(json!({"data": {"jobs": {"nodes": nodes, "pageInfo": page}}}));
        }
        let target = match variables["id"].as_str() {
            Some(id) => number(id, "gid://gitlab/Project/")?.checked_sub(FIRST_TARGET)?,
            None => number(variables["path"].as_str()?, "libs/t")?,
        };
        let list = |nodes: &[Value]| {
            let info = json!({"hasNextPage": false, "hasPreviousPage": false, "endCursor": "MQ"});
            json!({"nodes": nodes, "pageInfo": info})
        };
        let origin = format!("gid://gitlab/Project/{}", FIRST_ORIGIN + target / TARGETS);
        let admitted = [json!({"direction": "inbound", "defaultPermissions": true, "jobTokenPolicies": [],
            "target": {"id": origin}})];
        Some(json!({"data": {"project": {
            "id": format!("gid://gitlab/Project/{}", FIRST_TARGET + target),
            "ciCdSettings": {"inboundJobTokenScopeEnabled": true},
            "ciJobTokenScopeAllowlist": {"projectsAllowlist": list(&admitted), "lastProjects": list(&admitted),
                "groupsAllowlist": list(&[]), "lastGroups": list(&[])},
        }}}))
    }
}

fn described(number: u64, status: &str) -> Value {
    let (job, crew) = (number + 1, crew(number + 1));
    json!({
        "id": job, "status": status, "ref": "main", "tag": false,
        "user": {"id": FIRST_USER + crew, "username": format!("dana{crew}"), "state": "active"},
        "pipeline": {"project_id": FIRST_ORIGIN + crew, "source": "push"},
        "web_url": format!("https://forge.example.com/apps/a{crew}/-/jobs/{job}"),
    })
}

/// The number of a target, by its path or its id.
fn target(project: &str) -> Option<u64> {
    number(project, "libs%2Ft").or_else(|| number(project, "")?.checked_sub(FIRST_TARGET))
}

fn number(text: &str, prefix: &str) -> Option<u64> {
    text.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Jobs {
        let jobs = Jobs::default();
        jobs.population.store(250, Ordering::Relaxed);
        jobs
    }

    fn asked(jobs: &Jobs, first: &str, fields: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (status, _, said) = jobs.answer(&Message { first: first.into(), fields, body: body.to_string() });
        (status, said)
    }

    #[test]
    fn a_token_is_its_jobs_until_that_ends_and_each_call_is_counted() {
        let jobs = jobs();
        let ask =
            || asked(&jobs, "GET /api/v4/job HTTP/1.1", &[("job-token", &super::super::token_of(21))], &json!({}));
        let (status, job) = ask();
        assert_eq!((status, &job["id"], &job["pipeline"]["project_id"]), (200, &json!(21), &json!(FIRST_ORIGIN + 2)));
        jobs.end(20);
        assert_eq!(ask().0, 401);
        assert_eq!(jobs.calls.load(Ordering::Relaxed), 2);
        let package = format!("GET {} HTTP/1.1", package(21, 1));
        assert_eq!((asked(&jobs, &package, &[], &json!({})).0, jobs.calls.load(Ordering::Relaxed)), (200, 2));
    }

    #[test]
    fn the_list_of_running_jobs_has_pages_and_no_ended_job() {
        let jobs = jobs();
        jobs.end(6);
        let (mut listed, mut after) = (Vec::new(), Value::Null);
        loop {
            let query = json!({"query": "jobs(statuses: [RUNNING])", "variables": {"after": after}});
            let page = asked(&jobs, "POST /api/graphql HTTP/1.1", &[], &query).1["data"]["jobs"].take();
            listed.extend(page["nodes"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(listed.len(), 249);
        assert!(!listed.contains(&"gid://gitlab/Ci::Build/7".to_owned()));
    }
}

//! The compiled filter in the test host, in a world where every project exists and admits every job.

use anyhow::{Result, anyhow};
use policy::request::{Reading, TargetRef};
use serde_json::json;

use super::ask::Ask;
use crate::host::{Answer, Filter, Host, Options};

/// A running filter.
pub struct Compiled {
    host: Host,
}

/// What a filter says of a request: target and action, or none when it refuses it.
pub type Said = Option<(String, String)>;

impl Compiled {
    /// Starts the filter under test.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn start(configuration: &str) -> Result<Self> {
        let options = Options {
            configuration: configuration.into(),
            environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
            ..Options::default()
        };
        let host = Host::start(&Filter::under_test()?, options.cluster("lookup"))
            .map_err(|error| anyhow!("the filter does not start: {:?}", error.logs()))?;
        Ok(Self { host })
    }

    /// What it logs of a request.
    pub fn said(&mut self, ask: &Ask, host: &str, token: &str) -> Said {
        let stream = self.host.send(0, ask.request(host, token), |call| lookup(&call.path()));
        let properties = self.host.properties(stream);
        self.host.close(stream);
        let text = |name: &str| String::from_utf8_lossy(properties.get(name).map_or(&[], |value| value)).into_owned();
        let is_judged = !["", "-"].contains(&text("jobscope_rule").as_str());
        is_judged.then(|| (text("jobscope_target"), text("jobscope_action")))
    }
}

/// What may be logged of a request that is read like this: one of its accesses, in a world where every project exists.
#[must_use]
pub fn sayable(reading: &Reading) -> Vec<Said> {
    let Reading::Job(job) = reading else { return vec![None] };
    let target = |target: &TargetRef| match target {
        TargetRef::Path(path) => path.to_string(),
        TargetRef::Image(paths) => paths.first().map_or_else(|| "-".into(), ToString::to_string),
        _ => "-".into(),
    };
    job.accesses.iter().map(|access| Some((target(&access.target), access.action.name().into()))).collect()
}

/// The forge's answer to a lookup.
fn lookup(path: &str) -> Answer {
    let path = path.strip_prefix("/api/v4/").unwrap_or(path);
    let below = path.strip_prefix("projects/").unwrap_or_default();
    let (project, rest) = below.split_once('/').unwrap_or((below, ""));
    let (number, project) = if project == "1" { (1, "g/p".into()) } else { (2, project.replace("%2F", "/")) };
    let answer = match rest.split('?').next().unwrap_or_default() {
        _ if path == "job" => {
            json!({"id": 7, "status": "running", "user": {"id": 11, "username": "dana", "state": "active"},
            "pipeline": {"id": 1, "project_id": 1}, "web_url": "https://forge.example.com/g/p/-/jobs/7"})
        }
        _ if path.starts_with("users/") => json!({"id": 11, "external": false}),
        "" => json!({"id": number, "path_with_namespace": project, "visibility": "private",
            "ci_push_repository_for_job_token_allowed": true}),
        "job_token_scope" => json!({"inbound_enabled": false, "outbound_enabled": false}),
        rest if rest.starts_with("members/all/") => json!({"id": 11, "access_level": 50}),
        _ => json!([]),
    };
    Answer::json(200, answer.to_string())
}

//! The compiled filter in the test host, in a world where every project exists and admits every job.

use anyhow::{Result, anyhow, ensure};
use policy::Config;
use policy::access::TargetRef;
use policy::request::Reading;
use serde_json::{Value, json};

use super::ask::Ask;
use crate::host::{Answer, Callout, Filter, Host, Options};

/// What the filter says of a request: target and action, or none when it refuses it.
type Said = Option<(String, String)>;

/// Sends requests to the filter under test, which must name what the core reads.
///
/// # Errors
/// The filter is not built, does not start, or names something else.
pub fn compare_compiled<'a>(configuration: &str, host: &str, asks: impl IntoIterator<Item = &'a Ask>) -> Result<()> {
    let config = Config::parse(configuration.as_bytes()).map_err(|errors| anyhow!("{errors}"))?;
    let options = Options {
        configuration: configuration.into(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
        ..Options::default()
    };
    let mut filter = Host::start(&Filter::under_test()?, options.cluster("lookup"))
        .map_err(|error| anyhow!("the filter does not start: {:?}", error.logs()))?;
    for ask in asks {
        let (said, sayable) = (said(&mut filter, ask, host), sayable(&ask.reading(&config, host)));
        ensure!(sayable.contains(&said), "{ask}: expected one of {sayable:?}, found {said:?}");
    }
    Ok(())
}

/// What the filter logs of a request.
fn said(filter: &mut Host, ask: &Ask, host: &str) -> Said {
    let stream = filter.send(0, ask.request(host), lookup);
    let properties = filter.properties(stream);
    filter.close(stream);
    let text = |name: &str| String::from_utf8_lossy(properties.get(name).map_or(&[], |value| value)).into_owned();
    let is_judged = !["", "-"].contains(&text("jobscope_rule").as_str());
    is_judged.then(|| (text("jobscope_target"), text("jobscope_action")))
}

/// What may be logged of a request that is read like this: one of its accesses, in a world where every project exists.
fn sayable(reading: &Reading) -> Vec<Said> {
    let Reading::Job(job) = reading else { return vec![None] };
    let target = |target: &TargetRef| match target {
        TargetRef::Path(path) => path.to_string(),
        TargetRef::Image(paths) => paths.first().map_or_else(|| "-".into(), ToString::to_string),
        _ => "-".into(),
    };
    job.accesses.iter().map(|access| Some((target(&access.target), access.action.name().into()))).collect()
}

/// The forge's answer to a lookup.
pub(super) fn lookup(call: &Callout) -> Answer {
    let path = call.path();
    if path == "/api/graphql" {
        return allowlist(&call.body);
    }
    let path = path.strip_prefix("/api/v4/").unwrap_or(&path);
    let below = path.strip_prefix("projects/").unwrap_or_default();
    let (project, rest) = below.split_once('/').unwrap_or((below, ""));
    let (number, project) =
        if ["1", "g%2Fp"].contains(&project) { (1, "g/p".into()) } else { (2, project.replace("%2F", "/")) };
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

/// What GraphQL tells of the project that is asked for: nobody's access to it is limited.
fn allowlist(body: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let number = if asked["variables"]["path"] == "g/p" { 1 } else { 2 };
    let list = json!({"nodes": [], "pageInfo": {"hasNextPage": false, "hasPreviousPage": false, "endCursor": null}});
    let shown = json!({"id": format!("gid://gitlab/Project/{number}"), "ciCdSettings": {"inboundJobTokenScopeEnabled": false},
        "ciJobTokenScopeAllowlist":
            {"projectsAllowlist": list, "lastProjects": list, "groupsAllowlist": list, "lastGroups": list}});
    Answer::json(200, json!({"data": {"project": shown}}).to_string())
}

//! The lookup cluster as the tests play it, and requests that clients send.

use std::time::Duration;

use base64::Engine;
use host_tests::host::{Answer, Callout, Filter, Host, Options, Outcome, Request, RequestHead, StreamId};
use serde_json::json;

/// A job of apps/web, started by dana.
pub const DANA: &str = "glcbt-64_dana";
/// A job of apps/web, started by nora, who is a member of apps/web alone.
pub const NORA: &str = "glcbt-64_nora";

/// What is asked once an hour, whatever requests come.
pub const EXPIRY: &str = "/api/v4/personal_access_tokens/self";

pub fn configuration(more: &str) -> String {
    format!(
        r#"{{"forge": {{"hosts": ["gitlab.example.com"], "registry_hosts": ["registry.example.com"]}},
            "lookup": {{"cluster": "token-lookup", "authority": "gitlab.example.com", "credential_env": "LOOKUP_TOKEN"}}{more}}}"#
    )
}

/// A host that looks up so many unknown tokens a second, for one address and in all.
pub fn host_with_limits(source: u32, all: u32, more: &str) -> Host {
    let limits = format!(r#""max_unknown_per_source": {source}, "max_unknown_per_second": {all}, "cluster""#);
    host_of(&configuration(more).replace(r#""cluster""#, &limits))
}

pub fn options(configuration: &str) -> Options {
    Options {
        workers: 2,
        configuration: configuration.as_bytes().to_vec(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
        // As `envoy/envoy.yaml` has it.
        buffer_limit: 2 << 20,
        ..Options::default()
    }
    .cluster("token-lookup")
}

pub fn host() -> Host {
    host_with("")
}

/// A host whose configuration has more keys.
pub fn host_with(more: &str) -> Host {
    host_of(&configuration(more))
}

/// A host with this configuration.
pub fn host_of(configuration: &str) -> Host {
    let mut host = Host::start(&Filter::under_test().unwrap(), options(configuration)).unwrap();
    host.reset_counts();
    host.clear_logs();
    host
}

pub fn get(path: &str) -> RequestHead {
    RequestHead::new("GET", "gitlab.example.com", path)
}

pub fn post(path: &str) -> RequestHead {
    RequestHead::new("POST", "gitlab.example.com", path)
}

pub fn basic(token: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("gitlab-ci-token:{token}")))
}

pub fn clone(project: &str, token: &str) -> RequestHead {
    get(&format!("/{project}.git/info/refs?service=git-upload-pack")).header("authorization", basic(token))
}

pub fn api(path: &str, token: &str) -> RequestHead {
    get(&format!("/api/v4{path}")).header("job-token", token)
}

/// The runner's last word.
pub fn finish(token: &str) -> Request {
    let body = format!(r#"{{"token": "{token}", "state": "success"}}"#);
    RequestHead::new("PUT", "gitlab.example.com", "/api/v4/jobs/1001")
        .header("content-type", "application/json")
        .body(body)
}

/// GitLab, as far as lookups see it: apps/web (101), libs/common (102) which admits it, infra/secrets (103) which does
/// not, and libs/open (105), which is public.
pub fn gitlab(call: &Callout) -> Answer {
    let path = call.path();
    let not_found = || Answer::json(404, r#"{"message": "404 Project Not Found"}"#);
    if path == "/api/v4/job" {
        return match call.header("job-token").as_deref() {
            Some(DANA) => Answer::json(200, job(1001, 11, "dana")),
            Some(NORA) => Answer::json(200, job(1002, 12, "nora")),
            _ => Answer::json(401, r#"{"message": "401 Unauthorized"}"#),
        };
    }
    if path == "/api/v4/job/allowed_agents" {
        return Answer::json(200, r#"{"job": {"id": 1001}, "environment": null}"#);
    }
    assert_eq!(call.header("private-token").as_deref(), Some("glpat-service"), "{path}");
    if path == EXPIRY {
        return Answer::json(200, r#"{"id": 5, "expires_at": null}"#);
    }
    if let Some(user) = path.strip_prefix("/api/v4/users/") {
        return Answer::json(200, format!(r#"{{"id": {user}, "external": false}}"#));
    }
    if path == "/api/graphql" {
        return Answer::json(200, graphql(&call.body));
    }
    if path == "/api/v4/application/settings" {
        return Answer::json(200, r#"{"id": 1, "enforce_ci_inbound_job_token_scope_enabled": false}"#);
    }
    let Some(rest) = path.strip_prefix("/api/v4/projects/") else { return not_found() };
    let (reference, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let Some((id, path, visibility, members)) = project(&reference.replace("%2F", "/")) else { return not_found() };
    let user = rest.strip_prefix("members/all/").and_then(|user| user.parse().ok());
    match (rest, user) {
        ("", _) => Answer::json(
            200,
            format!(r#"{{"id": {id}, "path_with_namespace": "{path}", "visibility": "{visibility}"}}"#),
        ),
        ("job_token_scope", _) => Answer::json(200, r#"{"inbound_enabled": true, "outbound_enabled": false}"#),
        ("repository/branches/main", _) => Answer::json(200, r#"{"name": "main", "protected": true}"#),
        (_, Some(user)) if members.contains(&user) => {
            Answer::json(200, format!(r#"{{"id": {user}, "access_level": 30}}"#))
        }
        _ => Answer::json(404, r#"{"message": "404 Not found"}"#),
    }
}

/// A project's number, path, visibility and members.
fn project(reference: &str) -> Option<(u64, &'static str, &'static str, &'static [u64])> {
    let known: [(u64, &str, &str, &[u64]); 4] = [
        (101, "apps/web", "private", &[11, 12]),
        (102, "libs/common", "private", &[11]),
        (103, "infra/secrets", "private", &[11]),
        (105, "libs/open", "public", &[]),
    ];
    known.into_iter().find(|(id, path, _, _)| *path == reference || id.to_string() == reference)
}

/// What GraphQL tells of an allowlist: that of libs/common names apps/web, and its entry grants everything.
fn graphql(body: &[u8]) -> String {
    let asked: serde_json::Value = serde_json::from_slice(body).unwrap();
    let (path, id) = (asked["variables"]["path"].as_str(), asked["variables"]["id"].as_str());
    let reference = path.or_else(|| id?.strip_prefix("gid://gitlab/Project/")).unwrap_or_default();
    let listed: &[u64] = if project(reference).is_some_and(|(id, ..)| id == 102) { &[101] } else { &[] };
    allowlist(&asked, listed)
}

/// What GraphQL tells of the allowlist of the project that is asked for, when it names these projects.
pub fn allowlist(asked: &serde_json::Value, listed: &[u64]) -> String {
    let (path, id) = (asked["variables"]["path"].as_str(), asked["variables"]["id"].as_str());
    let reference = path.or_else(|| id?.strip_prefix("gid://gitlab/Project/")).unwrap_or_default();
    let nodes: Vec<_> = listed
        .iter()
        .map(|id| {
            json!({"direction": "inbound", "defaultPermissions": true, "jobTokenPolicies": [],
                "target": {"id": format!("gid://gitlab/Project/{id}")}})
        })
        .collect();
    let (head, tail) = (json!({"hasNextPage": false, "endCursor": null}), json!({"hasPreviousPage": false}));
    let lists = json!({
        "projectsAllowlist": {"nodes": nodes, "pageInfo": head}, "lastProjects": {"nodes": nodes, "pageInfo": tail},
        "groupsAllowlist": {"nodes": [], "pageInfo": head}, "lastGroups": {"nodes": [], "pageInfo": tail},
    });
    let shown = project(reference).map(|(id, ..)| {
        json!({"id": format!("gid://gitlab/Project/{id}"), "ciCdSettings": {"inboundJobTokenScopeEnabled": true},
            "ciJobTokenScopeAllowlist": lists})
    });
    if path.is_some() {
        json!({"data": {"project": shown}}).to_string()
    } else {
        json!({"data": {"projects": {"nodes": shown.into_iter().collect::<Vec<_>>()}}}).to_string()
    }
}

fn job(id: u64, user: u64, name: &str) -> String {
    format!(
        r#"{{"id": {id}, "status": "running", "user": {{"id": {user}, "username": "{name}", "state": "active"}},
            "ref": "main", "pipeline": {{"id": 1, "project_id": 101, "source": "merge_request_event"}}, "web_url": "http://gitlab.example.com/apps/web/-/jobs/{id}"}}"#
    )
}

/// Like [`Host::exchange`], and waits for calls that are sent again.
pub fn patient_exchange(
    host: &mut Host,
    worker: usize,
    request: impl Into<Request>,
    mut answer: impl FnMut(&Callout) -> Answer,
) -> Outcome {
    let stream = host.send(worker, request, &mut answer);
    for _ in 0..30 {
        if host.outcome(stream) != Outcome::Paused {
            break;
        }
        host.advance(Duration::from_millis(100));
        host.settle(&mut answer);
    }
    let outcome = host.outcome(stream);
    host.close(stream);
    outcome
}

/// Answers all calls of a round at once, until none is made. What each round asked for a request, in order of its letters.
pub fn rounds(host: &mut Host, mut answer: impl FnMut(&Callout) -> Answer) -> Vec<Vec<String>> {
    let mut rounds = Vec::new();
    loop {
        let calls = host.callouts();
        if calls.is_empty() {
            return rounds;
        }
        let mut asked: Vec<String> = calls.iter().filter(|call| call.path() != EXPIRY).map(name).collect();
        asked.sort();
        rounds.push(asked);
        for call in calls {
            host.answer(call.id, answer(&call));
        }
    }
}

/// A call's path, and of a GraphQL query the name and what it asks about.
pub fn name(call: &Callout) -> String {
    let path = call.path();
    if path != "/api/graphql" {
        return path.trim_start_matches("/api/v4").to_string();
    }
    let asked: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    let of = &asked["variables"]["path"];
    let of = of.as_str().or_else(|| asked["variables"]["id"].as_str()).unwrap_or_default();
    format!("{} {of}", asked["operationName"].as_str().unwrap())
}

/// Nobody may be asked for a request.
pub fn nobody(call: &Callout) -> Answer {
    if call.path() == EXPIRY {
        return gitlab(call);
    }
    panic!("nothing should be looked up, but {} was", call.path())
}

/// What became of a request: the status of the answer, 200 where it went on.
pub fn status(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Forwarded { .. } => 200,
        Outcome::Replied(reply) => reply.status,
        other => panic!("{other:?}"),
    }
}

/// What the filter says for the access log under a name.
pub fn property(host: &Host, stream: StreamId, name: &str) -> String {
    String::from_utf8(host.properties(stream).get(name).cloned().unwrap_or_default()).unwrap()
}

//! The lookup cluster as the tests play it, and requests that clients send.

use base64::Engine;
use host_tests::host::{Answer, Callout, Filter, Host, Options, Request, RequestHead};

/// A job of apps/web, started by dana.
pub const DANA: &str = "glcbt-64_dana";
/// A job of apps/web, started by nora, who is a member of apps/web alone.
pub const NORA: &str = "glcbt-64_nora";

const ENTRIES: &str = r#"{"data": {"project": {"ciJobTokenScopeAllowlist": {
    "projectsAllowlist": {
        "nodes": [{"direction": "inbound", "defaultPermissions": true, "jobTokenPolicies": [], "target": {"id": "gid://gitlab/Project/101"}}],
        "pageInfo": {"hasNextPage": false, "endCursor": "MQ"}
    },
    "groupsAllowlist": {"nodes": [], "pageInfo": {"hasNextPage": false, "endCursor": null}}
}}}}"#;

pub fn configuration(more: &str) -> String {
    format!(
        r#"{{"forge": {{"hosts": ["gitlab.example.com"], "registry_hosts": ["registry.example.com"]}},
            "lookup": {{"cluster": "token-lookup", "authority": "gitlab.example.com", "credential_env": "LOOKUP_TOKEN"}}{more}}}"#
    )
}

pub fn options(configuration: &str) -> Options {
    Options {
        workers: 2,
        configuration: configuration.as_bytes().to_vec(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
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
            Some(DANA) => Answer::json(200, job(11, "dana")),
            Some(NORA) => Answer::json(200, job(12, "nora")),
            _ => Answer::json(401, r#"{"message": "401 Unauthorized"}"#),
        };
    }
    assert_eq!(call.header("private-token").as_deref(), Some("glpat-service"), "{path}");
    if let Some(user) = path.strip_prefix("/api/v4/users/") {
        return Answer::json(200, format!(r#"{{"id": {user}, "external": false}}"#));
    }
    // Asked where a list names apps/web: its entry grants everything.
    if path == "/api/graphql" {
        return Answer::json(200, ENTRIES);
    }
    let Some(rest) = path.strip_prefix("/api/v4/projects/") else { return not_found() };
    let (reference, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let (id, path, visibility, allowed, members): (u64, &str, &str, &str, &[u64]) = match reference {
        "101" | "apps%2Fweb" => (101, "apps/web", "private", "[]", &[11, 12]),
        "102" | "libs%2Fcommon" => (102, "libs/common", "private", r#"[{"id": 102}, {"id": 101}]"#, &[11]),
        "103" | "infra%2Fsecrets" => (103, "infra/secrets", "private", "[]", &[11]),
        "105" | "libs%2Fopen" => (105, "libs/open", "public", "[]", &[]),
        _ => return not_found(),
    };
    let user = rest.strip_prefix("members/all/").and_then(|user| user.parse().ok());
    match (rest, user) {
        ("", _) => Answer::json(
            200,
            format!(r#"{{"id": {id}, "path_with_namespace": "{path}", "visibility": "{visibility}"}}"#),
        ),
        ("job_token_scope", _) => Answer::json(200, r#"{"inbound_enabled": true, "outbound_enabled": false}"#),
        ("job_token_scope/allowlist?per_page=100&page=1", _) => Answer::json(200, allowed),
        ("job_token_scope/groups_allowlist?per_page=100&page=1", _) => Answer::json(200, "[]"),
        (_, Some(user)) if members.contains(&user) => {
            Answer::json(200, format!(r#"{{"id": {user}, "access_level": 30}}"#))
        }
        _ => Answer::json(404, r#"{"message": "404 Not found"}"#),
    }
}

fn job(user: u64, name: &str) -> String {
    format!(
        r#"{{"id": 1001, "status": "running", "user": {{"id": {user}, "username": "{name}", "state": "active"}},
            "pipeline": {{"id": 1, "project_id": 101}}, "web_url": "http://gitlab.example.com/apps/web/-/jobs/1001"}}"#
    )
}

/// Nobody may be asked.
pub fn nobody(call: &Callout) -> Answer {
    panic!("nothing should be looked up, but {} was", call.path())
}

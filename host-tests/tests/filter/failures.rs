//! Each call that a lookup makes, and each way in which it fails: 503 for the client, and nothing is remembered.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Outcome, RequestHead};
use serde_json::{Value, json};

use crate::forge::{DANA, api, clone, configuration, gitlab, host_of, name, patient_exchange, rounds};

type Fault = (&'static str, fn() -> Answer);

const SPOKE: (&str, &str) = ("x-envoy-upstream-service-time", "1");

const FAULTS: [Fault; 14] = [
    ("refused", Answer::refused),
    ("slow", Answer::timed_out),
    ("reset half-way, or longer than 32 MiB", || Answer::Dropped),
    ("Envoy's own 503", || Answer::response(503, &[], "no healthy upstream")),
    ("the service's own 503", || Answer::response(503, &[SPOKE], "down for maintenance")),
    ("a failure in JSON", || Answer::json(500, r#"{"message": "500 Internal Server Error"}"#)),
    ("a page", || Answer::response(200, &[("content-type", "text/html"), SPOKE], "<html>welcome</html>")),
    ("nothing", || Answer::json(200, "")),
    ("another object", || Answer::json(200, "{}")),
    ("no object", || Answer::json(200, "null")),
    ("half of it", || Answer::json(200, r#"{"id": 1001, "version": 1, "data": {"#)),
    ("a redirect", || Answer::json(302, "{}")),
    ("a proxy that wants a password", || Answer::response(401, &[SPOKE], "proxy authentication")),
    ("a proxy that knows nobody", || Answer::response(404, &[], "default backend - 404")),
];

/// A forge that asks for all that it can: circumstances of the job, and outbound lists.
const CURIOUS: &str = r#", "bindings": {"capacity": 64}, "facts": {"outbound": "lookup"}, "access": {"deny": [{"id": "r",
    "targets": ["infra/**"], "when": {"protected": false, "environment": ["live"], "fork": true}}]}"#;

fn curious() -> Host {
    host_of(&configuration(CURIOUS))
}

fn generic() -> Host {
    host_of(
        &configuration(r#", "bindings": {"capacity": 64}"#).replace("\"hosts\"", "\"kind\": \"generic\", \"hosts\""),
    )
}

/// The calls of GitLab's API, with outbound lists and merge requests.
fn forge(call: &Callout) -> Answer {
    let list = json!({"nodes": [], "pageInfo": {"hasNextPage": false, "hasPreviousPage": false}});
    match name(call).as_str() {
        "/job" => Answer::json(
            200,
            r#"{"id": 1001, "status": "running", "user": {"id": 11, "username": "dana", "state": "active"},
                "ref": "main", "pipeline": {"id": 1, "project_id": 101, "source": "push"},
                "web_url": "http://gitlab.example.com/apps/web/-/jobs/1001"}"#,
        ),
        "/projects/101/job_token_scope" => Answer::json(200, r#"{"inbound_enabled": true, "outbound_enabled": false}"#),
        "jobscopeOutbound apps/web" => Answer::json(
            200,
            json!({"data": {"project": {"ciJobTokenScope": {"projects": list, "last": list}}}}).to_string(),
        ),
        _ => gitlab(call),
    }
}

/// A forge before 17.10.
fn older(call: &Callout) -> Answer {
    match name(call).as_str() {
        "jobscopeAllowlist libs/common" => Answer::json(
            200,
            r#"{"errors": [{"message": "Field 'ciJobTokenScopeAllowlist' doesn't exist on type 'Project'"}]}"#,
        ),
        path if path.contains("/groups_allowlist?") => Answer::json(200, "[]"),
        path if path.contains("/allowlist?") => Answer::json(200, r#"[{"id": 101}]"#),
        _ => forge(call),
    }
}

/// A service of one's own.
fn service(call: &Callout) -> Answer {
    if asks(call) == "token" {
        Answer::json(
            200,
            r#"{"version": 1, "token": "running", "job": {"id": 7, "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}"#,
        )
    } else {
        Answer::json(
            200,
            r#"{"version": 1, "role": "reporter", "external": false, "admission": "group", "target": {"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": false}}"#,
        )
    }
}

fn asks(call: &Callout) -> String {
    let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    // Once its number is known, a project may be asked for by that.
    let of_gitlab = || name(call).replace("/projects/102/", "/projects/libs%2Fcommon/");
    asked["ask"].as_str().map_or_else(of_gitlab, str::to_owned)
}

fn is_forwarded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Forwarded { .. })
}

/// That a request is answered 503 when one of its calls fails so, and that this call is made again for the next.
fn check(start: fn() -> Host, healthy: fn(&Callout) -> Answer, call: &str, (what, fault): Fault) {
    let mut host = start();
    let outcome = patient_exchange(&mut host, 0, clone("libs/common", DANA), |asked| {
        if asks(asked) == call { fault() } else { healthy(asked) }
    });
    let reply = outcome.reply().unwrap_or_else(|| panic!("{call}: {what}: {outcome:?}"));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2".into())), "{call}: {what}");
    assert!(!host.trapped(0), "{call}: {what}");
    let mut again = Vec::new();
    let outcome = host.exchange(1, clone("libs/common", DANA), |asked| {
        again.push(asks(asked));
        healthy(asked)
    });
    assert!(is_forwarded(&outcome), "{call}: {what}: {outcome:?}");
    assert!(again.iter().any(|asked| asked == call), "{call}: {what}: something of it was remembered");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

/// Every call of a cold decision, each in every way in which it fails.
fn check_all(start: fn() -> Host, healthy: fn(&Callout) -> Answer) -> Vec<String> {
    let mut host = start();
    let stream = host.open(0, clone("libs/common", DANA));
    let mut calls = Vec::new();
    rounds(&mut host, |call| {
        calls.push(asks(call));
        healthy(call)
    });
    assert!(is_forwarded(&host.outcome(stream)), "{:?}", host.outcome(stream));
    for call in &calls {
        for fault in FAULTS {
            check(start, healthy, call, fault);
        }
    }
    calls.sort();
    calls
}

#[test]
fn whatever_happens_to_a_call_of_gitlabs_api_the_client_is_told_to_return() {
    let calls = check_all(curious, forge);
    assert_eq!(calls.len(), 10, "{calls:?}");
}

#[test]
fn the_same_on_a_forge_before_17_10() {
    // An empty list is an answer there, and no project without settings is unlimited; all else is as above.
    let calls = ["allowlist?per_page=100&page=1", "groups_allowlist?per_page=100&page=1"];
    for call in calls {
        for fault in FAULTS {
            check(curious, older, &format!("/projects/libs%2Fcommon/job_token_scope/{call}"), fault);
        }
    }
}

#[test]
fn whatever_happens_to_a_service_of_ones_own_the_client_is_told_to_return() {
    assert_eq!(check_all(generic, service), ["target", "token"]);
}

#[test]
fn an_answer_of_4_mib_is_read_and_a_longer_one_is_none() {
    const MOST: usize = 4 << 20;
    for (length, is_read) in [(MOST, true), (MOST + 1, false), (32 << 20, false)] {
        let mut host = curious();
        let outcome = host.exchange(0, clone("libs/common", DANA), |call| match forge(call) {
            Answer::Response { headers, mut body } => {
                body.resize(length, b' ');
                Answer::Response { headers, body }
            }
            Answer::Dropped => Answer::Dropped,
        });
        let refused = outcome.reply().map(|reply| reply.status);
        assert_eq!(refused, (!is_read).then_some(503), "{length}: {outcome:?}");
        assert!(!host.trapped(0));
        assert!(is_forwarded(&host.exchange(0, clone("libs/common", DANA), forge)));
    }
}

#[test]
fn a_right_answer_about_somebody_else_is_no_answer() {
    let agents = r#"{"job": {"id": 1002}, "environment": null}"#;
    let project = r#"{"id": 103, "path_with_namespace": "libs/common", "visibility": "public"}"#;
    let list = json!({"nodes": [], "pageInfo": {"hasNextPage": false, "hasPreviousPage": false}});
    let allowlist = json!({"id": "gid://gitlab/Project/103", "ciCdSettings": {"inboundJobTokenScopeEnabled": false},
        "ciJobTokenScopeAllowlist": {"projectsAllowlist": list, "lastProjects": list, "groupsAllowlist": list, "lastGroups": list}});
    let allowlist = json!({"data": {"project": allowlist, "projects": {"nodes": [allowlist]}}}).to_string();
    let by_path = || clone("libs/common", DANA);
    let cases: [(RequestHead, &str, &str); 5] = [
        (by_path(), "/job/allowed_agents", agents),
        (by_path(), "/projects/libs%2Fcommon/members/all/11", r#"{"id": 12, "access_level": 50}"#),
        (by_path(), "/users/11", r#"{"id": 12, "external": false}"#),
        (by_path(), "jobscopeAllowlist libs/common", &allowlist),
        (api("/projects/102/releases", DANA), "/projects/102", project),
    ];
    for (request, call, body) in cases {
        let mut host = curious();
        let mut asked = 0;
        let outcome = host.exchange(0, request, |made| {
            if name(made) == call {
                asked += 1;
                Answer::json(200, body)
            } else {
                forge(made)
            }
        });
        assert_eq!((outcome.reply().map(|reply| reply.status), asked), (Some(503), 1), "{call}: {outcome:?}");
    }
}

#[test]
fn a_confirmed_binding_serves_on_whatever_happens() {
    for (what, fault) in FAULTS {
        for (start, healthy) in [(curious as fn() -> Host, forge as fn(&Callout) -> Answer), (generic, service)] {
            let mut host = start();
            assert!(is_forwarded(&host.exchange(0, clone("libs/common", DANA), healthy)));
            for _ in 0..4 {
                host.advance(Duration::from_secs(60));
                let outcome = host.exchange(0, clone("libs/common", DANA), |_| fault());
                assert!(is_forwarded(&outcome), "{what}: {outcome:?}");
            }
            host.advance(Duration::from_secs(61));
            let outcome = patient_exchange(&mut host, 0, clone("libs/common", DANA), |_| fault());
            assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{what}: {outcome:?}");
        }
    }
}

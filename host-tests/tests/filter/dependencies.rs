//! The artifacts with which a job begins: what the forge named when it handed the job out is left to it.

use host_tests::host::{Answer, Callout, Host, Outcome, Request};

use crate::forge::{DANA, NORA, api, finish, gitlab, host, host_of, host_with, nobody, post, property, status};

/// The forge hands DANA's job out, which begins with the artifacts of these jobs.
fn hand_out(host: &mut Host, dependencies: &[u64]) {
    hand_out_from(host, dependencies, gitlab);
}

/// The same, where lookups are answered so.
fn hand_out_from(host: &mut Host, dependencies: &[u64], answer: impl FnMut(&Callout) -> Answer) {
    let named: Vec<String> = dependencies
        .iter()
        .map(|id| format!(r#"{{"id": {id}, "name": "build", "token": "{DANA}", "artifacts_file": {{"size": 1}}}}"#))
        .collect();
    let payload = format!(
        r#"{{"id": 1001, "token": "{DANA}", "job_info": {{"project_id": 101}}, "dependencies": [{}]}}"#,
        named.join(",")
    );
    let ask = post("/api/v4/jobs/request").header("content-type", "application/json");
    let stream = host.send(0, ask.body(r#"{"token": "glrt-runner"}"#), nobody);
    host.respond(stream, 201, &[("content-type", "application/json")], payload);
    host.settle(answer);
}

/// A runner downloads what a job left behind.
fn download(job: u64, token: &str) -> Request {
    api(&format!("/jobs/{job}/artifacts"), token).into()
}

/// What becomes of a download, and by which rule.
fn decided(host: &mut Host, worker: usize, job: u64, token: &str) -> (u32, String) {
    let stream = host.send(worker, download(job, token), gitlab);
    let decided = (status(&host.outcome(stream)), property(host, stream, "jobscope_rule"));
    host.close(stream);
    decided
}

#[test]
fn a_job_of_another_project_is_the_forges_to_decide_where_it_named_it() {
    let mut host = host();
    hand_out(&mut host, &[501, 502]);
    for worker in [0, 1] {
        assert_eq!(decided(&mut host, worker, 501, DANA), (200, "dependency".into()));
        assert_eq!(decided(&mut host, worker, 502, DANA), (200, "dependency".into()));
        assert_eq!(decided(&mut host, worker, 503, DANA), (404, "target-exists".into()));
    }
    assert_eq!(decided(&mut host, 0, 501, NORA), (404, "target-exists".into()), "to another job it was not named");
    let below = host.exchange(0, api("/projects/103/jobs/501/artifacts", DANA), gitlab);
    assert_eq!(status(&below), 403, "and nowhere else than by its number");
}

#[test]
fn a_job_of_the_own_project_is_judged_as_before() {
    let mut host = host();
    hand_out(&mut host, &[501]);
    let own = |call: &Callout| match call.path() == "/api/v4/projects/101/jobs/501" {
        true => Answer::json(200, r#"{"id": 501}"#),
        false => gitlab(call),
    };
    let stream = host.send(0, download(501, DANA), own);
    assert_eq!((status(&host.outcome(stream)), property(&host, stream, "jobscope_rule")), (200, "role".into()));
}

#[test]
fn of_very_many_the_last_fifty_are_remembered() {
    let mut host = host();
    let named: Vec<u64> = (2001..=2300).collect();
    hand_out(&mut host, &named);
    assert_eq!(decided(&mut host, 0, 2250, DANA).0, 404);
    assert_eq!(decided(&mut host, 0, 2251, DANA).0, 200);
    assert_eq!(decided(&mut host, 0, 2300, DANA).0, 200);
}

#[test]
fn a_birth_that_was_not_seen_leaves_nothing_and_the_answer_names_the_way_out() {
    let mut host = host();
    let Outcome::Replied(reply) = host.exchange(0, download(501, DANA), gitlab) else { panic!("it is refused") };
    assert_eq!(reply.status, 404);
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains("needs:project") && body.contains("/projects/:id/jobs/:job_id/artifacts"), "{body}");
}

#[test]
fn what_was_named_to_a_job_is_over_with_it() {
    let mut host = host();
    hand_out(&mut host, &[501]);
    let runner = host.send(0, finish(DANA), gitlab);
    host.respond(runner, 200, &[], "");
    assert_eq!(status(&host.exchange(1, download(501, DANA), nobody)), 403);
    hand_out(&mut host, &[501]);
    assert_eq!(status(&host.exchange(1, download(501, DANA), nobody)), 403);
}

#[test]
fn rules_of_the_configuration_that_deny_by_a_path_hold_where_none_is_known() {
    let mut host = host_with(r#", "access": {"deny": [{"id": "r", "targets": ["infra/**"], "origins": ["apps/**"]}]}"#);
    hand_out(&mut host, &[501]);
    let stream = host.send(0, download(501, DANA), gitlab);
    assert_eq!(status(&host.outcome(stream)), 404);
    assert_eq!(property(&host, stream, "jobscope_reason"), "target.unnamed");
}

#[test]
fn a_service_that_tells_the_project_is_believed() {
    let lookup =
        r#""lookup": {"cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN", "api": "v1"}"#;
    let mut host = host_of(&format!(r#"{{"forge": {{"hosts": ["gitlab.example.com"]}}, {lookup}}}"#));
    let service = |project: &'static str| {
        move |call: &Callout| {
            let asked: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
            Answer::json(
                200,
                match asked["ask"].as_str() {
                    Some("token") => {
                        r#"{"version": 1, "token": "running", "job": {"id": 1001,
                    "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}"#
                    }
                    _ => project,
                },
            )
        }
    };
    let unlisted = r#"{"version": 1, "role": "developer", "external": false, "admission": "unlisted", "outbound": "open",
        "target": {"id": 103, "path": "infra/secrets", "visibility": "private", "push_by_job_token": false}}"#;
    let nothing = r#"{"version": 1, "target": null}"#;
    hand_out_from(&mut host, &[501, 502], service(nothing));
    for (job, project, expected) in [(501, unlisted, (403, "inbound")), (502, nothing, (200, "dependency"))] {
        let stream = host.send(0, download(job, DANA), service(project));
        let decided = (status(&host.outcome(stream)), property(&host, stream, "jobscope_rule"));
        assert_eq!(decided, (expected.0, expected.1.into()));
    }
}

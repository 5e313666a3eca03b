//! The pull policies of a job's images, as its runner gets them.

use host_tests::host::{Answer, Callout, Host, Hostcall, Level, RequestHead, Status, StreamId};

use crate::forge::{DANA, clone, get, gitlab, host_with, nobody, post};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

const OBSERVE: &str = r#", "runner": {"pull_policy": {"mode": "observe"}}"#;
const REWRITE: &str = r#", "runner": {"pull_policy": {"mode": "enforce"}}"#;
const REFUSE: &str = r#", "runner": {"pull_policy": {"mode": "enforce", "otherwise": "refuse"}}"#;

const SHARED: &str = "glrt-t1_runner";
const PROJECTS: &str = "glrt-t3_runner";

/// What dana's job is, with this image and these services.
fn payload(image: &str, services: &str) -> String {
    format!(
        r#"{{"id": 1001, "token": "{DANA}", "job_info": {{"project_id": 101}},  "image":{image} , "services" : {services},"depth":1.50e1}}"#
    )
}

fn never() -> String {
    payload(r#"{"name":"a:1","pull_policy":["if-not-present","always"]}"#, r#"[{"name":"db"}]"#)
}

/// The same with the one policy that is allowed.
fn always() -> String {
    payload(r#"{"name":"a:1","pull_policy":["always"]}"#, r#"[{"pull_policy":["always"],"name":"db"}]"#)
}

fn ask(token: &str) -> RequestHead {
    post("/api/v4/jobs/request").header("content-type", "application/json").header("runner-token", token)
}

/// A runner asks, and the forge answers so, in two pieces. Gives what the first piece already made the runner see.
fn hand_out(host: &mut Host, runner: &str, fields: &[(&str, &str)], payload: &str) -> (StreamId, usize) {
    let stream = host.send(0, ask("").body(format!(r#"{{"token": "{runner}"}}"#)), gitlab);
    let length = payload.len().to_string();
    let fields: Vec<_> = fields.iter().copied().chain([("content-length", length.as_str())]).collect();
    let Answer::Response { headers, .. } = Answer::response(201, &fields, "") else { unreachable!() };
    host.upstream_response(stream, &headers, false);
    let (first, rest) = payload.as_bytes().split_at(payload.len() / 2);
    host.upstream_body(stream, first, false);
    let seen = host.downstream(stream).body.len();
    host.upstream_body(stream, rest, true);
    (stream, seen)
}

/// What the access log says: job, origin, action, verdict, reason.
fn logged(host: &Host, stream: StreamId) -> Vec<String> {
    let properties = host.properties(stream);
    let says = |name: &str| properties.get(name).map(|value| String::from_utf8(value.clone()).unwrap());
    ["jobscope_job", "jobscope_origin", "jobscope_action", "jobscope_verdict", "jobscope_reason"]
        .iter()
        .filter_map(|name| says(name))
        .collect()
}

fn body(host: &Host, stream: StreamId) -> String {
    let downstream = host.downstream(stream);
    assert!(downstream.ended);
    String::from_utf8(downstream.body).unwrap()
}

#[test]
fn what_is_observed_is_neither_changed_nor_delayed() {
    let mut host = host_with(OBSERVE);
    let (stream, seen) = hand_out(&mut host, SHARED, JSON, &never());
    assert_eq!(seen, never().len() / 2);
    assert_eq!(body(&host, stream), never());
    assert_eq!(host.downstream(stream).header("content-length"), Some(never().len().to_string()));
    assert_eq!(logged(&host, stream), ["1001", "#101", "job.request", "observe-deny", "pull-policy"]);
    let (stream, _) = hand_out(&mut host, SHARED, JSON, &always());
    assert!(logged(&host, stream).is_empty());
}

#[test]
fn what_is_rewritten_is_nothing_but_the_policies() {
    let mut host = host_with(REWRITE);
    let (stream, seen) = hand_out(&mut host, SHARED, JSON, &never());
    assert_eq!((seen, body(&host, stream)), (0, always()));
    assert_eq!(host.downstream(stream).header("content-length"), None, "it was another's");
    assert_eq!(logged(&host, stream), ["1001", "#101", "job.request", "allow", "pull-policy"]);
    host.settle(gitlab);
    let no_token = |call: &Callout| match call.path() == "/api/v4/job" {
        true => panic!("who it is was known"),
        false => gitlab(call),
    };
    host.exchange(1, clone("apps/web", DANA), no_token);
    let (stream, _) = hand_out(&mut host, SHARED, JSON, &always());
    assert_eq!(body(&host, stream), always());
    assert!(logged(&host, stream).is_empty());
}

#[test]
fn a_payload_that_trailers_end_is_rewritten_too() {
    let mut host = host_with(REWRITE);
    let stream = host.send(0, ask(SHARED).body("{}"), nobody);
    let Answer::Response { headers, .. } = Answer::response(201, JSON, "") else { unreachable!() };
    host.upstream_response(stream, &headers, false);
    host.upstream_body(stream, never(), false);
    host.upstream_trailers(stream, &[(b"x-checksum".to_vec(), b"1".to_vec())]);
    assert_eq!(body(&host, stream), always());
}

#[test]
fn a_projects_own_runner_is_left_alone() {
    let mut host = host_with(REWRITE);
    let (stream, seen) = hand_out(&mut host, PROJECTS, JSON, &never());
    assert_eq!((seen, body(&host, stream)), (never().len() / 2, never()));
    let stream = host.send(0, ask(PROJECTS).body("{}"), gitlab);
    host.respond(stream, 201, JSON, never());
    assert_eq!(body(&host, stream), never(), "its token stands in the head");
    let mut host = host_with(r#", "runner": {"pull_policy": {"mode": "enforce", "runners": "all"}}"#);
    let (stream, _) = hand_out(&mut host, PROJECTS, JSON, &never());
    assert_eq!(body(&host, stream), always());
}

#[test]
fn what_cannot_be_read_whole_is_not_touched_and_is_loud() {
    let zipped = &[("content-type", "application/json"), ("content-encoding", "gzip")];
    let large = payload(r#"{"name":"a"}"#, &format!(r#"[], "variables": "{}""#, "x".repeat(1 << 20)));
    let twice = payload(r#"{"name":"a"}"#, r#"[], "image": {"pull_policy": ["never"]}"#);
    let cut = &never()[..60];
    for settings in [OBSERVE, REWRITE, REFUSE] {
        for (fields, payload) in [(JSON, large.as_str()), (zipped, &never()), (JSON, &twice), (JSON, cut)] {
            let mut host = host_with(settings);
            let (stream, _) = hand_out(&mut host, SHARED, fields, payload);
            assert_eq!(body(&host, stream), payload);
            assert!(logged(&host, stream).ends_with(&["job.request", "allow", "payload.unread"].map(String::from)));
            assert!(host.logs().iter().any(|(level, _)| *level == Level::Error), "{settings}");
        }
    }
}

/// What the forge is told, with its answers.
fn tell(host: &mut Host, answers: [Answer; 2]) -> Vec<String> {
    let mut told = Vec::new();
    let mut answers = answers.into_iter();
    host.settle(|call| {
        told.push(format!(
            "{} {} {}",
            call.header(":method").unwrap(),
            call.path(),
            String::from_utf8_lossy(&call.body)
        ));
        assert_eq!(call.header("job-token").as_deref(), Some(DANA));
        answers.next().unwrap()
    });
    told
}

#[test]
fn a_refused_job_never_reaches_its_runner_and_the_forge_is_told_why() {
    for (trace, end) in [(202, 200), (416, 200), (503, 503)] {
        let mut host = host_with(REFUSE);
        let (stream, seen) = hand_out(&mut host, SHARED, JSON, &never());
        assert_eq!(seen, 0);
        assert_eq!(host.downstream(stream).status(), Some(409), "the runner asks again");
        assert_eq!(body(&host, stream), r#"{"message":"409 Conflict"}"#);
        assert_eq!(logged(&host, stream), ["1001", "#101", "job.request", "deny", "pull-policy"]);
        let told = tell(&mut host, [Answer::json(trace, "{}"), Answer::json(end, "true")]);
        assert!(told[0].starts_with("PATCH /api/v4/jobs/1001/trace This job was not started"), "{told:?}");
        assert!(told[1].starts_with("PUT /api/v4/jobs/1001 {") && told[1].contains(r#""state":"failed""#), "{told:?}");
        let is_loud = host.logs().iter().any(|(level, _)| *level == Level::Error);
        assert_eq!(is_loud, (trace, end) != (202, 200), "{:?}", host.logs());
        let (stream, _) = hand_out(&mut host, SHARED, JSON, &always());
        assert_eq!(body(&host, stream), always(), "another job is handed out");
    }
}

#[test]
fn a_refusal_stands_where_the_forge_cannot_be_told() {
    let mut host = host_with(REFUSE);
    host.set_cluster("token-lookup", None);
    let (stream, _) = hand_out(&mut host, SHARED, JSON, &never());
    assert_eq!(host.downstream(stream).status(), Some(409));
    assert!(host.logs().iter().any(|(level, _)| *level == Level::Error));
}

#[test]
fn a_call_of_the_host_that_fails_is_no_trap_and_never_half_a_payload() {
    for settings in [REWRITE, REFUSE] {
        for call in [
            Hostcall::GetMap,
            Hostcall::RemoveMapValue,
            Hostcall::GetBuffer,
            Hostcall::SetBuffer,
            Hostcall::MemoryAllocate,
            Hostcall::SetProperty,
            Hostcall::SetSharedData,
            Hostcall::HttpCall,
        ] {
            let mut host = host_with(settings);
            let stream = host.send(0, ask(SHARED).body("{}"), nobody);
            host.fail_always(call, Status::InternalFailure);
            host.respond(stream, 201, JSON, never());
            assert!(!host.trapped(0), "{settings} {call:?}");
            let answer = host.downstream(stream);
            let is_whole = [never(), always()].iter().any(|payload| payload.as_bytes() == answer.body);
            assert!(answer.ended && (is_whole || matches!(answer.status(), Some(409 | 503))), "{settings} {call:?}");
        }
    }
}

#[test]
fn a_refused_job_reaches_nobody_where_the_host_does_not_even_reply() {
    let mut host = host_with(REFUSE);
    let stream = host.send(0, ask(SHARED).body("{}"), nobody);
    host.fail_always(Hostcall::SendLocalResponse, Status::InternalFailure);
    let Answer::Response { headers, .. } = Answer::response(201, JSON, "") else { unreachable!() };
    let payload = never();
    host.upstream_response(stream, &headers, false);
    host.upstream_body(stream, payload.as_bytes(), true);
    assert_eq!(host.downstream(stream).body, b"", "until a timeout of the host ends it");
    assert_eq!(host.downstream(stream).status(), None);
    assert!(!host.trapped(0));
}

#[test]
fn a_runner_is_kept_from_the_job_router_where_pull_policies_are_enforced() {
    const ALL: &str = r#", "runner": {"pull_policy": {"mode": "enforce", "runners": "all"}}"#;
    const OBSERVED: &str = r#", "mode": "observe", "runner": {"pull_policy": {"mode": "enforce"}}"#;
    for (settings, runner, status, verdict) in [
        ("", SHARED, 200, None),
        (OBSERVE, SHARED, 200, Some("observe-deny")),
        (OBSERVED, SHARED, 200, Some("observe-deny")),
        (REWRITE, SHARED, 501, Some("deny")),
        (REFUSE, SHARED, 501, Some("deny")),
        (REWRITE, PROJECTS, 200, None),
        (ALL, PROJECTS, 501, Some("deny")),
    ] {
        let mut host = host_with(settings);
        let ask = get("/api/v4/runners/router/discovery").header("runner-token", runner);
        let stream = host.send(0, ask, nobody);
        let outcome = host.outcome(stream);
        assert_eq!(crate::forge::status(&outcome), status, "{settings} {runner}");
        let says = host.properties(stream).get("jobscope_verdict").map(|says| String::from_utf8(says.clone()).unwrap());
        assert_eq!(says.as_deref(), verdict, "{settings} {runner}");
        if let Some(reply) = outcome.reply() {
            let said: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(said["message"], "501 Not Implemented");
            assert!(said["error"].as_str().unwrap().contains("pull policies"), "{said}");
        }
        for other in ["/api/v4/runners/router", "/api/v4/runners/router/discovery/x", "/api/v4/runners/verify"] {
            let outcome = host.exchange(0, get(other).header("runner-token", runner), nobody);
            assert_eq!(crate::forge::status(&outcome), 200, "{other}");
        }
        let job = host.send(0, ask_with_job(), gitlab);
        let logged = logged(&host, job);
        assert_eq!([&*logged[2], &*logged[4]], ["api.unlisted", "action.never"], "a job is no runner");
    }
}

/// A job's script asks where the router is.
fn ask_with_job() -> RequestHead {
    get("/api/v4/runners/router/discovery").header("job-token", DANA)
}

//! A runner asks for a job through a real Envoy: what it gets, and what jobscope knows from then on.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use host_tests::stack::decisions::Entry;
use host_tests::stack::{Options, Registry, Stack};
use serde_json::{Value, json};

const SHARED: &str = "glrt-demo-runner";
const PROJECTS: &str = "glrt-t3_demoRunnerOfWeb";

fn start(pull_policy: Value) -> Stack {
    let options = Options {
        registry: Registry::LeftOut,
        filter: vec![("/runner/pull_policy", pull_policy)],
        ..Options::picked()
    };
    let stack = Stack::start(&options).unwrap();
    // The one job that waits in every world.
    assert_eq!(ask(&stack, PROJECTS, "--http1.1").0, "201 1.1");
    stack
}

/// A runner asks. Status and version of HTTP, and the body.
fn ask(stack: &Stack, runner: &str, version: &str) -> (String, String) {
    let body = stack.dir().join("payload.json");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", version, "--write-out", "%{http_code} %{http_version}"])
        .args(["--compressed", "--header", "Content-Type: application/json", "--output"])
        .arg(&body)
        .args(["--data", &json!({"token": runner}).to_string()])
        .arg(format!("http://{}/api/v4/jobs/request", stack.forge_host()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), std::fs::read_to_string(&body).unwrap_or_default())
}

/// Leaves a job whose services start what is on the machine, and which has this much in a variable.
fn leave(stack: &Stack, token: &str, size: usize) -> u64 {
    let more = json!({
        "image": {"name": "alpine:3", "pull_policy": ["if-not-present", "always"]},
        "services": [{"name": "db:1", "pull_policy": ["never"]}, {"name": "db:2"}],
        "variables": {"LARGE": "x".repeat(size)},
    });
    stack.forge().leave_job("apps/web", "dana", token, &more).unwrap()
}

/// The pull policies of a payload, the image's first.
fn policies(payload: &str) -> Vec<Value> {
    let payload: Value = serde_json::from_str(payload).unwrap();
    let services = payload["services"].as_array().unwrap().iter();
    std::iter::once(&payload["image"]).chain(services).map(|image| image["pull_policy"].clone()).collect()
}

fn asked_for() -> Vec<Value> {
    vec![json!(["if-not-present", "always"]), json!(["never"]), Value::Null]
}

/// What was decided on runners that asked, since this was last called.
fn decisions(log: &mut host_tests::stack::decisions::AccessLog, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    wait_until("the access log has all lines", || {
        let lines = log.new_lines().unwrap();
        let entries = lines.iter().map(|line| Entry::parse(line).unwrap());
        let asked = entries.filter(|entry| entry.path.as_deref() == Some("/api/v4/jobs/request"));
        found.extend(asked.map(|entry| {
            let says = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            format!("{} {} {}", says(entry.job), says(entry.verdict), says(entry.reason))
        }));
        found.len() >= count
    });
    found
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(10), "not so: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Nothing is under way to the lookup cluster, and something was.
fn wait_for_lookups(stack: &Stack) {
    let is_at_rest = || {
        let statistics = stack.statistics("cluster.token-lookup.upstream_rq_(active|completed)").unwrap();
        statistics.contains("upstream_rq_active: 0") && !statistics.contains("upstream_rq_completed: 0")
    };
    // Between two calls of one lookup nothing may be under way for a moment.
    wait_until("the lookup has ended", || (0..3).all(|_| is_at_rest()));
}

#[test]
fn the_first_request_of_a_job_asks_nobody_whose_it_is() {
    let stack = start(json!({"mode": "ignore"}));
    let token = "glcbt-64_bornThroughEnvoy0000";
    leave(&stack, token, 10);
    assert_eq!(ask(&stack, SHARED, "--http1.1").0, "201 1.1");
    let seen = || stack.forge().requests().unwrap().into_iter().map(|request| request["target"].clone());
    wait_until("its birth was looked up", || seen().filter(|target| target == "/api/v4/job").count() >= 2);
    wait_for_lookups(&stack);
    stack.forge().forget_requests().unwrap();
    let request = format!(
        "GET /api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt HTTP/1.1\r\nHost: {}\r\nJOB-TOKEN: {token}\r\n\r\n",
        stack.forge_host()
    );
    // On whichever worker.
    for _ in 0..8 {
        let answer = stack.raw(request.as_bytes(), Duration::from_secs(10)).unwrap();
        assert_eq!(answer.status, Some(200), "{answer:?}");
    }
    assert_eq!(seen().filter(|target| target == "/api/v4/job").count(), 0);
}

#[test]
fn what_is_observed_passes_as_it_came() {
    let stack = start(json!({"mode": "observe"}));
    let mut log = stack.access_log().unwrap();
    decisions(&mut log, 1);
    let job = leave(&stack, "glcbt-64_observed000000000", 10);
    assert_eq!(policies(&ask(&stack, SHARED, "--http1.1").1), asked_for());
    assert_eq!(decisions(&mut log, 1), [format!("{job} observe-deny pull-policy")]);
}

#[test]
fn a_payload_is_rewritten_up_to_the_limit_and_passes_above_it() {
    let stack = start(json!({"mode": "enforce"}));
    let mut log = stack.access_log().unwrap();
    decisions(&mut log, 1);
    let always = vec![json!(["always"]); 3];
    let mut count = 0;
    for (size, runner, expected, reason) in [
        (10, SHARED, &always, "allow pull-policy"),
        (900 << 10, SHARED, &always, "allow pull-policy"),
        (1200 << 10, SHARED, &asked_for(), "allow payload.unread"),
        (3 << 20, SHARED, &asked_for(), "allow payload.unread"),
        (10, PROJECTS, &asked_for(), "- -"),
    ] {
        for (version, answered) in [("--http1.1", "201 1.1"), ("--http2-prior-knowledge", "201 2")] {
            count += 1;
            let job = leave(&stack, &format!("glcbt-64_rewritten000000{count}"), size);
            let (status, payload) = ask(&stack, runner, version);
            assert_eq!(status, answered);
            assert_eq!(&policies(&payload), expected, "{size} by {runner}");
            let payload: Value = serde_json::from_str(&payload).unwrap();
            let large = payload["variables"].as_array().unwrap().iter().find(|variable| variable["key"] == "LARGE");
            assert_eq!(large.unwrap()["value"].as_str().unwrap().len(), size);
            let decided = decisions(&mut log, 1);
            assert!(decided.len() == 1 && decided[0].ends_with(reason), "{decided:?} for {size} by {runner}");
            let known = if reason == "allow pull-policy" { job.to_string() } else { "-".to_owned() };
            assert!(decided[0].starts_with(&format!("{known} ")), "{decided:?}");
        }
    }
}

#[test]
fn a_refused_job_fails_at_once_and_says_why() {
    let stack = start(json!({"mode": "enforce", "otherwise": "refuse"}));
    let mut log = stack.access_log().unwrap();
    decisions(&mut log, 1);
    for (version, answered) in [("--http1.1", "409 1.1"), ("--http2-prior-knowledge", "409 2")] {
        let token = format!("glcbt-64_refused{}", answered.len());
        let job = leave(&stack, &token, 10);
        let (status, payload) = ask(&stack, SHARED, version);
        assert_eq!((status.as_str(), payload.as_str()), (answered, r#"{"message":"409 Conflict"}"#));
        assert_eq!(decisions(&mut log, 1), [format!("{job} deny pull-policy")]);
        let is_told =
            |request: &Value| request["method"] == "PUT" && request["target"] == format!("/api/v4/jobs/{job}");
        wait_until("the forge was told of the end", || stack.forge().requests().unwrap().iter().any(is_told));
        assert!(stack.forge().log_of(job).unwrap().contains("pull_policy"), "the job's log says why");
        wait_for_lookups(&stack);
        let request = format!("GET /api/v4/job HTTP/1.1\r\nHost: {}\r\nJOB-TOKEN: {token}\r\n\r\n", stack.forge_host());
        let answer = stack.raw(request.as_bytes(), Duration::from_secs(10)).unwrap();
        assert_eq!(answer.status, Some(401), "it runs no more: {answer:?}");
        assert_eq!(ask(&stack, SHARED, version).0.split(' ').next(), Some("204"), "the runner asks on");
        decisions(&mut log, 1);
    }
}

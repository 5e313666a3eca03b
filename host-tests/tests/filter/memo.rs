//! Decisions that are kept: what another worker takes back is taken back at once.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Fault, Filter, Host, Hostcall, Request, Status};
use policy::bindings::{Binding, Stripe, Table};
use policy::facts::Secret;
use serde_json::json;

use crate::forge::{
    DANA, allowlist, api, basic, clone, configuration, get, gitlab, host, host_with, host_with_limits, nobody, options,
    patient_exchange, post, status,
};

/// Has a worker keep what it decides on a clone.
fn keep(host: &mut Host, worker: usize, token: &str, mut answer: impl FnMut(&Callout) -> Answer) {
    for _ in 0..2 {
        let outcome = patient_exchange(host, worker, clone("libs/common", token), &mut answer);
        assert_eq!(status(&outcome), 200);
    }
    host.reset_counts();
    assert_eq!(status(&host.exchange(worker, clone("libs/common", token), nobody)), 200);
    assert_eq!(host.calls(Hostcall::GetSharedData), 1, "it was kept");
}

/// GitLab, after a maintainer has taken apps/web out of every allowlist.
fn closed(call: &Callout) -> Answer {
    match call.path().as_str() {
        "/api/graphql" => {
            let asked = serde_json::from_slice(&call.body).unwrap();
            Answer::json(200, allowlist(&asked, &[]))
        }
        _ => gitlab(call),
    }
}

#[test]
fn what_a_lookup_finds_out_for_one_worker_counts_at_the_next_request_of_every_other() {
    let mut host = host();
    for worker in [0, 1] {
        keep(&mut host, worker, DANA, gitlab);
    }
    host.advance(Duration::from_secs(3));
    // A request that would be denied has the target looked up once more.
    let push = get("/libs/common.git/info/refs?service=git-receive-pack").header("authorization", basic(DANA));
    assert_eq!(status(&host.exchange(0, push, closed)), 403);
    for worker in [1, 0] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 403, "{worker}");
    }
}

#[test]
fn who_is_pushed_out_is_looked_up_at_once() {
    const CAPACITY: u32 = 64;
    let table = Table::of::<Binding>(CAPACITY);
    let bucket = |token: &str| table.bucket(&Secret::new(token.as_bytes()).hash());
    let first = "glcbt-64_job0".to_owned();
    let more = (1..).map(|number| format!("glcbt-64_job{number}")).filter(|token| bucket(token) == bucket(&first));
    let busy = |call: &Callout| {
        let token = call.header("job-token").filter(|_| call.path() == "/api/v4/job");
        let Some(job) = token.as_deref().and_then(|token| token.strip_prefix("glcbt-64_job")) else {
            return gitlab(call);
        };
        let job: u64 = format!("9{job}").parse().unwrap();
        let web = format!("http://gitlab.example.com/apps/web/-/jobs/{job}");
        let user = json!({"id": 11, "username": "dana", "state": "active"});
        let pipeline = json!({"id": 1, "project_id": 101});
        let job = json!({"id": job, "status": "running", "user": user, "pipeline": pipeline, "web_url": web});
        Answer::json(200, job.to_string())
    };
    let mut host = host_with_limits(100_000, 100_000, &format!(r#", "bindings": {{"capacity": {CAPACITY}}}"#));
    keep(&mut host, 0, &first, busy);
    for other in more.take(16) {
        host.advance(Duration::from_millis(10));
        assert_eq!(status(&patient_exchange(&mut host, 1, clone("libs/common", &other), busy)), 200);
    }
    let stream = host.open(0, clone("libs/common", &first));
    assert_eq!(host.callouts().first().map(Callout::path).as_deref(), Some("/api/v4/job"));
    host.settle(busy);
    assert_eq!(status(&host.outcome(stream)), 200);
}

#[test]
fn an_end_of_which_no_worker_could_be_told_is_not_confirmed_until_all_are() {
    let webhook = r#", "webhook": {"path": "/-/jobscope/webhook", "secret_env": "HOOK"}"#;
    // The row of the job, that of its token, and then the version.
    for passing in [2, 1, 0] {
        let mut options = options(&configuration(webhook));
        options.environment.push(("HOOK".into(), "opensesame".into()));
        let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
        for worker in [0, 1] {
            keep(&mut host, worker, DANA, gitlab);
        }
        let report = || -> Request {
            let head = post("/-/jobscope/webhook").header("content-type", "application/json");
            let body = r#"{"object_kind": "build", "build_id": 1001, "build_status": "failed", "project_id": 101}"#;
            head.header("x-gitlab-token", "opensesame").body(body)
        };
        host.faults(|faults| faults.after(Hostcall::SetSharedData, passing, Fault::Status(Status::InternalFailure)));
        assert_eq!(status(&host.exchange(0, report(), nobody)), 503, "{passing}");
        assert_eq!(status(&host.exchange(0, report(), nobody)), 204, "{passing}: it is told again");
        for worker in [1, 0] {
            assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 401, "{passing}");
        }
    }
}

#[test]
fn a_version_that_could_not_be_written_is_written_with_the_next_tick() {
    let push = || get("/libs/common.git/info/refs?service=git-receive-pack").header("authorization", basic(DANA));
    let kept = || {
        let mut host = host();
        keep(&mut host, 0, DANA, gitlab);
        keep(&mut host, 1, DANA, gitlab);
        host.advance(Duration::from_secs(3));
        host.reset_counts();
        host
    };
    let mut host = kept();
    host.exchange(0, push(), closed);
    // The last writes are of all versions, in their order.
    let stripe = Stripe::of(&Secret::new(DANA.as_bytes()).hash(), 32_768).place() as u64;
    let before = host.calls(Hostcall::SetSharedData) - Stripe::all().len() as u64 + stripe;

    let mut host = kept();
    host.faults(|faults| faults.after(Hostcall::SetSharedData, before, Fault::Status(Status::InternalFailure)));
    host.exchange(0, push(), closed);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200, "nobody could tell it");
    host.advance(Duration::from_millis(200));
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 403);
}

#[test]
fn where_no_version_can_be_read_each_decision_is_made_anew() {
    let mut host = host();
    keep(&mut host, 0, DANA, gitlab);
    // The version, once for what was kept and once for what is to be; and the rows are read.
    for _ in 0..2 {
        host.fail_next(Hostcall::GetSharedData, Status::InternalFailure);
    }
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
    assert!(!host.trapped(0));
}

#[test]
fn where_the_age_of_each_fact_is_told_no_decision_is_kept() {
    let mut host = host_with(r#", "log": {"allows": "full"}"#);
    host.exchange(0, api("/projects/102/releases", DANA), gitlab);
    for _ in 0..3 {
        host.reset_counts();
        assert_eq!(status(&host.exchange(0, api("/projects/102/releases", DANA), nobody)), 200);
        assert!(host.calls(Hostcall::GetSharedData) >= 2);
    }
}

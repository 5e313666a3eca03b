//! The life of a binding: confirmed, grown old, ended.

use std::time::Duration;

use host_tests::host::{Answer, Host, Outcome};

use crate::forge::{DANA, NORA, api, clone, finish, gitlab, host, host_with, nobody};

fn status(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Forwarded { .. } => 200,
        Outcome::Replied(reply) => reply.status,
        other => panic!("{other:?}"),
    }
}

/// Has the runner report success, which the forge answers so.
fn report(host: &mut Host, answer: u16, fields: &[(&str, &str)]) {
    let stream = host.send(0, finish(DANA), gitlab);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { ended: true, .. }), "{:?}", host.outcome(stream));
    host.respond(stream, answer, fields, "");
}

#[test]
fn from_the_end_on_no_worker_serves_the_token() {
    let mut host = host();
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), gitlab)), 200);
    report(&mut host, 200, &[("job-status", "success")]);
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 401);
        assert_eq!(status(&host.exchange(worker, api("/job", DANA), nobody)), 401);
        // A runner stops at 403.
        assert_eq!(status(&host.exchange(worker, finish(DANA), nobody)), 403);
    }
    assert_eq!(status(&host.exchange(1, clone("apps/web", NORA), gitlab)), 200, "another job goes on");
}

#[test]
fn an_end_that_the_forge_did_not_confirm_ends_nothing() {
    let mut host = host();
    for (answer, fields) in [(401, &[][..]), (500, &[]), (202, &[("job-status", "running")])] {
        report(&mut host, answer, fields);
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200, "{answer}");
    }
}

#[test]
fn the_end_of_a_token_that_was_never_seen_is_remembered() {
    let mut host = host();
    report(&mut host, 200, &[]);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_lookup_that_was_under_way_does_not_bring_an_ended_job_back() {
    let mut host = host();
    let runner = host.send(0, finish(DANA), gitlab);
    // On the other worker the same token is being looked up when the job ends.
    host.advance(Duration::from_secs(301));
    let late = host.open(1, clone("libs/common", DANA));
    host.respond(runner, 200, &[], "");
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(late)), 401);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_trace_that_the_forge_answers_with_an_end_ends_the_job() {
    let mut host = host();
    let trace = || {
        host_tests::host::RequestHead::new("PATCH", "gitlab.example.com", "/api/v4/jobs/1001/trace")
            .header("job-token", DANA)
            .body("log")
    };
    let stream = host.send(0, trace(), gitlab);
    host.respond(stream, 202, &[("job-status", "running")], "");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let stream = host.send(0, trace(), gitlab);
    host.respond(stream, 202, &[("job-status", "canceled")], "");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_fact_that_grew_old_is_confirmed_in_the_background() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    host.advance(Duration::from_secs(31));
    let stream = host.open(0, clone("libs/common", DANA));
    assert_eq!(status(&host.outcome(stream)), 200, "it does not wait");
    assert!(host.callouts().iter().any(|call| call.path() == "/api/v4/job"));
    host.settle(|call| {
        if call.path() == "/api/v4/job" {
            Answer::json(401, r#"{"message": "401 Unauthorized"}"#)
        } else {
            gitlab(call)
        }
    });
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401, "the forge no longer knows it");
}

#[test]
fn what_was_granted_is_not_refused_from_an_old_fact() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), gitlab)), 403);
    // A maintainer adds the entry.
    let granted =
        |call: &host_tests::host::Callout| match call.path().contains("103") || call.path().contains("secrets") {
            true if call.path().contains("/allowlist") => Answer::json(200, r#"[{"id": 101}]"#),
            _ => gitlab(call),
        };
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), granted)), 403, "fresh facts serve");
    host.advance(Duration::from_secs(31));
    assert_eq!(
        status(&host.exchange(0, clone("infra/secrets", DANA), granted)),
        200,
        "old ones allow, and do not deny"
    );
}

#[test]
fn a_confirmed_binding_serves_while_the_lookup_is_away_and_not_for_ever() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    for _ in 0..4 {
        host.advance(Duration::from_secs(60));
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), |_| Answer::refused())), 200);
    }
    host.advance(Duration::from_secs(61));
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), |_| Answer::refused())), 503);
}

#[test]
fn a_binding_ends_at_its_greatest_age_whatever_the_forge_says() {
    let mut host = host_with(r#", "bindings": {"max_lifetime": "1h"}"#);
    for _ in 0..15 {
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        host.advance(Duration::from_secs(240));
    }
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 401);
}

#[test]
fn junk_tokens_grow_nothing_and_push_no_job_out() {
    let mut host = host_with(r#", "bindings": {"capacity": 64}"#);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let (keys, mut most) = (host.shared_data().len(), 0);
    for number in 0..3000 {
        assert_eq!(
            status(&host.exchange(number % 2, clone("libs/common", &format!("glcbt-junk{number}")), gitlab)),
            401
        );
        if number == 1500 {
            most = host.shared_data().bytes();
        }
    }
    assert_eq!(host.shared_data().len(), keys, "no key was added");
    assert!(host.shared_data().bytes() <= most + 48, "{} after {most}", host.shared_data().bytes());
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
}

//! A job begins: the forge's answer to a runner that asks for one.

use std::cell::Cell;

use host_tests::host::{Answer, Callout, Host, Outcome, Request, StreamId};

use crate::forge::{DANA, clone, finish, gitlab, host, nobody, post};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A runner asks for a job.
fn ask() -> Request {
    post("/api/v4/jobs/request")
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip")
        .body(r#"{"token": "glrt-runner", "info": {"name": "gitlab-runner"}}"#)
}

fn payload(token: &str) -> String {
    format!(
        r#"{{"id": 1001, "token": "{token}", "job_info": {{"project_id": 101}}, "runner_info": {{"timeout": 3600}}}}"#
    )
}

/// The forge begins to answer a runner that asks.
fn answered(host: &mut Host, status: u16, fields: &[(&str, &str)]) -> StreamId {
    let stream = host.send(0, ask(), nobody);
    assert_eq!(host.outcome(stream).forwarded_header("accept-encoding"), None, "an answer comes as it is");
    let Answer::Response { headers, .. } = Answer::response(status, fields, "") else { unreachable!() };
    host.upstream_response(stream, &headers, false);
    stream
}

/// The forge answers in these pieces; each has passed before the next comes.
fn hand_out(host: &mut Host, fields: &[(&str, &str)], pieces: &[&str]) {
    let stream = answered(host, 201, fields);
    let mut passed = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        host.upstream_body(stream, *piece, at + 1 == pieces.len());
        passed.push_str(piece);
        assert_eq!(host.downstream(stream).body, passed.as_bytes(), "nothing is delayed");
    }
    assert!(host.downstream(stream).ended);
}

/// What a clone comes to, and how often the forge was asked whose its token is.
fn clone_with(host: &mut Host, token: &str, answer: impl Fn(&Callout) -> Answer) -> (Outcome, u32) {
    let asked = Cell::new(0);
    let outcome = host.exchange(1, clone("apps/web", token), |call| {
        asked.set(asked.get() + u32::from(call.path() == "/api/v4/job"));
        answer(call)
    });
    (outcome, asked.get())
}

fn is_served((outcome, asked): (Outcome, u32), expected: u32) {
    assert!(matches!(outcome, Outcome::Forwarded { .. }), "{outcome:?}");
    assert_eq!(asked, expected);
}

#[test]
fn the_first_request_of_a_job_finds_its_binding() {
    let mut host = host();
    let payload = payload(DANA);
    let (head, rest) = payload.split_at(40);
    hand_out(&mut host, JSON, &[head, rest]);
    host.settle(gitlab);
    is_served(clone_with(&mut host, DANA, gitlab), 0);
}

#[test]
fn a_payload_that_trailers_end_is_read_too() {
    let mut host = host();
    let stream = answered(&mut host, 201, JSON);
    host.upstream_body(stream, payload(DANA), false);
    host.upstream_trailers(stream, &[(b"x-checksum".to_vec(), b"1".to_vec())]);
    assert!(host.downstream(stream).ended);
    host.settle(gitlab);
    is_served(clone_with(&mut host, DANA, gitlab), 0);
}

#[test]
fn a_job_whose_lookup_fails_is_looked_up_with_its_first_request() {
    for failed in [Answer::refused(), Answer::timed_out(), Answer::Dropped, Answer::json(200, "{}")] {
        let mut host = host();
        hand_out(&mut host, JSON, &[&payload(DANA)]);
        host.settle(|_| failed.clone());
        is_served(clone_with(&mut host, DANA, gitlab), 1);
    }
}

#[test]
fn a_token_that_was_asked_for_too_early_is_known_from_its_birth_on() {
    let mut host = host();
    let unknown = |call: &Callout| match call.path() == "/api/v4/job" {
        true => Answer::json(401, r#"{"message": "401 Unauthorized"}"#),
        false => gitlab(call),
    };
    let (outcome, _) = clone_with(&mut host, DANA, unknown);
    assert_eq!(outcome.reply().unwrap().status, 401);
    hand_out(&mut host, JSON, &[&payload(DANA)]);
    host.settle(gitlab);
    is_served(clone_with(&mut host, DANA, gitlab), 0);
}

#[test]
fn a_job_that_the_forge_does_not_know_everywhere_yet_is_asked_about_again() {
    let mut host = host();
    hand_out(&mut host, JSON, &[&payload(DANA)]);
    host.settle(|_| Answer::json(401, r#"{"message": "401 Unauthorized"}"#));
    is_served(clone_with(&mut host, DANA, gitlab), 1);
}

#[test]
fn a_birth_brings_no_ended_job_back() {
    let mut host = host();
    let runner = host.send(0, finish(DANA), gitlab);
    host.respond(runner, 200, &[], "");
    hand_out(&mut host, JSON, &[&payload(DANA)]);
    host.settle(gitlab);
    let (outcome, _) = clone_with(&mut host, DANA, nobody);
    assert_eq!(outcome.reply().unwrap().status, 401);
}

#[test]
fn a_payload_that_cannot_be_read_changes_nothing_for_the_runner() {
    let mut host = host();
    hand_out(&mut host, JSON, &[r#"{"id": 1001, "token": "glcb"#]);
    hand_out(&mut host, &[("content-type", "application/json"), ("content-encoding", "gzip")], &["\u{1f}"]);
    hand_out(&mut host, &[("content-type", "text/html")], &[&payload(DANA)]);
    hand_out(&mut host, JSON, &[&payload(&"x".repeat(1 << 20))]);
    hand_out(&mut host, JSON, &[&payload("glcbt 1")]);
    hand_out(&mut host, JSON, &["[".repeat(1 << 19).as_str(), "]".repeat(1 << 19).as_str()]);
    assert!(host.callouts().is_empty());
}

#[test]
fn an_answer_that_hands_no_job_out_tells_nothing() {
    let mut host = host();
    for status in [200, 204, 403, 409, 500] {
        let stream = answered(&mut host, status, JSON);
        host.upstream_body(stream, payload(DANA), true);
        assert!(host.downstream(stream).ended, "{status}");
    }
    // Reset half-way.
    let stream = answered(&mut host, 201, JSON);
    host.upstream_body(stream, &payload(DANA)[..40], false);
    host.close(stream);
    assert!(host.callouts().is_empty());
    is_served(clone_with(&mut host, DANA, gitlab), 1);
}

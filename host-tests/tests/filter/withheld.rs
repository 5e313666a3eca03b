//! A host that shows no body while its head waits, and what is judged by the head alone where bodies are left.

use std::time::Duration;

use host_tests::host::{Filter, Host, Level, Options, Outcome, Request, StreamId};

use crate::forge::{DANA, basic, clone, configuration, gitlab, nobody, options, post};

const LFS: &str = "application/vnd.git-lfs+json";

/// A host without `allow_on_headers_stop_iteration`.
fn host(bodies: &str) -> Host {
    host_with(&format!(r#", "bodies": "{bodies}""#))
}

/// The same with more keys of the configuration.
fn host_with(more: &str) -> Host {
    let options = Options { allow_on_headers_stop_iteration: false, ..options(&configuration(more)) };
    Host::start(&Filter::under_test().unwrap(), options).unwrap()
}

fn batch(operation: &str) -> Request {
    let head = post("/libs/common.git/info/lfs/objects/batch").header("authorization", basic(DANA));
    head.header("content-type", LFS).body(format!(r#"{{"operation": "{operation}", "objects": []}}"#))
}

fn persons() -> Request {
    let head = post("/api/v4/projects/5/releases").header("content-type", "application/json");
    head.body(r#"{"private_token": "glpat-x", "tag_name": "v1"}"#)
}

fn status(outcome: &Outcome) -> u32 {
    outcome.reply().map_or(0, |reply| reply.status)
}

#[test]
fn the_first_body_that_is_not_shown_is_noticed_and_from_then_on_nobody_waits_for_one() {
    let mut host = host("judge");
    let (first, beside) = (host.send(0, batch("download"), gitlab), host.send(0, persons(), gitlab));
    assert_eq!([first, beside].map(|stream| host.outcome(stream)), [Outcome::Paused, Outcome::Paused]);
    host.advance(Duration::from_millis(900));
    assert_eq!(host.outcome(first), Outcome::Paused, "it may still come");
    host.advance(Duration::from_millis(400));
    assert_eq!(status(&host.outcome(first)), 503);
    assert!(matches!(host.outcome(beside), Outcome::Forwarded { .. }), "{:?}", host.outcome(beside));
    let said =
        host.logs().into_iter().filter(|(level, line)| *level == Level::Critical && line.contains("bodies: leave"));
    assert_eq!(said.count(), 1);
    assert_eq!(host.exchange(0, batch("download"), nobody).reply().unwrap().details, "jobscope:host.bodies");
    assert!(matches!(host.exchange(0, persons(), nobody), Outcome::Forwarded { .. }));
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_body_that_does_not_come_is_not_taken_for_one_that_is_not_shown() {
    let mut host = host("judge");
    let stream = host.open(0, batch("").head.with_body());
    host.advance(Duration::from_secs(11));
    assert_eq!(status(&host.outcome(stream)), 408);
    let next = host.open(0, batch("").head.with_body());
    assert_eq!(host.outcome(next), Outcome::Paused);
}

#[test]
fn a_batch_is_a_download_by_its_head_whatever_it_says() {
    for operation in ["download", "upload"] {
        let mut host = host("leave");
        let stream = host.send(0, batch(operation), gitlab);
        assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }), "{:?}", host.outcome(stream));
        assert_eq!(host.properties(stream)["jobscope_action"], b"lfs.download");
    }
}

#[test]
fn a_jobs_form_reaches_any_project_where_what_cannot_be_read_is_only_recorded_and_the_filter_warns_of_that() {
    let releases = || post("/api/v4/projects/103/releases").header("content-type", "application/x-www-form-urlencoded");
    let in_head = releases().header("job-token", DANA).body("tag_name=v1");
    let in_body = releases().body(format!("tag_name=v1&job_token={DANA}"));
    for form in [in_head, in_body] {
        let mut enforcing = host("leave");
        assert_eq!(status(&enforcing.exchange(0, form.clone(), gitlab)), 400);
        let warns = |host: &Host| host.logs().iter().any(|(_, line)| line.contains("bodies: `leave` beside"));
        assert!(!warns(&enforcing));
        let mut observing = host_with(r#", "bodies": "leave", "enforce": {"unreadable": "observe"}"#);
        assert!(warns(&observing), "{:?}", observing.logs());
        let outcome = observing.exchange(0, form, gitlab);
        assert!(matches!(outcome, Outcome::Forwarded { .. }), "{outcome:?}");
    }
}

/// The head of an answer.
fn answer(host: &mut Host, stream: StreamId, media: &str) {
    let fields = [(b":status".to_vec(), b"200".to_vec()), (b"content-type".to_vec(), media.as_bytes().to_vec())];
    host.upstream_response(stream, &fields, false);
}

#[test]
fn nothing_of_an_answers_body_goes_on_before_it_was_read_although_its_head_went() {
    let mut host = host("leave");
    let stream = host.send(0, batch("download"), gitlab);
    answer(&mut host, stream, LFS);
    assert_eq!(host.downstream(stream).status(), Some(200));
    let read = r#"{"objects":[],"transfer":"basic"}"#;
    host.upstream_body(stream, read.split_at(9).0, false);
    assert_eq!(host.downstream(stream).body, b"");
    host.upstream_body(stream, read.split_at(9).1, true);
    assert_eq!(host.downstream(stream).body, read.as_bytes());

    let stream = host.send(0, batch("download"), gitlab);
    answer(&mut host, stream, LFS);
    host.upstream_body(stream, r#"{"objects": 7, "header": {"Authorization": "Basic eA=="}}"#, true);
    assert_eq!(host.downstream(stream).body, b"", "what cannot be read does not get there");
}

#[test]
fn an_answers_head_goes_on_where_its_body_is_not_shown_for_a_second() {
    let policies = r#", "runner": {"pull_policy": {"mode": "enforce", "runners": "all"}}"#;
    let options = Options { allow_on_headers_stop_iteration: false, ..options(&configuration(policies)) };
    let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
    let stream = host.send(0, post("/api/v4/jobs/request").header("runner-token", "glrt-1"), gitlab);
    let head = [(":status", "201"), ("content-type", "application/json")];
    let head = head.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    host.upstream_response(stream, &head, false);
    let job = r#"{"id": 7, "token": "glcbt-64_new", "image": {"name": "a"}}"#;
    host.upstream_body(stream, job.split_at(9).0, false);
    assert_eq!(host.downstream(stream).status(), None);
    host.advance(Duration::from_millis(2500));
    assert_eq!((host.downstream(stream).status(), host.downstream(stream).body), (Some(201), Vec::new()));
    host.upstream_body(stream, job.split_at(9).1, true);
    let handed = String::from_utf8(host.downstream(stream).body).unwrap();
    assert!(handed.contains(r#""pull_policy":["always"]"#), "it is read and rewritten: {handed}");
}

#[test]
fn a_webhook_takes_bodies() {
    let webhook = r#", "bodies": "leave", "webhook": {"path": "/-/jobscope/webhook", "secret_env": "LOOKUP_TOKEN"}"#;
    let error = Host::start(&Filter::under_test().unwrap(), options(&configuration(webhook))).err().unwrap();
    let said = error.logs().iter().map(|line| line.text.clone()).collect::<String>();
    assert!(said.contains("bodies: expected `judge`"), "{said}");
}

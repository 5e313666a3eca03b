//! A lookup service that remembers: how old its memory may be, and how old what it answers is.

use std::cell::RefCell;
use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Outcome, Request, RequestHead};
use serde_json::{Value, json};

use crate::forge::{DANA, clone, finish, host_of, nobody, post, status};

const CONFIGURATION: &str = r#"{"forge": {"hosts": ["gitlab.example.com"]}, "bindings": {"max_stale": "60s"},
    "lookup": {"api": "v1", "cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN"}}"#;

const JUNK: &str = "glcbt-64_junk";

fn host() -> Host {
    host_of(CONFIGURATION)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What was asked of the service, in short: the fact, and how old its memory may be.
fn asked(call: &Callout) -> String {
    let question: Value = serde_json::from_slice(&call.body).unwrap();
    let of = question["target"]["path"].as_str().or_else(|| question["token"].as_str()).unwrap_or_default();
    match question["max_age"].as_u64() {
        None => of.to_owned(),
        Some(age) => format!("{of} {age}"),
    }
}

/// What the service says: jobs of dana's in apps/web run, libs/common is what `target` says it is.
fn service(call: &Callout, target: &Value, age: &Value) -> Answer {
    let question: Value = serde_json::from_slice(&call.body).unwrap();
    let mut said = match (question["token"].as_str(), question["target"]["path"].as_str()) {
        (Some(JUNK), _) => json!({"version": 1, "token": "unknown"}),
        (Some(_), _) => json!({"version": 1, "token": "running", "job": {"id": 1001,
            "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}),
        (None, Some("libs/none")) => json!({"version": 1, "target": null}),
        _ => target.clone(),
    };
    if !age.is_null() {
        said["age"] = age.clone();
    }
    Answer::json(200, said.to_string())
}

fn standing(admission: &str, role: &str) -> Value {
    json!({"version": 1, "role": role, "external": false, "admission": admission,
        "target": {"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": false}})
}

fn admitted() -> Value {
    standing("project", "reporter")
}

/// The one call that is under way.
fn under_way(host: &Host) -> Callout {
    let calls = host.callouts();
    assert_eq!(calls.len(), 1, "{:?}", calls.iter().map(asked).collect::<Vec<_>>());
    calls.into_iter().next().unwrap()
}

/// What a request gets, and what was asked for it.
fn exchange(
    host: &mut Host,
    worker: usize,
    request: impl Into<Request>,
    mut say: impl FnMut(&Callout) -> Answer,
) -> (u32, Vec<String>) {
    let calls = RefCell::new(Vec::new());
    let outcome = host.exchange(worker, request, |call| {
        calls.borrow_mut().push(asked(call));
        say(call)
    });
    (status(&outcome), calls.into_inner())
}

/// A request, by what the service says with this age.
fn at_age(host: &mut Host, request: impl Into<Request>, age: u64) -> (u32, Vec<String>) {
    exchange(host, 0, request, |call| service(call, &admitted(), &json!(age)))
}

#[test]
fn a_service_that_knows_no_ages_is_asked_and_believed_as_ever() {
    let mut host = host();
    let mut story = Vec::new();
    let mut play = |what: &str, host: &mut Host, request: Request, target: &Value| {
        let (status, mut calls) = exchange(host, 0, request, |call| service(call, target, &Value::Null));
        calls.iter_mut().for_each(|call| *call = call.split(' ').next().unwrap_or_default().to_owned());
        story.push(format!("{what}: {status} {calls:?}"));
    };
    let read = || Request::from(clone("libs/common", DANA));
    play("first", &mut host, read(), &admitted());
    play("again", &mut host, read(), &admitted());
    play("none", &mut host, Request::from(clone("libs/none", DANA)), &admitted());
    host.advance(seconds(3));
    play("none", &mut host, Request::from(clone("libs/none", DANA)), &admitted());
    play("junk", &mut host, Request::from(clone("libs/common", JUNK)), &admitted());
    host.advance(seconds(28));
    play("due", &mut host, read(), &standing("unlisted", "reporter"));
    play("refused", &mut host, read(), &standing("unlisted", "reporter"));
    host.advance(seconds(3));
    play("looks again", &mut host, read(), &standing("unlisted", "reporter"));
    host.advance(seconds(3));
    play("granted", &mut host, read(), &admitted());
    host.advance(seconds(61));
    play("gone", &mut host, read(), &admitted());
    let failing = host.exchange(0, clone("libs/common", "glcbt-64_other"), |_| Answer::json(503, "{}"));
    story.push(format!("away: {}", status(&failing)));
    assert_eq!(
        story,
        [
            r#"first: 200 ["glcbt-64_dana", "libs/common"]"#,
            "again: 200 []",
            r#"none: 404 ["libs/none"]"#,
            r#"none: 404 ["glcbt-64_dana", "libs/none"]"#,
            r#"junk: 401 ["glcbt-64_junk"]"#,
            r#"due: 200 ["libs/common"]"#,
            r#"refused: 403 ["glcbt-64_dana"]"#,
            r#"looks again: 403 ["glcbt-64_dana", "libs/common"]"#,
            r#"granted: 200 ["glcbt-64_dana", "libs/common"]"#,
            r#"gone: 200 ["glcbt-64_dana", "libs/common"]"#,
            "away: 503",
        ]
    );
    let logged: Vec<String> = host.logs().into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        logged,
        ["jobscope: lookup.unreachable: what this job may do cannot be looked up now; try again in a moment \
         (POST /jobscope/v1/lookup: status 503 after 0 ms)"]
    );
}

#[test]
fn what_is_asked_first_may_be_remembered_and_what_would_deny_may_not() {
    let mut host = host();
    let mut target = standing("unlisted", "reporter");
    let granted = exchange(&mut host, 0, clone("libs/common", DANA), |call| {
        let question: Value = serde_json::from_slice(&call.body).unwrap();
        if question["max_age"].is_u64() {
            return service(call, &target, &json!(20));
        }
        // A maintainer has just let the origin in, and the service asks the forge.
        target = admitted();
        service(call, &target, &json!(0))
    });
    let asked = ["glcbt-64_dana 29", "libs/common 29", "glcbt-64_dana", "libs/common"];
    assert_eq!(granted, (200, asked.map(str::to_owned).to_vec()));
    // What comes from a memory all the same is no answer. What was known for less time denies then.
    let unknown = exchange(&mut host, 0, clone("libs/none", DANA), |call| service(call, &admitted(), &json!(3)));
    assert_eq!(unknown, (404, vec!["libs/none 29".to_owned(), "libs/none".to_owned()]));
    assert!(host.logs().iter().any(|(_, line)| line.contains("lookup.answer")), "{:?}", host.logs());
}

#[test]
fn a_service_that_remembers_adds_nothing_to_the_age_at_which_a_fact_is_due_or_gone() {
    let mut host = host();
    assert_eq!(at_age(&mut host, clone("libs/common", DANA), 20).0, 200);
    host.advance(seconds(9));
    assert_eq!(at_age(&mut host, clone("libs/common", DANA), 0), (200, vec![]));
    host.advance(seconds(2));
    let (passes, mut asked) = at_age(&mut host, clone("libs/common", DANA), 25);
    asked.sort();
    assert_eq!((passes, asked), (200, vec!["glcbt-64_dana 29".to_owned(), "libs/common 29".to_owned()]));
    host.advance(seconds(4));
    assert_eq!(at_age(&mut host, clone("libs/common", DANA), 0), (200, vec![]));
    // With the service away it serves to its 60th second, of which the service had 25.
    host.advance(seconds(30));
    let away = |_: &Callout| Answer::json(503, "{}");
    assert_eq!(exchange(&mut host, 0, clone("libs/common", DANA), away).0, 200);
    host.advance(seconds(2));
    assert_eq!(exchange(&mut host, 1, clone("libs/common", DANA), away).0, 503);
}

#[test]
fn what_the_service_has_from_before_its_forge_was_away_serves_as_what_is_due_does() {
    let mut host = host();
    // Known for 40 seconds, where no more than 29 were asked for.
    let old = |call: &Callout| match asked(call).contains(' ') {
        true => service(call, &standing("project", "reporter"), &json!(40)),
        false => Answer::json(503, "{}"),
    };
    assert_eq!(exchange(&mut host, 0, clone("libs/common", DANA), old).0, 200);
    // It is due, and is not asked for by every request.
    for _ in 0..3 {
        assert_eq!(exchange(&mut host, 0, clone("libs/common", DANA), old), (200, vec![]));
        host.advance(seconds(1));
    }
    host.advance(seconds(8));
    let asked = exchange(&mut host, 0, clone("libs/common", DANA), old).1;
    assert_eq!(asked.len(), 2, "after a rest it is asked for again: {asked:?}");
    host.advance(seconds(21));
    assert_eq!(exchange(&mut host, 1, clone("libs/common", DANA), |_| Answer::json(503, "{}")).0, 503, "it is gone");
}

#[test]
fn what_is_due_as_it_comes_denies_nothing() {
    let mut host = host();
    let old = |call: &Callout| match asked(call).contains(' ') {
        true => service(call, &standing("unlisted", "reporter"), &json!(40)),
        false => Answer::json(503, "{}"),
    };
    for _ in 0..2 {
        assert_eq!(exchange(&mut host, 0, clone("libs/common", DANA), old).0, 503);
    }
    assert_eq!(at_age(&mut host, clone("libs/common", DANA), 0).0, 200);
}

#[test]
fn an_age_that_is_none_or_too_great_is_a_failure() {
    for (age, reason) in [
        (json!(60), "lookup.stale"),
        (json!(u64::MAX), "lookup.stale"),
        (json!(-1), "lookup.answer"),
        (json!(1.5), "lookup.answer"),
        (json!("1"), "lookup.answer"),
        (json!([]), "lookup.answer"),
    ] {
        let mut host = host();
        let failed = exchange(&mut host, 0, clone("libs/common", DANA), |call| service(call, &admitted(), &age));
        assert_eq!(failed, (503, vec!["glcbt-64_dana 29".to_owned()]), "{age}");
        assert!(host.logs().iter().any(|(_, line)| line.contains(reason)), "{age}: {:?}", host.logs());
        assert_eq!(at_age(&mut host, clone("libs/common", DANA), 59).0, 200, "nothing was remembered");
    }
}

#[test]
fn an_end_has_no_age() {
    let mut host = host();
    let ended = |_: &Callout| Answer::json(200, r#"{"version": 1, "token": "ended", "age": 4000}"#);
    assert_eq!(exchange(&mut host, 0, clone("libs/common", DANA), ended).0, 401);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn an_older_answer_takes_the_place_of_no_younger_one() {
    for (younger, older) in
        [(standing("unlisted", "reporter"), admitted()), (json!({"version": 1, "target": null}), admitted())]
    {
        let mut host = host();
        at_age(&mut host, clone("apps/web", DANA), 0);
        let slow = host.open(0, clone("libs/common", DANA));
        let question = under_way(&host);
        let denied = host.open(1, clone("libs/common", DANA));
        while let Some(call) = host.callouts().into_iter().find(|call| call.id != question.id) {
            host.answer(call.id, service(&call, &younger, &json!(0)));
        }
        assert!(host.outcome(denied).reply().is_some());
        host.answer(question.id, service(&question, &older, &json!(20)));
        assert!(matches!(host.outcome(slow), Outcome::Forwarded { .. }), "that is no older than a fact may be");
        let next = exchange(&mut host, 0, clone("libs/common", DANA), |_| Answer::json(503, "{}"));
        assert_eq!(next, (host.outcome(denied).reply().unwrap().status, vec![]), "the younger stands");
    }
    // Nor is a token a running job's by an older answer than the one that knew no such job.
    let mut host = host();
    let slow = host.open(0, clone("libs/common", DANA));
    let question = under_way(&host);
    let unknown = |_: &Callout| Answer::json(200, r#"{"version": 1, "token": "unknown"}"#);
    let refused = host.open(1, clone("libs/common", DANA));
    while let Some(call) = host.callouts().into_iter().find(|call| call.id != question.id) {
        host.answer(call.id, unknown(&call));
    }
    assert_eq!(status(&host.outcome(refused)), 401);
    host.answer(question.id, service(&question, &admitted(), &json!(20)));
    host.settle(unknown);
    assert_eq!(status(&host.outcome(slow)), 401);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn who_looks_again_is_not_answered_by_what_was_asked_of_a_memory_before() {
    let mut host = host();
    assert_eq!(at_age(&mut host, clone("libs/common", DANA), 0).0, 200);
    host.advance(seconds(31));
    // The first notices that it is due, and goes on; the second would be denied.
    let first = host.open(0, clone("libs/common", DANA));
    assert!(matches!(host.outcome(first), Outcome::Forwarded { .. }));
    let path = "/api/v4/projects/libs%2Fcommon/packages/generic/a/1/a.txt";
    let second = host.open(0, RequestHead::new("PUT", "gitlab.example.com", path).header("job-token", DANA));
    let mut calls = Vec::new();
    host.settle(|call| {
        calls.push(asked(call));
        match asked(call).contains(' ') {
            true => service(call, &standing("project", "reporter"), &json!(20)),
            false => service(call, &standing("project", "developer"), &json!(0)),
        }
    });
    assert!(matches!(host.outcome(second), Outcome::Forwarded { .. }), "{:?}", host.outcome(second));
    calls.sort();
    assert_eq!(calls, ["glcbt-64_dana", "glcbt-64_dana 29", "libs/common", "libs/common 29"]);
}

#[test]
fn of_a_job_that_was_just_handed_out_or_is_in_doubt_no_memory_is_taken() {
    let mut host = host();
    let runner = host.send(0, post("/api/v4/jobs/request").body(r#"{"token": "glrt-runner"}"#), nobody);
    let job = format!(r#"{{"id": 1001, "token": "{DANA}", "job_info": {{"project_id": 101}}}}"#);
    host.respond(runner, 201, &[("content-type", "application/json")], job);
    let birth = under_way(&host);
    assert_eq!(asked(&birth), DANA);
    host.answer(birth.id, service(&birth, &admitted(), &json!(0)));
    let report = host.send(0, finish(DANA), |call| service(call, &admitted(), &json!(0)));
    host.respond(report, 403, &[], "");
    let (passes, asked) = at_age(&mut host, clone("libs/common", DANA), 0);
    assert_eq!((passes, asked.first().map(String::as_str)), (200, Some(DANA)));
}

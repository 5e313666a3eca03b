//! The list of ended jobs that a service of the platform team tells: one worker of the proxy follows it for all.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Filter, Host, Outcome, RequestHead};
use serde_json::{Value, json};

use crate::forge::{basic, options};

const JOB: &str = "glcbt-64_job";

const CONFIGURATION: &str = r#"{"forge": {"hosts": ["gitlab.example.com"]},
    "lookup": {"api": "v1", "changes": "on", "cluster": "token-lookup", "authority": "facts.example.com",
        "credential_env": "LOOKUP_TOKEN"}}"#;

fn host() -> Host {
    let mut options = options(CONFIGURATION);
    options.main_thread = true;
    Host::start(&Filter::under_test().unwrap(), options).unwrap()
}

/// The service, as lookups see it.
fn service(call: &Callout) -> Answer {
    assert_eq!(call.path(), "/jobscope/v1/lookup");
    let asked: Value = serde_json::from_slice(&call.body).unwrap();
    let answer = match asked["ask"].as_str() {
        Some("token") => json!({"version": 1, "token": "running", "job": {"id": 7,
            "user": {"id": 11, "name": "dana"}, "origin": {"id": 1, "path": "apps/web"}}}),
        _ => json!({"version": 1, "role": "developer", "external": false, "admission": "own",
            "target": {"id": 1, "path": "apps/web", "visibility": "private", "push_by_job_token": false}}),
    };
    Answer::json(200, answer.to_string())
}

fn clone() -> RequestHead {
    RequestHead::new("GET", "gitlab.example.com", "/apps/web.git/info/refs?service=git-upload-pack")
        .header("authorization", basic(JOB))
}

/// What a job gets on a worker; lookups are answered, questions for changes are not.
fn served(host: &mut Host, worker: usize) -> u32 {
    let stream = host.open(worker, clone());
    while let Some(call) = host.callouts().into_iter().find(|call| call.path() == "/jobscope/v1/lookup") {
        host.answer(call.id, service(&call));
    }
    let outcome = host.outcome(stream);
    host.close(stream);
    served_as(&outcome)
}

/// What a job gets on a worker by what is remembered.
fn remembered(host: &mut Host, worker: usize) -> u32 {
    let stream = host.open(worker, clone());
    assert_ne!(host.outcome(stream), Outcome::Paused);
    served_as(&host.outcome(stream))
}

fn served_as(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Forwarded { .. } => 200,
        Outcome::Replied(reply) => reply.status,
        other => panic!("{other:?}"),
    }
}

/// The one question for changes that is under way.
fn question(host: &mut Host) -> Callout {
    // Where the list begins, what was asked before lands first.
    for _ in 0..60 {
        let mut asked: Vec<Callout> = host.callouts();
        asked.retain(|call| call.path().starts_with("/jobscope/v1/changes"));
        assert!(asked.len() <= 1, "one asks for all: {asked:?}");
        if let Some(question) = asked.pop() {
            return question;
        }
        host.advance(Duration::from_millis(100));
    }
    panic!("nobody asks");
}

fn tell(host: &mut Host, cursor: &str, ended: &[u64]) -> Callout {
    let question = question(host);
    host.answer(question.id, Answer::json(200, json!({"version": 1, "cursor": cursor, "ended": ended}).to_string()));
    question
}

#[test]
fn one_asks_for_all_workers_and_an_end_is_everybodys() {
    let mut host = host();
    let first = tell(&mut host, "c-1", &[]);
    assert_eq!(first.path(), "/jobscope/v1/changes?wait=25");
    assert_eq!(first.header("authorization").as_deref(), Some("Bearer glpat-service"));
    for worker in [0, 1] {
        assert_eq!(served(&mut host, worker), 200);
    }
    assert_eq!(tell(&mut host, "c-2", &[6]).path(), "/jobscope/v1/changes?wait=25&after=c-1");
    assert_eq!(served(&mut host, 0), 200, "another's end");
    assert_eq!(tell(&mut host, "c-3", &[7, 8]).path(), "/jobscope/v1/changes?wait=25&after=c-2");
    for worker in [0, 1] {
        assert_eq!(remembered(&mut host, worker), 401);
    }
    // Nobody else asks while the question waits.
    let waiting = question(&mut host);
    host.advance(Duration::from_secs(24));
    assert_eq!(question(&mut host).id, waiting.id);
}

#[test]
fn an_end_that_was_told_before_the_lookup_was_answered_holds() {
    let mut host = host();
    tell(&mut host, "c-1", &[]);
    question(&mut host);
    let early = host.open(0, clone());
    tell(&mut host, "c-2", &[7]);
    while let Some(call) = host.callouts().into_iter().find(|call| call.path() == "/jobscope/v1/lookup") {
        host.answer(call.id, service(&call));
    }
    assert_eq!(host.outcome(early).reply().map(|reply| reply.status), Some(401));
}

#[test]
fn another_takes_over_from_where_the_last_one_came() {
    let mut options = options(CONFIGURATION);
    options.main_thread = false;
    let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
    tell(&mut host, "c-1", &[]);
    let last = tell(&mut host, "c-2", &[]);
    let gone = question(&mut host);
    assert_eq!(gone.worker, last.worker);
    host.reload(gone.worker).unwrap();
    host.advance(Duration::from_secs(12));
    let mut asked = host.callouts();
    asked.retain(|call| call.id != gone.id);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].path(), "/jobscope/v1/changes?wait=25&after=c-2");
}

#[test]
fn where_the_list_begins_anew_every_binding_is_looked_up_before_it_serves() {
    let mut host = host();
    tell(&mut host, "c-1", &[]);
    assert_eq!(served(&mut host, 0), 200);
    let lost = question(&mut host);
    host.answer(lost.id, Answer::response(410, &[], ""));
    let anew = tell(&mut host, "d-1", &[]);
    assert_eq!(anew.path(), "/jobscope/v1/changes?wait=25");
    assert_eq!(question(&mut host).path(), "/jobscope/v1/changes?wait=25&after=d-1", "once all are aged");
    let stream = host.open(1, clone());
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.close(stream);
    assert_eq!(served(&mut host, 1), 200);
    assert_eq!(remembered(&mut host, 0), 200, "confirmed for all");
}

#[test]
fn what_cannot_be_read_moves_nothing_and_is_asked_again_more_and_more_seldom() {
    let mut host = host();
    tell(&mut host, "c-1", &[]);
    assert_eq!(served(&mut host, 0), 200);
    let mut answers = vec![
        Answer::refused(),
        Answer::timed_out(),
        Answer::Dropped,
        Answer::json(200, "{"),
        Answer::json(200, r#"{"version": 1, "cursor": "c 2", "ended": [7]}"#),
        Answer::json(200, r#"{"version": 1, "cursor": "c-2", "ended": ["7"]}"#),
        Answer::json(401, ""),
    ];
    let start = host.now();
    let mut count = 0;
    while let Some(answer) = answers.pop() {
        let question = loop {
            let asked = host.callouts().into_iter().find(|call| call.path().starts_with("/jobscope/v1/changes"));
            if let Some(asked) = asked {
                break asked;
            }
            host.advance(Duration::from_millis(100));
        };
        assert_eq!(question.path(), "/jobscope/v1/changes?wait=25&after=c-1");
        host.answer(question.id, answer);
        count += 1;
    }
    assert_eq!(count, 7);
    let took = Duration::from_nanos(host.now() - start);
    // At the least half of 1, 2, 4, 8, 16 and 32 seconds between the seven.
    assert!(took >= Duration::from_millis(31_500), "{took:?}");
    assert_eq!(host.hazards(), Vec::<String>::new());
    assert!(!host.trapped(0) && !host.trapped(1));
}

#[test]
fn nobody_asks_where_it_is_off() {
    let configuration = CONFIGURATION.replace(r#""changes": "on""#, r#""changes": "off""#);
    let mut host = Host::start(&Filter::under_test().unwrap(), options(&configuration)).unwrap();
    host.advance(Duration::from_secs(60));
    assert!(host.callouts().is_empty());
}

use super::*;
use crate::facts::{JobId, ProjectId};
use std::vec::Vec;

fn config(pull_policy: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"hosts": ["gitlab.example.com"], "relative_url_root": "/gitlab"}},
            "lookup": {{"cluster": "token-lookup", "authority": "gitlab.example.com", "credential_env": "TOKEN"}},
            "runner": {{"pull_policy": {pull_policy}}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

const NEVER: &str =
    r#"{"id": 7, "token": "glcbt-1", "job_info": {"project_id": 101}, "image": {"pull_policy": ["never"]}}"#;
const ALWAYS: &str =
    r#"{"id": 7, "token": "glcbt-1", "job_info": {"project_id": 101}, "image": {"pull_policy": ["always"]}}"#;
const NOBODYS: &str = r#"{"image": {"pull_policy": ["never"]}}"#;
const TWICE: &str = r#"{"id": 7, "token": "glcbt-1", "job_info": {"project_id": 101}, "image": {}, "image": {}}"#;

const OFF: &str = "{}";
const OBSERVE: &str = r#"{"mode": "observe"}"#;
const REWRITE: &str = r#"{"mode": "enforce"}"#;
const REFUSE: &str = r#"{"mode": "enforce", "otherwise": "refuse"}"#;

/// What came of it, in a word or two for each event, and what becomes of the body.
fn told(pull_policy: &str, runner: Runner, payload: Option<&str>) -> (Vec<String>, Fate) {
    let Told { events, fate } = body(&config(pull_policy), runner, payload.map(str::as_bytes));
    let events = events.iter().map(|event| match event {
        Event::Born(birth) => format!("born {}", birth.job.0),
        Event::Ended(_) | Event::Doubted(_) | Event::Minted { .. } => format!("{event:?}"),
        Event::Judged(record) => format!("{} {} {}", record.verdict, record.reason, record.job),
        Event::Unread(record) => format!("{} {} {}", record.verdict, record.reason, record.job),
        Event::Failed(calls) => format!("{} calls", calls.len()),
    });
    (events.collect(), fate)
}

#[test]
fn what_becomes_of_a_payload() {
    let replaced = || Fate::Replaced(ALWAYS.as_bytes().to_vec());
    let refused = || Fate::Refused(refusal::reply());
    let shared = Runner::Shared;
    for (settings, runner, payload, events, fate) in [
        (OFF, shared, Some(NEVER), &["born 7"][..], Fate::Kept),
        (OFF, shared, None, &[], Fate::Kept),
        (OBSERVE, shared, Some(ALWAYS), &["born 7"], Fate::Kept),
        (OBSERVE, shared, Some(NEVER), &["observe-deny pull-policy 7", "born 7"], Fate::Kept),
        (OBSERVE, shared, Some(NOBODYS), &["observe-deny pull-policy -"], Fate::Kept),
        (OBSERVE, shared, None, &["allow payload.unread -"], Fate::Kept),
        (REWRITE, shared, Some(ALWAYS), &["born 7"], Fate::Kept),
        (REWRITE, shared, Some(NEVER), &["allow pull-policy 7", "born 7"], replaced()),
        (REWRITE, shared, Some(TWICE), &["allow payload.unread 7", "born 7"], Fate::Kept),
        (REWRITE, Runner::Project, Some(NEVER), &["born 7"], Fate::Kept),
        (
            r#"{"mode": "enforce", "runners": "all"}"#,
            Runner::Project,
            Some(NEVER),
            &["allow pull-policy 7", "born 7"],
            replaced(),
        ),
        (REFUSE, shared, Some(ALWAYS), &["born 7"], Fate::Kept),
        // Its runner never gets the token, so nothing is born.
        (REFUSE, shared, Some(NEVER), &["deny pull-policy 7", "2 calls"], refused()),
        (REFUSE, shared, Some(NOBODYS), &["allow payload.unread -"], Fate::Kept),
        (REFUSE, shared, None, &["allow payload.unread -"], Fate::Kept),
    ] {
        let events: Vec<String> = events.iter().map(ToString::to_string).collect();
        assert_eq!(told(settings, runner, payload), (events, fate), "{settings} {runner:?} {payload:?}");
    }
}

#[test]
fn a_body_is_held_back_only_where_it_may_be_changed() {
    let json: &[(&[u8], &[u8])] = &[(b":status", b"201"), (b"content-type", b"application/json; charset=utf-8")];
    let zipped: &[(&[u8], &[u8])] =
        &[(b":status", b"201"), (b"content-type", b"application/json"), (b"content-encoding", b"gzip")];
    let none: &[(&[u8], &[u8])] = &[(b":status", b"204")];
    let (kept, project) = (Runner::Shared, Runner::Project);
    for (settings, runner, fields, is_unread, way) in [
        (OFF, kept, json, false, Body::Copied),
        (OFF, kept, zipped, false, Body::Unseen),
        (OBSERVE, kept, json, false, Body::Copied),
        (OBSERVE, kept, zipped, true, Body::Unseen),
        (REWRITE, kept, json, false, Body::Held),
        (REWRITE, kept, zipped, true, Body::Unseen),
        (REWRITE, project, json, false, Body::Copied),
        (REWRITE, project, zipped, false, Body::Unseen),
        (REWRITE, kept, none, false, Body::Unseen),
        (REFUSE, kept, json, false, Body::Held),
    ] {
        let (event, body) = head(&config(settings), runner, &AnswerHead::new(fields));
        assert_eq!((matches!(event, Some(Event::Unread(_))), body), (is_unread, way), "{settings} {runner:?}");
    }
}

#[test]
fn the_forge_is_told_in_the_jobs_own_log_and_then_of_its_end() {
    let birth = birth::read(NEVER).unwrap();
    assert_eq!((birth.job, birth.origin), (JobId(7), ProjectId(101)));
    let calls = refusal::calls(
        &config(r#"{"mode": "enforce", "otherwise": "refuse", "allowed": ["always", "never"]}"#),
        &birth,
    );
    let [trace, end] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((trace.method, trace.path.as_str()), ("PATCH", "/gitlab/api/v4/jobs/7/trace"));
    assert_eq!((end.method, end.path.as_str()), ("PUT", "/gitlab/api/v4/jobs/7"));
    let field = |name: &str| trace.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    assert_eq!(field("content-range"), Some(format!("0-{}", trace.body.len() - 1).into_bytes()));
    assert_eq!(field("job-token"), Some(b"glcbt-1".to_vec()));
    assert!(core::str::from_utf8(&trace.body).unwrap().contains("pull policy always or never"));
    assert_eq!(end.body, br#"{"failure_reason":"script_failure","state":"failed","token":"glcbt-1"}"#);
}

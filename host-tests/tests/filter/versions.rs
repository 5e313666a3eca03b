//! The forge's version, where the forge itself is asked for it.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Hostcall, Level};

use crate::forge::{DANA, api, configuration, gitlab, host, host_of, status};

const SECOND: Duration = Duration::from_secs(1);

fn looking_up() -> Host {
    host_of(&configuration("").replace(r#""forge": {"#, r#""forge": {"version": "lookup", "#))
}

/// Lets time pass, and answers what is asked for the version. How often that was.
fn pass(host: &mut Host, seconds: u32, mut answer: impl FnMut(&Callout) -> Answer) -> u32 {
    let mut asked = 0;
    for _ in 0..seconds {
        host.advance(SECOND);
        host.settle(|call| match call.path().ends_with("/version") {
            true => {
                asked += 1;
                answer(call)
            }
            false => gitlab(call),
        });
    }
    asked
}

fn says(version: &str) -> impl Fn(&Callout) -> Answer {
    let body = format!(r#"{{"version": "{version}", "revision": "1"}}"#);
    move |call| {
        assert_eq!(
            (call.path(), call.header("private-token").as_deref()),
            ("/api/v4/version".into(), Some("glpat-service"))
        );
        Answer::json(200, body.clone())
    }
}

/// What becomes of a job's question for a tag, which came with 18.8.
fn tag(host: &mut Host, worker: usize) -> u32 {
    status(&host.exchange(worker, api("/projects/101/repository/tags/v1", DANA), gitlab))
}

#[test]
fn one_worker_asks_and_all_of_them_know() {
    let mut host = looking_up();
    assert_eq!([tag(&mut host, 0), tag(&mut host, 1)], [200, 200], "what the newest has is judged until it is known");
    assert_eq!(pass(&mut host, 5, says("18.7.2-ee")), 1);
    assert_eq!([tag(&mut host, 0), tag(&mut host, 1)], [403, 403]);
    assert_eq!(pass(&mut host, 590, says("18.8.0-ee")), 0);
    assert_eq!(tag(&mut host, 0), 403);
    assert_eq!(pass(&mut host, 20, says("18.8.0-ee")), 1, "it is asked again after ten minutes");
    assert_eq!([tag(&mut host, 0), tag(&mut host, 1)], [200, 200]);
}

#[test]
fn what_nobody_tells_is_asked_again_and_the_last_that_was_told_serves() {
    let mut host = looking_up();
    let failures = [
        Answer::json(200, "{}"),
        Answer::json(401, r#"{"message": "401 Unauthorized"}"#),
        Answer::json(503, ""),
        Answer::timed_out(),
        Answer::Dropped,
    ];
    for failure in &failures {
        assert_eq!(pass(&mut host, 30, |_| failure.clone()), 1, "{failure:?}");
        assert_eq!(tag(&mut host, 0), 200);
    }
    assert!(host.logs().iter().any(|log| log.0 == Level::Warn && log.1.contains("version")), "{:?}", host.logs());
    assert_eq!(pass(&mut host, 30, says("18.7.0")), 1);
    assert_eq!(tag(&mut host, 0), 403);
    assert_eq!(pass(&mut host, 620, |_| Answer::json(503, "")), 2);
    assert_eq!(tag(&mut host, 1), 403);
}

#[test]
fn a_service_of_the_teams_own_is_asked_in_its_way() {
    let document = r#"{"forge": {"hosts": ["gitlab.example.com"], "version": "lookup"},
        "lookup": {"cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN", "api": "v1"}}"#;
    let mut host = host_of(document);
    let mut asked = Vec::new();
    for _ in 0..3 {
        host.advance(SECOND);
        host.settle(|call| {
            asked.push((call.path(), call.header("authorization")));
            Answer::json(200, r#"{"version": 1, "forge_version": "18.7"}"#)
        });
    }
    assert_eq!(asked, [("/jobscope/v1/forge".into(), Some("Bearer glpat-service".into()))]);
    let stream = host.send(0, api("/projects/101/repository/tags/v1", DANA), |_| {
        Answer::json(
            200,
            r#"{"version": 1, "token": "running", "job": {"id": 1001,
            "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}"#,
        )
    });
    assert_eq!(crate::forge::property(&host, stream, "jobscope_reason"), "action.never");
}

#[test]
fn nobody_takes_the_task_of_asking_what_nobody_could_tell() {
    // Of the service account's token a service of the team's own tells nothing.
    let document = r#"{"forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN", "api": "v1"}}"#;
    let mut host = host_of(document);
    host.advance(SECOND * 65);
    host.reset_counts();
    host.advance(SECOND * 65);
    assert_eq!(host.calls(Hostcall::SetSharedData), 0, "nothing is written down");
    assert!(host.callouts().is_empty());
}

#[test]
fn nobody_is_asked_where_the_configuration_says_it() {
    let mut host = host();
    assert_eq!(pass(&mut host, 5, says("18.7")), 0);
    assert_eq!(tag(&mut host, 0), 200);
}

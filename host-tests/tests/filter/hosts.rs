//! Hosts that do otherwise than Envoy: each is found out, named in one sentence, and nothing is judged on it.

use std::time::Duration;

use host_tests::host::{Filter, Host, Level, Otherwise, Outcome, RequestHead, StartError};

use crate::forge::{DANA, clone, configuration, get, gitlab, options, post};

fn start(otherwise: Otherwise) -> Result<Host, StartError> {
    let mut options = options(&configuration(""));
    options.otherwise = vec![otherwise];
    Host::start(&Filter::under_test().unwrap(), options)
}

fn complaints(lines: impl IntoIterator<Item = (Level, String)>) -> Vec<String> {
    let critical = lines.into_iter().filter(|(level, _)| *level == Level::Critical);
    critical.map(|(_, text)| text).collect()
}

fn status(outcome: &Outcome) -> Option<u32> {
    outcome.reply().map(|reply| reply.status)
}

fn complaint(does: &str) -> String {
    format!("jobscope: the filter judges nothing on this host: test-host {does}")
}

/// Nothing goes on any longer, and the log says once why.
fn is_refused(host: &mut Host, worker: usize, does: &str) {
    for request in [clone("libs/common", DANA), get("/libs/common")] {
        let outcome = host.exchange(worker, request, gitlab);
        let reply = outcome.reply().unwrap_or_else(|| panic!("{does}: {outcome:?}"));
        assert_eq!((reply.status, &*reply.details), (503, "jobscope:host.unfit"), "{does}");
    }
    assert_eq!(complaints(host.logs()), [complaint(does)]);
}

#[test]
fn what_shows_at_the_start_has_the_configuration_refused() {
    for (otherwise, does) in [
        (Otherwise::ForgetsRows, "keeps no data that its workers share"),
        (Otherwise::Overwrites, "writes shared data over what another worker has written meanwhile"),
        (Otherwise::ActsForAny, "answers and resumes another request than the one that is named"),
    ] {
        let Err(refused) = start(otherwise) else { panic!("{otherwise:?} is taken") };
        let said = complaints(refused.logs().iter().map(|line| (line.level, line.text.clone())));
        assert_eq!(said, [complaint(does)]);
    }
}

#[test]
fn a_clock_that_stands_still_is_found_before_a_fact_is_too_old() {
    let mut host = start(Otherwise::StandsStill).unwrap();
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    host.advance(Duration::from_secs(5));
    // Each of the two workers found it out.
    let said = complaints(host.logs());
    assert_eq!(said, [complaint("has a clock that stands still"), complaint("has a clock that stands still")]);
    host.clear_logs();
    assert_eq!(status(&host.exchange(1, get("/"), gitlab)), Some(503));
    assert_eq!(complaints(host.logs()), Vec::<String>::new(), "it is said once");
}

#[test]
fn ticks_that_never_come_are_missed_after_a_minute() {
    let mut host = start(Otherwise::NeverTicks).unwrap();
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    host.advance(Duration::from_secs(60));
    host.exchange(0, clone("libs/common", DANA), gitlab);
    is_refused(&mut host, 0, "has not let the filter know in its first minute that time passes");
}

#[test]
fn a_body_behind_the_end_is_refused_and_so_is_all_that_follows() {
    let mut host = start(Otherwise::EndsEarly).unwrap();
    let stream = host.open(0, post("/api/v4/projects/103/releases").with_body());
    host.request_body(stream, r#"{"job_token": ""#.to_owned() + DANA + r#""}"#, true);
    assert_eq!(status(&host.outcome(stream)), Some(503));
    is_refused(&mut host, 0, "shows more of a request behind its end");
}

#[test]
fn a_host_that_calls_back_from_within_a_call_is_refused() {
    let mut host = start(Otherwise::Nests).unwrap();
    let report = RequestHead::new("PUT", "gitlab.example.com", "/api/v4/jobs/1001");
    host.open(0, report.header("content-type", "application/json").with_body());
    // Answered from a tick, as its body does not come.
    host.advance(Duration::from_secs(11));
    // Within a request's own callback the SDK's guard strikes: the VM traps, and nothing goes on either.
    let outcome = host.exchange(0, clone("libs/common", DANA), gitlab);
    assert!(!matches!(outcome, Outcome::Forwarded { .. }), "{outcome:?}");
    let said = complaints(host.logs());
    assert!(said.contains(&complaint("calls the filter back from within the filter's own calls")), "{said:?}");
}

#[test]
fn names_of_fields_need_not_be_in_lower_case() {
    let mut host = start(Otherwise::KeepsCase).unwrap();
    let job = |path: &str| get(path).header("JOB-Token", DANA).header("X-JobScope-Job", "1");
    let packages = |project: u64| format!("/api/v4/projects/{project}/packages/generic/tool/1.0/tool.txt");
    let outcome = host.exchange(0, job(&packages(102)), gitlab);
    let Outcome::Forwarded { headers, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(!headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"x-jobscope-job")), "{outcome:?}");
    assert_eq!(status(&host.exchange(0, job(&packages(103)), gitlab)), Some(403));
}

#[test]
fn a_clock_set_far_ahead_before_the_first_tick_costs_no_more_than_that_tick() {
    let mut host = Host::start(&Filter::under_test().unwrap(), options(&configuration(""))).unwrap();
    host.set_clock(host.now() + 3_600_000_000_000);
    host.exchange(0, clone("libs/common", DANA), gitlab);
    assert_eq!(status(&host.exchange(0, get("/"), gitlab)), Some(503));
    host.tick(0);
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
}

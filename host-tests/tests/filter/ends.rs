//! Ends of jobs that a runner reported through this proxy, told to the lookup service.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Level, Request, RequestHead};
use serde_json::{Value, json};

use crate::forge::{host_of, nobody, status};

const CONFIGURATION: &str = r#"{"forge": {"hosts": ["gitlab.example.com"]},
    "lookup": {"api": "v1", "cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN",
        "max_unknown_per_source": 100000, "max_unknown_per_second": 100000}}"#;

const TICK: Duration = Duration::from_millis(100);

fn host() -> Host {
    host_of(CONFIGURATION)
}

fn token(job: u64) -> String {
    format!("glcbt-64_job{job}")
}

/// The service, as lookups see it.
fn service(call: &Callout) -> Answer {
    assert_eq!(call.path(), "/jobscope/v1/lookup");
    let question: Value = serde_json::from_slice(&call.body).unwrap();
    let job = question["token"].as_str().and_then(|token| token.strip_prefix("glcbt-64_job")?.parse::<u64>().ok());
    let said = match job {
        Some(job) => json!({"version": 1, "token": "running", "job": {"id": job,
            "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}),
        None => json!({"version": 1, "role": "developer", "external": false, "admission": "own",
            "target": {"id": 101, "path": "apps/web", "visibility": "private", "push_by_job_token": false}}),
    };
    Answer::json(200, said.to_string())
}

fn report(job: u64) -> Request {
    let body = json!({"token": token(job), "state": "success"}).to_string();
    let path = format!("/api/v4/jobs/{job}");
    RequestHead::new("PUT", "gitlab.example.com", &path).header("content-type", "application/json").body(body)
}

/// Something that the job asks.
fn packages(job: u64) -> RequestHead {
    RequestHead::new("GET", "gitlab.example.com", "/api/v4/packages/x").header("job-token", token(job))
}

/// A runner reports a job's end on a worker, and the forge answers so.
fn end(host: &mut Host, worker: usize, job: u64, answer: u16) {
    let stream = host.send(worker, report(job), service);
    assert_eq!(status(&host.outcome(stream)), 200);
    host.respond(stream, answer, &[], "");
    host.close(stream);
}

/// The reports that are under way.
fn reports(host: &Host) -> Vec<Callout> {
    host.callouts().into_iter().filter(|call| call.path() == "/jobscope/v1/ended").collect()
}

/// The one report that is under way, and the jobs in it.
fn told(host: &Host) -> (Callout, Vec<u64>) {
    let mut reports = reports(host);
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = reports.remove(0);
    let said: Value = serde_json::from_slice(&report.body).unwrap();
    assert_eq!(said["version"], 1);
    (report, serde_json::from_value(said["jobs"].clone()).unwrap())
}

fn noted() -> Answer {
    Answer::json(200, r#"{"version": 1}"#)
}

fn count(host: &Host, outcome: &str) -> i64 {
    host.metric(&format!("jobscope.ends_told.outcome.{outcome}")).unwrap()
}

#[test]
fn ends_that_runners_report_are_told_together_with_the_next_tick() {
    let mut host = host();
    for job in [7, 8] {
        end(&mut host, 0, job, 200);
    }
    end(&mut host, 1, 9, 200);
    assert!(reports(&host).is_empty(), "they wait for others");
    host.advance(TICK);
    let mut all: Vec<Vec<u64>> = Vec::new();
    for report in reports(&host) {
        assert_eq!(report.header("authorization").as_deref(), Some("Bearer glpat-service"));
        let said: Value = serde_json::from_slice(&report.body).unwrap();
        all.push(serde_json::from_value(said["jobs"].clone()).unwrap());
        host.answer(report.id, noted());
    }
    all.sort();
    assert_eq!(all, [vec![7, 8], vec![9]], "each worker tells its own");
    host.advance(TICK * 20);
    assert!(reports(&host).is_empty(), "once is enough");
    assert_eq!(["told", "failed", "dropped"].map(|outcome| count(&host, outcome)), [3, 0, 0]);
}

#[test]
fn an_end_that_is_reported_again_and_again_takes_no_place_of_another() {
    let mut host = host();
    end(&mut host, 0, 7, 200);
    for _ in 0..3 {
        end(&mut host, 0, 8, 200);
        let stream = host.send(0, report(8), nobody);
        host.respond(stream, 403, &[("job-status", "success")], "");
        host.close(stream);
    }
    host.advance(TICK);
    assert_eq!(told(&host).1, [7, 8]);
}

#[test]
fn what_is_no_runners_end_is_not_told() {
    let mut host = host();
    end(&mut host, 0, 7, 202);
    end(&mut host, 0, 7, 500);
    let ended = |_: &Callout| Answer::json(200, r#"{"version": 1, "token": "ended"}"#);
    assert_eq!(status(&host.exchange(0, packages(8), ended)), 401);
    host.advance(TICK * 20);
    assert!(reports(&host).is_empty());
}

#[test]
fn nobody_is_told_where_the_forge_itself_is_asked() {
    let mut host = crate::forge::host();
    let stream = host.send(0, crate::forge::finish(crate::forge::DANA), crate::forge::gitlab);
    host.respond(stream, 200, &[], "");
    host.advance(TICK * 20);
    assert!(reports(&host).is_empty());
}

#[test]
fn what_the_service_did_not_take_is_told_again_less_and_less_often() {
    let mut host = host();
    end(&mut host, 0, 7, 200);
    host.advance(TICK);
    let start = host.now();
    for (at, answer) in [
        Answer::json(503, r#"{"version": 1}"#),
        Answer::refused(),
        Answer::timed_out(),
        Answer::json(200, "{"),
        Answer::json(401, ""),
        noted(),
    ]
    .into_iter()
    .enumerate()
    {
        let (report, jobs) = told(&host);
        assert_eq!(jobs.first(), Some(&7), "in their order");
        assert_eq!(jobs.len(), 1 + at);
        host.answer(report.id, answer);
        end(&mut host, 0, 8 + at as u64, 200);
        for _ in 0..700 {
            if !reports(&host).is_empty() {
                break;
            }
            host.advance(TICK);
        }
    }
    // At the least half of 1, 2, 4, 8 and 16 seconds between the six.
    assert!(Duration::from_nanos(host.now() - start) >= Duration::from_millis(15_500));
    let (report, jobs) = told(&host);
    assert_eq!(jobs, [13], "what it took is told no more");
    host.answer(report.id, noted());
    assert_eq!(["told", "failed", "dropped"].map(|outcome| count(&host, outcome)), [7, 15, 0]);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_report_whose_answer_is_lost_is_told_again() {
    let mut host = host();
    end(&mut host, 0, 7, 200);
    host.advance(TICK);
    let (report, _) = told(&host);
    host.answer(report.id, Answer::Dropped);
    host.advance(Duration::from_secs(12));
    assert_eq!(told(&host).1, [7]);
}

#[test]
fn a_service_that_takes_no_reports_is_told_none_for_a_while() {
    let mut host = host();
    let mut asked = 0;
    for job in 7..20 {
        end(&mut host, 0, job, 200);
        host.advance(TICK);
        for report in reports(&host) {
            host.answer(report.id, Answer::json(404, ""));
            asked += 1;
        }
        host.advance(Duration::from_secs(60));
    }
    assert_eq!(asked, 2, "each ten minutes");
    let told = |(level, line): &(Level, String)| *level == Level::Warn && line.contains("takes no reports");
    assert_eq!(host.logs().iter().filter(|line| told(line)).count(), 1, "{:?}", host.logs());
    assert_eq!(["told", "failed", "dropped"].map(|outcome| count(&host, outcome)), [0, 0, 13]);
    assert_eq!(status(&host.exchange(1, packages(7), nobody)), 401, "here it is known");
}

#[test]
fn the_oldest_make_room_where_very_many_are_yet_to_be_told() {
    let mut host = host();
    for job in 1..=10_003 {
        end(&mut host, 0, job, 200);
    }
    assert_eq!(count(&host, "dropped"), 3);
    let mut jobs = Vec::new();
    for _ in 0..10 {
        host.advance(TICK);
        let (report, mut more) = told(&host);
        assert_eq!(more.len(), 1000);
        jobs.append(&mut more);
        host.answer(report.id, noted());
    }
    assert_eq!(jobs, (4..=10_003).collect::<Vec<u64>>());
}

//! What the filter counts, and what it costs to count.

use std::time::Duration;

use host_tests::host::{Answer, Host, Hostcall, Level};

use crate::forge::{DANA, clone, finish, get, gitlab, host, host_with, nobody, status};

/// What stands under this name, behind `jobscope.`.
fn count(host: &Host, name: &str) -> i64 {
    host.metric(&format!("jobscope.{name}")).unwrap_or_else(|| panic!("{name} is not counted"))
}

#[test]
fn decisions_are_counted_by_verdict_cause_and_protocol() {
    let mut host = host_with(r#", "mode": "observe""#);
    for project in ["libs/common", "infra/secrets", "libs//common"] {
        host.exchange(0, clone(project, DANA), gitlab);
    }
    for name in ["allow.family.rule", "observe_deny.family.rule", "observe_deny.family.malformed"] {
        assert_eq!(count(&host, &format!("decisions.verdict.{name}.protocol.git")), 1, "{name}");
    }
    assert_eq!(count(&host, "decisions.verdict.deny.family.rule.protocol.git"), 0);
}

#[test]
fn a_warm_decision_is_counted_once_and_what_is_no_jobs_never() {
    let mut host = host();
    host.exchange(0, clone("libs/common", DANA), gitlab);
    for (request, expected) in [(clone("libs/common", DANA), 1), (get("/g/p"), 0)] {
        host.reset_counts();
        host.exchange(0, request, nobody);
        assert_eq!(host.calls(Hostcall::IncrementMetric), expected);
        assert_eq!((host.calls(Hostcall::RecordMetric), host.calls(Hostcall::DefineMetric)), (0, 0));
    }
}

#[test]
fn lookups_are_counted_and_timed_by_what_became_of_them() {
    let mut host = host();
    let stream = host.open(0, clone("libs/common", DANA));
    host.advance(Duration::from_millis(100));
    assert_eq!(["flights", "waiting"].map(|name| count(&host, name)), [1, 1]);
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(stream)), 200);
    host.advance(Duration::from_millis(100));
    assert_eq!(["flights", "waiting", "held_bytes"].map(|name| count(&host, name)), [0, 0, 0]);
    assert_eq!(["token", "target"].map(|kind| count(&host, &format!("lookups.kind.{kind}.outcome.answered"))), [1, 1]);
    assert_eq!(host.samples("jobscope.lookup_ms.kind.token"), Some(vec![100]));
    host.exchange(0, clone("libs/open", "glcbt-64_other"), |_| Answer::json(500, "{}"));
    assert_eq!(count(&host, "lookups.kind.token.outcome.lookup_answer"), 1);
    assert_eq!(count(&host, "failures.reason.lookup_answer"), 1);
    assert_eq!(count(&host, "decisions.verdict.deny.family.failure.protocol.git"), 1);
}

#[test]
fn rows_and_ends_are_counted_for_all_workers_together() {
    let mut host = host();
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), gitlab)), 200);
    }
    assert_eq!(["binding", "target"].map(|table| count(&host, &format!("rows.table.{table}"))), [1, 1]);
    let stream = host.send(0, finish(DANA), gitlab);
    host.respond(stream, 200, &[], "");
    assert_eq!(["answer", "webhook", "list"].map(|way| count(&host, &format!("ends.way.{way}"))), [1, 0, 0]);
    assert_eq!(count(&host, "rows.table.binding"), 1);
}

#[test]
fn who_runs_which_configuration_is_counted_and_said() {
    let mut host = host();
    host.advance(Duration::from_millis(100));
    let info = |host: &Host| {
        let names = host.metric_names().into_iter().filter(|name| name.starts_with("jobscope.info.version."));
        let mut counts: Vec<i64> = names.filter_map(|name| host.metric(&name)).collect();
        counts.sort_unstable();
        counts
    };
    let workers = info(&host)[0];
    assert!(workers >= 2, "{workers}");
    host.reconfigure(crate::forge::configuration(r#", "mode": "observe""#)).unwrap();
    host.advance(Duration::from_millis(100));
    assert_eq!(info(&host), [0, workers]);
    let (logs, begins) = (host.logs(), "jobscope: version 0.1.0, configuration ");
    let is_said = |line: &str| {
        line.starts_with(begins)
            && line.contains(", mode observe, forge hosts 1: ")
            && line.ends_with(", access rules 0")
    };
    let said = logs.iter().filter(|(level, line)| *level == Level::Info && is_said(line));
    assert!(said.count() >= 2, "{logs:?}");
}

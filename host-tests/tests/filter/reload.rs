//! Configurations and VMs that come and go while requests wait.

use std::time::Duration;

use host_tests::host::{Answer, Host, Hostcall, Outcome};

use crate::forge::{DANA, NORA, basic, clone, configuration, finish, gitlab, host, nobody, post, status};

/// Brings a configuration that differs in this.
fn reconfigure(host: &mut Host, more: &str) {
    host.reconfigure(configuration(more)).unwrap();
}

#[test]
fn a_request_that_waits_is_answered_under_the_configuration_it_came_under() {
    let mut host = host();
    let waits = host.open(0, clone("infra/secrets", DANA));
    reconfigure(&mut host, r#", "mode": "observe""#);
    assert!(host.reconfigure("{}").is_err(), "a bad one leaves the old one in force");
    let next = host.open(0, clone("infra/secrets", NORA));
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(waits)), 403, "enforced");
    assert_eq!(status(&host.outcome(next)), 200, "observed");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_request_that_waits_is_answered_in_time_although_its_configuration_is_the_old_one() {
    let mut host = host();
    let waits = host.open(0, clone("libs/common", DANA));
    let batch = post("/libs/common.git/info/lfs/objects/batch").header("content-type", "application/vnd.git-lfs+json");
    let uploads = host.open(0, batch.header("authorization", basic(DANA)).with_body());
    reconfigure(&mut host, r#", "mode": "observe""#);
    host.advance(Duration::from_secs(2));
    assert_eq!(status(&host.outcome(waits)), 503, "nobody answered its lookup");
    host.close(waits);
    host.advance(Duration::from_secs(8));
    assert_eq!(status(&host.outcome(uploads)), 408, "its body never came");
    host.close(uploads);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn what_is_remembered_outlives_a_configuration_and_an_end_ends_for_all_of_them() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let runner = host.send(0, finish(DANA), nobody);
    reconfigure(&mut host, r#", "mode": "observe""#);
    reconfigure(&mut host, r#", "observe": {"targets": ["apps/**"]}"#);
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 200);
    }
    // The answer comes to a request of the first configuration.
    host.respond(runner, 200, &[("job-status", "success")], "");
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 401);
    }
}

#[test]
fn an_end_outlives_every_configuration_of_the_same_size() {
    let more = [
        r#", "access": {"deny": [{"id": "r", "targets": ["x/y"], "when": {"protected": true}}]}"#,
        r#", "access": {"deny": [{"id": "r", "targets": ["x/y"], "when": {"fork": true}}]}"#,
        r#", "facts": {"outbound": "lookup", "external": "forge"}"#,
        r#", "bindings": {"max_stale": "10m"}, "mode": "enforce""#,
        "",
    ];
    let mut host = host();
    for token in [DANA, NORA] {
        assert_eq!(status(&host.exchange(0, clone("apps/web", token), gitlab)), 200);
    }
    let runner = host.send(0, finish(DANA), nobody);
    host.respond(runner, 200, &[], "");
    let size = host.shared_data().len();
    for more in more {
        reconfigure(&mut host, more);
        for worker in [0, 1] {
            assert_eq!(status(&host.exchange(worker, clone("apps/web", DANA), nobody)), 401, "{more}");
        }
        assert_eq!(status(&host.exchange(0, clone("apps/web", NORA), gitlab)), 200, "{more}");
        assert_eq!(host.shared_data().len(), size, "no table is added");
    }
    let elsewhere =
        configuration("").replace(r#""authority": "gitlab.example.com""#, r#""authority": "other.example""#);
    host.reconfigure(elsewhere).unwrap();
    assert_eq!(status(&host.exchange(0, clone("apps/web", DANA), nobody)), 401, "a token is one forge's");
}

#[test]
fn what_was_not_asked_before_is_asked_before_it_serves() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("apps/web", DANA), gitlab)), 200);
    reconfigure(
        &mut host,
        r#", "access": {"deny": [{"id": "r", "targets": ["apps/web"], "when": {"protected": true}}]}"#,
    );
    assert_eq!(status(&host.exchange(0, clone("apps/web", DANA), gitlab)), 403, "its branch is protected");
    // Somebody else's no is not the forge's.
    host.reconfigure(
        configuration("").replace(r#""authority": "gitlab.example.com""#, r#""authority": "other.example""#),
    )
    .unwrap();
    let other = |_: &host_tests::host::Callout| Answer::json(401, r#"{"message": "401 Unauthorized"}"#);
    assert_eq!(status(&host.exchange(0, clone("apps/web", DANA), other)), 401);
    reconfigure(&mut host, "");
    assert_eq!(status(&host.exchange(0, clone("apps/web", DANA), gitlab)), 200);
}

#[test]
fn an_answer_that_comes_when_everybody_of_the_old_configuration_left_harms_nobody() {
    let mut host = host();
    let leaves = host.open(0, clone("libs/common", DANA));
    reconfigure(&mut host, r#", "mode": "observe""#);
    host.close(leaves);
    assert!(host.callouts().is_empty(), "the old root and its calls are gone");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    host.advance(Duration::from_secs(30));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_vm_that_trapped_takes_nobody_else_along_and_is_served_from_memory_when_it_is_back() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let waits = host.open(0, clone("libs/common", NORA));
    let elsewhere = host.open(1, clone("libs/common", NORA));
    host.trap_next(Hostcall::GetMap);
    let crashes = host.open(0, clone("libs/common", DANA));
    assert_eq!(host.outcome(crashes), Outcome::Failed);
    assert!(host.trapped(0) && !host.trapped(1));
    // What waited in that VM waits until Envoy's own timeout ends it; its answer finds nobody.
    host.settle(gitlab);
    assert_eq!(host.outcome(waits), Outcome::Paused);
    assert_ne!(host.outcome(elsewhere), Outcome::Paused, "another worker's goes on");
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200);
    host.reload(0).unwrap();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200, "bindings outlive a VM");
    host.close(waits);
    assert_eq!(
        status(&host.exchange(0, clone("apps/web", NORA), |call| match call.path().as_str() {
            "/api/v4/job" => Answer::Dropped,
            _ => gitlab(call),
        })),
        200,
        "what the other worker learned serves here"
    );
}

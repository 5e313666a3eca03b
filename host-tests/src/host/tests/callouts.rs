use std::time::Duration;

use super::*;

/// Calls for each request, pauses it, says what the answer was and wakes it.
const LOOKUP: &str = r#"
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say (call $call)) (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $say (local.get 2))
        (call $say (call $value (i32.const 6) (i32.const 160) (i32.const 7) (i32.const 2000) (i32.const 2004)))
        (if (local.get 2) (then (call $show)))
        (call $say (call $buffer (i32.const 4) (i32.const 0) (i32.const 99) (i32.const 2000) (i32.const 2004)))
        (if (local.get 3) (then (call $show)))
        (call $wake (i32.const 2)))"#;

fn lookup() -> Host {
    start(LOOKUP, Options::default().cluster("forge"))
}

#[test]
fn an_answer_wakes_the_stream() {
    let mut host = lookup();
    let stream = host.open(0, get());
    let callouts = host.callouts();
    assert_eq!((callouts[0].cluster.as_str(), callouts[0].path().as_str()), ("forge", "/lookup"));
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.answer(callouts[0].id, Answer::response(200, &[("x", "y")], "yes"));
    assert_eq!(said(&host), "0 2 0 200 0 yes");
    assert_eq!(forwarded(&host, stream), (5, String::new(), true));
    assert!(host.hazards().is_empty());
}

#[test]
fn a_dropped_call_has_no_maps() {
    let mut host = lookup();
    let outcome = host.exchange(0, get(), |_| Answer::Dropped);
    assert!(matches!(outcome, Outcome::Forwarded { .. }));
    assert_eq!(said(&host), "0 0 2 1");
}

#[test]
fn calls_time_out_by_the_clock() {
    let mut host = lookup();
    host.open(0, get());
    host.advance(Duration::from_millis(499));
    assert_eq!(said(&host), "0");
    host.advance(Duration::from_millis(1));
    assert_eq!(said(&host), "0 3 0 504 0 upstream request timeout");
}

#[test]
fn calls_fail_at_dispatch() {
    let mut host = lookup();
    host.set_cluster("forge", Some(Endpoints::None));
    host.open(0, get());
    host.set_cluster("forge", None);
    host.open(0, get());
    host.set_cluster("forge", Some(Endpoints::Healthy));
    host.fail_next(Hostcall::HttpCall, Status::BrokenConnection);
    host.open(0, get());
    assert_eq!((said(&host).as_str(), host.callouts().len()), ("A 2 B", 0));
}

#[test]
fn a_call_outlives_its_stream() {
    let mut host = lookup();
    let leader = host.open(0, get());
    host.close(leader);
    host.settle(|_| Answer::Dropped);
    assert_eq!(said(&host), "0 0 2 1");
    assert_eq!(host.outcome(leader), Outcome::Paused);
}

#[test]
fn a_trap_hangs_the_others_and_kills_what_is_new() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $set (i32.const 120) (i32.const 5) (i32.const 100) (i32.const 3) (i32.const 0)))
            (if (i32.eq (local.get 0) (i32.const 3)) (then unreachable))
            (call $say (call $call)) (i32.const 1))
        (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (call $wake (i32.const 2)))
        (func (export "proxy_on_log") (param i32) (call $say (i32.const 9)))"#;
    let mut host = start(exports, Options { workers: 2, ..Options::default() }.cluster("forge"));
    let waiting = host.open(0, get());
    let trapping = host.open(0, get());
    assert_eq!(host.outcome(trapping), Outcome::Failed);
    assert_eq!(host.downstream(trapping).status(), Some(503));
    assert!(host.trapped(0) && !host.trapped(1));
    host.settle(|_| Answer::json(200, "{}"));
    assert_eq!(host.outcome(waiting), Outcome::Paused);
    let new = host.open(0, get());
    assert_eq!(host.outcome(new), Outcome::Failed);
    host.close(waiting);
    assert!(!said(&host).contains('9'));
    let elsewhere = host.exchange(1, get(), |_| Answer::json(200, "{}"));
    assert!(matches!(elsewhere, Outcome::Forwarded { .. }));
    host.reload(0).unwrap();
    let again = host.exchange(0, get(), |_| Answer::json(200, "{}"));
    assert!(matches!(again, Outcome::Forwarded { .. }));
    assert_eq!(host.shared_data().get("forge").map(|(value, _)| value), Some(&b"not"[..]));
}

#[test]
fn workers_share_data_and_faults_strike() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $get (i32.const 120) (i32.const 5) (i32.const 2000) (i32.const 2004) (i32.const 2008)))
            (call $say (call $set (i32.const 120) (i32.const 5) (i32.const 100) (i32.const 3)
                (i32.load (i32.const 2008))))
            (i32.const 0))"#;
    let mut host = start(exports, Options { workers: 2, ..Options::default() });
    host.open(0, get());
    host.open(1, get());
    assert_eq!(said(&host), "1 0 0 0");
    // Worker 0 knows no number, so nothing is compared; worker 1's is old.
    host.fail_next(Hostcall::GetSharedData, Status::InternalFailure);
    host.open(0, get());
    host.fail_next(Hostcall::GetSharedData, Status::InternalFailure);
    host.open(1, get());
    assert_eq!(said(&host), "1 0 0 0 A 0 A 8");
    host.clear_logs();
    host.fail_always(Hostcall::SetSharedData, Status::CasMismatch);
    host.fail_next(Hostcall::MemoryAllocate, Status::InternalFailure);
    host.open(0, get());
    host.open(0, get());
    assert_eq!(said(&host), "6 8 0 8");
    host.faults(Faults::clear);
    host.trap_next(Hostcall::GetSharedData);
    let trapped = host.open(0, get());
    assert_eq!(host.outcome(trapped), Outcome::Failed);
    assert_eq!((host.shared_data().len(), host.shared_data().bytes()), (1, 8));
    assert_eq!(host.calls(Hostcall::GetSharedData), 7);
}

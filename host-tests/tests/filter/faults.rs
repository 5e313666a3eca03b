//! Calls of the host that fail: each is an answer to the client, and never a trap.

use host_tests::host::{Hostcall, Outcome, Status};

use crate::forge::{DANA, clone, finish, get, gitlab, host};

#[test]
fn a_host_that_refuses_a_call_costs_503_and_no_more() {
    for call in [Hostcall::GetMap, Hostcall::GetSharedData, Hostcall::SetSharedData, Hostcall::MemoryAllocate] {
        let mut host = host();
        host.fail_always(call, Status::InternalFailure);
        let outcome = host.exchange(0, clone("libs/common", DANA), gitlab);
        assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{call:?}: {outcome:?}");
        assert!(!host.trapped(0), "{call:?}");
        host.faults(|faults| faults.clear());
        let outcome = host.exchange(0, clone("libs/common", DANA), gitlab);
        assert!(matches!(outcome, Outcome::Forwarded { .. }), "{call:?}: {outcome:?}");
    }
}

#[test]
fn a_lost_race_is_run_again() {
    let mut host = host();
    host.fail_next(Hostcall::SetSharedData, Status::CasMismatch);
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    let stream = host.send(0, finish(DANA), gitlab);
    host.fail_next(Hostcall::SetSharedData, Status::CasMismatch);
    host.respond(stream, 200, &[], "");
    let outcome = host.exchange(1, clone("libs/common", DANA), gitlab);
    assert_eq!(outcome.reply().map(|reply| reply.status), Some(401));
}

#[test]
fn a_log_that_cannot_be_written_changes_no_decision() {
    let mut host = host();
    host.fail_always(Hostcall::SetProperty, Status::InternalFailure);
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    assert_eq!(host.exchange(0, clone("infra/secrets", DANA), gitlab).reply().map(|reply| reply.status), Some(403));
}

#[test]
fn stored_bytes_that_nobody_wrote_are_no_facts() {
    let mut host = host();
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    let keys: Vec<String> = host.shared_data().keys().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
    for key in keys {
        host.set_shared_data(&key, &[0xAB; 3000]);
    }
    assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
    assert!(!host.trapped(0));
}

#[test]
fn ordinary_traffic_fails_closed_with_its_headers() {
    let mut host = host();
    host.fail_next(Hostcall::GetMap, Status::InternalFailure);
    let outcome = host.exchange(0, get("/"), gitlab);
    assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "what cannot be read may be a job's");
}

//! Memory: whatever lived and died, and whatever never lived, shared data and the VMs stay as large as they are.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Outcome, RequestHead};
use policy::bindings;

use crate::forge::{DANA, clone, gitlab, host_with_limits, nobody};

const WORKERS: usize = 2;

/// Any token that has a number and this before it is a running job's.
const JOB: &str = "glcbt-64_job";

/// GitLab where a job has come to be.
fn busy(call: &Callout) -> Answer {
    let token = call.header("job-token").filter(|_| call.path() == "/api/v4/job");
    let Some(job) = token.as_deref().and_then(|token| token.strip_prefix(JOB)) else { return gitlab(call) };
    Answer::json(
        200,
        format!(
            r#"{{"id": 9{job}, "status": "running", "user": {{"id": 11, "username": "dana", "state": "active"}},
                "pipeline": {{"id": 1, "project_id": 101}}, "web_url": "http://gitlab.example.com/apps/web/-/jobs/9{job}"}}"#
        ),
    )
}

/// A job's whole life: it clones, and its runner reports its end. Then twice as much junk.
fn live_and_die(host: &mut Host, number: usize) {
    let (worker, token) = (number % WORKERS, format!("{JOB}{number}"));
    let clones = host.exchange(worker, clone("libs/common", &token), busy);
    assert!(matches!(clones, Outcome::Forwarded { .. }), "{clones:?}");
    let report = RequestHead::new("PUT", "gitlab.example.com", &format!("/api/v4/jobs/9{number}"))
        .header("content-type", "application/json")
        .body(format!(r#"{{"token": "{token}", "state": "success"}}"#));
    let report = host.send(worker, report, busy);
    host.respond(report, 200, &[("job-status", "success")], "");
    let after = host.exchange(worker, clone("libs/common", &token), nobody);
    assert_eq!(after.reply().map(|reply| reply.status), Some(401), "{after:?}");
    for junk in [number * 2, number * 2 + 1] {
        let junk = host.exchange(worker, clone("libs/common", &format!("glcbt-64_junk{junk}")), busy);
        assert_eq!(junk.reply().map(|reply| reply.status), Some(401), "{junk:?}");
    }
    host.clear_logs();
}

#[test]
fn what_lived_and_died_and_what_never_lived_leave_nothing_behind() {
    const CAPACITY: u32 = 64;
    let mut host = host_with_limits(100_000, 100_000, r#", "bindings": {"capacity": 64, "max_stale": "24h"}"#);
    let outcome = host.exchange(0, clone("libs/common", DANA), gitlab);
    assert!(matches!(outcome, Outcome::Forwarded { .. }), "{outcome:?}");
    let tables = bindings::tables(CAPACITY);
    let names = host.shared_data().keys().map(<[u8]>::len).sum::<usize>();
    let most = names + tables.iter().map(|table| table.most_bytes()).sum::<usize>();
    // Four more are those of who follows the list of ended jobs, of the forge's version, of when the service account's token
    // expires, and of what tries the host out; and one is of each version of what decisions are made from.
    let versions = u32::try_from(bindings::Stripe::all().len()).unwrap();
    let keys: u32 = tables.iter().map(|table| table.buckets()).sum::<u32>() + 4 + versions;
    assert_eq!(host.shared_data().len(), keys as usize, "every key is there from the start");

    const WARM: usize = 1_500;
    const ALL: usize = 6_000;
    let mut memory = Vec::new();
    for number in 0..ALL {
        live_and_die(&mut host, number);
        host.advance(Duration::from_millis(20));
        if (number + 1) % WARM == 0 {
            memory.push([0, 1].map(|worker| host.memory_bytes(worker)));
            assert!(host.shared_data().bytes() <= most, "{} of {most}", host.shared_data().bytes());
        }
    }
    assert_eq!(host.shared_data().len(), keys as usize, "no key was added");
    assert!(memory.iter().all(|sizes| sizes == &memory[0]), "the VMs grew: {memory:?}");
    let old = host.open(1, clone("libs/common", DANA));
    let outcome = host.outcome(old);
    assert!(
        matches!(outcome, Outcome::Forwarded { .. }),
        "the job that runs all the while was not pushed out: {outcome:?}"
    );
}

//! The filter is exchanged in a running Envoy while a request waits in it: its configuration, then its code.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_tests::stack::{self, Answer, Delivery, LookupFault, Options, Registry, Stack};
use serde_json::{Value, json};

const WEB_JOB: &str = "glcbt-64_danaBuildsWeb000001";
/// What a job of apps/web may read, and what it may not.
const ADMITTED: &str = "libs%2Fcommon";
const NOT_ADMITTED: &str = "infra%2Fsecrets";
/// The project of both jobs.
const OWN: &str = "apps%2Fweb";
/// Another job of the same project, for its end.
const ADA_JOB: &str = "glcbt-64_adaBuildsWeb0000003";

fn start(delivery: Delivery) -> Stack {
    let options = Options { registry: Registry::LeftOut, delivery, ..Options::picked() };
    Stack::start(&options).unwrap()
}

fn get(stack: &Stack, project: &str, token: &str) -> Answer {
    let request = format!(
        "GET /api/v4/projects/{project}/releases HTTP/1.1\r\nHost: {}\r\nJOB-TOKEN: {token}\r\nConnection: close\r\n\r\n",
        stack.forge_host()
    );
    stack.raw(request.as_bytes(), Duration::from_secs(90)).unwrap()
}

/// What a job's runner says when the job is over.
fn report_end(stack: &Stack, job: u32, token: &str) {
    let report = format!(r#"{{"token":"{token}","state":"success"}}"#);
    let request = format!(
        "PUT /api/v4/jobs/{job} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{report}",
        stack.forge_host(),
        report.len()
    );
    let answer = stack.raw(request.as_bytes(), Duration::from_secs(20)).unwrap();
    assert_eq!(answer.status, Some(200), "{answer:?}");
}

fn lookups(stack: &Stack) -> usize {
    let requests = stack.forge().requests().unwrap();
    requests.iter().filter(|request| request["target"] == "/api/v4/job").count()
}

/// Has a job's first request wait for its lookup while `exchange` happens, and returns what it got.
fn meanwhile(stack: &Stack, token: &str, exchange: impl FnOnce()) -> Answer {
    stack.forge().add_job("apps/web", "dana", token).unwrap();
    stack.forge().fault(LookupFault::Hang).unwrap();
    stack.forge().forget_requests().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| get(stack, ADMITTED, token));
        let begin = Instant::now();
        while lookups(stack) == 0 {
            assert!(begin.elapsed() < Duration::from_secs(5), "nothing was looked up");
            thread::sleep(Duration::from_millis(10));
        }
        exchange();
        assert!(!waiting.is_finished(), "it waits all the while");
        stack.forge().fault(LookupFault::None).unwrap();
        waiting.join().unwrap()
    })
}

/// The filter with a custom section more: the same code, but not the same file.
fn another_build(stack: &Stack) -> PathBuf {
    let path = stack.dir().join("another.wasm");
    fs::copy(stack::filter().unwrap(), &path).unwrap();
    // Section 0, five bytes long: a name of four.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\x00\x05\x04copy").unwrap();
    path
}

#[test]
fn who_waits_is_answered_the_next_is_judged_anew_and_what_is_known_stays() {
    let stack = start(Delivery::Listener);
    assert_eq!(get(&stack, NOT_ADMITTED, WEB_JOB).status, Some(403));
    let patient: (&str, Value) = ("/lookup/timeout", json!("1m"));
    let observing = [patient.clone(), ("/mode", json!("observe"))];

    stack.deliver(slice::from_ref(&patient), None).unwrap();
    let answer = meanwhile(&stack, "glcbt-64_waitsForAnotherConfig", || stack.deliver(&observing, None).unwrap());
    assert_eq!(answer.status, Some(200), "{answer:?}");
    stack.forge().forget_requests().unwrap();
    assert_eq!(get(&stack, ADMITTED, WEB_JOB).status, Some(200));
    assert_eq!(lookups(&stack), 0, "the job is still known");
    assert_ne!(get(&stack, NOT_ADMITTED, WEB_JOB).status, Some(403), "the new configuration only observes");

    let error = stack.deliver(&[("/mode", json!("nonsense"))], None).unwrap_err();
    assert!(error.to_string().contains("refuses"), "{error:#}");
    assert_ne!(get(&stack, NOT_ADMITTED, WEB_JOB).status, Some(403), "a bad one leaves the one before in force");

    let build = another_build(&stack);
    let answer =
        meanwhile(&stack, "glcbt-64_waitsForAnotherBuild0", || stack.deliver(&[patient], Some(&build)).unwrap());
    assert_eq!(answer.status, Some(200), "{answer:?}");
    stack.forge().forget_requests().unwrap();
    assert_eq!(get(&stack, ADMITTED, WEB_JOB).status, Some(200));
    assert_eq!(lookups(&stack), 0, "what the old code remembered, the new one knows");
    assert_eq!(get(&stack, NOT_ADMITTED, WEB_JOB).status, Some(403), "the new code enforces");
}

/// Exchanges configuration and code in turn while clients ask without a pause: each gets what it must get.
fn under_load(delivery: Delivery) {
    const EXCHANGES: usize = 4;
    let stack = start(delivery);
    let build = another_build(&stack);
    for (project, token) in [(ADMITTED, WEB_JOB), (OWN, ADA_JOB)] {
        assert_eq!(get(&stack, project, token).status, Some(200));
    }
    assert_eq!(get(&stack, NOT_ADMITTED, WEB_JOB).status, Some(403));
    report_end(&stack, 1003, ADA_JOB);

    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = |project, token, status, said| {
        while !over.load(Ordering::Relaxed) {
            let answer = get(&stack, project, token);
            assert!(answer.status == Some(status) && answer.text().contains(said), "{answer:?}");
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let clients = [
            (ADMITTED, WEB_JOB, 200, ""),
            (NOT_ADMITTED, WEB_JOB, 403, "allowlist.missing"),
            // Where the end is forgotten the forge is asked, and it says no more than that it knows no such token.
            (OWN, ADA_JOB, 401, "token.ended"),
        ]
        .map(|(project, token, status, said)| scope.spawn(move || ask(project, token, status, said)));
        for number in 0..EXCHANGES {
            let before = asked.load(Ordering::Relaxed);
            let timeout = ("/lookup/timeout", json!(format!("{}s", 2 + number / 2)));
            stack.deliver(&[timeout], (number % 2 == 1).then_some(build.as_path())).unwrap();
            while asked.load(Ordering::Relaxed) < before + 100 && !clients.iter().any(|client| client.is_finished()) {
                thread::yield_now();
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nothing_is_lost_nor_answered_wrongly_while_listeners_are_exchanged_under_load() {
    under_load(Delivery::Listener);
}

#[test]
fn nothing_is_lost_nor_answered_wrongly_while_the_filter_alone_is_exchanged_under_load() {
    under_load(Delivery::Filter);
}

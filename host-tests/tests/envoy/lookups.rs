//! Lookups that go wrong, in a real Envoy: who is not known is told to come back, who is known is served as long as
//! `bindings.max_stale` says, and afterwards everything is as before.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::stack::decisions::Entry;
use host_tests::stack::{Answer, Delivery, LookupFault, Options, Registry, Stack, TokenLookup};
use serde_json::{Value, json};

use super::lfs::WEB_JOB;

const TIMEOUT: Duration = Duration::from_secs(1);
const REVALIDATE_AFTER: Duration = Duration::from_secs(1);
const MAX_STALE: Duration = Duration::from_secs(4);
/// What a client may wait at most: the timeout, and what a busy machine takes besides.
const PATIENCE: Duration = Duration::from_secs(3);

const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";
const REFS: &str = "/libs/common.git/info/refs?service=git-upload-pack";

fn filter() -> Vec<(&'static str, Value)> {
    let seconds = |time: Duration| json!(format!("{}s", time.as_secs()));
    vec![
        ("/lookup/timeout", seconds(TIMEOUT)),
        ("/bindings/revalidate_after", seconds(REVALIDATE_AFTER)),
        ("/bindings/max_stale", seconds(MAX_STALE)),
    ]
}

fn start() -> Stack {
    let delivery = Delivery::Listener;
    Stack::start(&Options { registry: Registry::LeftOut, filter: filter(), delivery, ..Options::picked() }).unwrap()
}

fn send(stack: &Stack, line: &str, header: &str, body: &str) -> Answer {
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {}\r\n{header}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        stack.forge_host(),
        body.len()
    );
    stack.raw(request.as_bytes(), Duration::from_secs(30)).unwrap()
}

fn package(stack: &Stack, token: &str) -> Answer {
    send(stack, &format!("GET {PACKAGE}"), &format!("JOB-TOKEN: {token}"), "")
}

fn assert_served(stack: &Stack, token: &str, when: &str) {
    let answer = package(stack, token);
    assert_eq!((answer.status, answer.text().trim()), (Some(200), "a tool"), "{when}: {answer:?}");
}

fn assert_try_later(answer: &Answer, content_type: &str, when: &str) {
    assert_eq!(answer.status, Some(503), "{when}: {answer:?}");
    let retry_after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(retry_after.is_some_and(|seconds| seconds > 0), "{when}: {answer:?}");
    assert!(answer.header("content-type").is_some_and(|found| found.starts_with(content_type)), "{when}: {answer:?}");
    assert!(answer.took < PATIENCE, "{when}: {answer:?}");
}

/// No request so far has trapped the filter's VM.
fn assert_no_trap(stack: &Stack) {
    let statistics = stack.statistics("vm_reload").unwrap();
    assert!(statistics.lines().all(|line| line.ends_with(": 0")), "{statistics}");
}

fn sleep_until(begin: Instant, age: Duration) {
    thread::sleep(age.saturating_sub(begin.elapsed()));
}

/// How often the forge was asked whose token it is.
fn asked(stack: &Stack) -> usize {
    let requests = stack.forge().requests().unwrap();
    requests.iter().filter(|request| request["target"] == "/api/v4/job").count()
}

/// What happens to lookups.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fault(LookupFault),
    /// They go to another cluster.
    Astray(&'static str),
}

/// Nobody listens there: the registry was left out. Envoy answers for it, with 503.
const REFUSED: Trouble = Trouble::Astray("registry");
/// Envoy has no such cluster, and takes no call for it.
const NOWHERE: Trouble = Trouble::Astray("nowhere");

impl Trouble {
    fn begin(self, stack: &Stack) {
        match self {
            Self::Fault(fault) => stack.forge().fault(fault).unwrap(),
            Self::Astray(cluster) => {
                let mut filter = filter();
                filter.push(("/lookup/cluster", json!(cluster)));
                stack.deliver(&filter, None).unwrap();
            }
        }
    }

    fn end(self, stack: &Stack) {
        match self {
            Self::Fault(_) => stack.forge().fault(LookupFault::None).unwrap(),
            Self::Astray(_) => stack.deliver(&filter(), None).unwrap(),
        }
    }
}

#[test]
fn whatever_becomes_of_a_lookup_who_is_known_is_served_for_a_while_and_nobody_else() {
    let stack = start();
    let faults = [
        LookupFault::Slow(10_000),
        LookupFault::Torn,
        // One that Envoy hands over, and one that it does not.
        LookupFault::Long,
        LookupFault::Enormous,
        LookupFault::Nonsense,
        LookupFault::Unavailable,
        LookupFault::Intercepted,
    ];
    let troubles = faults.into_iter().map(Trouble::Fault).chain([REFUSED, NOWHERE]);
    for (i, trouble) in troubles.enumerate() {
        let (known, unknown) = (format!("glcbt-64_isKnown00000000{i}"), format!("glcbt-64_isUnknown000000{i}"));
        for token in [&known, &unknown] {
            stack.forge().add_job("apps/web", "dana", token).unwrap();
        }
        let confirmed = Instant::now();
        assert_served(&stack, &known, "while all is well");
        trouble.begin(&stack);
        stack.forge().forget_requests().unwrap();

        let during = format!("during {trouble:?}");
        while confirmed.elapsed() < REVALIDATE_AFTER + Duration::from_secs(1) {
            assert_served(&stack, &known, &during);
            thread::sleep(Duration::from_millis(50));
        }
        let attempts = asked(&stack);
        assert_eq!(attempts > 0, matches!(trouble, Trouble::Fault(_)), "{during} it was asked {attempts} times");
        assert_try_later(&package(&stack, &unknown), "application/json", &during);
        let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("gitlab-ci-token:{unknown}")));
        assert_try_later(&send(&stack, &format!("GET {REFS}"), &basic, ""), "text/plain", &during);
        sleep_until(confirmed, MAX_STALE + Duration::from_millis(500));
        assert_try_later(&package(&stack, &known), "application/json", &during);

        trouble.end(&stack);
        for token in [&known, &unknown] {
            assert_served(&stack, token, &format!("after {trouble:?}"));
        }
    }
    assert_no_trap(&stack);
}

#[test]
fn a_lookup_that_names_another_job_binds_no_token_anew() {
    let stack = start();
    let known = "glcbt-64_danaBuildsWeb000001";
    let confirmed = Instant::now();
    assert_served(&stack, known, "while all is well");
    stack.forge().fault(LookupFault::Mistaken).unwrap();
    stack.forge().forget_requests().unwrap();
    // The job that waits in every world: this Envoy sees which one it is as the runner gets it.
    let born = send(&stack, "POST /api/v4/jobs/request", "Accept: */*", r#"{"token": "glrt-demo-runner"}"#);
    assert_eq!(born.status, Some(201), "{born:?}");
    let born = "glcbt-64_danaTestsWeb00000007";

    while confirmed.elapsed() < REVALIDATE_AFTER + Duration::from_secs(1) {
        assert_served(&stack, known, "by what was confirmed");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(asked(&stack) > 1, "both were looked up");
    assert_try_later(&package(&stack, born), "application/json", "nothing else is known of it");
    sleep_until(confirmed, MAX_STALE + Duration::from_millis(500));
    assert_try_later(&package(&stack, known), "application/json", "what was confirmed is too old");

    stack.forge().fault(LookupFault::None).unwrap();
    assert_served(&stack, known, "afterwards");
    assert_served(&stack, born, "afterwards");
    assert_no_trap(&stack);

    let mut jobs = HashSet::new();
    let mut log = stack.access_log().unwrap();
    let begin = Instant::now();
    while !jobs.contains("1007") && begin.elapsed() < Duration::from_secs(5) {
        let lines = log.new_lines().unwrap();
        // Of a request whose lookup failed no job is known.
        jobs.extend(lines.iter().filter_map(|line| Entry::parse(line).unwrap().job).filter(|job| job != "-"));
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(jobs, HashSet::from(["1001".to_owned(), "1007".to_owned()]), "no other job was ever served");
}

#[test]
fn answers_without_end_leave_nothing_in_memory() {
    let mut filter = filter();
    // Enough for 32 MiB: nothing here fails because it took too long.
    filter[0].1 = json!("20s");
    let stack = Stack::start(&Options { registry: Registry::LeftOut, filter, ..Options::picked() }).unwrap();
    stack.forge().fault(LookupFault::Enormous).unwrap();
    let after = |tokens: std::ops::Range<u32>| {
        for number in tokens {
            let answer = package(&stack, &format!("glcbt-64_asksTooMuch{number:08}"));
            assert_eq!(answer.status, Some(503), "{answer:?}");
            assert!(answer.took < Duration::from_secs(15), "{answer:?}");
        }
        stack.resident_bytes().unwrap()
    };
    let (first, second) = (after(0..3), after(3..8));
    assert!(second < first + (48 << 20), "{first} bytes, then {second}");
    stack.forge().fault(LookupFault::None).unwrap();
    assert_served(&stack, "glcbt-64_danaBuildsWeb000001", "afterwards");
    assert_no_trap(&stack);
}

#[test]
fn what_envoy_says_for_a_service_is_asked_again_and_what_the_service_says_is_not() {
    let filter = vec![("/lookup/retries", json!(2)), ("/lookup/timeout", json!("5s"))];
    let options = Options { registry: Registry::LeftOut, filter, ..Options::picked() };
    let token = "glcbt-64_danaBuildsWeb000001";
    let sent = |stack: &Stack| {
        assert_eq!(package(stack, token).status, Some(503));
        let statistics = stack
            .statistics("cluster.token-lookup.upstream_rq_total|cluster.token-lookup.upstream_cx_connect_fail")
            .unwrap();
        let count = |name: &str| {
            let count =
                statistics.lines().find_map(|line| line.rsplit_once(&format!("{name}: "))?.1.parse::<u32>().ok());
            count.unwrap_or_else(|| panic!("no {name} in {statistics}"))
        };
        (count("upstream_cx_connect_fail"), count("upstream_rq_total"))
    };
    let stack = Stack::start(&Options { token_lookup: TokenLookup::Nobody, ..options.clone() }).unwrap();
    let (failed, _) = sent(&stack);
    assert_eq!(failed, 3, "the first attempt and two more");
    drop(stack);
    let stack = Stack::start(&options).unwrap();
    stack.forge().fault(LookupFault::Unavailable).unwrap();
    let (failed, answered) = sent(&stack);
    assert_eq!(failed, 0);
    let calls = stack.forge().requests().unwrap().iter().filter(|request| request["target"] == "/api/v4/job").count();
    assert_eq!(calls, 1, "of {answered} calls one is for the token");
}

#[test]
fn lookups_carry_the_request_id_of_envoy_and_the_trace_of_the_client() {
    let stack = start();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let header = format!("JOB-TOKEN: {WEB_JOB}\r\ntraceparent: {trace}\r\ntracestate: vendor=1");
    assert_eq!(send(&stack, &format!("GET {PACKAGE}"), &header, "").status, Some(200));
    let seen = stack.forge().requests().unwrap();
    let field = |request: &Value, name: &str| {
        let headers = request["headers"].as_array().unwrap();
        let values =
            headers.iter().filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned());
        values.collect::<Vec<_>>()
    };
    let passed = seen.iter().find(|request| request["target"] == PACKAGE).unwrap();
    let id = field(passed, "x-request-id");
    assert!(id.len() == 1 && id[0].len() == 36, "{id:?}");
    let lookups: Vec<_> = seen.iter().filter(|request| field(request, "user-agent") == ["jobscope"]).collect();
    assert!(lookups.iter().any(|request| request["target"] == "/api/v4/job") && lookups.len() > 3, "{lookups:?}");
    for lookup in lookups.into_iter().filter(|request| request["target"] != "/api/v4/version") {
        assert_eq!(field(lookup, "x-request-id"), id, "{lookup}");
        assert_eq!(field(lookup, "traceparent"), [trace], "{lookup}");
        assert_eq!(field(lookup, "tracestate"), ["vendor=1"], "{lookup}");
    }
}

//! Two real Envoys before one forge: an end that one of them sees, and when the other knows.

use std::thread;
use std::time::{Duration, Instant};

use host_tests::factory::{self, Factory, Polls};
use host_tests::stack::{Answer, Delivery, Ingress, Options, Registry, Stack, TokenLookup};
use serde_json::{Value, json};

const WEB_JOB: &str = "glcbt-64_danaBuildsWeb000001";
const WEBHOOK: &str = "/-/jobscope/webhook";

fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn send(envoy: &Ingress, line: &str, headers: &[&str], body: &str) -> Answer {
    envoy.raw(&request(line, headers, body), Duration::from_secs(20)).unwrap()
}

fn package(token: &str) -> Vec<u8> {
    request(&format!("GET {}", factory::PACKAGE), &[&format!("JOB-TOKEN: {token}")], "")
}

fn status(envoy: &Ingress, token: &str) -> Option<u16> {
    envoy.raw(&package(token), Duration::from_secs(20)).unwrap().status
}

/// On whichever worker.
fn assert_refused(envoy: &Ingress, token: &str) {
    for _ in 0..8 {
        assert_eq!(status(envoy, token), Some(401));
    }
}

fn wait_until(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < most, "not so within {most:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Two Envoys of one configuration before one forge. The job is known to both, and has ended for the first.
struct Two {
    first: Stack,
    second: Ingress,
    /// When the second confirmed the job, or a little before.
    confirmed: Instant,
}

impl Two {
    fn after_an_end_at_the_first(filter: &[(&'static str, Value)]) -> Self {
        let options = Options { registry: Registry::LeftOut, filter: filter.to_vec(), ..Options::picked() };
        let first = Stack::start(&options).unwrap();
        let second = Ingress::start(first.forge().port(), filter).unwrap();
        let at_first = |request: &[u8]| first.raw(request, Duration::from_secs(20)).unwrap().status;
        assert_eq!(at_first(&package(WEB_JOB)), Some(200));
        let confirmed = Instant::now();
        assert_eq!(status(&second, WEB_JOB), Some(200));
        let end = json!({"token": WEB_JOB, "state": "success"}).to_string();
        assert_eq!(at_first(&request("PUT /api/v4/jobs/1001", &[], &end)), Some(200));
        let two = Self { first, second, confirmed };
        let passed = two.count(factory::PACKAGE);
        for _ in 0..8 {
            let refused = two.first.raw(&package(WEB_JOB), Duration::from_secs(20)).unwrap();
            assert_eq!(refused.status, Some(401));
        }
        assert_eq!(two.count(factory::PACKAGE), passed);
        two
    }

    /// How many requests for this path the forge has had.
    fn count(&self, path: &str) -> usize {
        let requests = self.first.forge().requests().unwrap();
        requests.iter().filter(|request| request["target"] == path).count()
    }

    /// Whether the second lets the job's request go on. This forge refuses a dead token itself, but then it was asked.
    fn passes(&self) -> bool {
        let before = self.count(factory::PACKAGE);
        assert_eq!(status(&self.second, WEB_JOB), Some(401));
        self.count(factory::PACKAGE) > before
    }

    /// On whichever worker of the second.
    fn passes_never(&self) -> bool {
        (0..8).all(|_| !self.passes())
    }
}

#[test]
fn the_other_envoy_serves_the_job_until_it_confirms_it_again() {
    let age = Duration::from_secs(5);
    let two = Two::after_an_end_at_the_first(&[("/bindings/revalidate_after", json!("5s"))]);
    assert!(two.passes());
    assert!(two.confirmed.elapsed() < age, "this machine is too slow to see it");
    thread::sleep(age.saturating_sub(two.confirmed.elapsed()) + Duration::from_millis(500));
    let asked = two.count("/api/v4/job");
    assert!(two.passes(), "the request that notices the age does not wait");
    wait_until("it asked the forge", Duration::from_secs(2), || two.count("/api/v4/job") > asked);
    wait_until("it has the answer", Duration::from_secs(2), || {
        let statistics = two.second.statistics("cluster.token-lookup.upstream_rq_active").unwrap();
        statistics.contains("upstream_rq_active: 0")
    });
    assert!(two.passes_never());
}

#[test]
fn the_other_envoy_refuses_the_job_as_soon_as_the_webhook_tells_it() {
    // Any variable that Envoy hands on may hold the secret; here it is the one that there is.
    let webhook = json!({"path": WEBHOOK, "secret_env": "JOBSCOPE_LOOKUP_TOKEN"});
    let two = Two::after_an_end_at_the_first(&[("/webhook", webhook), ("/bindings/revalidate_after", json!("4m"))]);
    assert!(two.passes());
    let report = r#"{"object_kind": "build", "build_id": 1001, "build_status": "success", "project_id": 101}"#;
    let told = send(&two.second, &format!("POST {WEBHOOK}"), &["X-Gitlab-Token: glpat-jobscope-lookup"], report);
    assert_eq!(told.status, Some(204), "{told:?}");
    assert!(two.passes_never());
}

#[test]
fn envoys_that_follow_the_list_of_ended_jobs_refuse_within_seconds_and_ask_once_each() {
    let soon = Duration::from_secs(3);
    let factory = Factory::start().unwrap();
    let filter =
        [("/lookup/api", json!("v1")), ("/lookup/changes", json!("on")), ("/bindings/revalidate_after", json!("4m"))];
    let envoys = [Ingress::start(factory.port(), &filter).unwrap(), Ingress::start(factory.port(), &filter).unwrap()];
    let both = Polls { open: 2, most: 2 };
    wait_until("both Envoys follow the list", Duration::from_secs(20), || factory.polls().open == 2);
    // Time enough for each of the workers to look whether it is the one that asks.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(factory.polls(), both);

    let start = || {
        let handed = send(&envoys[0], "POST /api/v4/jobs/request", &[], r#"{"token": "glrt-demo-runner"}"#);
        assert_eq!(handed.status, Some(201), "{handed:?}");
        let (job, token) = factory::handed_out(&handed.text()).unwrap();
        for envoy in &envoys {
            assert_eq!(status(envoy, &token), Some(200));
        }
        (job, token)
    };

    let (job, token) = start();
    let asked = factory.lookups();
    let end = json!({"token": token, "state": "success"}).to_string();
    assert_eq!(send(&envoys[0], &format!("PUT /api/v4/jobs/{job}"), &[], &end).status, Some(200));
    assert_refused(&envoys[0], &token);
    wait_until("the second knows of the end", soon, || status(&envoys[1], &token) == Some(401));
    assert_refused(&envoys[1], &token);
    assert_eq!(factory.lookups(), asked, "nobody looked the token up for that");

    // An end that no runner reported.
    let (job, token) = start();
    factory.end(job);
    for envoy in &envoys {
        wait_until("it knows of the end", soon, || status(envoy, &token) == Some(401));
    }
    wait_until("both follow on", soon, || factory.polls().open == 2);
    assert_eq!(factory.polls(), both);
}

#[test]
fn a_new_configuration_follows_the_list_on_and_asks_once_too() {
    let factory = Factory::start().unwrap();
    let filter = vec![("/lookup/api", json!("v1")), ("/lookup/changes", json!("on"))];
    let options = Options {
        registry: Registry::LeftOut,
        token_lookup: TokenLookup::At(factory.port()),
        filter: filter.clone(),
        delivery: Delivery::Listener,
        ..Options::picked()
    };
    let stack = Stack::start(&options).unwrap();
    let one = Polls { open: 1, most: 1 };
    wait_until("the Envoy follows the list", Duration::from_secs(20), || factory.polls() == one);
    for (exchange, mode) in ["observe", "enforce"].into_iter().enumerate() {
        stack.deliver(&[filter.clone(), vec![("/mode", json!(mode))]].concat(), None).unwrap();
        thread::sleep(Duration::from_secs(3));
        factory.end(exchange as u64 + 1);
        wait_until("it has heard and asks again", Duration::from_secs(15), || factory.polls() == one);
        thread::sleep(Duration::from_secs(2));
        assert_eq!(factory.polls(), one);
    }
}

//! Two real Envoys, the token-lookup service and a forge: what one Envoy learns, the other is told.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use host_tests::factory::{self, Factory, PACKAGE, handed_out, token_of};
use host_tests::fleet::{self, Fleet as Cluster};
use host_tests::stack::{Answer, Ingress, LookupService, Options, Registry, Setup, Stack, TokenLookup, WORKERS};
use serde_json::{Value, json};

/// How many jobs end.
const JOBS: u64 = 20;

/// How soon the other Envoy refuses a job that ended.
const SOON: Duration = Duration::from_millis(1500);

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn package(token: &str) -> Vec<u8> {
    request(&format!("GET {PACKAGE}"), &format!("JOB-TOKEN: {token}\r\n"), "")
}

const PATIENCE: Duration = Duration::from_secs(20);

/// No confirmation tells of an end.
fn lasting() -> Vec<(&'static str, Value)> {
    let ages = json!({"projects_revalidate_after": "4m", "members_revalidate_after": "4m", "allowlists_revalidate_after": "4m"});
    vec![("/bindings/revalidate_after", json!("4m")), ("/facts", ages)]
}

/// Two Envoys that ask one service, which asks the forge.
struct Fleet {
    first: Stack,
    second: Ingress,
    service: LookupService,
}

impl Fleet {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut filter = lasting();
        filter.extend([("/lookup/api", json!("v1")), ("/lookup/changes", json!("on"))]);
        let options = Options {
            registry: Registry::LeftOut,
            token_lookup: TokenLookup::At(port),
            filter: filter.clone(),
            ..Options::picked()
        };
        let first = Stack::start(&options).unwrap();
        let service = LookupService::start(port, first.forge().port()).unwrap();
        let setup = Setup {
            forge: first.forge().port(),
            registry: first.forge().port(),
            token_lookup: port,
            workers: WORKERS,
            filter: &filter,
            change: &|_| Ok(()),
        };
        let second = Ingress::set_up(&setup).unwrap();
        let fleet = Self { first, second, service };
        let begin = Instant::now();
        while !fleet.service.metrics().unwrap().lines().any(|line| line == "jobscope_lookup_polls 2") {
            assert!(begin.elapsed() < Duration::from_secs(30), "both follow: {}", fleet.service.metrics().unwrap());
            thread::sleep(Duration::from_millis(50));
        }
        fleet
    }

    fn at_first(&self, request: &[u8]) -> Answer {
        self.first.raw(request, PATIENCE).unwrap()
    }

    fn at_second(&self, request: &[u8]) -> Answer {
        self.second.raw(request, PATIENCE).unwrap()
    }

    /// What the forge was asked, but for the package itself.
    fn lookups(&self) -> Vec<String> {
        let requests = self.first.forge().requests().unwrap();
        let targets = requests.iter().filter_map(|request| request["target"].as_str());
        targets.filter(|target| *target != PACKAGE).map(str::to_owned).collect()
    }
}

#[test]
fn what_one_envoy_learns_costs_the_forge_no_second_call_and_an_end_that_it_sees_is_refused_by_the_other() {
    let fleet = Fleet::start();
    let forge = fleet.first.forge();
    let mut took: Vec<Duration> = Vec::new();
    for number in 0..JOBS {
        forge.leave_job("apps/web", "dana", &format!("glcbt-64_fleet{number:08}"), &json!({})).unwrap();
        let handed = fleet.at_first(&request("POST /api/v4/jobs/request", "", r#"{"token": "glrt-demo-runner"}"#));
        assert_eq!(handed.status, Some(201), "{handed:?}");
        let (job, token) = handed_out(&handed.text()).unwrap();
        assert_eq!(fleet.at_first(&package(&token)).status, Some(200));

        forge.forget_requests().unwrap();
        assert_eq!(fleet.at_second(&package(&token)).status, Some(200));
        assert_eq!(fleet.lookups(), Vec::<String>::new(), "all of it is known to the service");

        let end = json!({"token": token, "state": "success"}).to_string();
        let ended = fleet.at_first(&request(&format!("PUT /api/v4/jobs/{job}"), "", &end));
        assert_eq!(ended.status, Some(200), "{ended:?}");
        let begin = Instant::now();
        forge.forget_requests().unwrap();
        // This forge refuses the token as well; the filter does when the forge is no longer asked.
        loop {
            let passed = forge.requests().unwrap().len();
            assert_eq!(fleet.at_second(&package(&token)).status, Some(401));
            if forge.requests().unwrap().len() == passed {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "the second Envoy never hears of it");
            thread::sleep(Duration::from_millis(10));
        }
        took.push(begin.elapsed());
        for _ in 0..4 {
            assert_eq!(fleet.at_second(&package(&token)).status, Some(401));
        }
        assert!(fleet.lookups().iter().all(|target| !target.ends_with("/job")), "nobody looked the token up for that");
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], *took.last().unwrap());
    println!("an end reported through one Envoy is refused by the other: p50 {median:?}, worst of {JOBS} {worst:?}");
    assert!(worst < SOON, "{took:?}");
    let metrics = fleet.service.metrics().unwrap();
    assert!(metrics.contains(&format!("jobscope_lookup_ends_total{{source=\"report\"}} {JOBS}")), "{metrics}");
}

/// What a job gets that reads a package; the forge lets everybody read.
fn reads(envoy: &Ingress, job: u64) -> Option<u16> {
    let path = factory::package(job, 0);
    envoy
        .raw(&request(&format!("GET {path}"), &format!("JOB-TOKEN: {}\r\n", token_of(job)), ""), PATIENCE)
        .unwrap()
        .status
}

/// How soon the other Envoy hears of an end through a failover: sooner than a poll's time is over.
const FAILOVER: Duration = Duration::from_secs(20);

/// Has a job end behind one Envoy, and says how long it takes until the other refuses it.
fn end(cluster: &Cluster, job: u64) -> Duration {
    let [first, second] = cluster.envoys() else { panic!("two Envoys") };
    let read = |envoy: &Ingress| reads(envoy, job);
    assert_eq!([first, second].map(read), [Some(200); 2]);
    let report = json!({"token": token_of(job), "state": "success"}).to_string();
    let ended = first.raw(&request(&format!("PUT /api/v4/jobs/{job}"), "", &report), PATIENCE).unwrap();
    assert_eq!(ended.status, Some(200), "{ended:?}");
    let begin = Instant::now();
    while read(second) != Some(401) {
        assert!(begin.elapsed() < FAILOVER, "the second Envoy never hears of {job}");
        thread::sleep(Duration::from_millis(10));
    }
    begin.elapsed()
}

#[test]
fn through_the_death_of_redis_master_an_end_still_comes_from_one_envoy_to_the_other() {
    let forge = Factory::start().unwrap();
    let mut cluster = Cluster::start(fleet::LIVE, forge.port(), &lasting(), &json!({})).unwrap();
    end(&cluster, 1);
    cluster.kill_master();
    let took = end(&cluster, 2);
    println!("through a failover of Redis an end is refused by the other Envoy after {took:?}");
    let took = end(&cluster, 3);
    println!("and the next after {took:?}");
    assert_eq!(reads(&cluster.envoys()[1], 1), Some(401), "an older end holds");
}

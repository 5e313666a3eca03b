//! Crowds before a real Envoy with one worker: whoever waits gets an answer of its own, whole and in time, and whoever does
//! something else does not notice.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::stack::{Ingress, Setup};
use host_tests::traffic::{Answer, Body, Echo, Fault, Http1, Http2, Lookups, Request, Seen, raise_descriptors, sha256};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// `lookup.timeout` where the lookup never answers.
const TIMEOUT: Duration = Duration::from_secs(2);
/// After how long a held body that does not come is given up.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// What a crowd takes besides on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);
/// And what each of a crowd takes.
const EACH: Duration = Duration::from_millis(1);
/// When a client gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many streams of a connection are used; Envoy may allow no more.
const STREAMS: usize = 100;

const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";
const DIRECT: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/direct.txt";
const SAID_BY_THE_ROUTE: &str = "said by the route";

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    async fn send(self, port: u16, request: &Request, patience: Duration) -> Result<Answer, Fault> {
        match self {
            Self::Http1 => Http1::open(port).await?.send(request, patience).await,
            Self::Http2 => Http2::open(port).await?.send(request, patience).await,
        }
    }
}

/// Envoy between clients, an upstream and a lookup service.
struct Scene {
    ingress: Ingress,
    lookups: Lookups,
}

impl Scene {
    /// A job is known: [`KNOWN`].
    async fn new(timeout: Duration) -> Self {
        raise_descriptors().unwrap();
        let (echo, lookups) = (Echo::start().await.unwrap(), Lookups::start().await.unwrap());
        let ingress = Ingress::set_up(&Setup {
            forge: echo.port(),
            registry: echo.port(),
            token_lookup: lookups.port(),
            workers: 1,
            filter: &[
                ("/lookup/api", json!("v1")),
                ("/lookup/timeout", json!(format!("{}s", timeout.as_secs()))),
                ("/lookup/max_unknown_per_second", json!(100_000)),
                ("/lookup/max_unknown_per_source", json!(100_000)),
            ],
            change: answer_by_a_route,
        })
        .unwrap();
        let scene = Self { ingress, lookups };
        scene.assert_served().await;
        scene
    }

    fn request(&self, method: &'static str, path: &str, fields: Vec<(&'static str, String)>, body: Body) -> Request {
        Request { method, host: format!("127.0.0.1:{}", self.ingress.port()), path: path.to_owned(), fields, body }
    }

    /// A job's request number `i`, in one of the protocols whose answers differ.
    fn of_job(&self, i: usize, token: &str) -> Request {
        let (path, fields) = match i % 3 {
            0 => (PACKAGE, ("job-token", token.to_owned())),
            1 => ("/libs/common.git/info/refs?service=git-upload-pack", basic("gitlab-ci-token", token)),
            _ => (
                "/jwt/auth?service=container_registry&scope=repository:libs/common:pull",
                basic("gitlab-ci-token", token),
            ),
        };
        self.request("GET", path, vec![fields], Body::none())
    }

    /// Sends all requests at once.
    fn send(&self, protocol: Protocol, requests: Vec<Request>) -> Crowd {
        let port = self.ingress.port();
        let mut clients = JoinSet::new();
        match protocol {
            Protocol::Http1 => {
                for (i, request) in requests.into_iter().enumerate() {
                    clients.spawn(async move { vec![(i, protocol.send(port, &request, PATIENCE).await)] });
                }
            }
            Protocol::Http2 => {
                for (n, streams) in requests.chunks(STREAMS).enumerate() {
                    let streams = streams.to_vec();
                    clients.spawn(async move {
                        let connection = match Http2::open(port).await {
                            Ok(connection) => connection,
                            Err(fault) => return vec![(n * STREAMS, Err(fault))],
                        };
                        let mut answers = JoinSet::new();
                        for (i, request) in streams.into_iter().enumerate() {
                            let connection = connection.clone();
                            answers.spawn(async move { (n * STREAMS + i, connection.send(&request, PATIENCE).await) });
                        }
                        answers.join_all().await
                    });
                }
            }
        }
        Crowd(clients)
    }

    /// Returns when Envoy has had so many requests.
    async fn arrived(&self, count: u64) {
        for _ in 0..500 {
            let statistics = self.ingress.statistics("http.ingress.downstream_rq_total").unwrap();
            let total = statistics.trim().rsplit(' ').next().and_then(|total| total.parse::<u64>().ok());
            if total.unwrap_or_default() >= count {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("{count} requests did not arrive");
    }

    /// A person and a known job are served at once.
    async fn assert_served(&self) {
        for field in [("job-token", Lookups::running(KNOWN)), ("private-token", "glpat-dana".to_owned())] {
            let request = self.request("GET", PACKAGE, vec![field], Body::none());
            let answer = Http1::open(self.ingress.port()).await.unwrap().send(&request, MARGIN).await;
            assert_eq!(answer.as_ref().map(|answer| answer.status), Ok(200), "{answer:?}");
        }
    }

    /// Everybody got what is due, and the filter never failed; returns how many answers of each status the crowd got.
    async fn end(self, crowd: Crowd, bystanders: Bystanders, due: Due<impl Fn(usize, &Answer) -> bool>) -> Statuses {
        let (statuses, mut wrong) = crowd.answered(due).await;
        for complaint in bystanders.0.join_all().await.into_iter().flatten() {
            *wrong.entry(complaint).or_default() += 1;
        }
        let log = self.ingress.log().unwrap();
        for line in log.lines().filter_map(|line| line.split_once("Function: ")) {
            *wrong.entry(format!("in Envoy's log: {}", line.1)).or_default() += 1;
        }
        for line in self.ingress.statistics("vm_reload").unwrap().lines().filter(|line| !line.ends_with(": 0")) {
            *wrong.entry(line.to_owned()).or_default() += 1;
        }
        assert!(wrong.is_empty(), "{statuses:?} are right, and: {wrong:#?}");
        self.assert_served().await;
        statuses
    }
}

/// How many answers of each status.
type Statuses = BTreeMap<u16, usize>;

/// What a crowd must get.
struct Due<F> {
    within: Duration,
    is_right: F,
}

/// The number of a job that is known before the crowd comes.
const KNOWN: u64 = 0;

fn answer_by_a_route(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let routes = envoy.pointer_mut(&format!("{manager}/route_config/virtual_hosts/0/routes")).unwrap();
    routes.as_array_mut().unwrap().insert(
        0,
        json!({"match": {"path": DIRECT}, "direct_response": {"status": 200, "body": {"inline_string": SAID_BY_THE_ROUTE}}}),
    );
}

fn basic(user: &str, password: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// Clients that wait.
struct Crowd(JoinSet<Vec<(usize, Result<Answer, Fault>)>>);

impl Crowd {
    /// How many right answers there were of each status, and how many clients did not get one of their own in time, and
    /// what they got.
    async fn answered(
        self,
        Due { within, is_right }: Due<impl Fn(usize, &Answer) -> bool>,
    ) -> (Statuses, BTreeMap<String, usize>) {
        let (mut statuses, mut wrong, mut decisions) =
            (Statuses::new(), BTreeMap::<String, usize>::new(), HashSet::new());
        for (i, answer) in self.0.join_all().await.into_iter().flatten() {
            let complaint = match &answer {
                Err(fault) => fault.to_string(),
                Ok(answer) if answer.took > within => format!("{} too late", answer.status),
                Ok(answer) if !is_right(i, answer) => format!("{} `{}`", answer.status, answer.text()),
                Ok(answer) if !answer.field("x-jobscope-decision").is_none_or(|id| decisions.insert(id.to_owned())) => {
                    "somebody else's answer".to_owned()
                }
                Ok(answer) => {
                    *statuses.entry(answer.status).or_default() += 1;
                    continue;
                }
            };
            *wrong.entry(complaint.chars().take(200).collect()).or_default() += 1;
        }
        (statuses, wrong)
    }
}

/// The refusal of request `i` of [`Scene::of_job`], in its protocol's form.
fn is_refusal(i: usize, answer: &Answer) -> bool {
    let json = serde_json::from_slice::<Value>(&answer.body).ok();
    match i % 3 {
        0 => json.is_some_and(|json| json["message"].is_string() || json["error"].is_string()),
        1 => json.is_none() && answer.text().ends_with('\n'),
        _ => json.is_some_and(|json| json["errors"].is_array()),
    }
}

/// Others, who push, upload and download for a while, each in both protocols, and what they complain about.
struct Bystanders(JoinSet<Option<String>>);

impl Bystanders {
    fn begin(scene: &Scene, time: Duration) -> Self {
        let content = Bytes::from((0..1_u32 << 20).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
        let pieces = (time.as_millis() / 50) as usize;
        let body = Body::slow(&content, pieces, time).chunked();
        let (order, downloaded) = Echo::download(pieces);
        let person = basic("dana", "dana-password");
        let job = ("job-token", Lookups::running(KNOWN));
        let push = ("content-type", "application/x-git-receive-pack-request".to_owned());
        let requests = [
            scene.request("POST", "/libs/common.git/git-receive-pack", vec![person.clone(), push], body.clone()),
            scene.request("PUT", PACKAGE, vec![job.clone()], body),
            scene.request("GET", PACKAGE, vec![person, order.clone()], Body::none()),
            scene.request("GET", PACKAGE, vec![job, order], Body::none()),
        ];
        let (port, sent) = (scene.ingress.port(), sha256(&content));
        let mut clients = JoinSet::new();
        for request in requests {
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let (request, sent, downloaded) = (request.clone(), sent.clone(), downloaded.clone());
                clients.spawn(async move {
                    let answer = protocol.send(port, &request, time + PATIENCE).await;
                    let complaint = match answer {
                        Err(fault) => fault.to_string(),
                        Ok(answer) if answer.status != 200 => format!("{answer:?}"),
                        Ok(answer) if request.method == "GET" && answer.body == downloaded => return None,
                        Ok(answer) => match serde_json::from_slice::<Seen>(&answer.body) {
                            Ok(seen) if seen.sha256 == sent => return None,
                            Ok(_) | Err(_) => format!("{} other bytes", answer.body.len()),
                        },
                    };
                    Some(format!("a bystander's {} over {protocol:?}: {complaint}", request.method))
                });
            }
        }
        Self(clients)
    }
}

/// A crowd whose lookup never answers: half of it with one token, half with many.
async fn outage(protocol: Protocol, size: usize) {
    let scene = Scene::new(TIMEOUT).await;
    scene.lookups.fall_silent();
    let bystanders = Bystanders::begin(&scene, TIMEOUT * 2);
    let token = |i: usize| Lookups::running(if i < size / 2 { 1 } else { i as u64 });
    let requests = (0..size).map(|i| scene.of_job(i, &token(i))).collect();
    let crowd = scene.send(protocol, requests);
    let is_right = |i, answer: &Answer| answer.status == 503 && is_refusal(i, answer);
    let statuses = scene.end(crowd, bystanders, Due { within: TIMEOUT + MARGIN + EACH * size as u32, is_right }).await;
    assert_eq!(statuses, Statuses::from([(503, size)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_in_an_outage_each_get_their_answer() {
    outage(Protocol::Http2, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_connections_in_an_outage_each_get_their_answer() {
    outage(Protocol::Http1, 2_000).await;
}

/// A crowd that waits for one token, until the lookup does what `then` says.
async fn one_token(
    protocol: Protocol,
    requests: impl Fn(&Scene) -> Vec<Request>,
    then: impl Fn(&Lookups),
    is_right: impl Fn(usize, &Answer) -> bool,
) -> Statuses {
    let scene = Scene::new(Duration::from_secs(20)).await;
    scene.lookups.fall_silent();
    let bystanders = Bystanders::begin(&scene, Duration::from_secs(4));
    let asked = scene.lookups.tokens_asked();
    let requests = requests(&scene);
    // Those before them: two at the beginning, and the bystanders.
    let count = requests.len() + 2 + bystanders.0.len();
    let crowd = scene.send(protocol, requests);
    scene.arrived(count as u64).await;
    then(&scene.lookups);
    let lookups = scene.lookups.clone();
    let statuses = scene.end(crowd, bystanders, Due { within: Duration::from_secs(20), is_right }).await;
    assert_eq!(lookups.tokens_asked() - asked, 1, "it is one token");
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_of_one_junk_token_are_one_lookup_and_as_many_answers() {
    let junk = |scene: &Scene| (0..1_000).map(|i| scene.of_job(i, "glcbt-64_neverGivenOut0000")).collect();
    let refused = |i, answer: &Answer| matches!(answer.status, 401 | 503) && is_refusal(i, answer);
    let statuses = one_token(Protocol::Http2, junk, Lookups::answer, refused).await;
    assert!(statuses.contains_key(&401), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_that_fails_for_a_thousand_connections_fails_for_each() {
    let many = |scene: &Scene| (0..1_000).map(|i| scene.of_job(i, &Lookups::running(1))).collect();
    let failed = |i, answer: &Answer| answer.status == 503 && is_refusal(i, answer);
    one_token(Protocol::Http1, many, Lookups::break_down, failed).await;
}

/// Packages that a job asks for, each with a number that the upstream repeats.
fn packages(scene: &Scene, path: &str, count: usize) -> Vec<Request> {
    let fields = |i: usize| vec![("job-token", Lookups::running(1)), ("x-number", i.to_string())];
    (0..count).map(|i| scene.request("GET", path, fields(i), Body::none())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_wait_for_one_good_token_are_all_served() {
    for protocol in [Protocol::Http2, Protocol::Http1] {
        let served = |i: usize, answer: &Answer| {
            let seen = serde_json::from_slice::<Seen>(&answer.body);
            seen.is_ok_and(|seen| seen.fields["x-number"] == i.to_string())
        };
        let statuses = one_token(protocol, |scene| packages(scene, PACKAGE, 1_000), Lookups::answer, served).await;
        assert_eq!(statuses, Statuses::from([(200, 1_000)]), "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_whose_route_answers_by_itself_are_all_answered() {
    for protocol in [Protocol::Http2, Protocol::Http1] {
        let said = |_, answer: &Answer| answer.text() == SAID_BY_THE_ROUTE;
        let statuses = one_token(protocol, |scene| packages(scene, DIRECT, 1_000), Lookups::answer, said).await;
        assert_eq!(statuses, Statuses::from([(200, 1_000)]), "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_bodies_that_never_come_are_given_up_one_by_one() {
    const SIZE: usize = 2_000;
    let scene = Scene::new(TIMEOUT).await;
    let bystanders = Bystanders::begin(&scene, BODY_PATIENCE + Duration::from_secs(2));
    let batch = |_| {
        let json = "application/vnd.git-lfs+json".to_owned();
        let fields = vec![basic("gitlab-ci-token", &Lookups::running(KNOWN)), ("content-type", json)];
        scene.request("POST", "/libs/common.git/info/lfs/objects/batch", fields, Body::never())
    };
    let requests = (0..SIZE).map(batch).collect();
    let crowd = scene.send(Protocol::Http2, requests);
    let given_up = |_, answer: &Answer| {
        matches!(answer.status, 408 | 503) && serde_json::from_slice::<Value>(&answer.body).is_ok()
    };
    let statuses = scene.end(crowd, bystanders, Due { within: BODY_PATIENCE + MARGIN, is_right: given_up }).await;
    assert!(statuses.contains_key(&408), "{statuses:?}");
}

//! Envoy between a crowd, those beside it, an upstream and a lookup service.

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

use super::{DIRECT, MARGIN, PACKAGE, PATIENCE, SAID_BY_THE_ROUTE, STREAMS};

#[derive(Clone, Copy, Debug)]
pub enum Protocol {
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
pub struct Scene {
    pub ingress: Ingress,
    pub lookups: Lookups,
}

impl Scene {
    /// A job is known: [`KNOWN`].
    pub async fn new(timeout: Duration) -> Self {
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
            change: &|envoy| {
                answer_by_a_route(envoy);
                Ok(())
            },
        })
        .unwrap();
        let scene = Self { ingress, lookups };
        scene.assert_served().await;
        scene
    }

    pub fn request(
        &self,
        method: &'static str,
        path: &str,
        fields: Vec<(&'static str, String)>,
        body: Body,
    ) -> Request {
        Request { method, host: format!("127.0.0.1:{}", self.ingress.port()), path: path.to_owned(), fields, body }
    }

    /// A job's request number `i`, in one of the protocols whose answers differ.
    pub fn of_job(&self, i: usize, token: &str) -> Request {
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
    pub fn send(&self, protocol: Protocol, requests: Vec<Request>) -> Crowd {
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

    /// Sends one request after the other, each over a connection of its own.
    pub fn send_every(&self, pause: Duration, requests: Vec<Request>) -> Crowd {
        let port = self.ingress.port();
        let mut clients = JoinSet::new();
        for ((i, request), turn) in requests.into_iter().enumerate().zip(0..) {
            clients.spawn(async move {
                sleep(pause * turn).await;
                vec![(i, Protocol::Http1.send(port, &request, PATIENCE).await)]
            });
        }
        Crowd(clients)
    }

    /// Returns when Envoy has had so many requests.
    pub async fn arrived(&self, count: u64) {
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
    pub async fn assert_served(&self) {
        for field in [("job-token", Lookups::running(KNOWN)), ("private-token", "glpat-dana".to_owned())] {
            let request = self.request("GET", PACKAGE, vec![field], Body::none());
            let answer = Http1::open(self.ingress.port()).await.unwrap().send(&request, MARGIN).await;
            assert_eq!(answer.as_ref().map(|answer| answer.status), Ok(200), "{answer:?}");
        }
    }

    /// Everybody got what is due, and the filter never failed; returns how many answers of each status the crowd got.
    pub async fn end(
        &self,
        crowd: Crowd,
        bystanders: Bystanders,
        due: Due<impl Fn(usize, &Answer) -> bool>,
    ) -> Statuses {
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
pub type Statuses = BTreeMap<u16, usize>;

/// What a crowd must get.
pub struct Due<F> {
    pub within: Duration,
    pub is_right: F,
}

/// The number of a job that is known before the crowd comes.
pub const KNOWN: u64 = 0;

fn answer_by_a_route(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let routes = envoy.pointer_mut(&format!("{manager}/route_config/virtual_hosts/0/routes")).unwrap();
    routes.as_array_mut().unwrap().insert(
        0,
        json!({"match": {"path": DIRECT}, "direct_response": {"status": 200, "body": {"inline_string": SAID_BY_THE_ROUTE}}}),
    );
}

pub fn basic(user: &str, password: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// Clients that wait.
pub struct Crowd(JoinSet<Vec<(usize, Result<Answer, Fault>)>>);

impl Crowd {
    /// How many right answers there were of each status, and how many clients did not get one of their own in time, and
    /// what they got.
    pub async fn answered(
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

/// Others, who push, upload and download for a while, each in both protocols, and what they complain about.
pub struct Bystanders(pub JoinSet<Option<String>>);

impl Bystanders {
    pub fn begin(scene: &Scene, time: Duration) -> Self {
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

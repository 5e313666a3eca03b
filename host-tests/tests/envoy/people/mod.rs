//! People's requests through a real Envoy: each passes as it was sent and takes its own time, whatever its credential,
//! method, path, type, size and speed. There is no exception.

mod bodies;
mod failures;

use std::time::Duration;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bodies::{ODD, SIZES, TYPES};
use failures::Failures;
use host_tests::stack::{Ingress, Setup};
use host_tests::traffic::{Answer, Body, Echo, Fault, Http1, Request, Seen, raise_descriptors, sha256};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long a slow client takes for its body.
const SLOW: Duration = Duration::from_secs(12);
/// What a request may take besides its own time and what [`CONTROL`] takes: less than a held body is waited for.
const MARGIN: Duration = Duration::from_secs(8);
/// The time between two slow clients: together they would be more than a machine can take up at a time.
const PACE: Duration = Duration::from_millis(2);
/// When a client gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The place that the filter has nothing to do with: how busy the machine is.
const CONTROL: &str = "a neighbour";
/// How many quick clients there are at a time.
const CLIENTS: usize = 24;

/// A credential of a person's: its name, and what of it stands in the head or the query.
const CARRIERS: [(&str, Credential); 10] = [
    ("none", Credential::None),
    ("PRIVATE-TOKEN", Credential::Field("private-token", "glpat-dana")),
    ("Bearer", Credential::Field("authorization", "Bearer glpat-dana")),
    ("Basic password", Credential::Basic("dana:dana-password")),
    ("Basic token", Credential::Basic("oauth2:glpat-dana")),
    ("Deploy-Token", Credential::Field("deploy-token", "gldt-dana")),
    ("session", Credential::Field("cookie", "_gitlab_session=0123456789abcdef; theme=dark")),
    ("?private_token", Credential::Query("private_token=glpat-dana")),
    ("?access_token", Credential::Query("access_token=glpat-dana")),
    ("X-NuGet-ApiKey", Credential::Field("x-nuget-apikey", "glpat-dana")),
];

#[derive(Clone, Copy)]
enum Credential {
    None,
    Field(&'static str, &'static str),
    Basic(&'static str),
    Query(&'static str),
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Where a request goes: a name, the host, and a path for each of [`METHODS`].
const PLACES: [(&str, Host, [&str; 5]); 10] = [
    (
        "a listed endpoint",
        Host::Forge,
        [
            "/api/v4/projects/102/releases",
            "/api/v4/projects/102/trigger/pipeline",
            "/api/v4/projects/102/releases/v1",
            "/api/v4/jobs/1001/trace",
            "/api/v4/projects/102/releases/v1",
        ],
    ),
    (
        "a package registry",
        Host::Forge,
        [
            "/api/v4/projects/102/packages/generic/tool/1.0/tool.zip",
            "/api/v4/projects/102/packages/pypi",
            "/api/v4/projects/102/packages/maven/org/tool/1.0/tool-1.0.jar",
            "/api/v4/projects/102/packages/generic/tool/1.0/tool.zip",
            "/api/v4/projects/102/packages/7",
        ],
    ),
    (
        "another method of a listed path",
        Host::Forge,
        [
            "/api/v4/projects/102/trigger/pipeline",
            "/api/v4/projects/102/repository/files/a%2Eb",
            "/api/v4/projects/102/repository/files/a.b",
            "/api/v4/projects/102/releases",
            "/api/v4/projects/102/jobs/7/trace",
        ],
    ),
    ("an endpoint for people", Host::Forge, ["/api/v4/projects/102/issues"; 5]),
    ("an internal endpoint", Host::Forge, ["/api/v4/internal/allowed"; 5]),
    ("GraphQL", Host::Forge, ["/api/graphql"; 5]),
    (
        "Git and LFS",
        Host::Forge,
        [
            "/libs/common.git/info/refs?service=git-upload-pack",
            "/libs/common.git/git-receive-pack",
            "/libs/common.git/gitlab-lfs/objects/98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4/3145728",
            "/libs/common.git/info/lfs/locks",
            "/libs/common.git/info/lfs/locks/7",
        ],
    ),
    ("a page", Host::Forge, ["/libs/common/-/issues/new"; 5]),
    ("the registry", Host::Registry, ["/v2/libs/common/blobs/uploads/6b3c9a93-af5d-473f-a4cd-9710022185cd"; 5]),
    (CONTROL, Host::Neighbour, ["/api/v4/projects/102/trigger/pipeline"; 5]),
];

/// The places where a job's token in a body would be used: there a slow body may be read before its head goes on, as long
/// as that takes no more than its own time.
const READ: [&str; 4] =
    ["a listed endpoint", "a package registry", "another method of a listed path", "an endpoint for people"];

/// What SECURITY.md says is refused there, because to let it pass would open a door: a packed body of somebody who does
/// not say who it is.
const REFUSED: (u16, &[&str], &str) = (415, &["gzip JSON", "a gzip form"], "none");

#[derive(Clone, Copy)]
enum Host {
    Forge,
    Registry,
    Neighbour,
}

impl Host {
    fn name(self) -> &'static str {
        match self {
            Self::Forge => "127.0.0.1",
            Self::Registry => "localhost",
            Self::Neighbour => "neighbour.test",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Speed {
    Fast,
    /// At once, and without saying how long it is.
    Chunked,
    Slow,
}

/// A person's request, in words and in bytes.
#[derive(Clone)]
struct Case {
    carrier: &'static str,
    method: &'static str,
    place: &'static str,
    content: &'static str,
    size: &'static str,
    speed: Speed,
    request: Request,
    sha256: String,
}

/// The whole product, but that a large body has one of the three speeds, in turn; and people's odder bodies.
fn cases() -> Vec<Case> {
    let mut turns = [Speed::Fast, Speed::Chunked, Speed::Slow].into_iter().cycle();
    let mut cases = Vec::new();
    let contents: Vec<_> = TYPES
        .iter()
        .flat_map(|content| SIZES.map(|(size, bytes)| (content.name, size, content.fields, content.make(bytes))))
        .map(|(name, size, fields, body)| (name, size, fields, sha256(&body), body))
        .collect();
    let odd: Vec<_> =
        ODD.iter().map(|odd| (odd.name, "odd", odd.fields, sha256(odd.body), Bytes::from_static(odd.body))).collect();
    for (carrier, credential) in CARRIERS {
        for (place, host, paths) in PLACES {
            for (method, path) in METHODS.into_iter().zip(paths) {
                for (content, size, fields, sha256, body) in contents.iter().chain(&odd) {
                    let speeds = match *size {
                        "0" => vec![Speed::Fast],
                        "100 B" => vec![Speed::Fast, Speed::Slow],
                        "odd" if matches!(method, "POST" | "PUT") => vec![Speed::Fast],
                        "odd" => Vec::new(),
                        _ => turns.next().into_iter().collect(),
                    };
                    for speed in speeds {
                        let request = request(credential, method, (host, path), fields, body, speed);
                        let sha256 = sha256.clone();
                        cases.push(Case { carrier, method, place, content, size, speed, request, sha256 });
                    }
                }
            }
        }
    }
    cases
}

fn request(
    credential: Credential,
    method: &'static str,
    (host, path): (Host, &str),
    fields: &[(&'static str, &'static str)],
    body: &Bytes,
    speed: Speed,
) -> Request {
    let mut fields: Vec<_> = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let mut path = path.to_owned();
    match credential {
        Credential::None => {}
        Credential::Field(name, value) => fields.push((name, value.to_owned())),
        Credential::Basic(text) => fields.push(("authorization", format!("Basic {}", STANDARD.encode(text)))),
        Credential::Query(query) => {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(query);
        }
    }
    let body = match speed {
        Speed::Fast if body.is_empty() && matches!(method, "GET" | "DELETE") => Body::none(),
        Speed::Fast => Body::whole(body.clone()),
        Speed::Chunked => Body::whole(body.clone()).chunked(),
        Speed::Slow => Body::slow(body, 3, SLOW),
    };
    Request { method, host: host.name().to_owned(), path, fields, body }
}

impl Case {
    /// Whether the request was not refused, but found no connection or was passed on late.
    fn may_be_delayed(&self, answer: &Result<Answer, Fault>) -> bool {
        match answer {
            Err(_) => true,
            Ok(answer) if answer.status == 200 => self.judge(answer).is_ok_and(|seen| self.was_held(&seen)),
            Ok(answer) => answer.text().starts_with("upstream connect error"),
        }
    }

    /// What the answer took besides the request's own time.
    fn extra(&self, answer: &Answer) -> Duration {
        answer.took.saturating_sub(if self.speed == Speed::Slow { SLOW } else { Duration::ZERO })
    }

    /// Whether a slow request reached the upstream when more than half of it was there, and not at once.
    fn was_held(&self, seen: &Seen) -> bool {
        self.speed == Speed::Slow && Duration::from_millis(seen.body_ms) < SLOW / 2
    }

    /// Complains where the request did not pass as it was sent.
    fn is_refused(&self) -> bool {
        READ.contains(&self.place) && REFUSED.1.contains(&self.content) && self.carrier == REFUSED.2
    }

    fn judge(&self, answer: &Answer) -> Result<Seen, String> {
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.text().trim()));
        }
        let seen: Seen = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        if (seen.method.as_str(), seen.path.as_str()) != (self.request.method, self.request.path.as_str()) {
            return Err(format!("it became {} {}", seen.method, seen.path));
        }
        for (name, value) in &self.request.fields {
            if seen.fields.get(*name) != Some(value) {
                return Err(format!("`{name}` became {:?}", seen.fields.get(*name)));
            }
        }
        let is_ours = |name: &str| self.request.fields.iter().any(|(ours, _)| *ours == name);
        if let Some(added) = seen.fields.keys().find(|name| !is_ours(name) && !is_envoys(name)) {
            return Err(format!("`{added}` was added"));
        }
        if seen.sha256 != self.sha256 {
            return Err(format!("the body became {} bytes", seen.length));
        }
        Ok(seen)
    }
}

/// What Envoy and the framing add.
fn is_envoys(name: &str) -> bool {
    name.starts_with("x-envoy-")
        || matches!(
            name,
            "host" | "content-length" | "transfer-encoding" | "x-forwarded-for" | "x-forwarded-proto" | "x-request-id"
        )
}

/// A neighbour of the forge's, with which the filter has nothing to do.
fn with_neighbour(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let hosts = envoy.pointer_mut(&format!("{manager}/route_config/virtual_hosts")).unwrap();
    let neighbour = json!({"name": "neighbour", "domains": [Host::Neighbour.name()],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "forge", "timeout": "0s"}}]});
    hosts.as_array_mut().unwrap().push(neighbour);
}

/// Sends all; and those again that a busy machine may have delayed, when it has less to do. What the filter delays, it
/// delays each time.
async fn send_patiently(port: u16, cases: Vec<Case>) -> Vec<(Case, Result<Answer, Fault>)> {
    let mut all = send_all(port, cases).await;
    let delayed: Vec<_> =
        all.extract_if(.., |(case, answer)| case.may_be_delayed(answer)).map(|(case, _)| case).collect();
    all.extend(send_all(port, delayed).await);
    all
}

/// Sends the slow ones one after another, so that all are under way at once, and the others meanwhile by a few clients that keep their connections.
async fn send_all(port: u16, cases: Vec<Case>) -> Vec<(Case, Result<Answer, Fault>)> {
    let count = cases.len();
    let (slow, quick): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.speed == Speed::Slow);
    let (answered, mut answers) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for (case, nth) in slow.into_iter().zip(0..) {
        let answered = answered.clone();
        clients.spawn(async move {
            sleep(PACE * nth).await;
            let answer = async { Http1::open(port).await?.send(&case.request, PATIENCE).await }.await;
            let _ = answered.send((case, answer));
        });
    }
    for nth in 0..CLIENTS {
        let share: Vec<Case> = quick.iter().skip(nth).step_by(CLIENTS).cloned().collect();
        let answered = answered.clone();
        clients.spawn(async move {
            let mut connection = None;
            for case in share {
                let answer = async {
                    let mut kept = match connection.take() {
                        Some(kept) => kept,
                        None => Http1::open(port).await?,
                    };
                    let answer = kept.send(&case.request, PATIENCE).await?;
                    // An answer that came early leaves a request half sent.
                    connection = (answer.status == 200).then_some(kept);
                    Ok(answer)
                };
                let answer = answer.await;
                let _ = answered.send((case, answer));
            }
        });
    }
    drop(answered);
    let mut all = Vec::with_capacity(count);
    while let Some(answer) = answers.recv().await {
        all.push(answer);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_persons_request_passes_as_it_was_sent_in_its_own_time() {
    let security = include_str!("../../../../SECURITY.md");
    assert!(security.contains("it has a `Content-Encoding` and nothing that says who sends it"), "SECURITY.md");
    raise_descriptors().unwrap();
    let echo = Echo::start().await.unwrap();
    let ingress = Ingress::set_up(&Setup {
        forge: echo.port(),
        registry: echo.port(),
        token_lookup: echo.port(),
        workers: 2,
        filter: &[],
        change: &|envoy| {
            with_neighbour(envoy);
            Ok(())
        },
    })
    .unwrap();
    let cases = cases();
    let count = cases.len();
    let (mut failures, mut held) = (Failures::default(), Failures::default());
    let answers = send_patiently(ingress.port(), cases).await;
    let control = answers.iter().filter(|(case, _)| case.place == CONTROL);
    let usual = control.filter_map(|(case, answer)| Some(case.extra(answer.as_ref().ok()?))).max().unwrap_or_default();
    for (case, answer) in answers {
        if case.is_refused() {
            match &answer {
                Ok(answer) if answer.status == REFUSED.0 => {}
                other => failures.add(&case, &format!("not refused as SECURITY.md says: {other:?}")),
            }
            continue;
        }
        let judged = match &answer {
            Err(fault) => Err(fault.to_string()),
            Ok(answer) if case.extra(answer) > usual + MARGIN => Err("late".to_owned()),
            Ok(answer) => case.judge(answer),
        };
        match judged {
            Ok(seen) if !case.was_held(&seen) => {}
            Ok(_) if READ.contains(&case.place) => held.add(&case, "held until its body was there"),
            Ok(_) => failures.add(&case, "held until its body was there"),
            Err(complaint) => failures.add(&case, &complaint),
        }
    }
    println!("{count} requests were compared, on a machine that takes {usual:?}\n{held}");
    assert!(failures.is_empty(), "{failures}");
    let statistics = ingress.statistics("vm_reload").unwrap();
    assert!(statistics.lines().all(|line| line.ends_with(": 0")), "{statistics}");
}

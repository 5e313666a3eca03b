//! Gitea's registry, as its source has it, behind a real Envoy, and `skopeo` before it.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use host_tests::stack::{Answer, Ingress, Setup};
use host_tests::traffic::sha256;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::credentials::client;

const JOB: &str = "0123456789abcdef0123456789abcdef01234567";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const PATIENCE: Duration = Duration::from_secs(20);

/// Every owner has every image, which is this one.
fn image() -> [(String, &'static str, Vec<u8>); 2] {
    let digest = |content: &[u8]| format!("sha256:{}", sha256(content));
    let configuration = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let configuration = configuration.to_string().into_bytes();
    let named = json!({"mediaType": CONFIGURATION, "digest": digest(&configuration), "size": configuration.len()});
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": []});
    let manifest = manifest.to_string().into_bytes();
    [(digest(&manifest), MANIFEST, manifest), (digest(&configuration), CONFIGURATION, configuration)]
}

#[derive(Default)]
struct Known {
    /// The JWTs that were handed out, each for a day, whatever becomes of the job.
    made: Mutex<Vec<String>>,
    has_ended: AtomicBool,
}

/// An older Gitea's, that does not say whose it is.
fn jwt(number: usize) -> String {
    let claims = json!({"exp": 4_000_086_400_u64, "nbf": 4_000_000_000_u64, "UserID": -2, "Scope": "", "jti": number});
    [r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), "signature"]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

async fn registry(State(known): State<Arc<Known>>, request: Request) -> Response<Body> {
    let field = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
    let (scheme, credential) = field("authorization").split_once(' ').unwrap_or_default();
    let is_job = scheme == "Basic" && STANDARD.decode(credential).unwrap().ends_with(JOB.as_bytes());
    let is_made = scheme == "Bearer" && known.made.lock().unwrap().iter().any(|made| made == credential);
    let answer = Response::builder().header("docker-distribution-api-version", "registry/2.0");
    let (path, method) = (request.uri().path(), request.method());
    if path == "/v2/token" && *method != Method::GET {
        return answer.status(StatusCode::NOT_FOUND).body(Body::empty()).unwrap();
    }
    if !is_job && !is_made {
        let realm =
            format!("Bearer realm=\"http://{}/v2/token\",service=\"container_registry\",scope=\"*\"", field("host"));
        let error = json!({"errors": [{"code": "UNAUTHORIZED", "message": ""}]}).to_string();
        let answer = answer.status(StatusCode::UNAUTHORIZED).header("www-authenticate", realm);
        return answer.header("content-type", "application/json").body(error.into()).unwrap();
    }
    if path == "/v2/token" {
        let mut made = known.made.lock().unwrap();
        let jwt = jwt(made.len());
        made.push(jwt.clone());
        return answer
            .header("content-type", "application/json;charset=utf-8")
            .body(json!({"token": jwt}).to_string().into())
            .unwrap();
    }
    if path.ends_with("/tags/list") {
        return answer.body(json!({"name": "tool", "tags": ["v1"]}).to_string().into()).unwrap();
    }
    let reference = path.rsplit('/').next().unwrap();
    let found =
        image().into_iter().find(|(digest, media, _)| reference == digest || reference == "v1" && *media == MANIFEST);
    match found {
        Some((digest, media, content)) => {
            let answer = answer.header("content-type", media).header("docker-content-digest", digest);
            let answer = answer.header("content-length", content.len());
            answer.body(if *method == Method::HEAD { Body::empty() } else { content.into() }).unwrap()
        }
        None => answer.status(if path == "/v2/" { 200 } else { 404 }).body(Body::empty()).unwrap(),
    }
}

/// A job of apps/web, which is all that apps has; libs has two repositories, of which one does not let it in. A JWT is anybody's to it.
async fn look_up(State(known): State<Arc<Known>>, Json(asked): Json<Value>) -> Json<Value> {
    let repository = |id: u64, path: &str, admission: &str| {
        json!({"version": 1, "role": "developer", "external": false, "admission": admission,
            "target": {"id": id, "path": path, "visibility": "private", "push_by_job_token": "own"}})
    };
    Json(match (asked["token"].as_str(), asked["group"]["path"].as_str(), asked["target"]["id"].as_u64()) {
        (Some(JOB), ..) if known.has_ended.load(Ordering::SeqCst) => json!({"version": 1, "token": "ended"}),
        (Some(JOB), ..) => {
            json!({"version": 1, "token": "running", "job": {"id": 7, "user": {"id": 11, "name": "dana"},
            "origin": {"id": 1, "path": "apps/web"}}})
        }
        (Some(_), ..) => json!({"version": 1, "token": "foreign"}),
        (None, Some("apps"), _) => json!({"version": 1, "holders": [1]}),
        (None, Some("libs"), _) => json!({"version": 1, "holders": [1, 2]}),
        (None, _, Some(1)) => repository(1, "apps/web", "own"),
        (None, _, Some(2)) => repository(2, "libs/secret", "unlisted"),
        _ => json!({"version": 1, "holders": null, "target": null}),
    })
}

struct Site {
    _runtime: Runtime,
    known: Arc<Known>,
    envoy: Ingress,
}

impl Site {
    fn start() -> Self {
        let (runtime, known) = (Runtime::new().unwrap(), Arc::new(Known::default()));
        let serve = |router: Router| {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let port = listener.local_addr().unwrap().port();
            runtime.spawn(async move { axum::serve(listener, router).await });
            port
        };
        let forge = serve(Router::new().fallback(registry).with_state(Arc::clone(&known)));
        let lookups = serve(Router::new().route("/jobscope/v1/lookup", post(look_up)).with_state(Arc::clone(&known)));
        let filter = [
            ("/forge/kind", json!("gitea")),
            ("/packages", json!({"index": "all-admitted"})),
            ("/bindings/revalidate_after", json!("1s")),
        ];
        let setup =
            Setup { forge, registry: forge, token_lookup: lookups, workers: 2, filter: &filter, change: &|_| Ok(()) };
        let envoy = Ingress::set_up(&setup).unwrap();
        Self { _runtime: runtime, known, envoy }
    }

    fn skopeo(&self, arguments: &[&str], image: &str) -> Output {
        let home = tempfile::tempdir().unwrap();
        let image = format!("docker://127.0.0.1:{}/{image}", self.envoy.port());
        client(home.path(), "skopeo").args(arguments).arg(image).output().unwrap()
    }

    fn send(&self, line: &str, authorization: &str) -> Answer {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        );
        self.envoy.raw(request.as_bytes(), PATIENCE).unwrap()
    }
}

#[test]
fn a_client_logs_in_and_what_it_is_given_is_judged_as_the_jobs_and_over_with_it() {
    let site = Site::start();
    let creds = format!("x:{JOB}");
    let inspect = ["inspect", "--tls-verify=false", "--creds", &creds];
    let own = site.skopeo(&inspect, "apps/tool:v1");
    assert!(own.status.success(), "{own:?} {}", site.envoy.log().unwrap());
    assert!(String::from_utf8_lossy(&own.stdout).contains(&image()[0].0), "{own:?}");
    let made = site.known.made.lock().unwrap().last().cloned().expect("it asked for a token");
    let other = site.skopeo(&inspect, "libs/tool:v1");
    assert!(!other.status.success() && String::from_utf8_lossy(&other.stderr).contains("denied"), "{other:?}");
    let deleted = site.skopeo(&["delete", "--tls-verify=false", "--creds", &creds], "apps/tool:v1");
    assert!(!deleted.status.success(), "{deleted:?}");

    let bearer = format!("Bearer {made}");
    let pull = "GET /v2/apps/tool/manifests/v1";
    assert_eq!(site.send(pull, &bearer).status, Some(200));
    site.known.has_ended.store(true, Ordering::SeqCst);
    // The end is found out by who comes with the token itself.
    let basic = format!("Basic {}", STANDARD.encode(&creds));
    let begin = Instant::now();
    while site.send("GET /v2/", &basic).status != Some(401) {
        assert!(begin.elapsed() < PATIENCE, "the end is not found out");
        std::thread::sleep(Duration::from_millis(200));
    }
    // On whichever worker the connections land.
    for _ in 0..8 {
        let after = site.send(pull, &bearer);
        assert!(after.status == Some(401) && after.text().contains("token.ended"), "{after:?}");
    }
    // One that nobody saw being made says of itself that it is a job's, and is no person's.
    let unseen = jwt(4096);
    site.known.made.lock().unwrap().push(unseen.clone());
    let challenged = site.send(pull, &format!("Bearer {unseen}"));
    assert!(challenged.status == Some(401) && challenged.header("www-authenticate").is_some(), "{challenged:?}");
}

//! A forge that knows accounts and no jobs: Git's own server behind HTTP Basic. And the service that says whose an ID token is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::routing::post;
use axum::{Json, Router, body};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The largest push of the tests.
const LARGEST: usize = 16 << 20;

/// The accounts: who, and with which secret.
pub const READER: (&str, &str) = ("reader", "read-secret");
pub const WRITER: (&str, &str) = ("writer", "write-secret");

pub fn login((user, secret): (&str, &str)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

/// A request as it reached the forge.
#[derive(Clone, Debug)]
pub struct Seen {
    pub target: String,
    pub fields: Vec<(String, String)>,
}

impl Seen {
    pub fn authorization(&self) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Known {
    seen: Mutex<Vec<Seen>>,
    ended: Mutex<BTreeSet<String>>,
    root: PathBuf,
    backend: PathBuf,
}

/// Forge and service. They end when dropped.
pub struct Forge {
    _runtime: Runtime,
    _root: TempDir,
    known: Arc<Known>,
    pub port: u16,
    pub lookups: u16,
}

impl Forge {
    /// Starts both, with the empty repositories `apps/web` and `infra/secrets`.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let backend = Command::new("git").arg("--exec-path").output().unwrap().stdout;
        let backend = Path::new(String::from_utf8(backend).unwrap().trim()).join("git-http-backend");
        for name in ["apps/web.git", "infra/secrets.git"] {
            git(root.path(), &["init", "--quiet", "--bare", "--initial-branch", "main", name]);
            git(&root.path().join(name), &["config", "http.receivepack", "true"]);
        }
        let known = Arc::new(Known { root: root.path().to_owned(), backend, ..Known::default() });
        let runtime = Runtime::new().unwrap();
        let serve = |router: Router| {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let port = listener.local_addr().unwrap().port();
            runtime.spawn(async move { axum::serve(listener, router).await });
            port
        };
        let port = serve(Router::new().fallback(answer).with_state(Arc::clone(&known)));
        let lookup = Router::new().route("/jobscope/v1/lookup", post(look_up)).with_state(Arc::clone(&known));
        let lookups = serve(lookup);
        Self { _runtime: runtime, _root: root, known, port, lookups }
    }

    /// What reached the forge since this was last asked.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.known.seen.lock().unwrap())
    }

    /// The job of this token ends.
    pub fn end(&self, token: &str) {
        self.known.ended.lock().unwrap().insert(token.to_owned());
    }
}

/// Runs `git`, which must succeed, with no configuration but its own.
pub fn git(dir: &Path, arguments: &[&str]) {
    let output = client(dir, "git").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A client that is killed when it hangs.
pub fn client(dir: &Path, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", program]).current_dir(dir).stdin(Stdio::null());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", dir);
    let who =
        [("AUTHOR_NAME", "dana"), ("AUTHOR_EMAIL", "d@e"), ("COMMITTER_NAME", "dana"), ("COMMITTER_EMAIL", "d@e")];
    command.envs(who.map(|(name, value)| (format!("GIT_{name}"), value)));
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

async fn answer(State(known): State<Arc<Known>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    let seen = Seen { target: head.uri.to_string(), fields: fields.collect() };
    known.seen.lock().unwrap().push(seen.clone());
    let body = body::to_bytes(body, LARGEST).await.unwrap_or_default();
    let user = [READER, WRITER].into_iter().find(|account| seen.authorization() == Some(&login(*account)));
    let Some(user) = user else { return plain(StatusCode::UNAUTHORIZED) };
    if seen.target.contains("git-receive-pack") && user != WRITER {
        return plain(StatusCode::FORBIDDEN);
    }
    run(&known, user.0, head.method.as_str(), &seen, &body).await
}

fn plain(status: StatusCode) -> Response<Body> {
    let answer = Response::builder().status(status).header("www-authenticate", "Basic realm=\"forge\"");
    answer.body(Body::empty()).unwrap()
}

/// Git's CGI program gets a body that is whole, and answers with one that is.
async fn run(known: &Known, user: &str, method: &str, seen: &Seen, body: &Bytes) -> Response<Body> {
    let field = |name: &str| seen.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let mut command = tokio::process::Command::new(&known.backend);
    command.env("GIT_PROJECT_ROOT", &known.root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_USER", user);
    command.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("CONTENT_TYPE", field("content-type")).env("CONTENT_LENGTH", body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", field("content-encoding")).env("GIT_PROTOCOL", field("git-protocol"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let (mut stdin, body) = (child.stdin.take().unwrap(), body.clone());
    tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    // A server with sessions opens one for its account.
    let mut answer = Response::builder().header("set-cookie", "session=of-the-account");
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        answer = match name {
            "Status" => answer.status(value[..3].parse::<u16>().unwrap()),
            _ => answer.header(name, value),
        };
    }
    answer.body(Body::from(output[end + 4..].to_vec())).unwrap()
}

/// The claims of an ID token of the tests name its job and nothing else. Every job is one of apps/web's, where it may
/// all; nothing else lets it in.
async fn look_up(State(known): State<Arc<Known>>, Json(asked): Json<Value>) -> Json<Value> {
    let Some(token) = asked["token"].as_str() else {
        let paths = asked["target"]["paths"].as_array().cloned().unwrap_or_default();
        let named = asked["target"]["path"].as_str().into_iter().chain(paths.iter().filter_map(Value::as_str));
        let is_own = asked["target"]["id"] == 101 || named.into_iter().any(|path| path == "apps/web");
        let target = json!({"version": 1, "role": "maintainer", "external": false, "admission": "own",
            "target": {"id": 101, "path": "apps/web", "visibility": "private", "push_by_job_token": "own"}});
        return Json(if is_own { target } else { json!({"version": 1, "target": null}) });
    };
    let number = job_of(token);
    Json(match number {
        None => json!({"version": 1, "token": "foreign"}),
        Some(_) if known.ended.lock().unwrap().contains(token) => json!({"version": 1, "token": "ended"}),
        Some(number) => {
            json!({"version": 1, "token": "running", "credential": "service", "until": 4_000_000_000_u64, "job": {"id": number,
            "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}})
        }
    })
}

/// The ID token of a job.
pub fn id_token(job: u64) -> String {
    [r#"{"alg":"RS256"}"#, &json!({"job": job}).to_string(), "signature"]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

fn job_of(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["job"].as_u64()
}

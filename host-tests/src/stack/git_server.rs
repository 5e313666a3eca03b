//! A Git server that knows accounts and no jobs: Git's own, behind HTTP Basic.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{self, Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::credentials::{Account, READER, WRITER};

/// The largest push.
const LARGEST: usize = 16 << 20;

/// A request as it reached the server.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The fields, as they came.
    pub fields: Vec<(String, String)>,
}

impl Seen {
    /// The first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

struct Known {
    root: PathBuf,
    backend: PathBuf,
    seen: Mutex<Vec<Seen>>,
    log: Mutex<File>,
}

/// The server. It ends when dropped.
pub struct GitServer {
    _runtime: Runtime,
    known: Arc<Known>,
    port: u16,
}

impl GitServer {
    /// Serves the bare repositories below `root` at a free port: to [`READER`] and [`WRITER`], of whom the latter alone pushes. `log`
    /// gets a line for each request: who, what, and the status.
    ///
    /// # Errors
    ///
    /// When Git is missing, or the log cannot be written.
    pub fn start(root: &Path, log: &Path) -> Result<Self> {
        let found = Command::new("git").arg("--exec-path").output().context("cannot start git")?;
        let backend = Path::new(String::from_utf8(found.stdout)?.trim()).join("git-http-backend");
        ensure!(backend.is_file(), "Git's HTTP backend is missing at `{}`", backend.display());
        let log = OpenOptions::new().create(true).append(true).open(log);
        let log = Mutex::new(log.context("cannot write the Git server's log")?);
        let known = Arc::new(Known { root: root.to_owned(), backend, seen: Mutex::default(), log });
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&known));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { _runtime: runtime, known, port })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What reached it since this was last asked.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut locked(&self.known.seen))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(known): State<Arc<Known>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let seen = Seen { method: head.method.to_string(), target: head.uri.to_string(), fields };
    locked(&known.seen).push(seen.clone());
    let body = body::to_bytes(body, LARGEST).await.unwrap_or_default();
    let account = [READER, WRITER].into_iter().find(|account| seen.field("authorization") == Some(&account.login()));
    let answer = match account {
        None => challenge(),
        Some(account) if seen.target.contains("git-receive-pack") && account != WRITER => plain(StatusCode::FORBIDDEN),
        Some(account) => run(&known, account, &seen, body).await.unwrap_or_else(|error| {
            eprintln!("the Git server: {error:#}");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }),
    };
    let who = account.map_or("-", |account| account.name);
    let Seen { method, target, .. } = seen;
    let _ = writeln!(locked(&known.log), "{who} {method} {target} {}", answer.status().as_u16());
    answer
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

fn challenge() -> Response<Body> {
    let mut answer = plain(StatusCode::UNAUTHORIZED);
    answer.headers_mut().insert("www-authenticate", HeaderValue::from_static("Basic realm=\"git\""));
    answer
}

/// Git's CGI program gets a body that is whole, and answers with one that is.
async fn run(known: &Known, account: Account, seen: &Seen, body: Bytes) -> Result<Response<Body>> {
    let field = |name: &str| seen.field(name).unwrap_or_default();
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let mut command = tokio::process::Command::new(&known.backend);
    command.env("GIT_PROJECT_ROOT", &known.root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_USER", account.name);
    command.env("REQUEST_METHOD", &seen.method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("CONTENT_TYPE", field("content-type")).env("CONTENT_LENGTH", body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", field("content-encoding")).env("GIT_PROTOCOL", field("git-protocol"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot start Git's HTTP backend")?;
    let mut stdin = child.stdin.take().context("Git's HTTP backend has no standard input")?;
    tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").context("an answer without a head")?;
    // A server with sessions opens one for its account.
    let mut answer = Response::new(Body::from(output[end + 4..].to_vec()));
    answer.headers_mut().insert("set-cookie", HeaderValue::from_static("session=of-the-account"));
    for line in std::str::from_utf8(&output[..end])?.lines() {
        let (name, value) = line.split_once(": ").context("a field without a value")?;
        match name {
            "Status" => *answer.status_mut() = value.get(..3).unwrap_or_default().parse()?,
            _ => drop(answer.headers_mut().insert(HeaderName::try_from(name)?, value.parse()?)),
        }
    }
    Ok(answer)
}

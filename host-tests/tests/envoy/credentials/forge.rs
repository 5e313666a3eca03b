//! A forge that knows accounts and no jobs, and a service that says whose an ID token is: of the tests' own making.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use host_tests::stack::GitServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The tokens whose jobs ended.
type Ended = Arc<Mutex<BTreeSet<String>>>;

/// Forge and service. They end when dropped.
pub struct Forge {
    _runtime: Runtime,
    _root: TempDir,
    pub git: GitServer,
    ended: Ended,
    pub lookups: u16,
}

impl Forge {
    /// Starts both, with the empty repositories `apps/web` and `infra/secrets`.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["apps/web.git", "infra/secrets.git"] {
            git(root.path(), &["init", "--quiet", "--bare", "--initial-branch", "main", name]);
        }
        let git = GitServer::start(root.path(), &root.path().join("log")).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let lookups = listener.local_addr().unwrap().port();
        let ended = Ended::default();
        let router = Router::new().route("/jobscope/v1/lookup", post(look_up)).with_state(Arc::clone(&ended));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { _runtime: runtime, _root: root, git, ended, lookups }
    }

    /// The job of this token ends.
    pub fn end(&self, token: &str) {
        self.ended.lock().unwrap().insert(token.to_owned());
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

/// The claims of an ID token of the tests name its job and nothing else. Every job is one of apps/web's, where it may
/// all; nothing else lets it in.
async fn look_up(State(ended): State<Ended>, Json(asked): Json<Value>) -> Json<Value> {
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
        Some(_) if ended.lock().unwrap().contains(token) => json!({"version": 1, "token": "ended"}),
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

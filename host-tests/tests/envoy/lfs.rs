//! Git LFS through a real Envoy, with its real client: a job sees no credential but its own, and needs no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::stack::{Answer, LookupFault, Options, Registry, Stack};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) const WEB_JOB: &str = "glcbt-64_danaBuildsWeb000001";
pub(crate) const LOGO: &str = "the logo, kept in LFS\n";

const GIT_CONFIG: &str = "\
[user]
\tname = job
\temail = job@localhost
[filter \"lfs\"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
";

fn start() -> Stack {
    start_with(&Options { registry: Registry::LeftOut, ..Options::picked() })
}

pub(crate) fn start_with(options: &Options) -> Stack {
    let stack = Stack::start(options).unwrap();
    fs::write(stack.dir().join(".gitconfig"), GIT_CONFIG).unwrap();
    stack
}

/// Runs git in `at`, and gives what it said and whether it succeeded. git-lfs would retry for ever.
fn try_git(stack: &Stack, at: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("timeout")
        .args(["-s", "KILL", "60", "git"])
        .args(arguments)
        .current_dir(at)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", stack.dir())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

pub(crate) fn git(stack: &Stack, at: &Path, arguments: &[&str]) {
    let (succeeded, said) = try_git(stack, at, arguments);
    assert!(succeeded, "git {arguments:?}: {said}");
}

/// Clones apps/web with what it keeps in LFS.
pub(crate) fn clone(stack: &Stack, login: &str, into: &str) -> PathBuf {
    let url = format!("http://{login}@{}/apps/web.git", stack.forge_host());
    git(stack, stack.dir(), &["clone", "--quiet", &url, into]);
    stack.dir().join(into)
}

pub(crate) fn login() -> String {
    format!("gitlab-ci-token:{WEB_JOB}")
}

/// The requests for objects that reached the forge: the method, and with which credential.
pub(crate) fn objects(stack: &Stack) -> Vec<(String, String)> {
    let requests = stack.forge().requests().unwrap().into_iter();
    let objects = requests.filter(|request| request["target"].as_str().unwrap().contains("/gitlab-lfs/objects/"));
    let credential = |request: &Value| {
        let headers = request["headers"].as_array().unwrap().iter();
        let found: Vec<_> = headers.filter(|header| header[0] == "authorization").collect();
        assert_eq!(found.len(), 1, "{request}");
        found[0][1].as_str().unwrap().to_owned()
    };
    objects.map(|request| (request["method"].as_str().unwrap().to_owned(), credential(&request))).collect()
}

pub(crate) fn batch(stack: &Stack) -> Answer {
    let oid: String = Sha256::digest(LOGO).iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({"operation": "download", "objects": [{"oid": oid, "size": LOGO.len()}]}).to_string();
    let request = format!(
        "POST /apps/web.git/info/lfs/objects/batch HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/vnd.git-lfs+json\r\nContent-Length: {}\r\n\r\n{body}",
        stack.forge_host(),
        STANDARD.encode(login()),
        body.len()
    );
    stack.raw(request.as_bytes(), Duration::from_secs(20)).unwrap()
}

#[test]
fn git_lfs_pulls_and_pushes_with_the_jobs_own_credential() {
    let stack = start();
    stack.forge().let_jobs_push("apps/web").unwrap();
    let own = format!("Basic {}", STANDARD.encode(login()));

    let web = clone(&stack, &login(), "web");
    assert_eq!(fs::read_to_string(web.join("assets/logo.bin")).unwrap(), LOGO);
    assert_eq!(objects(&stack), [("GET".to_owned(), own.clone())]);

    stack.forge().forget_requests().unwrap();
    fs::write(web.join("assets/logo.bin"), "another logo\n").unwrap();
    git(&stack, &web, &["commit", "--quiet", "--all", "--message", "another logo"]);
    git(&stack, &web, &["lfs", "push", "origin", "main"]);
    git(&stack, &web, &["push", "--quiet", "origin", "main"]);
    assert_eq!(objects(&stack), [("PUT".to_owned(), own)]);

    let danas = clone(&stack, "dana:glpat-dana", "danas");
    assert_eq!(fs::read_to_string(danas.join("assets/logo.bin")).unwrap(), "another logo\n");
}

#[test]
fn git_lfs_pushes_nothing_where_jobs_do_not_push() {
    let stack = start();
    let web = clone(&stack, &login(), "web");
    stack.forge().forget_requests().unwrap();
    fs::write(web.join("assets/logo.bin"), "another logo\n").unwrap();
    git(&stack, &web, &["commit", "--quiet", "--all", "--message", "another logo"]);
    let (succeeded, said) = try_git(&stack, &web, &["lfs", "push", "origin", "main"]);
    assert!(!succeeded && said.contains("batch response"), "{said}");
    assert_eq!(objects(&stack), []);
}

#[test]
fn an_answer_to_a_batch_that_cannot_be_read_stays_behind() {
    let stack = start();
    stack.forge().cut_batches().unwrap();
    let answer = batch(&stack);
    assert_eq!(answer.status, Some(503), "{answer:?}");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/vnd.git-lfs+json"));
    assert!(!answer.text().contains("Authorization"), "{answer:?}");
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(said["message"].is_string(), "{answer:?}");

    stack.forge().fault(LookupFault::None).unwrap();
    let answer = batch(&stack);
    assert_eq!(answer.status, Some(200), "{answer:?}");
    let statistics = stack.statistics("vm_reload").unwrap();
    assert!(statistics.lines().all(|line| line.ends_with(": 0")), "{statistics}");
}

//! The `git` on this machine: where it is, and an environment nobody's configuration leaks into.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Author and committer of every commit of the world, with a date that never changes, so
/// that the same world always has the same commits.
pub const IDENTITY: &str = "stand-in <stand-in@forge.invalid> 1700000000 +0000";

/// The git of this machine.
#[derive(Clone)]
pub struct Git {
    backend: PathBuf,
}

impl Git {
    /// Finds git and its HTTP backend.
    ///
    /// # Errors
    /// When either is missing.
    pub async fn find() -> Result<Self> {
        let output = command("git").arg("--exec-path").output().await.context("cannot run `git`")?;
        let folder = String::from_utf8(output.stdout).context("`git --exec-path` is no UTF-8")?;
        let backend = Path::new(folder.trim()).join("git-http-backend");
        if !backend.is_file() {
            bail!("expected git's HTTP backend at `{}`, found nothing", backend.display());
        }
        Ok(Self { backend })
    }

    /// The CGI program that serves repositories over HTTP.
    pub fn http_backend(&self) -> Command {
        command(&self.backend)
    }
}

/// A git program with a clean environment: the repositories and answers of this forge
/// must not depend on who runs it.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "TMPDIR"))
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // A state directory may belong to another user than the one who runs the forge.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs `git` in a repository and gives its output, or nothing when git says no.
///
/// # Errors
/// When git cannot be run.
pub async fn ask(repository: &Path, arguments: &[&str]) -> Result<Option<Vec<u8>>> {
    let mut git = command("git");
    git.arg("--git-dir").arg(repository).args(arguments).stderr(Stdio::null());
    let output = git.output().await.context("cannot run `git`")?;
    Ok(output.status.success().then_some(output.stdout))
}

/// Runs `git` in a repository, with `input` on its standard input.
///
/// # Errors
/// When git cannot be run or fails; the message has what git said.
pub async fn run(repository: &Path, arguments: &[&str], input: Vec<u8>) -> Result<String> {
    let mut git = command("git");
    git.arg("--git-dir").arg(repository).args(arguments);
    git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = git.spawn().context("cannot run `git`")?;
    let mut stdin = child.stdin.take().context("git has no standard input")?;
    let feed = async move {
        // git may end before it has read everything; its exit status tells.
        let _ = stdin.write_all(&input).await;
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.context("cannot wait for `git`")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`git {}` in `{}` failed: {}", arguments.join(" "), repository.display(), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

//! What the story runs: real clients, in bash, in an environment of their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::story::Exit;
use super::{home, image};
use crate::stack::{Stack, WRITER, built, checkout, signals};

/// No client may take longer: git-lfs would retry for ever.
const LIMIT_SECONDS: &str = "60";

/// How a script ended and what it said, standard output and standard error in one.
pub(super) struct Outcome {
    pub(super) exit: Exit,
    pub(super) code: String,
    pub(super) output: String,
}

impl Outcome {
    /// Of a step whose program does not run on this machine.
    pub(super) fn left_out(program: &str) -> Self {
        let output = format!("left out: {program} does not run here\n");
        Self { exit: Exit::Zero, code: "left out".into(), output }
    }
}

/// Runs the story's scripts against one stack.
pub(super) struct Clients {
    variables: BTreeMap<String, String>,
    programs: BTreeMap<String, String>,
    path: OsString,
    home: PathBuf,
    work: PathBuf,
}

impl Clients {
    /// With these variables besides those that tell of the stack, and scripts that say whether a program runs here.
    pub(super) fn new(
        mut variables: BTreeMap<String, String>,
        programs: BTreeMap<String, String>,
        stack: &Stack,
    ) -> Result<Self> {
        let home = stack.dir().join("home");
        let work = stack.dir().join("work");
        fs::create_dir_all(&work)?;
        home::furnish(&home, &stack.registry_host())?;
        image::write(&work.join("image"), "v1")?;
        variables.insert("FORGE".into(), format!("http://{}", stack.forge_host()));
        variables.insert("FORGE_HOST".into(), stack.forge_host());
        variables.insert("REGISTRY".into(), stack.registry_host());
        variables.insert("WORK".into(), work.display().to_string());
        variables.insert("LOG".into(), stack.access_log_file().display().to_string());
        variables.insert("LISTENER".into(), stack.delivered_file().display().to_string());
        if let Some(identities) = stack.identities() {
            variables.insert("CI".into(), format!("http://127.0.0.1:{}", stack.forge().port()));
            variables.insert("GIT_SERVER".into(), format!("127.0.0.1:{}", identities.git().port()));
            variables.insert("GIT_LOG".into(), identities.log().display().to_string());
            variables.insert("REGISTRY_SERVER".into(), stack.registry_behind());
            variables.insert("WRITER".into(), format!("{}:{}", WRITER.name, WRITER.secret));
        }
        // Envoy came with it.
        variables.insert("PIP".into(), checkout().join(".tools/envoy/bin/pip").display().to_string());
        variables.insert("CLIENTS".into(), checkout().join(".tools/clients").display().to_string());
        // Where this was built, the command was, too.
        let path = [built()?.into_os_string(), std::env::var_os("PATH").unwrap_or_default()].join(OsStr::new(":"));
        Ok(Self { variables, programs, path, home, work })
    }

    /// Whether a program runs on this machine.
    pub(super) fn have(&self, program: &str) -> bool {
        let script = self.programs.get(program).cloned().unwrap_or_else(|| format!("command -v {program}"));
        self.script(&script).is_ok_and(|outcome| outcome.exit == Exit::Zero)
    }

    /// Runs a script to its end, or kills it.
    pub(super) fn script(&self, script: &str) -> Result<Outcome> {
        let mut command = Command::new("timeout");
        command
            .args(["-s", "KILL", LIMIT_SECONDS, "bash", "-euo", "pipefail", "-c"])
            .arg(format!("exec 2>&1\n{script}"))
            .current_dir(&self.work)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.home)
            .env("XDG_RUNTIME_DIR", &self.home)
            .env("LANG", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // A clone leaves LFS alone, so that the story can fetch it in a step of its own.
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = signals::spawn(&mut command).context("cannot start `timeout`")?;
        let mut output = Vec::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_end(&mut output)?;
        }
        let status = signals::wait(&mut child)?;
        Ok(Outcome {
            exit: if status.success() { Exit::Zero } else { Exit::Nonzero },
            code: status.to_string(),
            output: String::from_utf8_lossy(&output).into_owned(),
        })
    }

    /// `text` with each `$NAME` of a known variable put in.
    pub(super) fn expand(&self, text: &str) -> String {
        // The longest first: `$FORGE_HOST` begins like `$FORGE`.
        self.longest_first(|name, _| name.len())
            .into_iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
    }

    /// `text` with each value of a known variable turned back into its `$NAME`: no token, port or path of this run.
    pub(super) fn fold(&self, text: &str) -> String {
        self.longest_first(|_, value| value.len())
            .into_iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(value, &format!("${name}")))
    }

    fn longest_first(&self, length: impl Fn(&str, &str) -> usize) -> Vec<(&String, &String)> {
        let mut variables: Vec<_> = self.variables.iter().collect();
        variables.sort_by_key(|(name, value)| std::cmp::Reverse(length(name, value)));
        variables
    }
}

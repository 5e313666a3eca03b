//! The readers as programs.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::verdict::Answer;
use crate::oracle::directory;
use crate::stack::{Child, Output, checkout, exchange};

/// What the JWTs of [`super::request`] are signed with.
const KEY: &str = "key-of-the-readers";

/// Longer than a reader takes for anything here.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is asked.
const ATTEMPTS: usize = 3;

/// Languages that need not be there, with commas between them.
const WITHOUT: &str = "ORACLE_WITHOUT";

/// Whose reader it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Rack, ActionPack and Grape, behind Puma: GitLab's.
    Ruby,
    /// net/http and golang-jwt: Gitea's and Forgejo's.
    Go,
    /// Werkzeug, PyJWT and giftless.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ruby, Self::Go, Self::Python];

    fn name(self) -> &'static str {
        match self {
            Self::Ruby => "ruby",
            Self::Go => "go",
            Self::Python => "python",
        }
    }

    /// The program and its source, where it needs one.
    fn program(self) -> (PathBuf, Option<PathBuf>) {
        let source = |name: &str| Some(checkout().join("host-tests/readers").join(name));
        match self {
            Self::Ruby => ("/usr/bin/ruby".into(), source("reader.rb")),
            Self::Go => (checkout().join(".tools/readers/reader-go"), None),
            Self::Python => (checkout().join(".tools/readers/bin/python"), source("reader.py")),
        }
    }
}

/// A running reader.
pub struct Reader {
    // Dropped in this order: the program before its log.
    _child: Child,
    _dir: TempDir,
    /// Whose it is.
    pub language: Language,
    port: u16,
    /// Whoever asks holds it.
    asking: Mutex<()>,
}

impl Reader {
    /// Starts every reader that is not left out on purpose.
    ///
    /// # Errors
    /// One is not installed, or does not start.
    pub fn start_all() -> Result<Vec<Self>> {
        let without = env::var(WITHOUT).unwrap_or_default();
        let is_wanted = |language: &Language| {
            let is_left_out = without.split(',').any(|name| name == language.name());
            if is_left_out {
                println!("the reader in {} is left out, as {WITHOUT} has it", language.name());
            }
            !is_left_out
        };
        Language::ALL.into_iter().filter(is_wanted).map(Self::start).collect()
    }

    fn start(language: Language) -> Result<Self> {
        let (program, source) = language.program();
        ensure!(
            program.is_file(),
            "the reader in {} is missing: type `make setup`, or leave it out with {WITHOUT}={}",
            language.name(),
            language.name()
        );
        let dir = directory("reader")?;
        let mut command = Command::new(program);
        command.args(source).arg(KEY);
        let mut child = Child::spawn(language.name(), dir.path(), Output::Read, &mut command)?;
        let line = child.first_line()?;
        let port = line.trim().parse().with_context(|| format!("expected a port, found `{}`", line.escape_debug()))?;
        Ok(Self { _child: child, _dir: dir, language, port, asking: Mutex::new(()) })
    }

    /// Gives it a request as it is. `None` when it takes that for none.
    pub(super) fn ask(&self, request: &[u8]) -> Result<Option<Answer>> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // On a busy machine one may come too late; what a reader makes of a request does not depend on how often it is asked.
        for _ in 0..ATTEMPTS {
            let reply = exchange(self.port, request, PATIENCE)?;
            match reply.status {
                Some(200) => return Ok(Some(serde_json::from_slice(&reply.body)?)),
                Some(_) => return Ok(None),
                None => {}
            }
        }
        bail!("the reader in {} does not answer: {}", self.language.name(), request.escape_ascii())
    }
}

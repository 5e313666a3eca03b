//! A program that the stack started.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{START, cpu, signals};

/// How much of a log is worth repeating.
const LAST_LINES: usize = 12;

/// Ended, with everything that it started, when dropped.
pub(crate) struct Child {
    name: &'static str,
    process: std::process::Child,
    log: PathBuf,
}

/// What becomes of a program's standard output.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    /// Into the log, as its standard error.
    Logged,
    /// For us to read.
    Read,
}

impl Child {
    /// Starts `command` with nothing of this process' environment but its PATH; its log is `<dir>/<name>.log`.
    pub(crate) fn spawn(name: &'static str, dir: &Path, output: Output, command: &mut Command) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let set: Vec<_> =
            command.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir)
            .env("LANG", "C.UTF-8")
            .envs(set)
            .stdin(Stdio::null())
            .stdout(match output {
                Output::Logged => Stdio::from(file.try_clone()?),
                Output::Read => Stdio::piped(),
            })
            .stderr(file);
        let process = signals::spawn(command)
            .with_context(|| format!("cannot start {name} (`{}`)", command.get_program().to_string_lossy()))?;
        Ok(Self { name, process, log })
    }

    /// The first line that a program started with [`Output::Read`] says, once.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let stdout = self.process.stdout.take().with_context(|| self.complaint("has no output"))?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Read to its end, or the program would block on a full pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let Ok(line) = receiver.recv_timeout(START) else {
            self.require_alive()?;
            bail!("{}", self.complaint("did not say that it is ready"));
        };
        Ok(line)
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        let _ = signals::reap(&mut self.process);
    }

    /// How much of the CPU it has had, in all of its threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu::of_process(self.process.id())
    }

    /// How many bytes of memory it has now.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        self.bytes("VmRSS:")
    }

    /// How many it ever had.
    pub(super) fn peak_resident_bytes(&self) -> Result<u64> {
        self.bytes("VmHWM:")
    }

    fn bytes(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let bytes = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB"));
        let kilobytes: u64 = bytes.with_context(|| format!("no {name} in the process' status"))?.trim().parse()?;
        Ok(kilobytes << 10)
    }

    /// What it has logged so far.
    pub(super) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// An error with the program's last words when it has ended.
    pub(super) fn require_alive(&self) -> Result<()> {
        if signals::has_ended(&self.process) {
            bail!("{}", self.complaint("ended by itself"));
        }
        Ok(())
    }

    /// A sentence about the program, and the end of its log.
    pub(super) fn complaint(&self, what: &str) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        if last.is_empty() {
            return format!("{} {what}, and said nothing", self.name);
        }
        format!("{} {what}; its last words:\n  {}", self.name, last.join("\n  "))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        signals::end(&mut self.process);
    }
}

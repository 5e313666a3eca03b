//! A Redis with two replicas and three Sentinels, Debian's, as docs/lookup-service.md asks for one. It keeps nothing on disk.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::run_dir::RunDir;
use super::{Place, pick_port, wait_until_ready};

/// What Sentinels call the master.
const MASTER: &str = "forge";

/// A running Redis, and those who watch it.
pub struct Redis {
    // Dropped in this order: who watches goes first.
    sentinels: Vec<(Child, u16)>,
    replicas: Vec<(Child, u16)>,
    master: (Child, u16),
    _dir: RunDir,
}

impl Redis {
    /// Starts all of it, and waits until the replicas have what the master has and the Sentinels know each other.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing, or what one of them said last.
    pub fn start() -> Result<Self> {
        let dir = RunDir::new(&Place::Temporary)?;
        let master = server("redis-master", dir.path(), None)?;
        let mut replicas = Vec::new();
        // Two, so that one of them that is promoted has another.
        for name in ["redis-replica-1", "redis-replica-2"] {
            let (child, port) = server(name, dir.path(), Some(master.1))?;
            wait_until_ready(&child, || says(port, "INFO replication", "master_link_status:up"))?;
            replicas.push((child, port));
        }
        let mut sentinels = Vec::new();
        for name in ["redis-sentinel-1", "redis-sentinel-2", "redis-sentinel-3"] {
            sentinels.push(sentinel(name, dir.path(), master.1)?);
        }
        let known = format!("slaves={},sentinels={}", replicas.len(), sentinels.len());
        for (child, port) in &sentinels {
            wait_until_ready(child, || says(*port, "INFO sentinel", &known))?;
        }
        Ok(Self { sentinels, replicas, master, _dir: dir })
    }

    /// The keys below `store` of the configuration of a service over it.
    #[must_use]
    pub fn store(&self) -> Value {
        let sentinels: Vec<String> = self.sentinels.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        json!({"kind": "redis", "sentinels": sentinels, "master": MASTER, "replicas": 1})
    }

    /// Where the first master listens, and its process.
    #[must_use]
    pub fn master(&self) -> (u16, u32) {
        placed(&self.master)
    }

    /// The same of the first replicas.
    pub fn replicas(&self) -> impl Iterator<Item = (u16, u32)> {
        self.replicas.iter().map(placed)
    }

    /// The same of the Sentinels.
    pub fn sentinels(&self) -> impl Iterator<Item = (u16, u32)> {
        self.sentinels.iter().map(placed)
    }

    /// Ends the first master at once.
    pub fn kill_master(&mut self) {
        self.master.0.kill();
    }

    /// How many bytes the master has in use.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub fn used_bytes(&self) -> Result<u64> {
        let lines = say(self.master.1, "INFO memory")?;
        let used = lines.iter().find_map(|line| line.strip_prefix("used_memory:"));
        used.context("Redis does not say what it has in use")?.parse().context("no number of bytes")
    }
}

fn placed((child, port): &(Child, u16)) -> (u16, u32) {
    (*port, child.id())
}

fn server(name: &'static str, dir: &Path, master: Option<u16>) -> Result<(Child, u16)> {
    let port = pick_port()?;
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0"]);
    command.args(["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"]).arg("--dir").arg(dir);
    if let Some(master) = master {
        command.args(["--replicaof", "127.0.0.1", &master.to_string()]);
    }
    ready(name, dir, &mut command, port)
}

fn sentinel(name: &'static str, dir: &Path, master: u16) -> Result<(Child, u16)> {
    let port = pick_port()?;
    let file = dir.join(format!("{name}.conf"));
    let lines = [
        format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.display()),
        format!("sentinel monitor {MASTER} 127.0.0.1 {master} 2\n"),
        format!("sentinel down-after-milliseconds {MASTER} 2000\nsentinel failover-timeout {MASTER} 10000\n"),
    ];
    fs::write(&file, lines.concat())?;
    let mut command = Command::new("redis-server");
    command.arg(&file).arg("--sentinel");
    ready(name, dir, &mut command, port)
}

fn ready(name: &'static str, dir: &Path, command: &mut Command, port: u16) -> Result<(Child, u16)> {
    let child = Child::spawn(name, dir, Output::Logged, command)
        .context("Redis is needed: install Debian's `redis-server`, or type `make lookup-service`")?;
    wait_until_ready(&child, || says(port, "PING", "+PONG"))?;
    Ok((child, port))
}

fn says(port: u16, what: &str, expected: &str) -> bool {
    say(port, what).is_ok_and(|lines| lines.iter().any(|line| line.contains(expected)))
}

/// The lines of its answer.
fn say(port: u16, what: &str) -> Result<Vec<String>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "{what}\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("Redis says nothing")??;
    let Some(length) = first.strip_prefix('$') else { return Ok(vec![first]) };
    let (length, mut read) = (length.parse::<usize>()?, 0);
    let mut said = Vec::new();
    while read < length {
        let Some(line) = lines.next() else { bail!("Redis broke off") };
        let line = line?;
        read += line.len() + 2;
        said.push(line);
    }
    Ok(said)
}

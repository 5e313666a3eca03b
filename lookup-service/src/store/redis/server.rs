//! A real Redis for tests: Debian's, at a Unix socket or a picked port of loopback, ended by its process id.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::bindings::Inquiry;
use policy::facts::Secret;
use tempfile::TempDir;

use super::Redis;
use crate::config;
use crate::store::{Limits, Store};

pub(crate) struct Server {
    process: Child,
    pub(crate) directory: TempDir,
    arguments: Vec<String>,
}

impl Server {
    /// Starts one that keeps nothing on disk.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let process = started(&directory, &arguments);
        Self { process, directory, arguments }
    }

    /// Ends it at once, and starts it anew at the same place.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        std::fs::remove_file(self.directory.path().join("redis.sock")).unwrap();
        self.process = started(&self.directory, &self.arguments);
    }

    /// Starts one that listens at a picked port of loopback as well, and where that is.
    pub(crate) fn start_at_port(arguments: &[&str]) -> (Self, u16) {
        let port = free_port();
        (Self::start(&[&["--port", &port.to_string(), "--bind", "127.0.0.1"], arguments].concat()), port)
    }

    /// Starts Sentinels that watch a master, and where they are.
    pub(crate) fn sentinels(master: u16) -> Vec<(Self, u16)> {
        let sentinel = |_| {
            let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
            let file = directory.path().join("sentinel.conf");
            let lines = [
                format!("port {port}\nbind 127.0.0.1\ndir {}\n", directory.path().display()),
                format!("sentinel monitor forge 127.0.0.1 {master} 2\n"),
                "sentinel down-after-milliseconds forge 1000\nsentinel failover-timeout forge 5000\n".to_owned(),
            ];
            std::fs::write(&file, lines.concat()).unwrap();
            let mut command = Command::new("redis-server");
            command.arg(&file).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
            (Self { process: command.spawn().unwrap(), directory, arguments: Vec::new() }, port)
        };
        (0..3).map(sentinel).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.directory.path().join("redis.sock").display())
    }

    pub(crate) fn configuration(&self) -> config::Redis {
        config::Redis {
            url: self.url(),
            sentinels: Vec::new(),
            master: String::new(),
            username: None,
            password: None,
            tls: false,
            key: Secret::new(&[7; 32]),
            replicas: 0,
            name: "test".into(),
        }
    }

    pub(crate) fn store(&self, limits: Limits) -> Arc<dyn Store> {
        Redis::open(self.configuration(), inquiry("forge.example.com", false), limits).unwrap()
    }

    /// Says something to it, as whoever may.
    pub(crate) async fn say(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut connection).await.unwrap()
    }

    /// It no longer does anything, and nobody is told.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill").arg(signal).arg(self.process.id().to_string()).status();
        assert!(told.unwrap().success());
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn started(directory: &TempDir, arguments: &Vec<String>) -> Child {
    let socket = directory.path().join("redis.sock");
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(&socket);
    command.arg("--dir").arg(directory.path()).args(["--maxmemory-policy", "noeviction"]).args(arguments);
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = process.expect("redis-server is missing: scripts/setup installs it, or Debian's `redis-server`");
    let begun = Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    process
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What is asked of a forge, with or without environments.
pub(crate) fn inquiry(authority: &str, environments: bool) -> Inquiry {
    let rules = r#", "access": {"deny": [{"id": "r", "when": {"environment": ["live"]}}]}"#;
    let document = format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "{authority}", "credential_env": "E"}}{}}}"#,
        if environments { rules } else { "" }
    );
    Inquiry::of(&policy::Config::parse(document.as_bytes()).unwrap())
}

/// Waits until Sentinels know both replicas and each other: before that a master that dies has no successor.
pub(crate) async fn watched(sentinels: &[(Server, u16)]) {
    let begun = Instant::now();
    while !sentinels.iter().all(|(_, port)| knows_two(*port)) {
        assert!(begun.elapsed() < Duration::from_secs(25), "Sentinels do not find the replicas");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether a Sentinel knows both replicas and both other Sentinels.
fn knows_two(port: u16) -> bool {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let Ok(mut connection) = client.get_connection() else { return false };
    let mut count = |of: &str| {
        let said: redis::RedisResult<Vec<redis::Value>> =
            redis::cmd("SENTINEL").arg(of).arg("forge").query(&mut connection);
        said.map_or(0, |all| all.len())
    };
    count("replicas") == 2 && count("sentinels") == 2
}

//! A real PostgreSQL for tests: Debian's, at a socket in a directory of its own and at a picked port of loopback, ended by its
//! process id. It will not run as root: there it runs as its own user.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

pub(crate) struct Postgres {
    process: Option<Child>,
    pub(crate) directory: TempDir,
    pub(crate) port: u16,
}

/// A program of PostgreSQL: in the path, or where Debian has them.
fn program(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = debian.map(|version| version.path().join("bin").join(name)).filter(|path| path.is_file()).max();
    found.unwrap_or_else(|| name.into())
}

/// The user and the group that it runs as, where root runs the tests.
fn other_user() -> Option<(u32, u32)> {
    let id = |flag: &str, name: &[&str]| {
        let said = Command::new("id").arg(flag).args(name).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().parse().ok()
    };
    (id("-u", &[]) == Some(0)).then(|| (id("-u", &["postgres"]).unwrap(), id("-g", &["postgres"]).unwrap()))
}

impl Postgres {
    /// Starts one with the tables of a forge, what is in them, and the views.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        if let Some((user, group)) = other_user() {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut postgres = Self { process: None, directory, port };
        let made = postgres
            .command("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8"])
            .status();
        assert!(made.unwrap().success());
        postgres.run(&[]);
        let client = postgres.client("postgres").await;
        client.batch_execute("CREATE ROLE gitea LOGIN CREATEROLE").await.unwrap();
        client.batch_execute("CREATE DATABASE gitea OWNER gitea").await.unwrap();
        let client = postgres.gitea().await;
        client.batch_execute(include_str!("gitea/schema.sql")).await.unwrap();
        client.batch_execute(crate::forge::gitea::VIEWS).await.unwrap();
        postgres
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.arg("-D").arg(self.directory.path().join("data")).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(self.directory.path());
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts what was ended, with further settings.
    pub(crate) fn run(&mut self, settings: &[&str]) {
        let socket = format!("unix_socket_directories={}", self.directory.path().display());
        let port = format!("port={}", self.port);
        let all = [&socket, &port, "listen_addresses=127.0.0.1", "fsync=off"];
        let settings = all.into_iter().chain(settings.iter().copied()).flat_map(|setting| ["-c", setting]);
        self.process = Some(self.command("postgres").args(settings).spawn().unwrap());
    }

    /// Ends it as it is ended when all connections are to be dropped.
    pub(crate) fn end(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let id = process.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().unwrap();
        process.wait().unwrap();
    }

    /// Its words for `forge.database`.
    pub(crate) fn address(&self) -> String {
        format!("host={} port={} dbname=gitea user=jobscope", self.directory.path().display(), self.port)
    }

    /// Who owns the forge's tables.
    pub(crate) async fn gitea(&self) -> Client {
        self.connect("gitea", "gitea").await
    }

    pub(crate) async fn client(&self, user: &str) -> Client {
        self.connect(user, "postgres").await
    }

    pub(crate) async fn connect(&self, user: &str, database: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.directory.path()).port(self.port).user(user).dbname(database);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match config.connect(NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

impl Postgres {
    /// Makes a file one that it may read, and nobody else.
    pub(crate) fn own(&self, file: &std::path::Path) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = other_user() {
            chown(file, Some(user), Some(group)).unwrap();
        }
    }
}

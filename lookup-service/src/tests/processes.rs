//! Replicas of the service as processes, which can be killed, and a link that can be cut.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::caller::{Caller, TOKEN};
use super::forge::SERVICE_ACCOUNT;
use super::{KEY, nested};

/// One replica, ended with it.
pub(crate) struct Replica {
    process: Child,
    pub(crate) caller: Caller,
    _directory: TempDir,
}

impl Replica {
    /// Starts one with these keys whose clock is ahead by so many seconds, and waits until it answers.
    pub(crate) async fn start(keys: &BTreeMap<String, String>, ahead: i32) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut keys = keys.clone();
        keys.insert("api.listen".into(), format!("127.0.0.1:{port}"));
        let file = directory.path().join("lookup.yaml");
        std::fs::write(&file, nested(&keys)).unwrap();
        let mut command = Command::new(program());
        command.arg("--config").arg(&file).env("CALLER", TOKEN).env("FORGE", SERVICE_ACCOUNT).env("KEY", KEY);
        command.env("LD_PRELOAD", faketime()).env("FAKETIME", format!("{ahead:+}s"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let (replica, begun) = (Self { process, caller: Caller::of(address), _directory: directory }, Instant::now());
        while TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the service does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        replica
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program, which cargo has built beside its tests: the one of `tests/program.rs`.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("jobscope-lookup");
    assert!(program.is_file(), "{} is missing: cargo test -p jobscope-lookup-service builds it", program.display());
    program
}

/// Debian's library, which lets a process see another time of day.
fn faketime() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").unwrap();
    let mut libraries = places.map(|place| place.unwrap().path().join("faketime/libfaketime.so.1"));
    libraries.find(|library| library.is_file()).expect("libfaketime is missing: scripts/lookup-service installs it")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What is sent to its port goes on to another, until it is cut: then nothing arrives, and nobody is told.
pub(crate) struct Link {
    pub(crate) port: u16,
    is_cut: watch::Sender<bool>,
}

impl Link {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap().port();
        let (is_cut, seen) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => return,
                        _ = seen.wait_for(|is_cut| *is_cut) => {}
                    }
                    // Both ends are held as long as the link is cut, and no byte goes from one to the other.
                    let _ = seen.wait_for(|is_cut| !is_cut).await;
                });
            }
        });
        Self { port: near, is_cut }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }
}

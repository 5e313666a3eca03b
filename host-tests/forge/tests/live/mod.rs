//! The command in front of this forge, and of small services.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test takes what it needs, and may fail loudly"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What came of a command.
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) end: i32,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

/// Runs the command in the checkout, with these variables and without any proxy.
pub(crate) fn jobscope(words: &[&str], variables: &[(&str, &str)]) -> Ran {
    jobscope_of(words, variables, "")
}

/// The same, with this in standard input.
pub(crate) fn jobscope_of(words: &[&str], variables: &[(&str, &str)], input: &str) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_jobscope-forge")).with_file_name("jobscope");
    assert!(program.is_file(), "the command is missing: cargo build -p jobscope-cli");
    let mut command = Command::new(program);
    command.args(words).current_dir(root()).env_remove("CI_JOB_TOKEN").env_remove("JOBSCOPE_LOOKUP_TOKEN");
    command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who ends without reading it leaves a broken pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ran = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { out: text(ran.stdout), err: text(ran.stderr), end: ran.status.code().unwrap() }
}

/// Compares with a file in `golden/`, or with `UPDATE_GOLDEN=1` writes it.
pub(crate) fn golden(name: &str, told: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(&file).unwrap_or_default(), "{}", file.display());
    assert!(told.lines().all(|line| line.chars().count() <= 100) && !told.contains("glpat-"), "{told}");
}

/// A file with a configuration.
pub(crate) fn configuration(document: &Value) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    write!(file, "{document}").unwrap();
    file
}

/// The forge over a world. It ends with the value.
pub(crate) struct Forge {
    child: Child,
    _state: TempDir,
    pub(crate) address: String,
}

impl Forge {
    /// Over the demo's.
    pub(crate) fn start() -> Self {
        Self::over(&root().join("envoy/demo/world.yaml"))
    }

    pub(crate) fn over(world: &Path) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobscope-forge"))
            .arg("--world")
            .arg(world)
            .arg("--state")
            .arg(state.path())
            .args(["--listen", "127.0.0.1:0", "--external-url", "http://forge.example.com"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = format!("http://{}", ready["listening"].as_str().unwrap());
        Self { child, _state: state, address }
    }

    /// How it misbehaves from now on when it is asked for facts.
    pub(crate) fn fault(&self, fault: &Value) {
        ureq::put(format!("{}/-/stand-in/fault", self.address)).send(fault.to_string()).unwrap();
    }

    /// What it says of itself from now on.
    pub(crate) fn airs(&self, airs: &Value) {
        ureq::put(format!("{}/-/stand-in/airs", self.address)).send(airs.to_string()).unwrap();
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer of a service.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) location: Option<&'static str>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(status: u16, kind: &'static str, body: &str) -> Self {
        Self { status, kind, location: None, body: body.to_owned() }
    }
}

/// A service that answers by path and body, one request on a connection. Its thread ends with the test program.
pub(crate) struct Service {
    pub(crate) address: String,
}

impl Service {
    pub(crate) fn start(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::listening("http", move |stream| serve(stream, &answer))
    }

    /// One that speaks TLS under this name, and its certificate in PEM.
    pub(crate) fn start_tls(
        name: &str,
        answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let served = move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).ok()?, stream);
            serve(&mut stream, &answer)?;
            stream.conn.send_close_notify();
            stream.flush().ok()
        };
        (Self::listening("https", served), made.cert.pem())
    }

    fn listening(scheme: &str, serve: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Self { address }
    }
}

fn serve(mut stream: impl Read + Write, answer: &dyn Fn(&str, &str) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let said = answer(&path, &String::from_utf8(body).ok()?);
    let location = said.location.map_or_else(String::new, |place| format!("location: {place}\r\n"));
    let head = format!(
        "HTTP/1.1 {} Said\r\ncontent-type: {}\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n",
        said.status,
        said.kind,
        said.body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(said.body.as_bytes())).ok()
}

/// A port at which nobody listens.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

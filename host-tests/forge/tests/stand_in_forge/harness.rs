//! A running forge on a port of its own, with the demo's world and a state that is gone afterwards.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The demo's job of dana in apps/web.
pub const JOB: &str = "glcbt-64_danaBuildsWeb000001";
const WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../envoy/demo/world.yaml");

pub struct Forge {
    process: Child,
    pub address: String,
    pub folder: TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl Forge {
    pub fn start() -> Self {
        Self::start_in(TempDir::new().expect("a directory"))
    }

    pub fn start_in(folder: TempDir) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_jobscope-forge"))
            .args(["--world", WORLD, "--listen", "127.0.0.1:0", "--state"])
            .arg(folder.path().join("state"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the forge starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its line");
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON");
        let address = ready["listening"].as_str().expect("an address").to_owned();
        assert!(Path::new(ready["registry_certificate"].as_str().expect("a path")).is_file());
        Self { process, address, folder }
    }

    /// Ends the forge and gives its directory back.
    pub fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.folder, TempDir::new().expect("a directory"))
    }

    fn end(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut told = false;
        // Once it was waited for, its number may be another process's.
        while matches!(self.process.try_wait(), Ok(None)) {
            if !told {
                let pid = self.process.id().to_string();
                let _ = Command::new("kill").args(["-TERM", &pid]).status();
                told = true;
            }
            if Instant::now() > deadline {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The address with credentials in it.
    pub fn as_user(&self, user: &str, password: &str, path: &str) -> String {
        format!("http://{user}:{password}@{}/{path}", self.address)
    }

    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let request = request.body(body.to_owned()).expect("a request");
        let mut response = agent.run(request).expect("an answer");
        let headers = response.headers().iter();
        Answer {
            status: response.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: String::from_utf8_lossy(&response.body_mut().read_to_vec().expect("a body")).into_owned(),
        }
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", path, headers, "")
    }

    /// A look-up with a job's token.
    pub fn status_of(&self, token: &str) -> u16 {
        self.get("api/v4/job", &[("JOB-TOKEN", token)]).status
    }

    /// What was received so far.
    pub fn received(&self) -> Vec<Value> {
        let all = self.get("-/stand-in/requests", &[]).json();
        all.as_array().expect("a list").clone()
    }

    /// Sends bytes as they are and gives the connection.
    pub fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).expect("a connection");
        connection.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        connection.write_all(bytes).expect("the bytes go out");
        connection
    }

    /// Sends bytes as they are and gives the first line of what comes back.
    pub fn raw_status(&self, bytes: &[u8]) -> String {
        let mut line = String::new();
        let mut connection = BufReader::new(self.raw(bytes).take(1000));
        connection.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }

    /// The programs that run below the forge.
    pub fn children(&self) -> Vec<u32> {
        // Each thread has the children it started.
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let threads = threads.into_iter().flatten().flatten();
        let children = threads.flat_map(|thread| {
            let listed = std::fs::read_to_string(thread.path().join("children"));
            let listed = listed.unwrap_or_default();
            listed.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>()
        });
        children.collect()
    }

    /// Waits until the forge has this many children, or fails.
    pub fn wait_for_children(&self, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.children().len() != wanted {
            assert!(Instant::now() < deadline, "expected {wanted} children, found {}", self.children().len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git for a client, with an empty configuration, LFS on, and a limit of time.
    pub fn git(&self, at: &Path, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args(["-s", "KILL", "15", "git"])
            .args(["-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.required=true"])
            .args(["-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.smudge=git-lfs smudge -- %f"])
            .args(["-c", "user.name=dana", "-c", "user.email=dana@forge.invalid"])
            .args(arguments)
            .current_dir(at)
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .expect("git runs")
    }

    /// Runs git and expects that it works.
    pub fn git_works(&self, at: &Path, arguments: &[&str]) -> String {
        let output = self.git(at, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs git, expects that it fails, and gives what it said.
    pub fn git_fails(&self, at: &Path, arguments: &[&str]) -> String {
        let output = self.git(at, arguments);
        assert!(!output.status.success(), "git {arguments:?} worked");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.end();
    }
}

//! The container registry: the reference implementation. In the stack it takes its tokens from the forge behind Envoy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::run_dir::RunDir;
use super::{Place, places, ports, signals, status_of, wait_until_ready};

/// Starts the registry behind Envoy.
pub(super) fn start(dir: &Path, port: u16, ingress_port: u16, certificate: &Path) -> Result<Child> {
    let auth = json!({"token": {
        "realm": format!("http://127.0.0.1:{ingress_port}/jwt/auth"),
        "service": "container_registry",
        "issuer": "jobscope-forge",
        "rootcertbundle": certificate,
    }});
    serve(dir, port, &json!({"auth": auth}), 401)
}

/// Starts a registry that lets everybody do everything. What it stores lies below `<dir>/registry`.
pub(crate) fn start_open(dir: &Path, port: u16) -> Result<Child> {
    serve(dir, port, &json!({}), 200)
}

/// A registry that knows accounts and no tokens: every account may do everything.
pub struct Accounts {
    child: Child,
    dir: RunDir,
    port: u16,
}

/// The file with them.
pub(super) const ACCOUNTS: &str = "htpasswd";

/// Starts a registry with the accounts that are in `dir`. At this level its log says what is asked for.
pub(super) fn start_with_accounts(dir: &Path, port: u16) -> Result<Child> {
    let auth = json!({"htpasswd": {"realm": "registry", "path": dir.join(ACCOUNTS)}});
    let log = json!({"level": "info", "accesslog": {"disabled": true}});
    serve(dir, port, &json!({"auth": auth, "log": log}), 401)
}

impl Accounts {
    /// Starts it at a free port, with the accounts of an `htpasswd` file (bcrypt).
    ///
    /// # Errors
    ///
    /// When it is missing, or what it said last.
    pub fn start(accounts: &str) -> Result<Self> {
        signals::end_children_on_signal(signals::INTERRUPTED)?;
        let (dir, port) = (RunDir::new(&Place::Temporary)?, ports::pick()?);
        fs::write(dir.path().join(ACCOUNTS), accounts)?;
        let child = start_with_accounts(dir.path(), port)?;
        Ok(Self { child, dir, port })
    }

    /// Knows these accounts from now on, and no others.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn exchange(&self, accounts: &str) -> Result<()> {
        Ok(fs::write(self.dir.path().join(ACCOUNTS), accounts)?)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    ///
    /// # Errors
    ///
    /// When its log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.child.log()
    }
}

fn serve(dir: &Path, port: u16, more: &Value, ready: u16) -> Result<Child> {
    let storage = dir.join("registry");
    fs::create_dir_all(&storage)?;
    // JSON is YAML.
    let mut configuration = json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": storage},
            "delete": {"enabled": true},
        },
        "http": {"addr": format!("127.0.0.1:{port}")},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        configuration[key] = value.clone();
    }
    let file = dir.join("registry.json");
    fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;

    let mut command = Command::new(places::registry()?);
    command.arg("serve").arg(&file);
    let child = Child::spawn("docker-registry", dir, Output::Logged, &mut command)?;
    let url = format!("http://127.0.0.1:{port}/v2/");
    wait_until_ready(&child, || status_of(&url) == Some(ready))?;
    Ok(child)
}

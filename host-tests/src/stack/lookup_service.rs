//! The token-lookup service of a fleet, with a memory of its own, before a forge.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::child::{Child, Output};
use super::run_dir::RunDir;
use super::{LOOKUP_TOKEN, Place, places, status_of, wait_until_ready};

/// A running `jobscope-lookup`.
pub struct LookupService {
    _child: Child,
    _dir: RunDir,
    operations: u16,
}

impl LookupService {
    /// Starts it at this port before a forge at another, and waits until it answers. Envoys ask with the token with which it asks
    /// the forge.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing, or what the service said last.
    pub fn start(port: u16, forge_port: u16) -> Result<Self> {
        let dir = RunDir::new(&Place::Temporary)?;
        let operations = super::pick_port()?;
        let configuration = json!({
            "api": {"listen": format!("127.0.0.1:{port}"), "callers_env": [LOOKUP_TOKEN.0]},
            "operations": {"listen": format!("127.0.0.1:{operations}")},
            "forge": {"url": format!("http://127.0.0.1:{forge_port}"), "credential_env": LOOKUP_TOKEN.0},
            "store": {"kind": "memory"},
            "sweep": {"every": "1h"},
        });
        // JSON is YAML.
        let file = dir.path().join("lookup.yaml");
        std::fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;
        let mut command = Command::new(places::lookup_service()?);
        command.arg("--config").arg(&file).env(LOOKUP_TOKEN.0, LOOKUP_TOKEN.1);
        let child = Child::spawn("jobscope-lookup", dir.path(), Output::Logged, &mut command)?;
        let url = format!("http://127.0.0.1:{operations}/readyz");
        wait_until_ready(&child, || status_of(&url) == Some(200))?;
        Ok(Self { _child: child, _dir: dir, operations })
    }

    /// Its metrics.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn metrics(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.operations);
        Ok(ureq::get(&url).call()?.body_mut().read_to_string()?)
    }
}

//! The token-lookup service of a fleet, with a memory of its own or over a Redis, before a forge.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::run_dir::RunDir;
use super::{LOOKUP_TOKEN, Place, places, status_of, wait_until_ready};

/// The variable with the secret of its store, and that secret.
const STORE_KEY: (&str, &str) = ("JOBSCOPE_STORE_KEY", "of-a-fleet-that-is-here-to-be-tried");

/// A running `jobscope-lookup`.
pub struct LookupService {
    child: Child,
    _dir: RunDir,
    port: u16,
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
        Self::set_up(port, forge_port, &json!({"store": {"kind": "memory"}, "sweep": {"every": "1h"}}))
    }

    /// Starts it with these keys as well.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn set_up(port: u16, forge_port: u16, more: &Value) -> Result<Self> {
        let dir = RunDir::new(&Place::Temporary)?;
        let operations = super::pick_port()?;
        let mut configuration = json!({
            "api": {"listen": format!("127.0.0.1:{port}"), "callers_env": [LOOKUP_TOKEN.0]},
            "operations": {"listen": format!("127.0.0.1:{operations}")},
            "forge": {"url": format!("http://127.0.0.1:{forge_port}"), "credential_env": LOOKUP_TOKEN.0},
        });
        for (section, keys) in more.as_object().into_iter().flatten() {
            for (key, value) in keys.as_object().into_iter().flatten() {
                configuration[section][key] = value.clone();
            }
        }
        if configuration["store"]["kind"] == "redis" {
            configuration["store"]["key_env"] = json!(STORE_KEY.0);
        }
        // JSON is YAML.
        let file = dir.path().join("lookup.yaml");
        std::fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;
        let mut command = Command::new(places::lookup_service()?);
        command.arg("--config").arg(&file).env(LOOKUP_TOKEN.0, LOOKUP_TOKEN.1).env(STORE_KEY.0, STORE_KEY.1);
        let child = Child::spawn("jobscope-lookup", dir.path(), Output::Logged, &mut command)?;
        let url = format!("http://127.0.0.1:{operations}/readyz");
        wait_until_ready(&child, || status_of(&url) == Some(200))?;
        Ok(Self { child, _dir: dir, port, operations })
    }

    /// Where it is asked.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is watched.
    #[must_use]
    pub fn operations(&self) -> u16 {
        self.operations
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// How many bytes of memory it has now.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.child.resident_bytes()
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

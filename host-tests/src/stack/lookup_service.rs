//! The token-lookup service of a fleet, with a memory of its own or over a Redis, before a forge.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::run_dir::RunDir;
use super::{LOOKUP_TOKEN, Place, places, status_of, wait_until_ready};

/// The variable with the secret of its store, and that secret.
const STORE_KEY: (&str, &str) = ("JOBSCOPE_STORE_KEY", "of-a-fleet-that-is-here-to-be-tried");

/// A running `jobscope-lookup`.
pub struct LookupService {
    child: Child,
    _dir: Option<RunDir>,
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
        let mut configuration = json!({
            "api": {"listen": format!("127.0.0.1:{port}"), "callers_env": [LOOKUP_TOKEN.0]},
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
        Self::of(port, configuration, &[LOOKUP_TOKEN, STORE_KEY], None)
    }

    /// Starts it with a whole configuration, which listens at this port, and with these variables; its files are in `dir`, or in a
    /// directory of their own.
    pub(super) fn of(port: u16, mut document: Value, env: &[(&str, &str)], dir: Option<&Path>) -> Result<Self> {
        let own = if dir.is_none() { Some(RunDir::new(&Place::Temporary)?) } else { None };
        let dir = dir.or(own.as_ref().map(RunDir::path)).context("a directory")?;
        let operations = super::pick_port()?;
        document["operations"] = json!({"listen": format!("127.0.0.1:{operations}")});
        // JSON is YAML.
        let file = dir.join("lookup.yaml");
        std::fs::write(&file, serde_json::to_vec_pretty(&document)?)?;
        let mut command = Command::new(places::lookup_service()?);
        command.arg("--config").arg(&file).envs(env.iter().copied());
        let child = Child::spawn("jobscope-lookup", dir, Output::Logged, &mut command)?;
        let url = format!("http://127.0.0.1:{operations}/readyz");
        wait_until_ready(&child, || status_of(&url) == Some(200))?;
        Ok(Self { child, _dir: own, port, operations })
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

    /// What it has logged so far.
    ///
    /// # Errors
    ///
    /// When its log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.child.log()
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

//! Envoy alone, before a forge of the caller's.

use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::child::Child;
use super::run_dir::RunDir;
use super::{Answer, Delivery, Place, Ports, WORKERS, envoy, ports, raw, running, signals, statistics};

/// A running Envoy with the filter, and nothing else.
pub struct Ingress {
    envoy: Child,
    _dir: RunDir,
    ports: Ports,
}

/// What is behind Envoy, and what is not as deployed.
pub struct Setup<'a> {
    /// The forge's port.
    pub forge: u16,
    /// The registry's.
    pub registry: u16,
    /// The port of the service that answers lookups.
    pub token_lookup: u16,
    /// How many workers Envoy has.
    pub workers: u32,
    /// Changes to the filter's configuration, as in [`super::Options`].
    pub filter: &'a [(&'static str, Value)],
    /// Changes to Envoy's.
    pub change: &'a dyn Fn(&mut Value) -> Result<()>,
}

impl Ingress {
    /// Starts Envoy before a forge at this port, which answers lookups too. Its access log is not kept.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing, or what Envoy said last.
    pub fn start(forge_port: u16, filter: &[(&'static str, Value)]) -> Result<Self> {
        Self::set_up(&Setup {
            forge: forge_port,
            registry: forge_port,
            token_lookup: forge_port,
            workers: WORKERS,
            filter,
            change: &|_| Ok(()),
        })
    }

    /// Starts Envoy as it is set up. Its access log is not kept.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn set_up(setup: &Setup<'_>) -> Result<Self> {
        signals::end_children_on_signal(signals::INTERRUPTED)?;
        let dir = RunDir::new(&Place::Temporary)?;
        symlink("/dev/null", envoy::access_log(dir.path()))?;
        let ports = Ports {
            ingress: ports::pick()?,
            admin: ports::pick()?,
            forge: setup.forge,
            registry: setup.registry,
            token_lookup: setup.token_lookup,
        };
        let deployed = running(ports, setup.filter, None, Delivery::Fixed);
        let running = envoy::Running { workers: setup.workers, change: setup.change, ..deployed };
        let envoy = envoy::start(dir.path(), &running)?;
        Ok(Self { envoy, _dir: dir, ports })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.ingress
    }

    /// What Envoy has logged so far.
    ///
    /// # Errors
    ///
    /// When its log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.envoy.log()
    }

    /// Sends `request` as it is, and reads one answer for as long as `patience` lasts.
    ///
    /// # Errors
    ///
    /// When it takes no connection.
    pub fn raw(&self, request: &[u8], patience: Duration) -> Result<Answer> {
        raw::exchange(self.ports.ingress, request, patience)
    }

    /// How many bytes of memory it has now.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.envoy.resident_bytes()
    }

    /// How much of the CPU it has had.
    ///
    /// # Errors
    ///
    /// As [`Self::resident_bytes`].
    pub fn cpu(&self) -> Result<Duration> {
        self.envoy.cpu()
    }

    /// How many it ever had.
    ///
    /// # Errors
    ///
    /// As [`Self::resident_bytes`].
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        self.envoy.peak_resident_bytes()
    }

    /// Its statistics whose names contain `name`, one per line.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn statistics(&self, name: &str) -> Result<String> {
        statistics(self.ports.admin, &format!("filter={name}"))
    }
}

//! Where a run was taken.

use std::{fmt, fs, thread};

use anyhow::Result;
use serde::Serialize;

use crate::stack::envoy_version;

/// A machine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// What its processor calls itself.
    pub processor: String,
    /// How many of it there are.
    pub cores: usize,
    /// The kernel's version.
    pub kernel: String,
    /// How many programs wanted to run, on average of the minute before.
    pub load: String,
    /// Envoy's version.
    pub envoy: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            envoy: envoy_version()?,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, kernel, load, envoy } = self;
        write!(f, "Taken with Envoy {envoy} on {cores} cores of {processor}, Linux {kernel}, load {load} before")
    }
}

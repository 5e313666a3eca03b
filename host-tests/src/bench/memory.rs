//! How much memory Envoy has once its tables are full, and after many jobs have lived and died.

use anyhow::{Context, Result};
use serde_json::json;

use super::figure::{Figures, Measure};
use super::peer::Peer;
use super::stage::Services;
use super::{Plan, number, rounds};
use crate::soak;

/// Small, so that the tables are soon full.
const CAPACITY: u32 = 1024;

/// After so many jobs they are, many times over.
const FIRST: u64 = 10_000;

pub(super) const DEAD: &str = "dead jobs: the first 10,000";
pub(super) const ALL_DEAD: &str = "dead jobs: all";

pub(super) fn measure(plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let mib = |bytes: u64| number(bytes) / number(1 << 20);
    for capacity in [1024, 32_768_u64] {
        say(&format!("memory: {capacity} tokens"));
        let envoy = services.envoy(Peer::Full, 1, &[("/bindings/capacity", json!(capacity))])?;
        rounds::fill(&envoy, capacity.min(plan.tokens))?;
        let what = format!("1 worker, tables full at {capacity}");
        figures.add(Measure::Resident, what, Peer::Jobscope, mib(envoy.resident_bytes()?));
    }
    let jobs = soak::Plan { jobs: plan.dead_jobs, junk: 0, connections: 4, capacity: CAPACITY };
    let report = soak::run(jobs, |sample| say(&format!("memory: {sample}")))?;
    let first = report.samples.iter().find(|sample| sample.jobs >= FIRST.min(plan.dead_jobs)).context("no sample")?;
    let last = report.samples.last().context("no sample")?;
    figures.add(Measure::Resident, DEAD, Peer::Jobscope, mib(first.resident));
    figures.add(Measure::Resident, ALL_DEAD, Peer::Jobscope, mib(last.resident));
    Ok(())
}

//! How much memory jobs take in the service and in its Redis.

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Fleet, REPLICAS, Size, number, service};
use crate::factory::{ALIKE, Factory, TARGETS, token_of};
use crate::soak::Client;
use crate::stack::{LOOKUP_TOKEN, LookupService};

/// What so many jobs took, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// How many jobs.
    pub jobs: u64,
    /// Redis, in use, of the master.
    pub redis: u64,
    /// Resident, of all replicas of the service together.
    pub service: u64,
    /// The same before the first job.
    pub service_before: u64,
}

impl Memory {
    /// What a hundred thousand jobs take in Redis, and in a replica of the service, in MiB.
    #[must_use]
    pub fn of_100_000(&self) -> (f64, f64) {
        let mib = |bytes: u64| number(bytes) * 100_000.0 / number(self.jobs.max(1)) / f64::from(1 << 20);
        (mib(self.redis), mib(self.service.saturating_sub(self.service_before)) / number(REPLICAS as u64))
    }
}

/// Asks the service of so many jobs, and of what their targets are to them.
pub(super) fn measure(jobs: u64) -> Result<Memory> {
    let forge = Factory::start()?;
    let fleet = Fleet::start(Size { envoys: 0, replicas: REPLICAS }, forge.port(), &[], &lasting())?;
    let redis = fleet.redis().context("no Redis")?;
    let resident = || fleet.services().iter().map(LookupService::resident_bytes).sum::<Result<u64>>();
    let mut clients =
        fleet.services().iter().map(|service| Client::connect(service.port())).collect::<Result<Vec<_>>>()?;
    // What is there once is no job's.
    ask(&mut clients[0], &token(jobs + 1))?;
    let (used, service_before) = (redis.used_bytes()?, resident()?);
    for job in 1..=jobs {
        let client = usize::try_from(job)? % clients.len();
        let known = ask(&mut clients[client], &token(job))?;
        if job % ALIKE == 1 {
            for target in 0..TARGETS {
                let target = format!("libs/t{}", job / ALIKE * TARGETS + target);
                ask(
                    &mut clients[client],
                    &json!({"version": 1, "ask": "target", "max_age": 30, "job": {"id": job},
                    "origin": known["job"]["origin"], "user": known["job"]["user"], "target": {"path": target}}),
                )?;
            }
        }
    }
    let taken = redis.used_bytes()?.saturating_sub(used);
    Ok(Memory { jobs, redis: taken, service: resident()?, service_before })
}

/// Nothing is forgotten while it is counted.
fn lasting() -> Value {
    let mut keys = service();
    keys["ages"] = json!({"tokens": "1h", "project": "1h", "member": "1h", "external": "1h", "allowlist": "1h", "enforcement": "1h"});
    keys["sweep"] = json!({"every": "1h"});
    keys
}

fn token(job: u64) -> Value {
    json!({"version": 1, "ask": "token", "max_age": 30, "token": token_of(job)})
}

fn ask(client: &mut Client, question: &Value) -> Result<Value> {
    let bearer = format!("Bearer {}", LOOKUP_TOKEN.1);
    let answer = client.send("POST", "/jobscope/v1/lookup", &[("authorization", &bearer)], &question.to_string())?;
    ensure!(answer.status == 200, "{question} got {}: {}", answer.status, answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

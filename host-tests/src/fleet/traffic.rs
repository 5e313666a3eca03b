//! Jobs at work: each asks at random, on average as often as [`EVERY`] says, at any Envoy.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::{EVERY, Fleet, SPEED, number};
use crate::factory::{TARGETS, package, token_of};
use crate::oracle::Random;
use crate::soak::Client;

/// How many clients there are.
const CLIENTS: u32 = 8;

/// Into how many parts chance is divided.
const PARTS: usize = 1 << 20;

/// Has jobs work for so long, and says how many requests they made.
pub(super) fn flow(fleet: &Fleet, jobs: u64, time: Duration) -> Result<u64> {
    let (begin, most) = (Instant::now(), usize::try_from(jobs)?);
    let pause = (EVERY / SPEED * CLIENTS).as_secs_f64() / number(jobs);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mut random = Random::new(u64::from(client) + 1);
                    let mut envoys =
                        fleet.envoys().iter().map(|envoy| Client::connect(envoy.port())).collect::<Result<Vec<_>>>()?;
                    let (mut due, mut requests) = (Duration::ZERO, 0_u64);
                    while due < time {
                        thread::sleep(due.saturating_sub(begin.elapsed()));
                        let (job, envoy) = (1 + random.below(most) as u64, random.below(envoys.len()));
                        for target in 0..TARGETS {
                            work(&mut envoys[envoy], job, target)?;
                            requests += 1;
                        }
                        due += Duration::from_secs_f64(
                            -pause * (number(1 + random.below(PARTS) as u64) / number(PARTS as u64)).ln(),
                        );
                    }
                    anyhow::Ok(requests)
                })
            })
            .collect();
        let mut all = 0;
        for client in clients {
            match client.join() {
                Ok(requests) => all += requests?,
                Err(_) => bail!("a client panicked"),
            }
        }
        let took = begin.elapsed();
        ensure!(
            took < time * 5 / 4,
            "this machine is too slow for so many jobs: {took:?} for the work of {time:?}; take fewer with JOBS="
        );
        Ok(all)
    })
}

/// A running job reads a package.
pub(super) fn work(envoy: &mut Client, job: u64, target: u64) -> Result<()> {
    let answer = envoy.send("GET", &package(job, target), &[("job-token", &token_of(job))], "")?;
    ensure!(answer.status == 200, "running job {job} got {}: {}", answer.status, answer.body);
    Ok(())
}

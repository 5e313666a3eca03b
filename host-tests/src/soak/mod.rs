//! Many jobs that live and die behind a real Envoy, and many tokens that never lived; and how much memory Envoy has all
//! the while.

mod client;
mod report;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::factory::{self, Factory};
use crate::stack::Ingress;

pub(crate) use client::Client;
pub use report::{Report, Sample};

/// How many times the memory is looked at, and after how many jobs and tokens at the latest.
const SAMPLES: u64 = 20;
const FARTHEST_APART: u64 = 10_000;

/// How much is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Jobs, each from its birth to its end.
    pub jobs: u64,
    /// Tokens that never were a job's, each sent once.
    pub junk: u64,
    /// Connections that the jobs come over; as many again for the junk.
    pub connections: u64,
    /// `bindings.capacity`.
    pub capacity: u32,
}

/// What the connections share.
struct Progress {
    plan: Plan,
    jobs: AtomicU64,
    junk: AtomicU64,
    failed: AtomicBool,
}

impl Progress {
    fn done(&self) -> u64 {
        self.jobs.load(Ordering::Relaxed).min(self.plan.jobs) + self.junk.load(Ordering::Relaxed).min(self.plan.junk)
    }

    /// The number of the next of `most`; none when all are taken, or something went wrong.
    fn next(&self, taken: &AtomicU64, most: u64) -> Option<u64> {
        let number = taken.fetch_add(1, Ordering::Relaxed);
        (number < most && !self.failed.load(Ordering::Relaxed)).then_some(number)
    }
}

/// Does all of it, and tells `say` how far it is.
///
/// # Errors
/// When Envoy does not start, or an answer is not the one that is due.
pub fn run(plan: Plan, mut say: impl FnMut(&Sample)) -> Result<Report> {
    let factory = Factory::start()?;
    let ingress = Ingress::start(
        factory.port(),
        &[
            ("/bindings/capacity", json!(plan.capacity)),
            ("/lookup/api", json!("v1")),
            // Every token is looked up: nothing but the size of the tables bounds what is remembered.
            ("/lookup/max_unknown_per_second", json!(100_000)),
            ("/lookup/max_unknown_per_source", json!(100_000)),
            // A busy machine is no failure.
            ("/lookup/timeout", json!("30s")),
        ],
    )?;
    let progress = Progress { plan, jobs: AtomicU64::new(0), junk: AtomicU64::new(0), failed: AtomicBool::new(false) };
    let begin = Instant::now();
    let sample = || -> Result<Sample> {
        Ok(Sample {
            seconds: begin.elapsed().as_secs(),
            jobs: progress.jobs.load(Ordering::Relaxed).min(plan.jobs),
            junk: progress.junk.load(Ordering::Relaxed).min(plan.junk),
            resident: ingress.resident_bytes()?,
        })
    };
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.connections * 2)
            .map(|number| {
                let (progress, ingress) = (&progress, &ingress);
                scope.spawn(move || {
                    let done = match number % 2 {
                        0 => live(progress, ingress),
                        _ => ask_in_vain(progress, ingress),
                    };
                    if done.is_err() {
                        progress.failed.store(true, Ordering::Relaxed);
                    }
                    done
                })
            })
            .collect();
        let step = (plan.jobs + plan.junk).div_ceil(SAMPLES).clamp(1, FARTHEST_APART);
        let mut due = step;
        while workers.iter().any(|worker| !worker.is_finished()) {
            if progress.done() >= due {
                due = progress.done() + step;
                let sample = sample()?;
                say(&sample);
                samples.push(sample);
            }
            thread::sleep(Duration::from_millis(50));
        }
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(_) => bail!("a connection panicked"),
            }
        }
        Ok(())
    })?;
    let last = sample()?;
    say(&last);
    samples.push(last);
    let traps = ingress.statistics("vm_reload")?;
    ensure!(traps.lines().all(|line| line.ends_with(": 0")), "the filter trapped: {traps}");
    ensure!(factory.ended() == plan.jobs, "{} of {} jobs ended", factory.ended(), plan.jobs);
    Ok(Report { plan, samples, lookups: factory.lookups() })
}

/// Jobs, one behind the other: handed out, at work, at their end, and too late.
fn live(progress: &Progress, ingress: &Ingress) -> Result<()> {
    let mut client = Client::connect(ingress.port())?;
    while progress.next(&progress.jobs, progress.plan.jobs).is_some() {
        let handed = client.send("POST", "/api/v4/jobs/request", &[], r#"{"token": "glrt-soak"}"#)?;
        ensure!(handed.status == 201, "a runner that asks for a job got {}", handed.status);
        let (job, token) = factory::handed_out(&handed.body)?;
        let at_work = client.send("GET", factory::PACKAGE, &[("job-token", &token)], "")?;
        ensure!(at_work.status == 200, "a running job got {}: {}", at_work.status, at_work.body);
        let end = json!({"token": token, "state": "success"}).to_string();
        let ended = client.send("PUT", &format!("/api/v4/jobs/{job}"), &[], &end)?;
        ensure!(ended.status == 200, "a runner that reports an end got {}: {}", ended.status, ended.body);
        let late = client.send("GET", factory::PACKAGE, &[("job-token", &token)], "")?;
        ensure!(late.status == 401, "an ended job got {}: {}", late.status, late.body);
    }
    Ok(())
}

/// Tokens that nobody gave out.
fn ask_in_vain(progress: &Progress, ingress: &Ingress) -> Result<()> {
    let mut client = Client::connect(ingress.port())?;
    while let Some(number) = progress.next(&progress.junk, progress.plan.junk) {
        let answer =
            client.send("GET", factory::PACKAGE, &[("job-token", &format!("glcbt-64_junk{number:016}"))], "")?;
        ensure!(answer.status == 401, "a token that never lived got {}: {}", answer.status, answer.body);
    }
    Ok(())
}

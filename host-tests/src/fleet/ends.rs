//! How long an end takes from the Envoy that sees it to another one.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::json;

use super::{Fleet, Plan, traffic};
use crate::factory::{package, token_of};
use crate::soak::Client;

/// How many ends are under way at a time where they are told. Where they are not each waits for its next confirmation, and
/// all wait at once.
const AT_ONCE: u64 = 4;

/// How often the other Envoy is tried.
const TRY: Duration = Duration::from_millis(5);

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// From the answer to the runner's report until another Envoy refuses the job, in seconds of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Delays {
    /// Whether the service stood between.
    pub with_service: bool,
    /// All of them, the shortest first.
    pub seconds: Vec<f64>,
}

impl Delays {
    /// That of which so many of a hundred are not longer.
    #[must_use]
    pub fn percentile(&self, hundredth: usize) -> f64 {
        let at = (self.seconds.len() * hundredth).div_ceil(100).saturating_sub(1);
        self.seconds.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Has jobs end that nobody has seen yet.
pub(super) fn measure(fleet: &Fleet, plan: &Plan, with_service: bool) -> Result<Delays> {
    let [first, .., last] = fleet.envoys() else { bail!("there is no other Envoy") };
    let threads = if with_service { AT_ONCE } else { plan.ends };
    let mut seconds = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let (mut first, mut last) = (Client::connect(first.port())?, Client::connect(last.port())?);
                    let jobs = (1..=plan.ends).filter(|end| end % threads == thread).map(|end| plan.jobs + end);
                    jobs.map(|job| end(job, &mut first, &mut last)).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().ok().context("a client panicked")??);
        }
        anyhow::Ok(all)
    })?;
    seconds.sort_by(f64::total_cmp);
    Ok(Delays { with_service, seconds })
}

/// The forge gives the package to whoever asks: who is refused is refused by the filter.
fn end(job: u64, first: &mut Client, last: &mut Client) -> Result<f64> {
    traffic::work(first, job, 0)?;
    traffic::work(last, job, 0)?;
    let token = token_of(job);
    let report = json!({"token": token, "state": "success"}).to_string();
    let ended = first.send("PUT", &format!("/api/v4/jobs/{job}"), &[], &report)?;
    ensure!(ended.status == 200, "a runner that reports an end got {}: {}", ended.status, ended.body);
    let begin = Instant::now();
    let ask = |envoy: &mut Client| envoy.send("GET", &package(job, 0), &[("job-token", &token)], "");
    ensure!(ask(first)?.status == 401, "the Envoy that saw the end lets the job go on");
    loop {
        match ask(last)?.status {
            401 => return Ok(begin.elapsed().as_secs_f64()),
            200 => ensure!(begin.elapsed() < PATIENCE, "the other Envoy never hears of it"),
            status => bail!("an ended job got {status}"),
        }
        thread::sleep(TRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_them() {
        let delays = Delays { with_service: true, seconds: (1..=100).map(f64::from).collect() };
        assert_eq!([50, 99, 100].map(|hundredth| delays.percentile(hundredth)), [50.0, 99.0, 100.0]);
        let one = Delays { with_service: true, seconds: vec![7.0] };
        assert_eq!([50, 99, 100].map(|hundredth| one.percentile(hundredth)), [7.0; 3]);
    }
}

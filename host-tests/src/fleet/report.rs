//! What came of it, as JSON and in docs/operations.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{Calls, Delays, Memory, Plan, SPEED, number, reckoning};
use crate::bench::{Machine, replaced};
use crate::stack::checkout;

const BEGIN: &str = "<!-- fleet: made by `make fleet` -->";
const END: &str = "<!-- end of fleet -->";

/// The fleet that nobody here can start.
const ENVOYS: u64 = 20;
const JOBS: u64 = 10_000;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What was done.
    pub plan: Plan,
    /// What the forge was asked.
    pub calls: Vec<Calls>,
    /// How long ends took.
    pub delays: Vec<Delays>,
    /// What jobs took.
    pub memory: Memory,
}

impl Report {
    /// As tables in Markdown.
    ///
    /// # Errors
    /// None that occurs: a text takes everything.
    pub fn tables(&self) -> Result<String> {
        let Self { machine, plan, memory, .. } = self;
        let mut text = String::new();
        writeln!(
            text,
            "{machine}. {} jobs, in a time that ran {SPEED} times as fast; told as of {JOBS} jobs in real time.\n",
            plan.jobs
        )?;
        writeln!(
            text,
            "| Envoys | calls of the forge per second without the service | by arithmetic | with the service |"
        )?;
        writeln!(text, "|---|---|---|---|")?;
        for envoys in 1..=plan.envoys {
            let cell =
                |with| self.calls(envoys, with).map_or(String::new(), |calls| format!("{:.0}", self.told(calls)));
            let reckoned = reckoning::without_service(envoys as u64, JOBS);
            writeln!(text, "| {envoys} | {} | {reckoned:.0} | {} |", cell(false), cell(true))?;
        }
        let (factor, most) = (self.factor(), self.most_with_service());
        let reckoned = reckoning::without_service(ENVOYS, JOBS);
        writeln!(text, "| {ENVOYS}, not measured | {:.0} | {reckoned:.0} | {most:.0} |\n", reckoned * factor)?;
        writeln!(
            text,
            "What was measured is {factor:.2} of the arithmetic. With the service the most of the above stands, since it hardly depends on the number of Envoys.\n"
        )?;
        if !self.delays.is_empty() {
            writeln!(
                text,
                "| an end reported at one Envoy is refused at another | p50 | p99 | worst |\n|---|---|---|---|"
            )?;
        }
        for delays in &self.delays {
            // Without the service it is confirmations that tell, and those come by the clock of the run.
            let (how, speed) = if delays.with_service { ("with", 1) } else { ("without", SPEED) };
            let [p50, p99, worst] = [50, 99, 100].map(|hundredth| delays.percentile(hundredth) * f64::from(speed));
            writeln!(
                text,
                "| {how} the service, {} ends | {p50:.1} s | {p99:.1} s | {worst:.1} s |",
                delays.seconds.len()
            )?;
        }
        let (redis, service) = memory.of_100_000();
        writeln!(
            text,
            "\n100,000 jobs, by {} of them: {redis:.0} MiB in Redis, {service:.0} MiB in each replica of the service.",
            memory.jobs
        )?;
        Ok(text.trim_end().to_owned())
    }

    fn calls(&self, envoys: usize, with_service: bool) -> Option<&Calls> {
        self.calls.iter().find(|calls| calls.envoys == envoys && calls.with_service == with_service)
    }

    /// Calls per second in real time, as of [`JOBS`] jobs.
    fn told(&self, calls: &Calls) -> f64 {
        calls.calls_per_second / f64::from(SPEED) * number(JOBS) / number(self.plan.jobs.max(1))
    }

    /// What was measured without the service, of what is reckoned.
    fn factor(&self) -> f64 {
        let of = |with: fn(&Self, &Calls) -> f64| -> f64 {
            self.calls.iter().filter(|calls| !calls.with_service).map(|calls| with(self, calls)).sum()
        };
        let reckoned = of(|_, calls| reckoning::without_service(calls.envoys as u64, JOBS));
        if reckoned > 0.0 { of(Self::told) / reckoned } else { 1.0 }
    }

    fn most_with_service(&self) -> f64 {
        self.calls.iter().filter(|calls| calls.with_service).map(|calls| self.told(calls)).fold(0.0, f64::max)
    }

    /// What is wrong with it, if anything: with the service the forge is asked less than without it by as many Envoys, not more than one
    /// Envoy asks alone, and an end is told.
    ///
    /// # Errors
    /// That.
    pub fn require_sound(&self) -> Result<()> {
        let alone = self.calls(1, false).map_or(f64::INFINITY, |calls| calls.calls_per_second);
        for calls in self.calls.iter().filter(|calls| calls.with_service) {
            let Calls { envoys, calls_per_second, .. } = calls;
            ensure!(*calls_per_second > 0.0, "nobody asked the forge");
            ensure!(
                *calls_per_second < alone * 1.2,
                "{envoys} Envoys with the service ask the forge {calls_per_second:.0} times a second, one without it {alone:.0}"
            );
        }
        for delays in self.delays.iter().filter(|delays| delays.with_service) {
            let worst = delays.percentile(100);
            ensure!(worst < 3.0, "an end took {worst:.1} s to another Envoy");
        }
        Ok(())
    }

    /// Writes `report.json` into this folder.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        Ok(fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?)
    }

    /// Puts its tables into the documentation.
    ///
    /// # Errors
    /// When that has no place for them.
    pub fn publish(&self) -> Result<()> {
        let file = checkout().join("docs/operations.md");
        Ok(fs::write(&file, replaced(&fs::read_to_string(&file)?, BEGIN, END, &self.tables()?)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(with_service: f64, worst: f64) -> Report {
        let calls = |envoys, with_service, calls_per_second| Calls {
            envoys,
            with_service,
            requests_per_second: 1.0,
            calls_per_second,
        };
        Report {
            plan: Plan { envoys: 2, jobs: 1000, ends: 1, remembered: 10 },
            calls: vec![
                calls(1, false, 100.0),
                calls(1, true, 40.0),
                calls(2, false, 180.0),
                calls(2, true, with_service),
            ],
            delays: vec![Delays { with_service: true, seconds: vec![0.5, worst] }],
            ..Report::default()
        }
    }

    #[test]
    fn figures_are_told_in_real_time_for_ten_thousand_jobs() {
        let tables = report(50.0, 1.0).tables().unwrap();
        assert!(tables.contains("| 1 | 200 | 573 | 80 |") && tables.contains("| 2 | 360 |"), "{tables}");
        assert!(tables.contains("| with the service, 2 ends | 0.5 s | 1.0 s | 1.0 s |"), "{tables}");
    }

    #[test]
    fn a_service_that_spares_nothing_or_tells_nobody_is_wrong() {
        report(50.0, 1.0).require_sound().unwrap();
        for (report, why) in
            [(report(130.0, 1.0), "2 Envoys with"), (report(0.0, 1.0), "nobody"), (report(50.0, 4.0), "4.0 s")]
        {
            let error = report.require_sound().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_document_has_a_place_for_them() {
        let document = fs::read_to_string(checkout().join("docs/operations.md")).unwrap();
        replaced(&document, BEGIN, END, "").unwrap();
    }
}

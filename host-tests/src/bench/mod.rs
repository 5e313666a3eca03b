//! What jobscope costs an Envoy, beside what else could stand in its place: in one run on one machine, with one worker, as the
//! system counts the CPU of the whole process. Everything that is said of it is a ratio within the run.
//!
//! Clients, upstream and services are in this process, and their time is not counted.

mod answerer;
mod bodies;
mod budget;
mod chart;
mod crowd;
mod document;
mod figure;
mod hold;
mod latency;
mod load;
mod machine;
mod memory;
mod peer;
mod rounds;
mod service;
mod stage;
mod start;
mod upstream;
mod work;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::stack::checkout;
use stage::Services;

pub use budget::Verdict;
pub use figure::{Figure, Figures, Measure};
pub use machine::Machine;
pub use peer::Peer;

pub(crate) use document::replaced;

/// How much is to be done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// How often each is measured.
    pub rounds: u32,
    /// For how long.
    pub slice: Duration,
    /// How many jobs live and die.
    pub dead_jobs: u64,
    /// How many tokens fill the tables.
    pub tokens: u64,
    /// The kinds of requests, and the other measurements, by their names; all where it is empty.
    pub only: Vec<String>,
}

impl Plan {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What was done.
    pub plan: Plan,
    /// Each measurement.
    pub figures: Figures,
    /// Each budget that enough was measured for.
    pub budgets: Vec<Verdict>,
}

/// A measurement: what it does, how it tells how far it is, and where its figures go.
type Measurement = fn(&Plan, &Services, &dyn Fn(&str), &mut Figures) -> Result<()>;

/// Those that are no request's CPU.
const OTHERS: [(&str, Measurement); 6] = [
    ("start", start::measure),
    ("latency", latency::measure),
    ("bodies", bodies::measure),
    ("lookups", crowd::measure),
    ("hold", hold::measure),
    ("memory", memory::measure),
];

/// The names that [`Plan::only`] may have.
pub fn names() -> impl Iterator<Item = &'static str> {
    work::WORK.iter().map(|work| work.name).chain(OTHERS.map(|(name, _)| name))
}

/// Measures, and tells `say` how far it is.
///
/// # Errors
/// When Envoy does not start, or an answer is not the one that is due.
pub fn run(plan: Plan, say: &dyn Fn(&str)) -> Result<Report> {
    if let Some(unknown) = plan.only.iter().find(|wanted| !names().any(|name| name == *wanted)) {
        bail!("nothing is measured that is called `{unknown}`; there is: {}", names().collect::<Vec<_>>().join("; "));
    }
    ensure!(plan.rounds > 0, "without a round nothing is measured");
    let machine = Machine::this()?;
    let services = Services::start()?;
    let mut figures = Figures::default();
    rounds::measure(&plan, &services, say, &mut figures)?;
    for (name, measure) in OTHERS {
        if plan.wants(name) {
            measure(&plan, &services, say, &mut figures).with_context(|| format!("while `{name}` was measured"))?;
        }
    }
    let budgets = budget::verdicts(&figures);
    Ok(Report { machine, plan, figures, budgets })
}

impl Report {
    /// As tables in Markdown.
    ///
    /// # Errors
    /// None that occurs: a text takes everything.
    pub fn tables(&self) -> Result<String> {
        document::figures(self)
    }

    /// Writes `report.json` and `performance.svg` into this folder.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        Ok(fs::write(folder.join("performance.svg"), chart::draw(self)?)?)
    }

    /// Puts its tables and its picture into the documentation.
    ///
    /// # Errors
    /// When that has no place for them.
    pub fn publish(&self) -> Result<()> {
        let docs = checkout().join("docs");
        let file = docs.join("performance.md");
        fs::write(&file, document::with_figures(&fs::read_to_string(&file)?, self)?)?;
        Ok(fs::write(docs.join("performance.svg"), chart::draw(self)?)?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are exact enough")]
fn number(count: u64) -> f64 {
    count as f64
}

fn micros(time: Duration, answers: u64) -> f64 {
    time.as_secs_f64() * 1e6 / number(answers.max(1))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// With as many digits as mean something.
fn bounded(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

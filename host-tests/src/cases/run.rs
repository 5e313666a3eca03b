//! Every row of a file, decided; and what was found of them, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZero;
use std::thread;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{Kind, Rows};
use crate::host::Filter;

/// How much is printed of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// What differs, what was skipped, and the counts.
    Terse,
    /// What differs on purpose, too.
    Verbose,
}

/// What became of one row.
#[derive(Debug)]
pub struct Finding {
    /// The row's name.
    pub id: String,
    /// What came of the comparison.
    pub outcome: Outcome,
    /// What is told of the row, by name.
    pub told: Vec<(&'static str, Option<String>)>,
}

/// What came of a comparison.
#[derive(Debug)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Otherwise, on purpose, for this reason.
    Differs(String),
    /// Otherwise, or not understood.
    Failed(String),
    /// Not compared, for this reason.
    Skipped(String),
}

/// What came of a row, and what is told of it, by name.
pub type Found = (Outcome, Vec<(&'static str, Option<String>)>);

/// What was found in a file.
#[derive(Debug)]
pub struct Report {
    /// One of each row, in their order.
    pub findings: Vec<Finding>,
}

/// Decides every row. Rows are read side by side.
///
/// # Errors
/// A reader panicked.
pub fn run<K: Kind>(kind: &K, rows: &Rows<K::Row>, filter: &Filter) -> Result<Report> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = rows.len().div_ceil(threads).max(1);
    let found: Result<Vec<Vec<Finding>>> = thread::scope(|scope| {
        let readers: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(|| findings(kind, rows, filter))).collect();
        readers.into_iter().map(|reader| reader.join().map_err(|_| anyhow!("a reader panicked"))).collect()
    });
    Ok(Report { findings: found?.into_iter().flatten().collect() })
}

fn findings<K: Kind>(kind: &K, rows: &[(String, Result<K::Row>)], filter: &Filter) -> Vec<Finding> {
    let mut reader = kind.reader(filter);
    let mut found = |row: &Result<K::Row>| match row {
        Ok(row) => reader(row).unwrap_or_else(|error| (Outcome::Failed(format!("{error:#}")), Vec::new())),
        Err(error) => (Outcome::Failed(format!("{error:#}")), Vec::new()),
    };
    let finding = |(id, row): &(String, Result<K::Row>)| {
        let (outcome, told) = found(row);
        Finding { id: id.clone(), outcome, told }
    };
    rows.iter().map(finding).collect()
}

impl Report {
    /// How many rows passed, failed, and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for finding in &self.findings {
            match finding.outcome {
                Outcome::Passed | Outcome::Differs(_) => counts.0 += 1,
                Outcome::Failed(_) => counts.1 += 1,
                Outcome::Skipped(_) => counts.2 += 1,
            }
        }
        counts
    }

    /// The report for people.
    pub fn text(&self, verbosity: Verbosity) -> String {
        let mut text = String::new();
        let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for finding in &self.findings {
            text.push_str(&finding.text(verbosity));
            if let Outcome::Skipped(why) = &finding.outcome {
                skipped.entry(why).or_default().push(&finding.id);
            }
        }
        // Writing to a string cannot fail.
        for (why, ids) in skipped {
            let _ = writeln!(text, "{} skipped: {why}\n    {}", ids.len(), ids.join(" "));
        }
        let (passed, failed, skipped) = self.counts();
        let _ = writeln!(text, "{passed} passed, {failed} failed, {skipped} skipped");
        text
    }

    /// The report for programs: an object.
    pub fn json(&self) -> Value {
        let (passed, failed, skipped) = self.counts();
        let rows: Vec<Value> = self.findings.iter().map(Finding::json).collect();
        json!({"passed": passed, "failed": failed, "skipped": skipped, "rows": rows})
    }
}

impl Finding {
    fn text(&self, verbosity: Verbosity) -> String {
        let mut text = match &self.outcome {
            Outcome::Failed(what) => format!("{} {what}\n", self.id),
            Outcome::Differs(why) if verbosity == Verbosity::Verbose => {
                format!("{} differs on purpose: {why}\n", self.id)
            }
            Outcome::Passed | Outcome::Differs(_) | Outcome::Skipped(_) => return String::new(),
        };
        for (name, what) in &self.told {
            if let Some(what) = what {
                let _ = writeln!(text, "    {:<9} {what}", format!("{name}:"));
            }
        }
        text
    }

    fn json(&self) -> Value {
        let (outcome, note) = match &self.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Differs(why) => ("differs", Some(why)),
            Outcome::Failed(what) => ("failed", Some(what)),
            Outcome::Skipped(why) => ("skipped", Some(why)),
        };
        let mut row = json!({"id": self.id, "outcome": outcome, "note": note});
        for (name, what) in &self.told {
            row[name] = json!(what);
        }
        row
    }
}

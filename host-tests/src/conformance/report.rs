//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::run::{Finding, Outcome, Run};
use crate::rows::Verbosity;

impl Run {
    /// The report for people.
    pub fn text(&self, verbosity: Verbosity) -> String {
        let mut text = String::new();
        let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for finding in &self.findings {
            // Writing to a string cannot fail.
            let _ = describe(&mut text, finding, verbosity);
            if let Outcome::Skipped(why) = &finding.outcome {
                skipped.entry(why).or_default().push(&finding.id);
            }
        }
        for (why, ids) in skipped {
            let _ = match verbosity {
                Verbosity::Terse => writeln!(text, "{} skipped: {why}", ids.len()),
                Verbosity::Verbose => writeln!(text, "{} skipped: {why}\n    {}", ids.len(), ids.join(" ")),
            };
        }
        let (passed, failed, skipped) = self.counts();
        let _ = writeln!(text, "{passed} passed, {failed} failed, {skipped} skipped");
        text
    }

    /// The report for programs: an object.
    pub fn json(&self) -> Value {
        let (passed, failed, skipped) = self.counts();
        let rows: Vec<Value> = self.findings.iter().map(row).collect();
        json!({"passed": passed, "failed": failed, "skipped": skipped, "rows": rows})
    }
}

fn describe(text: &mut String, finding: &Finding, verbosity: Verbosity) -> std::fmt::Result {
    let Finding { id, expected, decided, outcome } = finding;
    match outcome {
        Outcome::Differs(why) if verbosity == Verbosity::Verbose => writeln!(text, "{id} differs on purpose: {why}")?,
        Outcome::Failed(what) => writeln!(text, "{id} {what}")?,
        Outcome::Passed | Outcome::Skipped(_) | Outcome::Differs(_) => return Ok(()),
    }
    writeln!(text, "    expected: {expected}")?;
    decided.as_ref().map_or(Ok(()), |decided| writeln!(text, "    decided:  {decided}"))
}

fn row(finding: &Finding) -> Value {
    let (outcome, note) = match &finding.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Differs(why) => ("differs", Some(why)),
        Outcome::Failed(what) => ("failed", Some(what)),
        Outcome::Skipped(why) => ("skipped", Some(why)),
    };
    json!({"id": finding.id, "outcome": outcome, "note": note, "expected": finding.expected,
        "decided": finding.decided})
}

//! What was found, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use super::expected::Expected;
use super::run::{Finding, Outcome, Run};
use super::seen::{End, Seen};
use crate::rows::Verbosity;

impl Run {
    /// The report for people.
    pub fn text(&self, verbosity: Verbosity) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            // Writing to a string cannot fail.
            let _ = describe(&mut text, finding, verbosity);
        }
        if verbosity == Verbosity::Verbose {
            text.push_str("reasons of the file, and ours:\n");
            for (reason, ours) in self.reasons() {
                let ours: Vec<&str> = ours.into_iter().collect();
                let _ = writeln!(text, "    {reason}: {}", ours.join(", "));
            }
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

    /// Which of our reasons stand for a reason of the file.
    fn reasons(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for finding in &self.findings {
            if let (Expected::Reject { reason, .. }, Some((core, _))) = (&finding.expected, &finding.read)
                && let Seen::Refused { code, .. } | Seen::Judged { end: End::Denied { code, .. }, .. } = core
            {
                reasons.entry(reason).or_default().insert(code);
            }
        }
        reasons
    }
}

fn describe(text: &mut String, finding: &Finding, verbosity: Verbosity) -> std::fmt::Result {
    let Finding { id, why, expected, read, outcome } = finding;
    match outcome {
        Outcome::Passed => return Ok(()),
        Outcome::Better(reason) if verbosity == Verbosity::Verbose => writeln!(text, "{id} read better: {reason}")?,
        Outcome::Better(_) => return Ok(()),
        Outcome::Skipped(reason) => return writeln!(text, "{id} skipped: {reason}"),
        Outcome::Failed(what) => writeln!(text, "{id} {what}")?,
    }
    writeln!(text, "    why:      {why}")?;
    writeln!(text, "    expected: {expected}")?;
    if let Some((core, filter)) = read {
        writeln!(text, "    core:     {core}")?;
        writeln!(text, "    filter:   {filter}")?;
    }
    Ok(())
}

fn row(finding: &Finding) -> Value {
    let (outcome, note) = match &finding.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Better(why) => ("better", Some(why)),
        Outcome::Failed(what) => ("failed", Some(what)),
        Outcome::Skipped(why) => ("skipped", Some(why)),
    };
    json!({
        "id": finding.id,
        "outcome": outcome,
        "note": note,
        "why": finding.why,
        "expected": finding.expected.to_string(),
        "core": finding.read.as_ref().map(|(core, _)| core.to_string()),
        "filter": finding.read.as_ref().map(|(_, filter)| filter.to_string()),
    })
}

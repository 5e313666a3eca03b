//! Every row of a file, read twice and compared.

use anyhow::{Context, Result, anyhow};
use policy::Config;

use super::compare::{agrees, same};
use super::document::{Document, Row};
use super::exceptions::Exceptions;
use super::expected::Expected;
use super::forge::World;
use super::message::{Delivery, deliver};
use super::seen::Seen;
use super::{core, filter};
use crate::host::Filter;
use crate::rows::side_by_side;

/// What became of one row.
#[derive(Debug)]
pub struct Finding {
    /// The row's name.
    pub id: String,
    /// Why the row is there.
    pub why: String,
    /// How it must be read, in our names.
    pub expected: Expected,
    /// How the core and the filter read it; none for a row that is not sent.
    pub read: Option<(Seen, Seen)>,
    /// What came of the comparison.
    pub outcome: Outcome,
}

/// What came of a comparison.
#[derive(Debug)]
pub enum Outcome {
    /// Both read it as expected.
    Passed,
    /// Both read it as we think better, for this reason.
    Better(String),
    /// They do not, or an exception is wrong.
    Failed(String),
    /// It was not compared, for this reason.
    Skipped(String),
}

/// The findings of a file, in the order of its rows.
#[derive(Debug)]
pub struct Run {
    /// One of each row.
    pub findings: Vec<Finding>,
}

impl Run {
    /// Reads every row.
    ///
    /// # Errors
    /// A row cannot be understood, or the filter does not start.
    pub fn of(document: &Document, exceptions: &Exceptions, filter: &Filter) -> Result<Run> {
        let world = World::of(document);
        let find = |row: &Row| finding(&world, exceptions, filter, row).with_context(|| format!("row `{}`", row.id));
        Ok(Run { findings: side_by_side(&document.rows, find)? })
    }

    /// How many rows passed, failed, and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for finding in &self.findings {
            match finding.outcome {
                Outcome::Passed | Outcome::Better(_) => counts.0 += 1,
                Outcome::Failed(_) => counts.1 += 1,
                Outcome::Skipped(_) => counts.2 += 1,
            }
        }
        counts
    }
}

fn finding(world: &World, exceptions: &Exceptions, filter: &Filter, row: &Row) -> Result<Finding> {
    let expected = exceptions.renamed(&row.expected);
    let better = exceptions.better(&row.id);
    let finding = |expected: Expected, read, outcome| {
        let (id, why) = (row.id.clone(), row.why.clone());
        Ok(Finding { id, why, expected, read, outcome })
    };
    let forge = world.forge(row);
    let message = match deliver(&row.request, forge.token)? {
        Delivery::Reaches(message) => message,
        Delivery::Stops(_) if better.is_some() => {
            let wrong = "listed as read better, but no filter ever sees it";
            return finding(expected, None, Outcome::Failed(wrong.into()));
        }
        Delivery::Stops(why) => {
            let why = exceptions.proxy(&row.id).unwrap_or(why);
            return finding(expected, None, Outcome::Skipped(format!("decided by the proxy: {why}")));
        }
    };
    let config = Config::parse(forge.configuration.as_bytes()).map_err(|errors| anyhow!("{errors}"))?;
    let core = core::seen(&config, &forge, &message);
    let filter = filter::seen(filter, &forge, &message)?;
    let both = |expected: &Expected| agrees(expected, &core, &forge) && agrees(expected, &filter, &forge);
    let is_read = both(&expected);
    let failed = |what: &str| Outcome::Failed(what.into());
    let outcome = match better {
        _ if exceptions.proxy(&row.id).is_some() => failed("listed as decided by the proxy, but a filter sees it"),
        _ if !same(&core, &filter, &forge) => failed("core and filter disagree"),
        Some(_) if is_read => failed("listed as read better, but it is read as expected"),
        None if is_read => Outcome::Passed,
        Some(better) if both(&better.ours) => Outcome::Better(better.why.clone()),
        Some(_) => failed("read neither as expected nor as listed"),
        None => failed(kind(&expected, &core)),
    };
    let expected = better.map_or(expected, |better| better.ours.clone());
    finding(expected, Some((core, filter)), outcome)
}

/// The gravity of a wrong reading, in words.
fn kind(expected: &Expected, seen: &Seen) -> &'static str {
    use super::seen::End;
    match (expected, seen) {
        (Expected::Reject { .. }, Seen::Passed | Seen::Judged { end: End::Forwarded, .. }) => "WALK-IN: it goes on",
        (Expected::Classify { .. }, Seen::Passed) => "WALK-IN: a job's request goes on unjudged",
        (Expected::Classify { .. }, Seen::Judged { end: End::Forwarded, .. }) => "read as something else, and goes on",
        (Expected::Classify { .. } | Expected::Pass, Seen::Refused { .. }) => "refused, but it is right",
        (Expected::Reject { .. }, Seen::Refused { .. } | Seen::Judged { .. }) => "refused in another way",
        (Expected::Classify { .. } | Expected::Pass, Seen::Judged { .. }) => "read as something else",
        (_, Seen::Broken(_)) => "broken",
        (Expected::Pass, Seen::Passed) => "the filter reads it wrong",
    }
}

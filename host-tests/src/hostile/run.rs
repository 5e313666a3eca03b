//! Every row of a file, read twice and compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow};
use policy::Config;

use super::compare::{agrees, same};
use super::document::{Document, Row};
use super::exceptions::Exceptions;
use super::expected::Expected;
use super::forge::World;
use super::message::{Delivery, deliver};
use super::seen::{End, Seen};
use super::{core, filter};
use crate::host::Filter;
use crate::rows::{Finding, Outcome, Run, side_by_side};

/// Reads every row.
///
/// # Errors
/// A row cannot be understood, or the filter does not start.
pub fn run(document: &Document, exceptions: &Exceptions, filter: &Filter) -> Result<Run> {
    let world = World::of(document);
    let find = |row: &Row| {
        let compared = compared(&world, exceptions, filter, row).with_context(|| format!("row `{}`", row.id))?;
        let (expected, read, outcome) = compared;
        let reasons = read.as_ref().and_then(|(core, _)| reasons(&expected, core));
        let (core, filter) = read.map(|(core, filter)| (core.to_string(), filter.to_string())).unzip();
        let (why, expected) = (row.why.clone(), expected.to_string());
        let told = vec![("why", Some(why)), ("expected", Some(expected)), ("core", core), ("filter", filter)];
        Ok((Finding { id: row.id.clone(), outcome, told }, reasons))
    };
    let (findings, reasons): (Vec<_>, Vec<_>) = side_by_side(&document.rows, find)?.into_iter().unzip();
    Ok(Run { findings, remarks: remarks(reasons.into_iter().flatten()) })
}

/// The reason of the file why a row is refused, and ours.
fn reasons(expected: &Expected, core: &Seen) -> Option<(String, String)> {
    match (expected, core) {
        (
            Expected::Reject { reason, .. },
            Seen::Refused { code, .. } | Seen::Judged { end: End::Denied { code, .. }, .. },
        ) => Some((reason.clone(), code.clone())),
        _ => None,
    }
}

/// Which of our reasons stand for a reason of the file.
fn remarks(reasons: impl Iterator<Item = (String, String)>) -> String {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (theirs, ours) in reasons {
        known.entry(theirs).or_default().insert(ours);
    }
    let mut text = String::from("reasons of the file, and ours:\n");
    for (theirs, ours) in known {
        text.push_str(&format!("    {theirs}: {}\n", ours.into_iter().collect::<Vec<_>>().join(", ")));
    }
    text
}

/// How a row must be read, in our names; how core and filter read it, unless it is not sent; and what came of the
/// comparison.
type Compared = (Expected, Option<(Seen, Seen)>, Outcome);

fn compared(world: &World, exceptions: &Exceptions, filter: &Filter, row: &Row) -> Result<Compared> {
    let expected = exceptions.renamed(&row.expected);
    let better = exceptions.better(&row.id);
    let forge = world.forge(row);
    let message = match deliver(&row.request, forge.token)? {
        Delivery::Reaches(message) => message,
        Delivery::Stops(_) if better.is_some() => {
            let wrong = "listed as read better, but no filter ever sees it";
            return Ok((expected, None, Outcome::Failed(wrong.into())));
        }
        Delivery::Stops(why) => {
            let why = exceptions.proxy(&row.id).unwrap_or(why);
            return Ok((expected, None, Outcome::Skipped(format!("decided by the proxy: {why}"))));
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
        Some(better) if both(&better.ours) => Outcome::Differs(better.why.clone()),
        Some(_) => failed("read neither as expected nor as listed"),
        None => failed(kind(&expected, &core)),
    };
    let expected = better.map_or(expected, |better| better.ours.clone());
    Ok((expected, Some((core, filter)), outcome))
}

/// The gravity of a wrong reading, in words.
fn kind(expected: &Expected, seen: &Seen) -> &'static str {
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

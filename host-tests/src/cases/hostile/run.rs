//! A row, read twice and compared.

use anyhow::{Result, anyhow};
use policy::Config;

use super::compare::{agrees, same};
use super::delivery::{Delivery, deliver};
use super::document::{Document, Row};
use super::exceptions::Exceptions;
use super::expected::Expected;
use super::forge::World;
use super::seen::{End, Seen};
use super::{core, filter};
use crate::cases::{Found, Kind, Outcome, Rows};
use crate::host::Filter;

/// Rows of hostile requests.
#[derive(Debug)]
pub struct Hostile {
    world: World,
    exceptions: Exceptions,
}

impl Kind for Hostile {
    type Row = Row;

    fn parse(rows: &str, exceptions: Option<&str>) -> Result<(Self, Rows<Row>)> {
        let exceptions = exceptions.map(Exceptions::parse).transpose()?.unwrap_or_default();
        let document = Document::parse(rows)?;
        Ok((Self { world: World::of(&document), exceptions }, document.rows))
    }

    fn reader<'a>(&'a self, filter: &'a Filter) -> impl FnMut(&Row) -> Result<Found> + 'a {
        |row| {
            let (expected, read, outcome) = compared(&self.world, &self.exceptions, filter, row)?;
            let reason = read.as_ref().and_then(|(core, _)| reason(&expected, core));
            let (core, filter) = read.map(|(core, filter)| (core.to_string(), filter.to_string())).unzip();
            let (why, expected) = (Some(row.why.clone()), Some(expected.to_string()));
            Ok((
                outcome,
                vec![("why", why), ("expected", expected), ("core", core), ("filter", filter), ("reason", reason)],
            ))
        }
    }
}

impl Hostile {
    /// The rows that have an exception.
    pub fn excepted(&self) -> impl Iterator<Item = &str> {
        self.exceptions.ids()
    }
}

/// The reason of the file why a row is refused, and ours.
fn reason(expected: &Expected, core: &Seen) -> Option<String> {
    match (expected, core) {
        (
            Expected::Reject { reason, .. },
            Seen::Refused { code, .. } | Seen::Judged { end: End::Denied { code, .. }, .. },
        ) => Some(format!("{reason}, ours {code}")),
        _ => None,
    }
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

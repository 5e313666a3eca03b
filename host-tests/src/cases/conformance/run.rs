//! A row, asked and compared.

use anyhow::Result;

use super::asking::questions;
use super::document::{self, Row};
use super::exceptions::Exceptions;
use super::expected::Expected;
use super::forge::Source;
use super::seen::{by_core, by_filter};
use crate::cases::{Found, Kind, Outcome, Rows};
use crate::host::Filter;

/// Rows of what a forge decides.
#[derive(Debug)]
pub struct Conformance {
    exceptions: Exceptions,
}

impl Kind for Conformance {
    type Row = Row;

    fn parse(rows: &str, exceptions: Option<&str>) -> Result<(Self, Rows<Row>)> {
        let exceptions = exceptions.map(Exceptions::parse).transpose()?.unwrap_or_default();
        Ok((Self { exceptions }, document::parse(rows)?))
    }

    fn reader<'a>(&'a self, filter: &'a Filter) -> impl FnMut(&Row) -> Result<Found> + 'a {
        |row| {
            let expected = serde_json::Value::Object(row.expect.clone()).to_string();
            let (decided, outcome) = match self.exceptions.left(row) {
                Some(left) => (None, Outcome::Skipped(left.why.clone())),
                None => asked(&self.exceptions, filter, row)?,
            };
            Ok((outcome, vec![("expected", Some(expected)), ("decided", decided)]))
        }
    }
}

/// Asks what a row asks, of every source of facts that can tell its world, in the core and in the filter.
fn asked(exceptions: &Exceptions, filter: &Filter, row: &Row) -> Result<(Option<String>, Outcome)> {
    let expected = Expected::of(&row.expect)?;
    let answers = answers(row);
    let mut differs = None;
    for question in questions(row)? {
        for source in Source::ALL.into_iter().filter(|source| source.tells(&question.given)) {
            let core = by_core(&question, source, answers)?;
            let filter = by_filter(filter, &question, source, answers)?;
            if core != filter {
                let decided = format!("{core}\n    filter:   {filter}");
                return Ok((Some(decided), Outcome::Failed("core and filter disagree".into())));
            }
            let is_worded = question.is_worded && source.tells_why(&question.given);
            if expected.agrees(&core, &question, is_worded)? {
                continue;
            }
            let mut listed = None;
            for difference in exceptions.differing(row) {
                if difference.expected(row)?.agrees(&core, &question, is_worded)? {
                    listed = Some(difference.why.clone());
                    break;
                }
            }
            let decided = Some(core.to_string());
            match listed {
                Some(why) => differs = Some((decided, Outcome::Differs(why))),
                None => return Ok((decided, Outcome::Failed("decided otherwise".into()))),
            }
        }
    }
    Ok(differs.unwrap_or((None, Outcome::Passed)))
}

/// In whose words a row's forge answers.
pub(super) fn answers(row: &Row) -> &'static str {
    if is_before_17(row) { "before-gitlab-17" } else { "gitlab-17" }
}

/// Whether the forge's versions that a row is known for all lie before 17.
fn is_before_17(row: &Row) -> bool {
    let era = row.era.as_deref().unwrap_or_default();
    let majors = era.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter_map(|version| {
        let (major, _) = version.split_once('.')?;
        major.parse::<u32>().ok()
    });
    majors.max().is_some_and(|major| major < 17)
}

//! Kinds of rows that are not ours to decide, and kinds in which we differ on purpose, each with its reason.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::document::Row;
use super::expected::Expected;

/// The exceptions.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    left: Vec<Left>,
    differs: Vec<Differs>,
}

/// A kind of rows that is not asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Left {
    when: Kind,
    pub why: String,
}

/// A kind of rows in which we decide otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Differs {
    when: Kind,
    /// What stands in the place of the row's own expectation.
    ours: Map<String, Value>,
    pub why: String,
}

/// What a row of a kind says, by place: a value, or one of a list. `any` is whatever there is; a text that ends in
/// ` ...` is the beginning of one.
type Kind = BTreeMap<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    left: Vec<Left>,
    #[serde(default)]
    differs: Vec<Differs>,
}

impl Exceptions {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not of the shape, or an entry has no reason or is of every kind.
    pub(super) fn parse(text: &str) -> Result<Exceptions> {
        let Written { left, differs } = serde_saphyr::from_str(text)?;
        let all = left.iter().map(|left| (&left.when, &left.why));
        for (when, why) in all.chain(differs.iter().map(|differs| (&differs.when, &differs.why))) {
            if why.trim().is_empty() || when.is_empty() {
                bail!("expected a kind of rows and a reason, found `{when:?}` and `{why}`");
            }
        }
        Ok(Exceptions { left, differs })
    }

    /// Why a row is not asked, if it is not.
    pub(super) fn left(&self, row: &Row) -> Option<&Left> {
        self.left.iter().find(|left| is_of(row, &left.when))
    }

    /// In which ways a row may be decided otherwise.
    pub(super) fn differing<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Differs> {
        self.differs.iter().filter(|differs| is_of(row, &differs.when))
    }
}

impl Differs {
    /// The expectation that holds here.
    ///
    /// # Errors
    /// Nobody understands it.
    pub(super) fn expected(&self, row: &Row) -> Result<Expected> {
        let mut expect = row.expect.clone();
        for (key, value) in &self.ours {
            match value {
                Value::Null => expect.remove(key),
                value => expect.insert(key.clone(), value.clone()),
            };
        }
        Expected::of(&expect).with_context(|| format!("in the exceptions, `{}`", self.why))
    }
}

fn is_of(row: &Row, when: &Kind) -> bool {
    when.iter().all(|(place, wanted)| {
        let Some(value) = row.at(place) else { return false };
        let is = |wanted: &Value| match (wanted.as_str(), value.as_str()) {
            (Some("any"), _) => true,
            (Some(wanted), Some(value)) => {
                wanted.strip_suffix(" ...").map_or(wanted == value, |beginning| value.starts_with(beginning))
            }
            _ => *wanted == value,
        };
        match wanted {
            Value::Array(list) => list.iter().any(is),
            one => is(one),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::conformance::document;

    #[test]
    fn a_kind_is_what_rows_say() {
        let row = "{id: X-1, source: s, basis: spec, given: {user: {kind: admin, role: null}}, request: {}, expect: {decision: deny}}";
        let row = document::parse(&format!("version: 1\ncases: [{row}]")).unwrap().remove(0).1.unwrap();
        for (when, is) in [
            ("{family: X}", true),
            ("{given.user.kind: [bot, admin], given.user.role: null}", true),
            ("{given.user.kind: adm ...}", true),
            ("{given.user.kind: any}", true),
            ("{given.user.state: any}", false),
            ("{given.user.kind: bot}", false),
        ] {
            let exceptions = Exceptions::parse(&format!("left: [{{when: {when}, why: w}}]")).unwrap();
            assert_eq!(exceptions.left(&row).is_some(), is, "{when}");
        }
        assert!(Exceptions::parse("left: [{when: {family: X}, why: ''}]").is_err());
        assert!(Exceptions::parse("left: [{when: {}, why: w}]").is_err());
    }
}

//! The file of rows, as it is written.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tables::CARRIERS;
use crate::cases::Rows;
use crate::cases::rows::each;

/// What is given, what is asked, and what the forge decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// The forge's versions that it is known for; none for all of today's.
    pub era: Option<String>,
    /// The world.
    pub given: Map<String, Value>,
    /// The request.
    pub request: Map<String, Value>,
    /// What the forge decides.
    pub expect: Map<String, Value>,
    /// What is worth knowing.
    pub note: Option<String>,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "basis")]
    _basis: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    #[serde(rename = "count")]
    _count: Option<u64>,
    cases: Vec<Value>,
}

/// Reads the text of a file.
///
/// # Errors
/// It is not of the shape, or a row stands twice.
pub(super) fn parse(text: &str) -> Result<Rows<Row>> {
    let written: Written = serde_saphyr::from_str(text).context("expected `version` and `cases`")?;
    if written.version != 1 {
        bail!("expected version 1, found `{}`", written.version);
    }
    each(written.cases, |row| Ok(serde_json::from_value(row)?))
}

impl Row {
    /// What stands at a place: `family`, `era`, `carriers` (how many carry a token), or `given.user.kind` and the like.
    /// Colons in keys are left out.
    pub(super) fn at(&self, place: &str) -> Option<Value> {
        let (part, rest) = place.split_once('.').unwrap_or((place, ""));
        let map = match part {
            "family" => return self.id.rsplit_once('-').map(|(family, _)| family.into()),
            "carriers" => return Some(CARRIERS.iter().filter(|key| self.given.contains_key(**key)).count().into()),
            "era" => return self.era.clone().map(Value::from),
            "given" => &self.given,
            "request" => &self.request,
            "expect" => &self.expect,
            _ => return None,
        };
        rest.split('.').try_fold(Value::Object(map.clone()), |value, key| {
            value.as_object()?.iter().find(|(known, _)| known.replace(':', "") == key).map(|(_, value)| value.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "{id: A-B-1, source: s, basis: spec, given: {user: {kind: null}}, request: {}, expect: {}}";

    #[test]
    fn what_stands_at_a_place_is_found_by_its_keys() {
        let row = parse(&format!("version: 1\ncases: [{ROW}]")).unwrap().remove(0).1.unwrap();
        assert_eq!(row.at("family"), Some("A-B".into()));
        assert_eq!(row.at("given.user.kind"), Some(Value::Null));
        assert_eq!(row.at("given.user.role"), None);
    }
}

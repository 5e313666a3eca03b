//! The file of rows, as it is written.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tables::CARRIERS;
use crate::rows::parse_each;

/// A file of rows.
#[derive(Debug)]
pub struct Document {
    /// The rows, in their order.
    pub rows: Vec<Row>,
}

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
    /// Why it is no row, where it is none.
    #[serde(skip)]
    pub unread: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    #[serde(rename = "count")]
    _count: Option<u64>,
    cases: Vec<Value>,
}

impl Document {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not of the shape; the message names the row.
    pub fn parse(text: &str) -> Result<Document> {
        let written: Written = serde_saphyr::from_str(text).context("expected `version` and `cases`")?;
        if written.version != 1 {
            bail!("expected version 1, found `{}`", written.version);
        }
        Ok(Document { rows: parse_each(written.cases, |row| Ok(Row::of(row)))? })
    }
}

impl Row {
    /// A row, or what is found instead of one: that it is none is found when it is asked, and stops no other.
    fn of(written: Value) -> Row {
        let id = written.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        serde_json::from_value(written).unwrap_or_else(|error| Row {
            id,
            era: None,
            given: Map::new(),
            request: Map::new(),
            expect: Map::new(),
            note: None,
            _source: String::new(),
            _basis: String::new(),
            unread: Some(error.to_string()),
        })
    }

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
    fn a_row_that_is_not_of_the_shape_is_named_and_stops_no_other() {
        let parse = |rows: &str| Document::parse(&format!("version: 1\ncases: [{rows}]"));
        let row = parse(ROW).unwrap().rows.remove(0);
        assert_eq!(row.at("family"), Some("A-B".into()));
        assert_eq!(row.at("given.user.kind"), Some(Value::Null));
        assert_eq!(row.at("given.user.role"), None);
        assert!(format!("{:#}", parse(&format!("{ROW}, {ROW}")).unwrap_err()).contains("row `A-B-1`"));
        let other = ROW.replace("expect", "expected").replace("A-B-1", "A-B-2");
        let rows = parse(&format!("{other}, {ROW}")).unwrap().rows;
        let unread: Vec<bool> = rows.iter().map(|row| row.unread.is_some()).collect();
        assert_eq!((rows[0].id.as_str(), unread), ("A-B-2", vec![true, false]));
    }
}

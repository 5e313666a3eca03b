//! The file of rows, as it is written.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::expected::{Expect, Expected};
use crate::cases::Rows;
use crate::cases::rows::each;

/// A file of rows.
#[derive(Debug)]
pub struct Document {
    /// The forge's host.
    pub gitlab_host: String,
    /// The registry's host.
    pub registry_host: String,
    /// How other hosts' rows are read.
    pub other_kind: String,
    /// The rows, in their order.
    pub rows: Rows<Row>,
}

/// One hostile request and how it must be read.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// The request.
    pub request: Request,
    /// Why it is there.
    pub why: String,
    /// How it must be read.
    pub expected: Expected,
}

/// A request, as it is written in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The request line.
    pub line: String,
    /// The host; none for a request without one.
    pub host: Option<String>,
    /// Names and values.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body, with placeholders in angle brackets.
    pub body: Option<String>,
    /// The body in base64, or a placeholder.
    pub body_b64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    schema: Schema,
    rows: Vec<Value>,
}

#[derive(Deserialize)]
struct Schema {
    version: u64,
    defaults: Defaults,
}

#[derive(Deserialize)]
struct Defaults {
    registry_host: String,
    gitlab_host: String,
    #[serde(default = "generic")]
    other_kind: String,
}

fn generic() -> String {
    "generic".into()
}

/// What a row may say. Evidence and observations are for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRow {
    id: String,
    request: Request,
    why: String,
    #[serde(rename = "evidence", default)]
    _evidence: Option<Value>,
    #[serde(rename = "observed", default)]
    _observed: Option<Value>,
    expect: Expect,
}

impl Document {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not of the shape, or a row stands twice.
    pub fn parse(text: &str) -> Result<Document> {
        let written: Written = serde_saphyr::from_str(text).context("expected `schema` and `rows`")?;
        let Schema { version, defaults } = written.schema;
        if version != 1 {
            bail!("expected a schema of version 1, found `{version}`");
        }
        let rows = each(written.rows, row)?;
        let Defaults { registry_host, gitlab_host, other_kind } = defaults;
        Ok(Document { gitlab_host, registry_host, other_kind, rows })
    }
}

fn row(value: Value) -> Result<Row> {
    let WrittenRow { id, request, why, expect, .. } = serde_json::from_value(value)?;
    if request.body.is_some() && request.body_b64.is_some() {
        bail!("expected one of `body` and `body_b64`, found both");
    }
    Ok(Row { id, request, why, expected: Expected::parse(expect)? })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    const SCHEMA: &str =
        "schema:\n  version: 1\n  defaults:\n    registry_host: r.example\n    gitlab_host: g.example\n";

    fn errors(rows: &str) -> Vec<String> {
        let rows = Document::parse(&format!("{SCHEMA}rows:\n{rows}")).unwrap().rows;
        rows.into_iter().map(|(id, row)| format!("{id}: {:#}", row.err().unwrap_or_else(|| anyhow!("none")))).collect()
    }

    #[test]
    fn a_row_that_is_not_of_the_shape_is_named_and_stops_no_other() {
        let row = |id: &str, request: &str, expect: &str| {
            format!("- {{id: {id}, why: w, evidence: e, request: {request}, expect: {expect}}}\n")
        };
        let request = "{line: GET / HTTP/1.1, host: h, headers: []}";
        let right = row("X2", request, "{verdict: pass-unauthenticated}");
        let line = "{line: GET / HTTP/1.1, host: h, method: GET}";
        let found = errors(&[row("X1", line, "{verdict: reject, status: 400}"), right.clone()].concat());
        assert!(found[0].starts_with("X1: expected a row") && found[0].contains("`method`"), "{found:?}");
        assert_eq!(found[1], "X2: none");
        for bad in
            ["{verdict: refuse}", "{verdict: reject}", "{verdict: classify}", "{verdict: reject, status: 400, x: 1}"]
        {
            assert!(errors(&row("X1", request, bad))[0].starts_with("X1: expected a row"), "{bad}");
        }
        let twice = Document::parse(&format!("{SCHEMA}rows:\n{right}{right}")).unwrap_err();
        assert_eq!(twice.to_string(), "row `X2` stands twice");
    }
}

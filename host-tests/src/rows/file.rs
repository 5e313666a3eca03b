//! A file of rows, or of exceptions from them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Reads a file.
///
/// # Errors
/// The file cannot be read, or `parse` refuses it.
pub fn load<Parsed>(path: &Path, parse: impl Fn(&str) -> Result<Parsed>) -> Result<Parsed> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    parse(&text).with_context(|| format!("in `{}`", path.display()))
}

/// Reads each row.
///
/// # Errors
/// A row is not of the shape, or stands twice; the message names it.
pub(crate) fn parse_each<Row>(written: Vec<Value>, parse: impl Fn(Value) -> Result<Row>) -> Result<Vec<Row>> {
    let mut names = BTreeSet::new();
    let rows = written.into_iter().enumerate().map(|(at, value)| {
        let name = value.get("id").and_then(Value::as_str).unwrap_or("without id").to_owned();
        let row = parse(value).with_context(|| format!("row `{name}` ({} from the top)", at + 1))?;
        if !names.insert(name.clone()) {
            bail!("row `{name}` stands twice");
        }
        Ok(row)
    });
    rows.collect()
}

//! A file of rows, and one of exceptions from them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Kind, Rows};

/// Reads a file of rows of a kind and, where there is one, a file of exceptions.
///
/// # Errors
/// A file cannot be read, or is not of the shape.
pub fn load<K: Kind>(rows: &Path, exceptions: Option<&Path>) -> Result<(K, Rows<K::Row>)> {
    let (text, except) = (read(rows)?, exceptions.map(read).transpose()?);
    let files = exceptions
        .into_iter()
        .fold(format!("`{}`", rows.display()), |files, path| format!("{files} and `{}`", path.display()));
    K::parse(&text, except.as_deref()).with_context(|| format!("in {files}"))
}

/// The text of a file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Each row that is written: what it says, or why it is none, which stops no other.
///
/// # Errors
/// Two have one name.
pub(super) fn each<Row>(written: Vec<Value>, parse: impl Fn(Value) -> Result<Row>) -> Result<Rows<Row>> {
    let mut names = BTreeSet::new();
    let rows = written.into_iter().enumerate().map(|(at, value)| {
        let name = value.get("id").and_then(Value::as_str);
        let name = name.map_or_else(|| format!("row {} without id", at.saturating_add(1)), str::to_owned);
        if !names.insert(name.clone()) {
            bail!("row `{name}` stands twice");
        }
        Ok((name, parse(value).context("expected a row, found something else")))
    });
    rows.collect()
}

//! The files, as they are written.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::cases::Rows;
use crate::cases::rows::each;

/// A request that a client sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The client, and which of its requests.
    pub id: String,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The header fields but for the host and the length.
    pub headers: Vec<(String, String)>,
    /// The body where it matters what it says.
    #[serde(default)]
    pub body: String,
    /// Its length where it does not.
    #[serde(default)]
    pub body_bytes: usize,
    /// What must become of it.
    #[serde(rename = "expect")]
    pub expected: Expected,
}

/// What must become of a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Expected {
    /// It is not a job's.
    Untouched,
    /// It asks for this, and goes on where that is allowed.
    Asks(String),
    /// It is refused in every world for this reason.
    Refused(String),
}

impl From<String> for Expected {
    fn from(text: String) -> Self {
        match (text.as_str(), text.strip_prefix("refused ")) {
            ("untouched", _) => Self::Untouched,
            (_, Some(reason)) => Self::Refused(reason.into()),
            (_, None) => Self::Asks(text),
        }
    }
}

/// Reads the rows, one a line.
///
/// # Errors
/// A line is no JSON, or a row stands twice.
pub(super) fn parse(text: &str) -> Result<Rows<Row>> {
    let rows = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    each(rows, |row| Ok(serde_json::from_value(row)?))
}

/// Why requests of some kinds go on in no world, by the reason that they are refused for.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// Reason to why.
    pub kinds: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    reason: String,
    why: String,
}

impl Exceptions {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not of the shape, or a reason stands twice or without a why.
    pub fn parse(text: &str) -> Result<Exceptions> {
        let mut kinds = BTreeMap::new();
        for Kind { reason, why } in serde_saphyr::from_str::<Vec<Kind>>(text)? {
            ensure!(!why.trim().is_empty(), "`{reason}` has no why");
            let known = kinds.insert(reason.clone(), why);
            ensure!(known.is_none(), "`{reason}` stands twice");
        }
        Ok(Exceptions { kinds })
    }
}

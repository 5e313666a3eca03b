//! How a row must be read.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// A project in the file's notation (`null` for none) and an action.
pub type Asked = BTreeSet<(String, String)>;

/// How a row must be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A job's: what it asks for. Every target, and no other.
    Classify {
        /// The protocol's name in the file.
        protocol: String,
        /// What is asked.
        asked: Asked,
    },
    /// Answered by the filter.
    Reject {
        /// With this status.
        status: u16,
        /// For a reason of this kind; the file's names are examples.
        reason: String,
    },
    /// Forwarded untouched: no job token is in it.
    Pass,
}

/// What a row says, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    verdict: String,
    status: Option<u16>,
    reason: Option<String>,
    protocol: Option<String>,
    /// `null` is a value here: no project.
    #[serde(default, deserialize_with = "some")]
    project: Option<Option<String>>,
    action: Option<String>,
    targets: Option<Vec<(Option<String>, String)>>,
    #[serde(rename = "note", default)]
    _note: Option<Value>,
    #[serde(rename = "alt", default)]
    _alt: Option<Value>,
}

fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Expected {
    pub(super) fn parse(expect: Expect) -> Result<Expected> {
        let Expect { verdict, status, reason, protocol, project, action, targets, .. } = expect;
        let protocol = || protocol.clone().context("expected a `protocol`");
        let name = |project: Option<String>| project.map_or_else(|| "null".into(), |path| path.to_ascii_lowercase());
        match verdict.as_str() {
            "classify" | "exchange" => {
                let project = project.context("expected a `project`")?;
                let action = action.context("expected an `action`")?;
                Ok(Expected::Classify { protocol: protocol()?, asked: Asked::from([(name(project), action)]) })
            }
            "classify-multi" => {
                let targets = targets.context("expected `targets`")?;
                let asked = targets.into_iter().map(|(project, action)| (name(project), action)).collect();
                Ok(Expected::Classify { protocol: protocol()?, asked })
            }
            "reject" => Ok(Expected::Reject {
                status: status.context("expected a `status`")?,
                reason: reason.unwrap_or_else(|| "-".into()),
            }),
            "pass-unauthenticated" | "pass-foreign-credential" => Ok(Expected::Pass),
            other => bail!("expected a verdict of the schema, found `{other}`"),
        }
    }

    /// The projects that are asked for, by path or number.
    pub(super) fn projects(&self) -> impl Iterator<Item = &str> {
        let asked = match self {
            Expected::Classify { asked, .. } => Some(asked),
            Expected::Reject { .. } | Expected::Pass => None,
        };
        asked.into_iter().flatten().map(|(project, _)| project.as_str())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Classify { protocol, asked } => write!(f, "{protocol}: {}", list(asked)),
            Expected::Reject { status, reason } => write!(f, "refused with {status} ({reason})"),
            Expected::Pass => f.write_str("passed on untouched"),
        }
    }
}

/// `git.read of g/p, git.write of g/q`.
pub(super) fn list(asked: &Asked) -> String {
    asked.iter().map(|(project, action)| format!("{action} of {project}")).collect::<Vec<_>>().join(", ")
}

//! What differs from the rows on purpose, each with its reason.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::expected::{Expect, Expected};

/// The exceptions.
#[derive(Debug, Default)]
pub struct Exceptions {
    names: Vec<Name>,
    better: BTreeMap<String, Better>,
    proxy: BTreeMap<String, String>,
}

/// One thing that the rows and we call by two names.
#[derive(Debug)]
struct Name {
    /// Protocol and action in the rows.
    theirs: (String, String),
    /// Ours.
    ours: (String, String),
}

/// A row where our reading is better than the one expected.
#[derive(Debug)]
pub(super) struct Better {
    /// Our reading, which must hold.
    pub ours: Expected,
    /// Why it is better.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    names: Vec<WrittenName>,
    #[serde(default)]
    better: Vec<WrittenBetter>,
    #[serde(default)]
    proxy: Vec<WrittenProxy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenName {
    rows: String,
    ours: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBetter {
    id: String,
    ours: Expect,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProxy {
    id: String,
    why: String,
}

impl Exceptions {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not of the shape, an entry has no reason, or a row stands in it twice.
    pub fn parse(text: &str) -> Result<Exceptions> {
        let written: Written = serde_saphyr::from_str(text)?;
        let mut exceptions = Exceptions::default();
        let mut ids = BTreeSet::new();
        let mut check = |id: &str, why: &str| {
            if why.trim().is_empty() {
                bail!("`{id}` has no reason");
            }
            if !ids.insert(id.to_owned()) {
                bail!("`{id}` stands twice");
            }
            Ok(())
        };
        for WrittenName { rows, ours, why } in written.names {
            check(&rows, &why)?;
            exceptions.names.push(Name { theirs: pair(&rows)?, ours: pair(&ours)? });
        }
        for WrittenBetter { id, ours, why } in written.better {
            check(&id, &why)?;
            let ours = Expected::parse(ours).with_context(|| format!("row `{id}`"))?;
            exceptions.better.insert(id, Better { ours, why });
        }
        for WrittenProxy { id, why } in written.proxy {
            check(&id, &why)?;
            exceptions.proxy.insert(id, why);
        }
        Ok(exceptions)
    }

    /// The expectation of a row, in our names.
    pub(super) fn renamed(&self, expected: &Expected) -> Expected {
        let Expected::Classify { protocol, asked } = expected else { return expected.clone() };
        let mut ours = protocol.clone();
        let asked = asked.iter().map(|(project, action)| {
            let known = self.names.iter().find(|name| name.theirs == (protocol.clone(), action.clone()));
            let action = known.map_or(action, |name| {
                ours.clone_from(&name.ours.0);
                &name.ours.1
            });
            (project.clone(), action.clone())
        });
        let asked = asked.collect();
        Expected::Classify { protocol: ours, asked }
    }

    pub(super) fn better(&self, id: &str) -> Option<&Better> {
        self.better.get(id)
    }

    pub(super) fn proxy(&self, id: &str) -> Option<&str> {
        self.proxy.get(id).map(String::as_str)
    }

    /// The rows that have an exception.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.better.keys().chain(self.proxy.keys()).map(String::as_str)
    }
}

/// `git-wiki git.read` is a protocol and an action.
fn pair(text: &str) -> Result<(String, String)> {
    let (protocol, action) =
        text.split_once(' ').with_context(|| format!("expected `protocol action`, found `{text}`"))?;
    Ok((protocol.into(), action.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_and_every_entry_has_a_reason() {
        let exceptions =
            Exceptions::parse("names: [{rows: git-wiki git.read, ours: git wiki.read, why: shorter}]").unwrap();
        let asked = |action: &str| [("g/p".into(), action.into())].into();
        let theirs = Expected::Classify { protocol: "git-wiki".into(), asked: asked("git.read") };
        let ours = Expected::Classify { protocol: "git".into(), asked: asked("wiki.read") };
        assert_eq!(exceptions.renamed(&theirs), ours);
        for bad in [
            "proxy: [{id: X, why: ''}]",
            "proxy: [{id: X, why: a}, {id: X, why: b}]",
            "names: [{rows: a, ours: b c, why: d}]",
        ] {
            assert!(Exceptions::parse(bad).is_err(), "{bad}");
        }
    }
}

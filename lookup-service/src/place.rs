//! JSON that came in: what stands where, and what else was expected there. No part of what stood there is told: it may be a secret.

use serde_json::{Map, Value};

use crate::found::found;

/// Why something is not what was to come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected {expected}, found {found}", named(.path))]
pub struct Malformed {
    /// Where, as in `user.id`; empty for the whole.
    pub path: String,
    expected: &'static str,
    found: &'static str,
}

fn named(path: &str) -> String {
    if path.is_empty() { "the body".into() } else { format!("`{path}`") }
}

impl Malformed {
    /// At a place, where something else was expected than found.
    #[must_use]
    pub fn of(path: &str, expected: &'static str, found: &'static str) -> Self {
        Self { path: path.to_owned(), expected, found }
    }
}

/// Reads a body.
pub(crate) fn json(body: &[u8]) -> Result<Value, Malformed> {
    let wrong = |_| Malformed { path: String::new(), expected: "one JSON object", found: "something else" };
    serde_json::from_slice(body).map_err(wrong)
}

/// A value, and where it stands.
pub(crate) struct Place<'a> {
    path: String,
    pub(crate) value: &'a Value,
}

impl<'a> Place<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// It, where it is an object of a version that is known.
    pub(crate) fn versioned(self) -> Result<Self, Malformed> {
        let version = self.as_object()?.member("version")?;
        if version.number()? == 1 { Ok(self) } else { Err(version.wrong("1")) }
    }

    pub(crate) fn wrong(&self, expected: &'static str) -> Malformed {
        Malformed { path: self.path.clone(), expected, found: found(self.value) }
    }

    fn members(&self) -> Result<&'a Map<String, Value>, Malformed> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    pub(crate) fn as_object(&self) -> Result<Self, Malformed> {
        self.members().map(|_| Self { path: self.path.clone(), value: self.value })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn member(&self, name: &str) -> Result<Self, Malformed> {
        let missing = || Malformed { path: self.at(name), expected: "a value", found: "nothing" };
        self.members()?.get(name).map(|value| Self { path: self.at(name), value }).ok_or_else(missing)
    }

    /// One that may be left out, or `null`.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<Self>, Malformed> {
        let value = self.members()?.get(name).filter(|value| !value.is_null());
        Ok(value.map(|value| Self { path: self.at(name), value }))
    }

    pub(crate) fn object(&self, name: &str) -> Result<Self, Malformed> {
        self.member(name)?.as_object()
    }

    pub(crate) fn text(&self) -> Result<&'a str, Malformed> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    pub(crate) fn number(&self) -> Result<u64, Malformed> {
        self.value.as_u64().ok_or_else(|| self.wrong("a whole number from 0 to 2^64-1"))
    }

    pub(crate) fn list(&self) -> Result<Vec<Self>, Malformed> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let place = |(at, value)| Self { path: format!("{}[{at}]", self.path), value };
        Ok(list.iter().enumerate().map(place).collect())
    }
}

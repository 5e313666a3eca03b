//! Reads what a row gives key by key, and does not forget what nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// Part of a row. Every key must be taken before [`Notes::finish`].
pub(super) struct Notes<'a> {
    /// Where it stands, for errors.
    place: String,
    values: &'a Map<String, Value>,
    taken: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(place: impl Into<String>, values: &'a Map<String, Value>) -> Notes<'a> {
        Notes { place: place.into(), values, taken: RefCell::default() }
    }

    /// A value as it stands there, `null` too.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        let (key, value) = self.values.get_key_value(key)?;
        self.taken.borrow_mut().insert(key);
        Some(value)
    }

    /// A text. Numbers and `null` are no texts.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.value(key).map(|value| value.as_str().ok_or_else(|| self.unknown(key, value))).transpose()
    }

    /// A switch: true or false, on or off.
    pub(super) fn switch(&self, key: &str) -> Result<Option<bool>> {
        let read = |value: &Value| match value.as_str() {
            Some("on") => Some(true),
            Some("off") => Some(false),
            Some(_) => None,
            None => value.as_bool(),
        };
        self.value(key).map(|value| read(value).ok_or_else(|| self.unknown(key, value))).transpose()
    }

    /// One text or a list of them.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        let read = |value: &'a Value| match value {
            Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
            one => one.as_str().map(|text| vec![text]),
        };
        self.value(key).map(|value| read(value).ok_or_else(|| self.unknown(key, value))).transpose()
    }

    /// A part of this part.
    pub(super) fn part(&self, key: &str) -> Result<Option<Notes<'a>>> {
        let place = format!("{}.{key}", self.place);
        let read = |value: &'a Value| match value {
            Value::Object(values) => Ok(Notes::new(place, values)),
            other => Err(self.unknown(key, other)),
        };
        self.value(key).map(read).transpose()
    }

    /// The error of a value that nobody here understands.
    pub(super) fn unknown(&self, key: &str, value: impl std::fmt::Display) -> anyhow::Error {
        anyhow::anyhow!("{}.{key}: nobody here understands `{value}`", self.place)
    }

    /// Whatever keys are left, with their values.
    pub(super) fn rest(&self) -> Vec<(&'a str, &'a Value)> {
        let taken = self.taken.borrow().clone();
        let rest: Vec<_> = self.values.iter().filter(|(key, _)| !taken.contains(key.as_str())).collect();
        self.taken.borrow_mut().extend(rest.iter().map(|(key, _)| key.as_str()));
        rest.into_iter().map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Some key was never asked for.
    pub(super) fn finish(&self) -> Result<()> {
        match self.rest().first() {
            Some((key, value)) => bail!("{}.{key}: an unknown key, with `{value}`", self.place),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_understood_is_an_error() {
        let values = json!({"a": "on", "b": "text", "c": 1});
        let notes = Notes::new("given", values.as_object().unwrap());
        assert_eq!(notes.switch("a").unwrap(), Some(true));
        assert!(notes.switch("b").is_err() && notes.text("c").is_err());
        assert_eq!(notes.text("d").unwrap(), None);
        notes.finish().unwrap();
        let fresh = Notes::new("given", values.as_object().unwrap());
        assert_eq!(fresh.finish().unwrap_err().to_string(), "given.a: an unknown key, with `\"on\"`");
    }
}

//! A document against the table of keys: all errors are collected, each with its path.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::keys::{Key, Kind, Presence};
use crate::found::found;

/// What is wrong with a configuration, a line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<String>);

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Errors {}

/// A document that is being read, or an entry of one.
pub(super) struct Reader {
    table: &'static [Key],
    /// Where the entry stands, with a dot behind it; empty for the document.
    place: String,
    values: BTreeMap<String, Value>,
    errors: Vec<String>,
    read: BTreeSet<&'static str>,
}

impl Reader {
    /// Takes a document apart. Keys that the table does not have are errors.
    pub(super) fn of(document: &Value, table: &'static [Key]) -> Self {
        Self::at(String::new(), document, table)
    }

    fn at(place: String, document: &Value, table: &'static [Key]) -> Self {
        let (values, errors, read) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        let mut reader = Self { table, place, values, errors, read };
        reader.flatten("", document);
        reader
    }

    /// Reads each entry of a list by a table of its own; what is wrong with one is wrong with the whole.
    pub(super) fn entries<T>(
        &mut self,
        path: &'static str,
        table: &'static [Key],
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Vec<T> {
        let list = self.value(path);
        let list = list.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut all = Vec::new();
        for (at, value) in list.iter().enumerate() {
            let mut entry = Self::at(format!("{}{path}[{at}].", self.place), value, table);
            all.extend(read(&mut entry));
            self.errors.extend(entry.finish().err().map(|Errors(errors)| errors).unwrap_or_default());
        }
        all
    }

    fn flatten(&mut self, path: &str, value: &Value) {
        let inner = self.table.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
        match value {
            Value::Object(members) if path.is_empty() || inner => {
                for (name, value) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.flatten(&path, value);
                }
            }
            // A section that has nothing in it says nothing.
            Value::Null if path.is_empty() || inner => {}
            _ if self.key(path).is_some() => {
                self.values.insert(path.to_owned(), value.clone());
            }
            _ if path.is_empty() || inner => self.error(path, "expected keys below it"),
            _ => self.error(path, &format!("unknown key; {}", self.meant(path))),
        }
    }

    fn key(&self, path: &str) -> Option<&'static Key> {
        self.table.iter().find(|key| key.path == path)
    }

    pub(super) fn error(&mut self, path: &str, why: &str) {
        let path = match (&*self.place, path) {
            ("", "") => "the document".to_owned(),
            (place, "") => place.trim_end_matches('.').to_owned(),
            (place, path) => format!("{place}{path}"),
        };
        let error = format!("{path}: {why}");
        // What two look at is wrong once.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// The value at a path of the table, checked. None where it is left out, or wrong and noted.
    fn value(&mut self, path: &'static str) -> Option<Value> {
        let key = self.key(path)?;
        self.read.insert(path);
        let value = match (self.values.get(path), key.presence) {
            (Some(value), _) => value.clone(),
            (None, Presence::Default(default)) => {
                serde_json::from_str(default).unwrap_or_else(|_| Value::String(default.to_owned()))
            }
            (None, Presence::Optional) => return None,
            (None, Presence::Required) => {
                self.error(path, &format!("missing; expected {}", expected(key.kind)));
                return None;
            }
        };
        if fits(key.kind, &value) {
            return Some(value);
        }
        self.error(path, &format!("expected {}, found {}", expected(key.kind), found(&value)));
        None
    }

    pub(super) fn is_given(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }

    /// What is written at a path, unchecked.
    pub(super) fn given(&self, path: &str) -> Option<&Value> {
        self.values.get(path)
    }

    /// A key that nothing reads, because another one says so.
    pub(super) fn set_aside(&mut self, path: &'static str, why: Option<&str>) {
        self.read.insert(path);
        if let Some(why) = why.filter(|_| self.is_given(path)) {
            self.error(path, why);
        }
    }

    pub(super) fn text(&mut self, path: &'static str) -> Option<String> {
        self.value(path)?.as_str().map(str::to_owned)
    }

    pub(super) fn texts(&mut self, path: &'static str) -> Vec<String> {
        let list = self.value(path);
        let list = list.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    }

    pub(super) fn number(&mut self, path: &'static str) -> u64 {
        self.value(path).and_then(|number| number.as_u64()).unwrap_or_default()
    }

    pub(super) fn size(&mut self, path: &'static str) -> usize {
        usize::try_from(self.number(path)).unwrap_or(usize::MAX)
    }

    pub(super) fn flag(&mut self, path: &'static str) -> bool {
        self.value(path).and_then(|flag| flag.as_bool()).unwrap_or_default()
    }

    pub(super) fn time(&mut self, path: &'static str) -> Duration {
        let time = self.value(path).and_then(|time| milliseconds(time.as_str()?));
        Duration::from_millis(time.unwrap_or_default())
    }

    /// What was meant by an unknown key: the name beside it that has most of its beginning and end, or else one of all of them.
    fn meant(&self, path: &str) -> String {
        let (section, name) = path.rsplit_once('.').map_or(("", path), |(section, name)| (section, name));
        let below = |key: &Key| {
            let rest = key.path.strip_prefix(section)?;
            let rest = if section.is_empty() { rest } else { rest.strip_prefix('.')? };
            rest.split('.').next().map(str::to_owned)
        };
        let mut names: Vec<String> = self.table.iter().filter_map(below).collect();
        names.dedup();
        let alike = |known: &str| {
            let begins = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            let ends = known.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
            begins + ends
        };
        let full = |known: &String| {
            if section.is_empty() {
                format!("`{}{known}`", self.place)
            } else {
                format!("`{}{section}.{known}`", self.place)
            }
        };
        match names.iter().max_by_key(|known| alike(known)) {
            Some(nearest) if alike(nearest) * 2 > name.len() => format!("did you mean {}?", full(nearest)),
            _ => format!("expected one of {}", names.iter().map(full).collect::<Vec<_>>().join(", ")),
        }
    }

    /// All errors, where there are some.
    pub(super) fn finish(mut self) -> Result<(), Errors> {
        for key in self.table.iter().filter(|key| !self.read.contains(key.path)) {
            self.errors.push(format!("{}{}: nobody reads it; this is a fault of the service", self.place, key.path));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Errors(self.errors)) }
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    match kind {
        Kind::Text => is_text(value),
        Kind::Texts(least, most) => {
            value.as_array().is_some_and(|list| (least..=most).contains(&list.len()) && list.iter().all(is_text))
        }
        Kind::Number(least, most) => value.as_u64().is_some_and(|number| (least..=most).contains(&number)),
        Kind::Time(least, most) => {
            value.as_str().and_then(milliseconds).is_some_and(|time| (least..=most).contains(&time))
        }
        Kind::Flag => value.is_boolean(),
        Kind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Words(words) => value
            .as_array()
            .is_some_and(|list| list.iter().all(|word| word.as_str().is_some_and(|word| words.contains(&word)))),
        Kind::Entries(least, most) => value
            .as_array()
            .is_some_and(|list| (least..=most).contains(&list.len()) && list.iter().all(Value::is_object)),
    }
}

/// What is expected of a kind of value.
#[must_use]
pub fn expected(kind: Kind) -> String {
    let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>();
    match kind {
        Kind::Text => "a text".into(),
        Kind::Texts(least, most) => format!("a list of {least} to {most} texts"),
        Kind::Number(least, most) => format!("a number from {least} to {most}"),
        Kind::Time(least, most) => format!("a time from {} to {}", shown(least), shown(most)),
        Kind::Flag => "`true` or `false`".into(),
        Kind::Word(words) => quoted(words).join(" or "),
        Kind::Words(words) => format!("a list of {}", quoted(words).join(", ")),
        Kind::Entries(least, most) => format!("a list of {least} to {most} entries"),
    }
}

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = UNITS.iter().find(|(known, _)| *known == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn shown(time: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, factor)| time.is_multiple_of(*factor) && time >= *factor);
    unit.map_or_else(|| "0s".to_owned(), |(unit, factor)| format!("{}{unit}", time / factor))
}

/// Why a file cannot be read, in words.
#[must_use]
pub fn unread(file: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("{file} is not there"),
        kind => format!("{file} cannot be read: {kind}"),
    }
}

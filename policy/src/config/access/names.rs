//! The names of projects in all rules, each kept once and known by a number.
//!
//! The same few thousand projects stand in rule after rule: two million names in rules are two million numbers.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::projects;
use crate::facts::ProjectPath;

/// A name's number.
pub(super) type Number = u32;

#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// The keys of all names, one behind the other.
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
    /// The numbers, by the hashes of their keys, which are kept: when the table grows, no key is read again.
    numbers: HashTable<(u32, Number)>,
    hasher: DefaultHashBuilder,
}

/// The table follows from the keys, in an order that means nothing.
impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.ends) == (&other.text, &other.ends)
    }
}

impl Eq for Names {}

impl Names {
    /// The number of a name, a new one where it is new; `None` when it is no name of projects.
    pub(super) fn admit(&mut self, name: &str) -> Option<Number> {
        let key = projects::spelled(name)?;
        // Most names were checked before, in an earlier rule.
        if let Some(number) = self.number(key) {
            return Some(number);
        }
        let key = projects::sound(key)?;
        if let Cow::Owned(folded) = &key
            && let Some(number) = self.number(folded)
        {
            return Some(number);
        }
        let number = Number::try_from(self.ends.len()).ok()?;
        let end = self.text.len().checked_add(key.len())?;
        let end = u32::try_from(end).ok()?;
        self.text.push_str(&key);
        self.ends.push(end);
        let hash = self.hash(&key);
        self.numbers.insert_unique(spread(hash), (hash, number), |(hash, _)| spread(*hash));
        Some(number)
    }

    /// The numbers of all names that hold a project.
    pub(super) fn holding(&self, path: &ProjectPath) -> Vec<Number> {
        projects::keys_of(path).filter_map(|key| self.number(key)).collect()
    }

    /// The numbers of all names that hold whatever a name holds, itself among them.
    pub(super) fn above(&self, number: Number) -> Vec<Number> {
        let key = self.key(number).unwrap_or_default();
        let groups = key.match_indices('/').filter_map(|(at, _)| key.get(..=at));
        let keys = core::iter::once("").chain(groups).chain(core::iter::once(key));
        keys.filter_map(|key| self.number(key)).collect()
    }

    /// The project that a name lies below, where one is named. No project lies in another.
    pub(super) fn below_project(&self, number: Number) -> Option<&str> {
        let key = self.key(number)?;
        let mut above = key.match_indices('/').filter_map(|(at, _)| key.get(..at));
        above.find(|path| self.number(path).is_some())
    }

    /// A name, as it is written.
    pub(super) fn written(&self, number: Number) -> String {
        let key = self.key(number).unwrap_or_default();
        let all = if key.is_empty() || key.ends_with('/') { "**" } else { "" };
        [key, all].concat()
    }

    /// Whether a project's own path is among the names.
    pub(super) fn has(&self, path: &ProjectPath) -> bool {
        self.number(path.as_str()).is_some()
    }

    /// Gives back what was kept for more.
    pub(super) fn settle(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn number(&self, key: &str) -> Option<Number> {
        let hash = self.hash(key);
        let is_it = |known: &(u32, Number)| known.0 == hash && self.key(known.1) == Some(key);
        self.numbers.find(spread(hash), is_it).map(|(_, number)| *number)
    }

    fn key(&self, number: Number) -> Option<&str> {
        let at = usize::try_from(number).ok()?;
        let begin = at.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before))?;
        self.text.get(usize::try_from(*begin).ok()?..usize::try_from(*self.ends.get(at)?).ok()?)
    }

    fn hash(&self, key: &str) -> u32 {
        let [a, b, c, d, ..] = self.hasher.hash_one(key).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// The table looks at both ends of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

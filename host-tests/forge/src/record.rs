//! What was received, for tests that ask what reached the forge.

use std::collections::VecDeque;

use axum::http::HeaderMap;
use serde::Serialize;

/// How many requests are kept.
const KEPT: usize = 500;

/// One request as it arrived.
#[derive(Clone, Serialize)]
pub struct Entry {
    /// Counts from 1 and never again, whatever was forgotten.
    pub sequence: u64,
    pub method: String,
    /// Path and query as on the wire.
    pub target: String,
    /// In order, with repetitions. Each byte of a value is the character of that number
    /// (ISO 8859-1), so that no value is lost.
    pub headers: Vec<(String, String)>,
    /// Whom the forge took the caller for; null where no route asked.
    pub who: Option<String>,
}

/// The last requests.
#[derive(Default)]
pub struct Record {
    entries: VecDeque<Entry>,
    count: u64,
}

impl Record {
    /// Remembers a request and gives its number.
    pub fn remember(&mut self, method: &str, target: String, headers: &HeaderMap) -> u64 {
        self.count = self.count.saturating_add(1);
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        let lossless = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
        let headers = headers.iter();
        self.entries.push_back(Entry {
            sequence: self.count,
            method: method.to_owned(),
            target,
            headers: headers.map(|(name, value)| (name.to_string(), lossless(value.as_bytes()))).collect(),
            who: None,
        });
        self.count
    }

    /// Adds whom the forge took the caller for.
    pub fn identify(&mut self, sequence: u64, who: String) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.sequence == sequence) {
            entry.who = Some(who);
        }
    }

    /// All that is remembered, oldest first.
    pub fn all(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.entries.clear();
    }
}

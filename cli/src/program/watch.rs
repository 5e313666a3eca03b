//! Files that are watched: whether one of them is another than when it was read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// How often the files are looked at. An editor that writes in pieces is done by the next time.
const PAUSE: Duration = Duration::from_millis(200);

/// When a file was changed last, and how long it is; `None` for one that is not there.
type Stamp = Option<(SystemTime, u64)>;

/// The files that were read, as they were then.
#[derive(Default)]
pub(crate) struct Seen(RefCell<BTreeMap<PathBuf, Stamp>>);

impl Seen {
    /// Remembers a file, before it is read: what is written while it is read is a change.
    pub(crate) fn note(&self, path: &Path) {
        self.0.borrow_mut().entry(path.to_owned()).or_insert_with(|| stamp(path));
    }

    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Returns when one of them has changed.
    pub(crate) fn wait_for_change(&self) {
        while !self.has_changed() {
            thread::sleep(PAUSE);
        }
        thread::sleep(PAUSE);
    }

    fn has_changed(&self) -> bool {
        self.0.borrow().iter().any(|(path, then)| stamp(path) != *then)
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

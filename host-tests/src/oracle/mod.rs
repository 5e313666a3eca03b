//! Real readers beside ours: what the filter says of a request is compared with what Git's own server and the reference
//! registry do with the same bytes.
//!
//! [`readers`] does so for credentials, with readers in Ruby, Go and Python.
//!
//! A generator makes requests that are almost those of real clients, the same ones in every run. Each is read by the
//! core and given to the reader, whose answer or whose disk tells which repository it touched. The readers do not know
//! the filter, and nothing here knows how the filter reads.

mod ask;
mod compiled;
pub mod git;
mod mutation;
mod random;
pub mod readers;
pub mod registry;

use std::env;
use std::ops::AddAssign;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

pub use ask::Ask;
pub use compiled::compare_compiled;
pub use mutation::{Words, family};
pub use random::Random;

/// How many requests to make: `usual`, unless `make oracle RUNS=n` says otherwise.
#[must_use]
pub fn runs(usual: usize) -> usize {
    env::var("ORACLE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}

/// A directory for a reader's files, removed when dropped. In memory where the system has such a place: Git and the
/// registry wait for the disk at each thing that they store.
fn directory(name: &str) -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    Ok(tempfile::Builder::new().prefix(&format!("jobscope-{name}-")).tempdir_in(place)?)
}

/// What came of many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The filter accepts them, and the reader touches what the filter named.
    pub agreed: usize,
    /// The filter accepts them, and the reader touches nothing.
    pub untouched: usize,
    /// The filter reads them as something that no job may do.
    pub forbidden: usize,
    /// The filter refuses them, and so would the reader.
    pub refused: usize,
    /// The filter refuses them, and the reader would have served them.
    pub dangerous: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.agreed += more.agreed;
        self.untouched += more.untouched;
        self.forbidden += more.forbidden;
        self.refused += more.refused;
        self.dangerous += more.dangerous;
    }
}

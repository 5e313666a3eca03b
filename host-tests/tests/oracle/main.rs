//! Requests that are almost a client's, read by real servers and readers, by the core and by the compiled filter.

mod git;
mod readers;
mod registry;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One comparison at a time: each has servers and threads of its own, and what a server did is told by when it did it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

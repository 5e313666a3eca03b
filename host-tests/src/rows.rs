//! What the readers of files of rows share.

use std::num::NonZero;
use std::thread;

use anyhow::{Result, anyhow};

/// How much is printed of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// What differs, and the counts.
    Terse,
    /// What differs on purpose or was skipped, too.
    Verbose,
}

/// What is found of each row, in their order. Each row has a host of its own, so they are read side by side.
///
/// # Errors
/// The first row that cannot be read.
pub(crate) fn side_by_side<Row: Sync, Finding: Send>(
    rows: &[Row],
    find: impl Fn(&Row) -> Result<Finding> + Sync,
) -> Result<Vec<Finding>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = rows.len().div_ceil(threads).max(1);
    let shares: Vec<Result<Vec<Finding>>> = thread::scope(|scope| {
        let readers: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(|| rows.iter().map(&find).collect())).collect();
        readers.into_iter().map(|reader| reader.join().unwrap_or_else(|_| Err(anyhow!("a reader panicked")))).collect()
    });
    Ok(shares.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

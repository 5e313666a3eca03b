//! What the readers of files of rows share: how a file is read, what is found of its rows, and the program that tells
//! it.

mod file;
mod program;
mod run;

use std::num::NonZero;
use std::thread;

use anyhow::{Result, anyhow};

pub use file::load;
pub(crate) use file::parse_each;
pub use program::main;
pub use run::{Finding, Outcome, Run, Verbosity};

/// What is found of each row, in their order. Each row has a host of its own, so they are read side by side.
///
/// # Errors
/// The first row that cannot be read.
pub(crate) fn side_by_side<Row: Sync, Found: Send>(
    rows: &[Row],
    find: impl Fn(&Row) -> Result<Found> + Sync,
) -> Result<Vec<Found>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = rows.len().div_ceil(threads).max(1);
    let shares: Vec<Result<Vec<Found>>> = thread::scope(|scope| {
        let readers: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(|| rows.iter().map(&find).collect())).collect();
        readers.into_iter().map(|reader| reader.join().unwrap_or_else(|_| Err(anyhow!("a reader panicked")))).collect()
    });
    Ok(shares.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

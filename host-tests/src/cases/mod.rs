//! Files of cases: rows, each decided by the core and by the compiled filter, and compared with what it says must come of it.
//! [`hostile`], [`conformance`] and [`clients`] are the kinds of rows; the rest reads files, runs the rows and tells what was
//! found.

pub mod clients;
pub mod conformance;
pub(crate) mod core;
pub(crate) mod filter;
pub mod hostile;
pub(crate) mod message;
mod program;
mod rows;
mod run;

pub use program::main;
pub use rows::{load, read};
pub use run::{Finding, Found, Outcome, Report, Verbosity, run};

use anyhow::Result;

use crate::host::Filter;

/// A kind of rows: what a file says beside them, and what differs from them on purpose.
pub trait Kind: Sized + Sync {
    /// What a row says.
    type Row: Sync;

    /// Reads the text of a file of rows and of one of exceptions from them.
    ///
    /// # Errors
    /// A file is not of the shape, or a row stands twice.
    fn parse(rows: &str, exceptions: Option<&str>) -> Result<(Self, Rows<Self::Row>)>;

    /// Finds what becomes of rows, one after the other. An error is of that row alone.
    fn reader<'a>(&'a self, filter: &'a Filter) -> impl FnMut(&Self::Row) -> Result<Found> + 'a;
}

/// The rows of a file by their names, each as it says or what is wrong with it.
pub type Rows<Row> = Vec<(String, Result<Row>)>;

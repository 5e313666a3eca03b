//! Rows of hostile requests, each read by the core and by the compiled filter and compared with what it must be read
//! as. A row that is not compared says why: nothing is skipped silently.
//!
//! The rows come from a file of the shape of `cases/hostile-requests.yaml`; what differs on purpose stands in
//! `cases/hostile-exceptions.yaml`. Nothing here knows a row by its id.

mod body;
mod compare;
mod core;
mod delivery;
mod document;
mod exceptions;
mod expected;
mod filter;
mod forge;
mod run;
mod seen;

pub use run::Hostile;

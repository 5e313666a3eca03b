//! Rows of what a forge decides on a job token, each decided here by the core and by the compiled filter and compared.
//!
//! The rows come from a file of the shape of `cases/gitlab-cases.yaml`. A row becomes one world or several
//! and one request or several, and the lookups see that world. What is not ours to decide, and where we differ on
//! purpose, stands in `cases/conformance-exceptions.yaml`, by kind of row and with a reason. Nothing here knows a row
//! by its id, and what a row says that nobody here understands makes it fail.

mod asking;
mod document;
mod exceptions;
mod expected;
mod forge;
mod given;
mod notes;
mod run;
mod seen;
mod tables;
mod worlds;

pub use run::Conformance;
pub use worlds::{Told, told};

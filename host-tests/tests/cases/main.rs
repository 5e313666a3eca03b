//! The files of cases: what the core and the compiled filter make of each row.

mod clients;
mod conformance;
mod hostile;

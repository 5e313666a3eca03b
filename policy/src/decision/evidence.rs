//! What a decision was made from, in JSON: written into its account, and read again so that another configuration can be
//! asked the same. The token is not in it.

mod reading;
mod writing;

pub use reading::{Evidence, evidence};
pub(super) use writing::write;

#[cfg(test)]
mod tests;

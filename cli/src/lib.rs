//! What can be asked of the access rules over a world: what becomes of a request, what would change that, who reaches
//! what, what a new configuration changes; and what a log tells.
//!
//! Each question is a function of a configuration, a world and what is asked. Nothing here opens a file, asks a clock or
//! knows a terminal, so that the command and a page in a browser give the same answers.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unwrap_in_result,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

pub mod changes;
pub mod check;
pub mod cleaned;
pub mod deciding;
pub mod finding;
pub mod job;
pub mod lines;
#[cfg(feature = "program")]
pub mod live;
pub mod log;
pub mod named;
pub mod pasted;
pub mod reach;
pub mod request;
pub mod setup;
pub mod suite;
pub mod view;

pub use world::marked;

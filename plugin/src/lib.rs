//! The jobscope filter: a state machine around [`policy`]. It gathers what the access rules ask for, and does what they say;
//! it has no branch on policy.
//!
//! A [`Worker`] is told what happens and says what is to become of it; what it needs of the proxy is the trait [`Host`]. A
//! panic in here traps the VM and takes other people's requests with it, so nothing unwraps.

#[cfg(target_family = "wasm")]
mod abi;
mod access_log;
#[cfg(target_family = "wasm")]
mod contexts;
mod counters;
mod document;
mod exchange;
mod host;
mod journal;
mod lookups;
mod message;
mod promises;
mod setup;
mod store;
mod ticks;
mod worker;

pub use host::{Buffer, Flow, Headers, Host, HostError, Level, Map, Metric, Result, Stream, Written};
pub use promises::{Found, Promise};
pub use worker::{Load, Worker};

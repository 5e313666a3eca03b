//! What a CI job's token may do: read a request, decide, say why.
//!
//! The whole crate is a function of its arguments. It sees bytes and facts, and answers with values; it has no clock,
//! no I/O, no logging and no proxy. Whoever holds a request (the filter, a test, a command line) drives one loop:
//!
//! 1. [`request::read`] turns the head of a request into a [`request::Reading`].
//! 2. [`decide`] turns that reading and the facts at hand into a [`Decision`], or names the facts still missing.
//! 3. [`lookup`] says which HTTP calls find a missing fact, and reads their answers.
//! 4. [`Decision`] says what to carry out: forward, or reply.
//!
//! The rooms, from the wire inwards: [`request`] knows bytes and no rules, [`facts`] are parsed once and valid for good,
//! [`rules`] know facts and no HTTP, [`decision`] joins them, [`reply`] alone knows the words of the protocols,
//! [`lookup`] knows the forge's API, [`lifecycle`] what its answers tell, [`webhook`] what it reports by itself, [`bindings`] how long a fact may be
//! believed, [`memo`] how long a decision holds.
#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::string_slice,
        reason = "tests may fail loudly"
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod access;
pub mod bindings;
pub mod choices;
mod coded;
pub mod config;
pub mod decision;
pub mod facts;
pub mod failure;
mod json;
pub mod lifecycle;
pub mod lookup;
pub mod memo;
mod pattern;
pub mod reply;
pub mod request;
pub mod rules;
mod tree;
pub mod webhook;

pub use config::Config;
pub use decision::{Decision, Facts, Step, decide};

//! The token-lookup service of a fleet: it answers `v1` for many Envoys, from one memory as far as their questions
//! take one.
//!
//! `api` speaks `v1` and knows no forge; `forge` asks one, by the lookups of `policy`; `store` remembers; `flights` has each
//! fact looked up once at a time; `feed` tells of ended jobs; `webhooks` reads what forges report by themselves; `sweep` finds the
//! ends that nobody told.

pub mod api;
pub mod clock;
pub mod config;
pub mod feed;
pub mod flights;
pub mod forge;
mod found;
pub mod journal;
pub mod metrics;
pub mod operations;
pub mod place;
mod secrets;
pub mod server;
pub mod service;
pub mod store;
pub mod subject;
pub mod sweep;
pub mod webhooks;

#[cfg(test)]
mod tests;

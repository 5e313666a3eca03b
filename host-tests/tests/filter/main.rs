//! The compiled filter in the test host: what a client gets, what the forge gets, what is asked of the lookup cluster.

mod births;
mod bodies;
mod changes;
mod costs;
mod crowds;
mod dependency_proxy;
mod elsewhere;
mod failures;
mod faults;
mod flights;
mod forge;
mod junk;
mod life;
mod lookups;
mod memory;
mod minted;
mod operations;
mod parts;
mod pull_policy;
mod reload;
mod requests;
mod rounds;
mod shares;
mod strip;
mod uploads;
mod webhook;

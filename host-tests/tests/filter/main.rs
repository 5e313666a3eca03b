//! The compiled filter in the test host: what a client gets, what the forge gets, what is asked of the lookup cluster.

mod bodies;
mod elsewhere;
mod faults;
mod forge;
mod life;
mod lookups;
mod requests;
mod strip;
mod uploads;

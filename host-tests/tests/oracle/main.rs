//! Requests that are almost a client's, read by real servers and readers, by the core and by the compiled filter.

mod git;
mod readers;
mod registry;

//! Git over HTTP.
#![no_main]

jobscope_fuzz::target!(Git);

//! The container registry.
#![no_main]

jobscope_fuzz::target!(Registry);

//! The routes that runners call.
#![no_main]

jobscope_fuzz::target!(Runner);

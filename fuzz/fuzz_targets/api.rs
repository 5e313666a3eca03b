//! The REST API's endpoints.
#![no_main]

jobscope_fuzz::target!(Api);

//! All protocols at once: whatever was accepted, rendered anew, is the request that came in.
#![no_main]

jobscope_fuzz::target!(Differential);

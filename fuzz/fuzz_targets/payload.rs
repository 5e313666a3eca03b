//! What a runner gets of its job.
#![no_main]

jobscope_fuzz::libfuzzer_sys::fuzz_target!(|payload: &[u8]| jobscope_fuzz::payload::check(payload));

//! What is decided of a viewer's network: steps, allocations, and decisions over time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("steering", data));

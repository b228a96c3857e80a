//! Trace files: damaged ones, and whole ones with any records.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("trace", data));

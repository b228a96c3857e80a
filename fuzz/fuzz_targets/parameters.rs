//! Members without session descriptions.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("parameters", data));

//! The bandwidth estimator, told anything of what it has sent.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("bandwidth", data));

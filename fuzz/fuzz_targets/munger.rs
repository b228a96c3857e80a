//! Sources that come and go in one stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("munger", data));

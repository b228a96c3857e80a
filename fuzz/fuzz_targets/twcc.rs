//! Transport-wide feedback, as somebody else reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("twcc", data));

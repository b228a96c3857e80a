//! RTCP compounds: read, written again, and our own packets read by somebody else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("rtcp", data));

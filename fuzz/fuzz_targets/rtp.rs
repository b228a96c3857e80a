//! RTP headers, extensions and payload descriptors: read, written, rewritten.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("rtp", data));

//! The messages of apps on mediasoup.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("mediasoup", data));

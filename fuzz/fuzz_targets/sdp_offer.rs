//! Offers: read, answered by the engine, and answered again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("sdp_offer", data));

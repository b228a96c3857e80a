//! The messages of LiveKit's protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("livekit", data));

//! STUN messages, and the kinds of datagrams.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("stun", data));

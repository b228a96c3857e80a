//! The embedded TURN server, by datagrams and connections.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("turn", data));

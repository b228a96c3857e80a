//! The first bytes of TCP connections, and both framings of datagrams on them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("tcp_stream", data));

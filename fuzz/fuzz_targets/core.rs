//! A whole core under a story of joins, offers, datagrams, time, faults and the operator.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("core", data));

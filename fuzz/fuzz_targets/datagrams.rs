//! Datagrams to a call: from strangers, from members, and sealed with a member's keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("datagrams", data));

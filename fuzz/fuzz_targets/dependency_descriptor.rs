//! Dependency descriptors with their structures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strait_fuzz::run("dependency_descriptor", data));

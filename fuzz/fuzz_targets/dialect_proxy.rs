//! Fuzzes PROXY headers that are sent.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dialect_proxy(data));

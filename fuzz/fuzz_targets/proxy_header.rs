//! Fuzzes PROXY headers that are received.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::proxy_header(data));

//! Fuzzes answers of a name server.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dns(data));

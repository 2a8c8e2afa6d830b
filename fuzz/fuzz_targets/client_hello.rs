//! Fuzzes the look at a TLS client's first bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::client_hello(data));

//! Fuzzes HTTP CONNECT, on both sides.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dialect_connect(data));

//! Fuzzes what is said around TLS in NNTP.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dialect_nntp(data));

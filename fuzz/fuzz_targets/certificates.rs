//! Fuzzes certificates, keys and revocation lists.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::certificates(data));

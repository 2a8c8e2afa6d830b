//! Fuzzes what OCSP responders say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::ocsp(data));

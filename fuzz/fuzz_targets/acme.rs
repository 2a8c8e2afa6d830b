//! Fuzzes what an authority answers.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::acme(data));

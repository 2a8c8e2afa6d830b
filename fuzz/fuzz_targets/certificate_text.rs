//! Fuzzes certificates that are to be renewed.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::certificate_text(data));

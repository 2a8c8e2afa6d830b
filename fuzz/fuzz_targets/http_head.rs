//! Fuzzes requests that are answered in the clear.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::http_head(data));
